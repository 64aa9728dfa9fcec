"""The timeline's cursor, zoom and pan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from pressing import SIZE, press, typed
from screen_build import (
    INFO,
    MS,
    NOW,
    RICH,
    S,
    episode,
    snapshot,
)

from hud.analysis.cause import Cause
from hud.tui import times
from hud.tui.state import LATEST

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot


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


def running(length_ns: int, **changes: Any) -> Snapshot:
    info = replace(INFO, start_monotonic_ns=NOW - length_ns)
    return snapshot(elapsed_ns=length_ns, span_ns=length_ns, info=info, **changes)


@given(st.integers(200 * MS, 10**6 * S), st.integers(60, 300))
def test_a_run_that_goes_on_fills_nearly_all_of_the_width(length_ns: int, width: int) -> None:
    seen = running(length_ns)
    shown = times.shown(LATEST, seen, width)
    assert shown.start_ns == seen.info.start_monotonic_ns
    assert shown.end_ns >= seen.now_ns
    assert len(shown.known) >= 0.85 * times.columns(width)


@given(st.integers(200 * MS, 10**6 * S), st.integers(60, 300))
def test_one_that_is_over_fills_all_of_it(length_ns: int, width: int) -> None:
    shown = times.shown(LATEST, running(length_ns, live=False, ended="detached"), width)
    assert len(shown.known) >= times.columns(width) - 1


def test_columns_stay_where_they_are_while_the_run_grows_a_little() -> None:
    cells = [times.shown(LATEST, running(at * 250 * MS), 120).cell_ns for at in range(40, 480)]
    assert cells == sorted(cells)
    assert len(set(cells)) < 40


def test_a_window_is_shown_from_its_begin_on() -> None:
    seen = replace(running(134 * S), span_ns=30 * S)
    shown = times.shown(LATEST, seen, 120)
    assert shown.begin_ns == NOW - 30 * S
    assert shown.begin_ns - shown.cell_ns < shown.start_ns <= shown.begin_ns
    assert (shown.start_ns - seen.info.start_monotonic_ns) % shown.cell_ns == 0


def test_zooming_out_ends_with_all_of_it() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "4", "+", "+", "+")
    assert state.span.cell_ns == 200 * MS
    assert press(state, seen, "-")[0].span.cell_ns == 500 * MS
    assert press(state, seen, *"-----")[0].span.cell_ns == 0
    assert press(state, seen, *"+" * 30)[0].span.cell_ns == MS


def test_those_around_a_poll_are_the_nearest_of_other_workers() -> None:
    seen = snapshot(**RICH)
    one = seen.timeline[150]
    found = times.around(one, seen, 6)
    assert [times.key_of(other) for other in found] == sorted(
        map(times.key_of, found), key=lambda key: key[1]
    )
    assert all(other.tid != one.tid for other in found)
    farthest = max(times.apart_ns(other, one) for other in found)
    rest = [o for o in seen.timeline if o.tid != one.tid and o not in found]
    assert all(times.apart_ns(other, one) >= farthest for other in rest)
