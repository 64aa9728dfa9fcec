"""Lines that are typed."""

from __future__ import annotations

import pytest
from pressing import press, typed
from screen_build import (
    S,
    snapshot,
)

from hud.tui.effects import (
    Threshold,
    Window,
)
from hud.tui.state import Line, Prompt


def test_the_threshold_is_typed_over_the_present_one() -> None:
    seen = snapshot()
    state, effects = typed(seen, "t")
    assert state.prompt == Prompt(Line.THRESHOLD, "5")
    state, effects = press(state, seen, *"1.5", "enter")
    assert (state.prompt, effects) == (None, [Threshold(1_500_000)]), "it replaces what was there"
    state, effects = typed(seen, "t", "backspace", *"12", "backspace", "enter")
    assert effects == [Threshold(1_000_000)]
    assert typed(seen, "t", "enter")[1] == [Threshold(5_000_000)]


@pytest.mark.parametrize("text", ["", "0", "99999", ".", "1..2"])
def test_a_threshold_out_of_range_stays_and_is_explained(text: str) -> None:
    state, effects = typed(snapshot(), "t", "backspace", *text, "enter")
    assert (state.prompt, effects) == (Prompt(Line.THRESHOLD, text, touched=True), [])
    assert "0.1 to 60000 ms" in state.notice


def test_letters_are_no_numbers_and_esc_gives_up() -> None:
    state, _ = typed(snapshot(), "t", "q", "x", "3")
    assert state.prompt == Prompt(Line.THRESHOLD, "3", touched=True)
    state, effects = press(state, snapshot(), "esc")
    assert (state.prompt, state.view, effects) == (None, "blockers", [])


def test_the_window() -> None:
    assert typed(snapshot(), "w", "backspace", *"30", "enter")[1] == [Window(30 * S)]
    assert typed(snapshot(), "w", *"30", "enter")[1] == [Window(30 * S)]
    assert typed(snapshot(), "w", "enter")[1] == [Window(0)]
