"""The timeline's cursor, zoom and pan."""

from __future__ import annotations

from pressing import SIZE, press, typed
from screen_build import (
    MS,
    RICH,
    episode,
    snapshot,
)

from hud.analysis.cause import Cause
from hud.tui import times


def test_the_cursor_steps_through_the_episodes_of_a_worker() -> None:
    seen = snapshot(**RICH)
    mine = [one for one in seen.timeline if one.worker_id == 1]
    state, _ = typed(seen, "4", "down")
    assert times.chosen(state, seen) == mine[-1]
    state, _ = press(state, seen, "left", "left", "h")
    assert times.chosen(state, seen) == mine[-4]
    state, _ = press(state, seen, "right")
    assert times.chosen(state, seen) == mine[-3]
    state, _ = press(state, seen, *["left"] * 500)
    assert times.chosen(state, seen) == mine[0]
    shown = times.shown(state.span, seen, SIZE.width)
    assert shown.start_ns <= mine[0].start_ns < shown.end_ns, "it pans along"
    state, _ = press(state, seen, "end")
    assert state.span.end_ns == 0


def test_zoom_keeps_the_episode_in_sight() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "4", *["left"] * 30)
    chosen = times.chosen(state, seen)
    assert chosen is not None
    for key in (*["+"] * 12, *["-"] * 30):
        state, _ = press(state, seen, key)
        shown = times.shown(state.span, seen, SIZE.width)
        assert shown.start_ns <= chosen.start_ns + chosen.duration_ns // 2 < shown.end_ns
        assert times.chosen(state, seen) == chosen


def test_enter_opens_the_blocker_of_the_episode_and_esc_comes_back() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "4", "down", "down", "enter")
    assert state.opened is not None
    assert (state.view, state.opened.function) == ("stacks", "store::Index::save")
    assert press(state, seen, "esc")[0].view == "timeline"


def test_an_episode_that_only_waited_for_a_cpu_has_no_blocker_to_open() -> None:
    waited = episode(0, 0, 50 * MS, cause=Cause.WAITING, stack=0)
    seen = snapshot(**RICH | {"timeline": (waited,)})
    state, _ = typed(seen, "4", "enter")
    assert (state.view, state.opened) == ("timeline", None)
    assert "see Pressure" in state.notice
