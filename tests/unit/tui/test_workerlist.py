"""Which workers are listed, and in what order."""

from __future__ import annotations

from dataclasses import replace

from pressing import typed
from screen_build import crowd, snapshot

from hud.tui import workertime
from hud.tui.state import UiState
from hud.tui.workerlist import idle, listed, not_shown


def test_a_few_are_listed_by_number_whatever_they_did() -> None:
    found = listed(UiState(view="workers"), crowd(12))
    assert [use.worker.worker_id for use in found] == list(range(12))
    assert list(idle(UiState(view="workers"), crowd(12))) == []


def test_of_many_the_most_blocked_come_first_and_idle_ones_are_counted() -> None:
    seen, state = crowd(64), UiState(view="workers")
    found = listed(state, seen)
    shares = [workertime.blocked(use) for use in found]
    assert shares == sorted(shares, reverse=True)
    slept = {use.worker.worker_id for use in idle(state, seen)}
    assert slept == {number for number in range(64) if number % 3 == 0}
    assert slept.isdisjoint(use.worker.worker_id for use in found)


def test_the_order_can_be_turned_round() -> None:
    seen, state = crowd(64), UiState(view="workers", sorts={"workers": "worst"})
    turned = replace(state, turned=frozenset({"workers"}))
    assert listed(turned, seen) == listed(state, seen)[::-1]


def test_a_search_is_for_all_of_them() -> None:
    seen = crowd(64)
    state, _ = typed(seen, "3", "/", *"w63", "enter")
    assert [use.worker.worker_id for use in listed(state, seen)] == [63]
    assert idle(state, seen) == ()


def test_what_is_not_shown_is_said() -> None:
    said = not_shown(UiState(view="workers"), crowd(64), 20)
    assert said.startswith("1–20 of 42, down to 0 % blocked; 22 idle: W0 W3 W6 ")
    assert not_shown(UiState(view="workers"), snapshot(), 20) == ""
