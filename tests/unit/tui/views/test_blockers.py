"""The ranked list and the pane below it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import draw
from draw import WHICH, GoldenCheck, style_of, text_of
from screen_build import BLOCKERS, GET, HASH, INFO, MS, NOW, QUIET, RICH, SAVE, S, many, snapshot

from hud import figures
from hud.analysis.cause import Cause
from hud.analysis.results import Case
from hud.analysis.shares import Shares
from hud.analysis.snapshot import Analyzer
from hud.tui import panel
from hud.tui.actions import Act
from hud.tui.bars import bar
from hud.tui.frame import compose
from hud.tui.glyphs import ASCII, UNICODE
from hud.tui.layout import width_of
from hud.tui.listing import Group
from hud.tui.pages import page_of
from hud.tui.settle import settle
from hud.tui.state import HEADER_HEIGHT, At, Size, UiState
from hud.tui.views import detail

if TYPE_CHECKING:
    from hud.analysis.recording import Recording


drawn = partial(draw.drawn, view="blockers")
_KNOWN = snapshot(**RICH)
_HEAD = HEADER_HEIGHT
_ROWS = _HEAD + 1


@WHICH
def test_blockers(size: Size, golden: GoldenCheck) -> None:
    golden(f"blockers-{size.width}x{size.height}", drawn(snapshot(), size))


def test_ascii(golden: GoldenCheck) -> None:
    lines = drawn(snapshot(), Size(80, 24), glyphs=ASCII)
    assert all(text.isascii() for text in text_of(lines))
    golden("blockers-ascii-80x24", lines)


def test_advice_in_pane_and_drill_down() -> None:
    code = "spawn_blocking(move || bcrypt::hash(..)).await"
    for size in (Size(80, 24), Size(200, 50)):
        listed = "\n".join(text_of(drawn(snapshot(), size)))
        assert " fix     call bcrypt::hash in spawn_blocking" in listed
        assert code in listed
        opened = "\n".join(text_of(drawn(snapshot(), size, Act.OPEN)))
        assert " fix   call bcrypt::hash in spawn_blocking" in opened
        assert " why   password hashes are slow by design" in opened
    nothing = snapshot(stacks={})
    for actions in ((), (Act.OPEN,)):
        assert "fix  " not in "\n".join(text_of(drawn(nothing, Size(120, 32), *actions)))


def test_nothing_found(golden: GoldenCheck) -> None:
    golden("quiet-100x20", drawn(snapshot(**QUIET), Size(100, 20)))


def test_columns_go_in_the_documented_order() -> None:
    order = ["where", "total", "last", "no CPU", "worst", "count"]
    waited = (replace(HASH, waiting_ns=210 * MS), *BLOCKERS[1:])
    seen_first_at: dict[str, int] = {}
    for width in range(60, 201):
        head = text_of(drawn(snapshot(blockers=waited), Size(width, 32)))[_HEAD]
        assert ("blocks in" in head) == (width >= 80)
        for name in order:
            if name in head:
                seen_first_at.setdefault(name, width)
    widths = [seen_first_at[name] for name in order]
    assert widths == sorted(widths, reverse=True)
    assert widths[2] <= 120


def test_where_joins_the_function_where_it_has_no_column() -> None:
    lines = text_of(drawn(snapshot(), Size(120, 24)))
    assert "  cache::get src/cache.rs:51  " in lines[_ROWS + 2]
    narrower = [text_of(drawn(snapshot(), Size(at, 24)))[_ROWS + 2] for at in range(90, 120)]
    assert any("  cache::get cache.rs:51  " in row for row in narrower), "its end, where that fits"
    wide = text_of(drawn(snapshot(), Size(160, 24)))
    assert wide[_HEAD].index("where") == wide[_ROWS].index("src/login.rs:88")


def test_the_first_bar_is_full_and_the_others_are_in_proportion() -> None:
    rows = (
        replace(HASH, total_ns=500 * MS),
        replace(SAVE, total_ns=250 * MS),
        replace(GET, total_ns=0),
    )
    lines = drawn(snapshot(blockers=rows), Size(120, 24))
    drawn_bars = [span.text.strip() for line in lines[_ROWS : _ROWS + 3] for span in line[2:3]]
    assert drawn_bars[0] == "█" * len(drawn_bars[0]) != ""
    assert drawn_bars[1] == bar(0.5, len(drawn_bars[0]), UNICODE)
    assert drawn_bars[2] == ""


def test_the_whole_row_is_selected_up_to_the_edge() -> None:
    for size in (Size(60, 15), Size(200, 50)):
        lines = drawn(snapshot(), size, Act.DOWN)
        at = _ROWS
        row = lines[at + 1]
        assert width_of(row) == size.width
        assert all(span.style.startswith("selected") for span in row)
        assert text_of([row])[0].startswith(" ▌ ")
        others = [span.style for span in lines[at] + lines[at + 2]]
        assert not any("selected" in style for style in others)


def test_time_without_a_cpu_is_a_pattern_and_in_no_share() -> None:
    waited = replace(HASH, total_ns=100 * MS, waiting_ns=50 * MS)
    seen = snapshot(blockers=(waited,), shares=Shares({"": S}, {}))
    lines = drawn(seen, Size(120, 24))
    assert "10%" in text_of(lines)[_ROWS]
    assert "▒  5.0%" in text_of(lines)[_ROWS]
    assert style_of(lines[_ROWS : _ROWS + 1], "▒") == "selected wait"
    assert "no CPU" not in text_of(drawn(snapshot(), Size(120, 24)))[_HEAD]


def test_what_has_not_ended_has_no_typical_time() -> None:
    stuck = replace(SAVE, count=1, lasting=1, lasting_ns=4 * S, max_ns=4 * S)
    row = text_of(drawn(snapshot(blockers=(stuck,)), Size(120, 24)))[_ROWS]
    assert " 1        -    4.0s  " in row


def test_two_functions_of_one_name_are_told_apart() -> None:
    twins = tuple(
        replace(HASH, function=f"shop::{at}_{'long_' * 6}::run", key=(str(at), "", ""))
        for at in range(3)
    )
    lines = text_of(drawn(snapshot(blockers=twins), Size(80, 24)))
    shown = ["".join(lines[_ROWS + at].split("cpu")[1].split()[:1]) for at in range(3)]
    assert shown == ["run#1", "run#2", "run#3"]


def test_the_view_shows_only_what_the_page_has_room_for() -> None:
    seen = many(10_000)
    size = Size(120, 32)
    first = text_of(drawn(seen, size))
    page = page_of(settle(UiState(view="blockers"), seen), seen, size)
    assert sum("module_" in line for line in first[: _ROWS + page.shown]) == page.shown
    below = first[_ROWS + page.shown].strip()
    assert below.startswith(f"1-{page.shown} of 10,000, {10_000 - page.shown:,} below: together ")
    last = text_of(drawn(seen, size, Act.END))
    assert last[_ROWS + page.shown].strip() == f"{10_001 - page.shown}-10000 of 10,000"


def test_the_pane_takes_what_the_list_leaves() -> None:
    for height in (24, 32, 40):
        lines = text_of(drawn(snapshot(), Size(120, height)))
        at = _ROWS + len(BLOCKERS)
        assert lines[at].startswith("── 1 api::login::hash_password ──")
        left = panel.left_of(120)
        pane = detail.view(snapshot(), HASH, left, height - at - 2, UNICODE)
        assert [line[:left].rstrip() for line in lines[at + 1 : -1]] == [
            line.rstrip() for line in text_of(pane)
        ]


def test_its_latest_long_polls_are_beside_the_selected_one() -> None:
    lines = text_of(drawn(_KNOWN, Size(120, 32)))
    at = next(at for at, line in enumerate(lines) if "its latest long polls" in line)
    rows = [line.partition("│")[2].split() for line in lines[at + 1 : at + 9]]
    assert all(row[2:4] == ["cpu", row[3]] and row[-2] == "task" for row in rows)
    times = [row[0] for row in rows]
    assert times == sorted(times, reverse=True)


def test_a_row_of_several_causes_names_those_that_take_much_of_it() -> None:
    both = replace(
        HASH,
        cases=(
            Case(Cause.CPU, "bcrypt::hash", 8_000 * MS, 1),
            Case(Cause.SYNC, "std::fs::File::sync_all", 6_000 * MS, 3),
            Case(Cause.LOCK, "std::sync::Mutex::lock", 200 * MS, 4),
        ),
    )
    lines = drawn(replace(_KNOWN, blockers=(both,)), Size(120, 32))
    text = text_of(lines)
    assert any(" cpu +fsync " in line for line in text)
    assert style_of(lines, "+fsync") == "selected cause.fsync"
    assert not any("+lock" in line for line in text)
    assert any(" also    fsync 42 % of it: " in line for line in text)


def test_no_blocker_lost_among_equal_ones() -> None:
    twins = (HASH, HASH, *BLOCKERS)
    state = settle(UiState(view="blockers"), snapshot(blockers=twins))
    held = settle(state.put("blockers", At(1)), snapshot(blockers=twins, now_ns=NOW + S), held=True)
    assert len(held.rows) == len(twins)


def test_what_analysis_derives_is_shown(sample_recording: Recording) -> None:
    now_ns = sample_recording.info.start_monotonic_ns + 30 * S
    seen = Analyzer(sample_recording).snapshot(now_ns, live=False, ended="target exited")
    lines = text_of(drawn(seen, Size(120, 32)))
    for at, found in enumerate(seen.blockers):
        row = lines[_ROWS + at]
        assert row.replace("▌", " ").split()[0] == figures.share(seen.share(found))
        assert found.function.rpartition("::")[2] in row
        assert found.cause.value in row.split()
        assert str(found.count) in row.split()
    assert any(seen.blockers[0].where in line for line in lines[_ROWS + len(seen.blockers) :])
    stacks = text_of(drawn(seen, Size(120, 32), Act.OPEN))
    assert sum("◀ your code" in line for line in stacks) == len(seen.blockers[0].stacks)


def test_groups(golden: GoldenCheck) -> None:
    golden("by-file-100x24", drawn(_KNOWN, Size(100, 24), *[Act.GROUP] * 2))
    golden("by-type-100x24", drawn(_KNOWN, Size(100, 24), *[Act.GROUP] * 3))


def test_a_group_of_several_says_which_and_what_to_do_about_the_largest(
    golden: GoldenCheck,
) -> None:
    """The advice, its median and the stack are of one blocker, not of a mixture."""
    lines = drawn(_KNOWN, Size(100, 30), *[Act.GROUP] * 3, Act.DOWN)
    golden("mixed-group-100x30", lines)
    opened = text_of(drawn(_KNOWN, Size(100, 30), *[Act.GROUP] * 3, Act.DOWN, Act.OPEN))
    assert any(line.startswith("── functions, the largest ──") for line in opened)


def test_a_changed_threshold_says_what_is_not_counted() -> None:
    before = snapshot()
    for threshold_ns, said in (
        (MS, "   Polls of 1 ms to 5 ms are counted only since 00:03:20."),
        (20 * MS, "   Polls of 5 ms to 20 ms are counted only until 00:03:20."),
    ):
        after = snapshot(info=replace(INFO, threshold_ns=threshold_ns), elapsed_ns=200 * S)
        state = settle(settle(UiState(view="blockers"), before), after)
        lines = text_of(compose(after, state, Size(120, 30)))
        assert lines[_ROWS + len(BLOCKERS)] == said
    assert not any("counted only" in line for line in text_of(drawn(before, Size(120, 30))))


def test_by_handler_a_row_has_what_its_functions_took() -> None:
    login, reset = "api::login::{async fn}", "~api::reset::{async fn}"
    rows = (
        replace(HASH, handlers=((login, HASH.total_ns - 2 * S), (reset, 2 * S))),
        replace(SAVE, handlers=((login, SAVE.total_ns),)),
        GET,
    )
    state = settle(UiState(view="blockers", group=Group.HANDLER), snapshot(blockers=rows))
    assert {row.function: row.total_ns for row in state.rows} == {
        login: HASH.total_ns + SAVE.total_ns - 2 * S,
        "(handler not known)": GET.total_ns,
        reset: 2 * S,
    }
    assert {row.function: row.count for row in state.rows}[reset] == 0, "counted for the first"
    lines = text_of(compose(snapshot(blockers=rows), state, Size(120, 30)))
    assert lines[_HEAD].split()[2] == "handler"
    assert sum("login::{async fn}" in line for line in lines[_ROWS : _ROWS + 3]) == 1
