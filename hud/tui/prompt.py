"""Lines that are typed: what may be in them, and what they come to."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from hud.tui import effects
from hud.tui.state import Line, Prompt

if TYPE_CHECKING:
    from hud.tui.state import UiState

LONGEST = 200
_LEAST_MS, _MOST_MS = 0.1, 60_000.0
"""As the command line takes them."""
_MOST_S = 31_536_000.0
_NUMBERS = frozenset("0123456789.")


def typed(prompt: Prompt, text: str) -> Prompt:
    """With one more character; a line for a number takes no others."""
    number = prompt.line is not Line.EXPORT
    if number and text not in _NUMBERS:
        return prompt
    before = "" if number and not prompt.touched else prompt.text
    return prompt._replace(text=(before + text)[:LONGEST], touched=True)


def shortened(prompt: Prompt) -> Prompt:
    """Without its last character."""
    if prompt.line is Line.SORT:
        return prompt
    return prompt._replace(text=prompt.text[:-1], touched=True)


def accept(state: UiState) -> tuple[UiState, effects.Effect | None]:
    """The line is complete; what is wrong with it is said, and it stays."""
    prompt = state.prompt
    if prompt is None:
        return replace(state, searching=False), None
    text = prompt.text.strip()
    closed = replace(state, prompt=None)
    if prompt.line is Line.SORT:
        return closed, None
    if prompt.line is Line.EXPORT:
        if not text:
            return closed, None
        return closed, effects.Export(text, prompt.payload)
    number = _number(text)
    if prompt.line is Line.THRESHOLD:
        if not _LEAST_MS <= number <= _MOST_MS:
            return _refused(state, f"{_LEAST_MS:g} to {_MOST_MS:g} ms"), None
        return closed, effects.Threshold(round(number * 1e6))
    if not 0 <= number <= _MOST_S:
        return _refused(state, f"0 to {_MOST_S:.0f} s"), None
    return closed, effects.Window(round(number * 1e9))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _refused(state: UiState, allowed: str) -> UiState:
    return replace(state, notice=f"only {allowed}")
