"""Whole frames: of any size, with any name, from any keys."""

from __future__ import annotations

from dataclasses import replace

from draw import drawn, text_of
from hypothesis import given, settings
from hypothesis import strategies as st
from screen_build import (
    INFO,
    RICH,
    TASKS_READ,
    S,
    blocker,
    episode,
    frame,
    poll_stack,
    snapshot,
    worker,
)

from hud.analysis.cause import Cause
from hud.analysis.results import Holder, HolderUse, Pressure, Snapshot, TaskUse
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
from hud.tui.glyphs import ASCII, UNICODE
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.text import cells
from hud.tui.update import Yank, update
from hud.tui.views.table import TABS

_KNOWN = snapshot(**RICH)


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
        u._replace(worker=replace(u.worker, name=draw(hostile)), alive=draw(st.booleans()))
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


def test_every_view_in_ascii() -> None:
    for act in (*(Show(view.name) for view in TABS), Act.OPEN):
        for line in text_of(drawn(_KNOWN, Size(120, 40), act, glyphs=ASCII)):
            assert line.isascii(), line
