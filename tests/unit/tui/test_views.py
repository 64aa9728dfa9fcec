"""Whole frames at named sizes, compared with goldens that people have read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from screen_build import (
    BLOCKERS,
    HASH,
    INFO,
    MS,
    NOW,
    QUIET,
    RICH,
    STUCK,
    TASKS_READ,
    WORKERS,
    S,
    blocker,
    episode,
    frame,
    many,
    on_rung,
    poll_stack,
    snapshot,
    task,
    worker,
)

from hud.analysis.cause import Cause
from hud.analysis.results import Holder, HolderUse, Pressure, Snapshot, TaskUse
from hud.analysis.snapshot import Analyzer
from hud.model import (
    Code,
    HostPressure,
    Losses,
    Origin,
    PollStats,
    Rung,
    TaskCount,
    TaskKind,
    Where,
)
from hud.tui.actions import Act, Action, Click, Show, Typed
from hud.tui.effects import Playback
from hud.tui.frame import compose
from hud.tui.pages import page_of
from hud.tui.settle import settle
from hud.tui.state import At, Size, UiState
from hud.tui.style import THEMES, Line, theme_for
from hud.tui.text import ASCII, UNICODE, cells
from hud.tui.update import Yank, update
from hud.tui.verdict import caveats, verdict
from hud.tui.views.table import TABS

if TYPE_CHECKING:
    from hud.analysis.recording import Recording

SIZES = [Size(80, 24), Size(120, 32), Size(200, 50), Size(60, 15), Size(40, 10)]


def drawn(seen: Snapshot, size: Size, *actions: Action, **fields: Any) -> list[Line]:
    state = settle(UiState(**fields), seen)
    for action in actions:
        state, _ = update(state, action, seen, size)
    return compose(seen, state, size)


def text_of(lines: Sequence[Line]) -> list[str]:
    return ["".join(span.text for span in line) for line in lines]


def style_of(lines: Sequence[Line], text: str) -> str:
    return next(span.style for line in lines for span in line if text in span.text)


GoldenCheck = Callable[[str, Sequence[Line]], None]
WHICH = pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s.width}x{s.height}")


@WHICH
def test_blockers(size: Size, golden: GoldenCheck) -> None:
    golden(f"blockers-{size.width}x{size.height}", drawn(snapshot(), size))


@WHICH
def test_stacks(size: Size, golden: GoldenCheck) -> None:
    golden(f"stacks-{size.width}x{size.height}", drawn(snapshot(), size, Act.OPEN))


@WHICH
def test_workers_with_a_stuck_one(size: Size, golden: GoldenCheck) -> None:
    seen = snapshot(workers=STUCK)
    golden(f"workers-{size.width}x{size.height}", drawn(seen, size, Show("workers")))


def test_help(golden: GoldenCheck) -> None:
    golden("help-120x32", drawn(snapshot(losses=Losses(ring_full=7)), Size(120, 32), Act.HELP))


def test_ascii(golden: GoldenCheck) -> None:
    lines = drawn(snapshot(), Size(80, 24), glyphs=ASCII)
    assert all(text.isascii() for text in text_of(lines))
    golden("blockers-ascii-80x24", lines)


def test_advice_in_pane_and_drill_down() -> None:
    fix = "call bcrypt::hash in spawn_blocking (costs a worker 66 ms each time)"
    for size in (Size(80, 24), Size(120, 32)):
        listed = "\n".join(text_of(drawn(snapshot(), size)))
        assert f"   fix    {fix}\n" in listed
        assert ("spawn_blocking(move || bcrypt::hash(..)).await" in listed) == (size.height == 32)
        opened = "\n".join(text_of(drawn(snapshot(), size, Act.OPEN)))
        assert f" fix  {fix}\n" in opened
        assert " why  password hashes are slow by design" in opened
    nothing = snapshot(stacks={})
    for actions in ((), (Act.OPEN,)):
        assert "fix  " not in "\n".join(text_of(drawn(nothing, Size(120, 32), *actions)))


def test_the_last_line_can_be_scrolled_to() -> None:
    for size in SIZES[:4]:
        lines = text_of(drawn(snapshot(), size, Act.OPEN, Act.END))
        body = [line for line in lines[:-1] if line.strip()]
        assert "task ids, the latest: 17" in body[-1], size


def test_unfolded_stacks(golden: GoldenCheck) -> None:
    golden("stacks-unfolded-80x24", drawn(snapshot(), Size(80, 24), Act.OPEN, Act.UNFOLD))


def test_another_rung_and_an_end(golden: GoldenCheck) -> None:
    seen = on_rung(
        Rung.NAMES, "12 threads named api-N", live=False, ended="target exited (status 0)"
    )
    golden("ended-names-100x24", drawn(seen, Size(100, 24)))


def test_nothing_found(golden: GoldenCheck) -> None:
    golden("quiet-100x20", drawn(snapshot(**QUIET), Size(100, 20)))


# --------------------------------------------------------------------------- any size, any name

hostile = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "\x1b[2J\x1b[H",
            "\u202egnirts",
            "\x9b31m",
            "a\nb\rc\td",
            "\udce9\udcff",
            "你好" * 40,
            "e\u0301" * 50,
            "👩\u200d👩\u200d👧",
            "🇩🇪",
            "x" * 5000,
            "",
        ]
    ),
)


@st.composite
def hostile_snapshots(draw: st.DrawFn) -> Snapshot:
    names = draw(st.lists(st.tuples(hostile, hostile, hostile), max_size=6))
    number = st.integers(0, 10**17)
    blockers = tuple(
        blocker(
            name,
            where,
            draw(st.sampled_from(Cause)),
            draw(number),
            operation=operation,
            count=draw(number),
            inferred=draw(st.booleans()),
            stacks=tuple((key, draw(number)) for key in range(draw(st.integers(0, 4)))),
            share=draw(st.floats()),
            details=((name, draw(number)),),
            types=((where, draw(number)),),
            holders=(HolderUse(name, where, operation, 1, draw(number)),),
            durations=tuple(draw(st.lists(st.integers(0, 9), max_size=160))),
            behind=draw(st.floats(-1, 1e9)),
        )
        for name, where, operation in names
    )
    stacks = {
        key: poll_stack(
            frame(draw(hostile), draw(st.sampled_from(Origin)), draw(hostile), draw(hostile), 3),
            complete=draw(st.booleans()),
            stop=draw(hostile),
        )
        for key in range(3)
    }
    stacks[1] = replace(stacks[1], frames=draw(st.sampled_from([None, (), stacks[1].frames])))
    info = replace(
        INFO,
        target=replace(INFO.target, name=draw(hostile)),
        detection=replace(
            INFO.detection,
            rung=draw(st.sampled_from(Rung)),
            reason=draw(hostile),
            tokio_versions=(draw(hostile),),
        ),
        notes=tuple(draw(st.lists(hostile, max_size=3))),
        threshold_ns=draw(number),
        window_ns=draw(number),
    )
    uses = [
        worker(at, draw(st.sampled_from(Where)), draw(number), draw(st.booleans()), at % 4)
        for at in range(draw(st.integers(0, 40)))
    ]
    uses = [
        replace(u, worker=replace(u.worker, name=draw(hostile)), alive=draw(st.booleans()))
        for u in uses
    ]
    live = draw(st.booleans())
    kind = TaskKind(1, draw(hostile), draw(hostile), draw(st.booleans()))
    polls = PollStats(1, draw(number), draw(number), draw(number), (0,) * 50 + (3,))
    told = episode(
        1,
        0,
        draw(st.integers(0, 10**12)),
        duration_ns=draw(number),
        cause=draw(st.sampled_from(Cause)),
        stack=draw(st.integers(0, 4)),
        detail=draw(hostile),
        evidence=draw(hostile),
        holder=Holder(1, draw(hostile), draw(hostile), 1, 1),
    )
    lines = tuple((at, draw(hostile)) for at in range(3))
    return snapshot(
        info=info,
        tasks=(TaskUse(kind, TaskCount(1, 1, 1, 1, draw(number)), polls, 1, 1, 1),),
        tasks_read=draw(st.sampled_from([None, TASKS_READ])),
        pressure=(Pressure(draw(hostile), 1, draw(st.booleans()), 1, draw(number), draw(number)),),
        host=HostPressure(draw(number), 1, draw(number), draw(hostile)),
        exact=draw(hostile),
        timeline=(told,),
        code={
            0x1003: Code(
                0x1003,
                lines,
                draw(hostile),
                1,
                tuple((at, text, draw(hostile)) for at, text in lines),
                1,
                draw(hostile),
            )
        },
        blockers=blockers,
        workers=tuple(uses),
        stacks=stacks,
        live=live,
        ended="" if live else draw(hostile),
        episodes=draw(number),
        elapsed_ns=draw(number),
        worker_time_ns=draw(number),
        losses=Losses(ring_full=draw(number)),
    )


@settings(max_examples=60, deadline=None)
@given(
    hostile_snapshots(),
    st.integers(1, 300),
    st.integers(1, 100),
    st.lists(
        st.one_of(
            st.sampled_from(Act),
            st.builds(Typed, st.characters()),
            st.builds(Click, st.integers(0, 300), st.integers(0, 100)),
        ),
        max_size=8,
    ),
    st.booleans(),
    st.booleans(),
)
def test_any_size_and_any_name(
    seen: Snapshot, width: int, height: int, actions: list[Action], ascii_only: bool, replay: bool
) -> None:
    size = Size(width, height)
    playback = Playback(S, 9 * S, 1.0, True) if replay else None
    state = settle(UiState(glyphs=ASCII if ascii_only else UNICODE, playback=playback), seen)
    for action in (*actions, None):
        lines = compose(seen, state, size)
        assert len(lines) == height
        for text in text_of(lines):
            assert cells(text) <= width
            assert text.isprintable()
        if action is not None:
            state, wanted = update(state, action, seen, size)
            if isinstance(wanted, Yank):
                assert all(line.isprintable() for line in wanted.text.splitlines())


@pytest.mark.parametrize("size", [Size(20, 9), Size(59, 15), Size(60, 14), Size(300, 1)])
def test_below_the_minimum_it_says_so(size: Size) -> None:
    text = " ".join(text_of(drawn(snapshot(), size)))
    assert text.startswith("hud needs 60 x 15"[: size.width])


# --------------------------------------------------------------------------- words


def test_the_verdict_counts_the_functions_that_matter() -> None:
    assert verdict(snapshot()) == [
        "34 % of worker time was blocked, in 349 polls.",
        "3 functions make up 95 % of it.",
    ]
    assert verdict(snapshot(blockers=(HASH,)))[1] == "One function makes up all of it."
    even = tuple(blocker(f"f{n}", "", Cause.CPU, 10 * MS) for n in range(10))
    assert verdict(snapshot(blockers=even, blocked_ns=100 * MS))[1] == (
        "The first 5 functions make up 50 % of it."
    )


def test_a_stuck_worker_takes_the_verdict() -> None:
    assert verdict(snapshot(workers=STUCK)) == [
        "W2 has been in one poll for 4.2 s: store::Index::save (fsync)",
        "34 % of worker time was blocked, in 349 polls.",
    ]
    before = replace(STUCK[2], state=replace(STUCK[2].state, began_before=True))
    assert verdict(snapshot(workers=(before,)))[0] == (
        "W2 has been in one poll for 4.2 s, since before hud attached: store::Index::save (fsync)"
    )


def test_a_spinner_is_named_and_the_number_of_the_others_comes_first() -> None:
    two = (*STUCK[:3], worker(3, Where.POLL, 9 * S, running=True))
    said = "2 workers are stuck: W3 has been in one poll for 9 s: "
    assert verdict(snapshot(workers=two))[0] == f"{said}api::login::hash_password (cpu)"
    for width, ends in ((60, "for 9 s"), (80, "...::hash_password (cpu)")):
        line = text_of(drawn(snapshot(workers=two), Size(width, 24)))[1]
        assert line.lstrip().startswith(said.rstrip(": "))
        assert line.rstrip().endswith(ends), line


@pytest.mark.parametrize(
    ("use", "stuck"),
    [
        (worker(0, Where.POLL, 999 * MS), False),
        (worker(0, Where.POLL, 1_000 * MS), True),
        (worker(0, Where.ROOT, 1_000 * MS), True),
        (worker(0, Where.ALLOWED, 60 * S), False),
        (replace(worker(0, Where.POLL, 60 * S), alive=False), False),
    ],
)
def test_who_is_stuck(use: Any, stuck: bool) -> None:
    assert verdict(snapshot(workers=(use,)))[0].startswith("W0") is stuck


def test_who_was_stuck_at_the_end_is_told() -> None:
    said = verdict(snapshot(workers=STUCK, live=False, ended="detached"))[0]
    assert said == ("W2 was in a poll that has not ended, 4.2 s so far: store::Index::save (fsync)")


def test_nobody_is_stuck_below_the_threshold() -> None:
    patient = replace(INFO, threshold_ns=5 * S)
    assert "%" in verdict(snapshot(workers=STUCK, info=patient))[0]


def test_a_stuck_worker_without_a_blocker_is_named_by_its_stack() -> None:
    words = verdict(snapshot(workers=STUCK, blockers=()))
    assert words[0] == "W2 has been in one poll for 4.2 s: store::Index::save (fsync)"


def test_nothing_found_is_an_answer() -> None:
    assert verdict(snapshot(**QUIET)) == [
        "No poll of 5 ms or more in 2 min 14 s; the longest was 3.1 ms.",
        "t lowers the threshold.",
    ]
    assert verdict(
        snapshot(**{**QUIET, "longest_poll_ns": 0}, info=replace(INFO, threshold_ns=MS))
    ) == ["No poll of 1 ms or more in 2 min 14 s."]
    assert verdict(snapshot(**QUIET, workers=())) == ["No worker was seen yet."]


def test_without_context_polls_are_not_seen() -> None:
    for rung in (Rung.STACKS, Rung.NAMES, Rung.LATENCY):
        seen = on_rung(rung, "because", **QUIET)
        assert caveats(seen)[0].startswith(f"Polls are not seen ({rung.name}). ")
        assert caveats(seen)[0].endswith(" Why: because.")
        assert f"polls not seen ({rung.name})" in "\n".join(text_of(drawn(seen, Size(80, 24))))
        assert "poll" not in verdict(seen)[0]
    latency = on_rung(Rung.LATENCY, "", **QUIET)
    assert verdict(latency) == [
        "No worker is known: only waits for a CPU were seen, 3 of 5 ms or more in 2 min 14 s."
    ]


def test_header_status() -> None:
    wide = Size(120, 32)
    assert text_of(drawn(snapshot(), wide))[0].endswith(" LIVE")
    assert text_of(drawn(snapshot(), wide, Act.PAUSE))[0].endswith(" PAUSED")
    ended = text_of(drawn(snapshot(live=False, ended="target exited (status 0)"), wide))[0]
    assert ended.endswith("  ENDED: target exited (status 0)")
    assert "LIVE" not in ended


def test_columns_go_in_the_documented_order() -> None:
    order = ["last 60 s", "p99", "share", "where", "count"]
    seen_first_at = {}
    for width in range(60, 201):
        head = text_of(drawn(snapshot(), Size(width, 32)))[4].split("function")[1]
        for name in order:
            if name in head:
                seen_first_at.setdefault(name, width)
    widths = [seen_first_at[name] for name in order]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] <= 120


def test_where_joins_the_function_at_80_columns() -> None:
    lines = text_of(drawn(snapshot(), Size(80, 24)))
    assert "> 1  api::login::hash_password src/login.rs:88" in lines[5].replace(">  1", "> 1")


# --------------------------------------------------------------------------- styles


def test_colour_means_the_cause_and_nothing_else() -> None:
    for theme in THEMES.values():
        coloured = {name for name, look in theme.items() if look.colour >= 0 or look.basic >= 0}
        assert all(name.startswith("cause.") for name in coloured)
    lines = drawn(snapshot(), Size(120, 32))
    assert style_of(lines, "fsync") == "cause.fsync"
    assert style_of(lines[21:], "api::login::{async fn}") == "user"
    assert style_of(lines, "bcrypt::hash") == "dim"


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({}, ""),
        ({"NO_COLOR": "1"}, "none"),
        ({"NO_COLOR": ""}, ""),
        ({"COLORFGBG": "0;15"}, "light"),
        ({"COLORFGBG": "15;default;0"}, "dark"),
        ({"NO_COLOR": "1", "COLORFGBG": "0;15"}, "none"),
    ],
)
def test_themes(environ: dict[str, str], theme: str) -> None:
    assert theme_for(environ) == theme


def test_the_view_shows_only_what_the_page_has_room_for() -> None:
    seen = many(10_000)
    lines = text_of(drawn(seen, Size(120, 32), Act.END))
    page = page_of(settle(UiState(), seen), seen, Size(120, 32))
    assert sum("service::module" in line for line in lines) == page.shown + 1
    assert any(line.startswith(" >10k  ") for line in lines)


def test_workers_without_a_state_and_dead_ones() -> None:
    uses = (replace(WORKERS[0], state=None), replace(WORKERS[1], alive=False, drives=False))
    lines = text_of(drawn(snapshot(workers=uses), Size(120, 32), view="workers"))
    assert "gone" in lines[6]
    assert "1 worker " in lines[0]


def test_no_blocker_lost_among_equal_ones() -> None:
    twins = (HASH, HASH, *BLOCKERS)
    state = settle(UiState(), snapshot(blockers=twins))
    held = settle(state.put("blockers", At(1)), snapshot(blockers=twins, now_ns=NOW + S), held=True)
    assert len(held.rows) == len(twins)


def test_what_analysis_derives_is_shown(sample_recording: Recording) -> None:
    now_ns = sample_recording.info.start_monotonic_ns + 30 * S
    seen = Analyzer(sample_recording).snapshot(now_ns, live=False, ended="target exited")
    lines = text_of(drawn(seen, Size(120, 32)))
    for at, found in enumerate(seen.blockers):
        row = lines[5 + at]
        assert row.removeprefix(" >").split()[0] == str(at + 1)
        assert found.function in row
        assert found.where in row
        assert found.cause.value in row.split()
        assert str(found.count) in row.split()
    stacks = text_of(drawn(seen, Size(120, 32), Act.OPEN))
    assert sum("< your code blocks here" in line for line in stacks) == len(seen.blockers[0].stacks)
    workers = text_of(drawn(seen, Size(120, 32), Show("workers")))
    assert [str(use.worker.tid) in workers[5 + at] for at, use in enumerate(seen.workers)] == (
        [True] * len(seen.workers)
    )


# --------------------------------------------------------------------------- everything known

_KNOWN = snapshot(**RICH)


@WHICH
def test_timeline(size: Size, golden: GoldenCheck) -> None:
    lines = drawn(_KNOWN, size, Show("timeline"), Act.DOWN, Act.LEFT)
    golden(f"timeline-{size.width}x{size.height}", lines)


@WHICH
def test_tasks(size: Size, golden: GoldenCheck) -> None:
    golden(f"tasks-{size.width}x{size.height}", drawn(_KNOWN, size, Show("tasks")))


@WHICH
def test_pressure(size: Size, golden: GoldenCheck) -> None:
    golden(f"pressure-{size.width}x{size.height}", drawn(_KNOWN, size, Show("pressure")))


def test_a_blocker_with_everything_known(golden: GoldenCheck) -> None:
    golden("stacks-rich-100x60", drawn(_KNOWN, Size(100, 60), Act.OPEN, Act.CODE, Act.HOME))
    holders = drawn(_KNOWN, Size(120, 50), Act.DOWN, Act.DOWN, Act.OPEN)
    golden("stacks-holders-120x50", holders)
    golden("blockers-rich-120x40", drawn(_KNOWN, Size(120, 40)))


def test_groups(golden: GoldenCheck) -> None:
    golden("by-file-100x24", drawn(_KNOWN, Size(100, 24), Act.GROUP))
    golden("by-type-100x24", drawn(_KNOWN, Size(100, 24), Act.GROUP, Act.GROUP))


def test_a_group_of_several_says_which_and_what_to_do_about_the_largest(
    golden: GoldenCheck,
) -> None:
    """The advice, its median and the stack are of one blocker, not of a mixture."""
    lines = drawn(_KNOWN, Size(100, 30), Act.GROUP, Act.GROUP, Act.DOWN)
    golden("mixed-group-100x30", lines)
    opened = text_of(drawn(_KNOWN, Size(100, 30), Act.GROUP, Act.GROUP, Act.DOWN, Act.OPEN))
    assert any(line.startswith(" functions  the largest") for line in opened)


def test_hardly_any_task_held_up_is_not_told() -> None:
    for behind, told in ((0.2, ""), (0.6, "about 1 ready task each"), (2.1, "about 2 ready tasks")):
        seen = snapshot(blockers=(replace(HASH, behind=behind),))
        text = "\n".join(text_of(drawn(seen, Size(120, 40))))
        assert told in text
        assert ("held up" in text) is bool(told)


def test_the_help_is_about_this_run_and_this_view() -> None:
    text = text_of(drawn(snapshot(), Size(80, 60), Show("timeline"), Act.HELP))
    assert "the episode before" in text[1]
    assert not any("(replay)" in line for line in text)
    playback = Playback(42 * S, 134 * S, 4.0, True)
    text = text_of(drawn(snapshot(), Size(80, 60), Act.HELP, playback=playback))
    assert "play or hold" in text[1]
    assert not any(line.split()[:1] in (["t"], ["r"]) for line in text)


def test_an_ended_run_still_had_workers() -> None:
    gone = tuple(replace(use, alive=False) for use in snapshot().workers)
    seen = snapshot(live=False, workers=gone, ended="target exited (status 0)")
    assert f"{len(gone)} workers" in text_of(drawn(seen, Size(120, 32)))[0]
    heads = text_of(drawn(seen, Size(80, 24), Show("workers")))[4].split()
    assert heads[:2] == ["tid", "poll"], "nothing is going on now"
    assert heads[-2:] == ["time", "longest"]


def test_filters_are_told_where_they_hold() -> None:
    acts = (Act.FILTER_CAUSE, Act.FILTER_WORKER)
    assert "seen on W0" in text_of(drawn(snapshot(), Size(140, 32), *acts))[2]
    assert "seen on W0" in text_of(drawn(snapshot(), Size(140, 32), *acts, Show("timeline")))[2]
    assert "only" not in text_of(drawn(snapshot(), Size(140, 32), *acts, Show("workers")))[2]


def test_the_latest_note_is_the_one_in_the_header() -> None:
    seen = snapshot(info=replace(INFO, notes=("no debug info", "the symbol resolver died")))
    line = text_of(drawn(seen, Size(100, 30)))[3]
    assert line.strip() == "the symbol resolver died  (1 more: ?)"


def test_a_replay_has_a_bar(golden: GoldenCheck) -> None:
    playback = Playback(42 * S, 134 * S, 4.0, True)
    golden("replay-80x24", drawn(_KNOWN, Size(80, 24), playback=playback))
    ascii_only = drawn(_KNOWN, Size(100, 24), playback=playback, glyphs=ASCII)
    assert text_of(ascii_only)[-2].startswith(" play  00:00:42  ==")
    assert all(line.isascii() for line in text_of(ascii_only))


def test_without_exact_mode_the_tasks_say_what_it_would_add() -> None:
    for seen in (snapshot(), snapshot(tasks=(task(1, "a", S, polls=False),))):
        text = "\n".join(text_of(drawn(seen, Size(120, 32), Show("tasks"))))
        assert "--exact adds all polls of each type" in text
        assert "p99" not in text
    assert "types of this program's tasks are not known" in "\n".join(
        text_of(drawn(snapshot(), Size(120, 32), Show("tasks")))
    )


def test_every_view_in_ascii() -> None:
    for act in (*(Show(view.name) for view in TABS), Act.OPEN):
        for line in text_of(drawn(_KNOWN, Size(120, 40), act, glyphs=ASCII)):
            assert line.isascii(), line


def test_the_selected_blocker_is_marked_in_the_timeline() -> None:
    lines = drawn(_KNOWN, Size(120, 32), Act.DOWN, Show("timeline"))
    marked = {span.text[0] for line in lines for span in line if span.style.startswith("reverse ")}
    assert marked == {"y"}, "those of store::Index::save"


def test_a_changed_threshold_is_told_in_the_header() -> None:
    before = snapshot()
    state = settle(UiState(), before)
    lower = snapshot(info=replace(INFO, threshold_ns=MS), elapsed_ns=200 * S)
    head = text_of(compose(lower, settle(state, lower), Size(130, 32)))[0]
    assert "at least 1 ms  (5 ms until 00:03:20)" in head
    assert "until" not in text_of(compose(before, state, Size(130, 32)))[0]


def test_a_threshold_of_which_nothing_is_shown_is_not_told() -> None:
    lower = snapshot(info=replace(INFO, threshold_ns=MS), elapsed_ns=200 * S, span_ns=200 * S)
    changed = settle(settle(UiState(), snapshot()), lower)
    assert changed.threshold == (MS, 5 * MS, 200 * S)
    windowed = replace(lower, elapsed_ns=240 * S, span_ns=30 * S)
    assert settle(changed, windowed).threshold == (MS, 0, 0), "older than the window"
    anew = replace(lower, elapsed_ns=S, span_ns=S)
    assert settle(changed, anew).threshold == (MS, 0, 0)
    assert settle(changed, replace(lower, elapsed_ns=240 * S, span_ns=60 * S)) is not None


def test_the_window_and_the_threshold_stay_on_a_narrow_terminal() -> None:
    """They say what the figures mean; Tokio's version does not."""
    short = snapshot(info=replace(INFO, window_ns=30 * S))
    head = text_of(compose(short, settle(UiState(), short), Size(80, 24)))[0]
    assert "window 30 s" in head
    assert "at least 5 ms" in head
    assert "tokio" not in head


@pytest.mark.parametrize(("theme", "paper"), [("light", (255, 255, 255)), ("dark", (30, 30, 30))])
def test_causes_are_readable_on_their_background(theme: str, paper: tuple[int, int, int]) -> None:
    """Contrast of 4.4 to 1 and more; WCAG 2.1 asks for 4.5 where text is small."""
    levels = (0, 95, 135, 175, 215, 255)

    def rgb(number: int) -> tuple[int, int, int]:
        if number >= 232:
            return (8 + 10 * (number - 232),) * 3
        red, green, blue = (number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6
        return levels[red], levels[green], levels[blue]

    def light(colour: tuple[int, int, int]) -> float:
        parts = [value / 255 for value in colour]
        red, green, blue = (
            p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05

    for name, look in THEMES[theme].items():
        if name.startswith("cause."):
            pair = sorted((light(rgb(look.colour)), light(paper)))
            assert pair[1] / pair[0] >= 4.4, name
