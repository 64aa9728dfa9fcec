"""The last line: the keys that matter here, a line being typed, or a notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.tui.keys import footer
from hud.tui.layout import clip, width_of
from hud.tui.style import Line, Span
from hud.tui.text import cells, clean, cut_left

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.tui.glyphs import Glyphs
    from hud.tui.state import UiState

_GAP = Span("  ")


def view(state: UiState, width: int) -> Line:
    """One line of at most ``width`` cells."""
    mark = state.glyphs.ellipsis
    if state.notice:
        return clip((Span(" "), Span(clean(state.notice), "bold")), width, mark)
    if state.prompt is not None:
        return _typed(state.prompt.line.value, state.prompt.text, width, mark)
    entries = footer(state.scope, state.playback is not None)
    if state.searching:
        typed = _typed("/", state.search, max(width // 2, 12), mark)
        return (*typed, *_keys(entries, width - width_of(typed), state.glyphs))
    return _keys(entries, width, state.glyphs)


def _typed(asked: str, text: str, width: int, mark: str) -> Line:
    """A question, and the end of what was typed so far."""
    room = max(width - cells(asked) - 3, 8)
    typed = cut_left(clean(text), room, mark)
    return clip((Span(f" {asked}"), Span(f"{typed}_", "bold")), width, mark)


def _keys(entries: Sequence[tuple[str, bool]], width: int, glyphs: Glyphs) -> Line:
    """As many as there is room for; those that always stay are counted first."""
    drawn = [_entry(text, glyphs) for text, _ in entries]
    sizes = [width_of(line) + 2 for line in drawn]
    kept: set[int] = set()
    for at in sorted(range(len(entries)), key=lambda at: not entries[at][1]):
        if sizes[at] <= width - 1:
            kept.add(at)
            width -= sizes[at]
    spans = [Span(" ")]
    for at in sorted(kept):
        spans += [*drawn[at], _GAP]
    return tuple(spans[:-1])


def _entry(text: str, glyphs: Glyphs) -> Line:
    key, _, verb = text.partition(" ")
    names = {
        "up/down": glyphs.up_down,
        "left/right": glyphs.left_right,
        "enter": glyphs.enter,
    }
    return (Span(names.get(key, key), "own"), Span(f" {verb}", "label"))
