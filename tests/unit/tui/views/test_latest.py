"""The latest long polls of the overview."""

from __future__ import annotations

from dataclasses import replace

from draw import text_of
from screen_build import RICH, S, episode, snapshot

from hud.analysis.cause import Cause
from hud.analysis.results import Snapshot
from hud.tui.filters import NO_FILTER
from hud.tui.state import UiState
from hud.tui.views import latest

SEEN = snapshot(**RICH)


def shown(seen: Snapshot, height: int = 5, width: int = 60, **fields: object) -> list[str]:
    state = replace(UiState(), filter=NO_FILTER._replace(**fields))
    return [line.rstrip() for line in text_of(latest.view(seen, state, width, height))]


def test_the_newest_is_first_and_one_that_goes_on_is_marked() -> None:
    seen = replace(SEEN, elapsed_ns=8 * S, timeline=SEEN.timeline[-3:])
    lines = shown(seen, 3)
    assert lines[0] == "133.80 W2  fsync  106ms  store::Index::save"
    assert lines[1] == "133.70 W1  lock    71ms  cache::get …"


def test_in_a_long_run_the_time_is_a_clock() -> None:
    assert shown(SEEN, 1)[0].startswith(" 00:02:13 W2")


def test_time_without_a_cpu_is_not_counted() -> None:
    one = episode(1, 2, S, duration_ns=100_000_000, waiting_ns=60_000_000)
    assert " 40ms  " in shown(replace(SEEN, timeline=(one,)))[0]


def test_filters_hold_here_too() -> None:
    assert all(" lock " in line for line in shown(SEEN, cause=Cause.LOCK))
    assert all(" W3 " in line for line in shown(SEEN, worker=3))


def test_it_is_as_high_as_asked_and_empty_without_episodes() -> None:
    assert shown(replace(SEEN, timeline=()), 3) == ["", "", ""]
