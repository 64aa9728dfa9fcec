"""The whole screen as lines, and what of it changed since the last time.

Terms: a *cell* here is (character with its marks, style); the second cell of a wide character is
``("", style)``. A *run* is a stretch of one line that has to be written.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from hud.tui import text
from hud.tui.keys import Scope
from hud.tui.layout import block
from hud.tui.state import SMALLEST, Size, UiState, footer_height, header_height
from hud.tui.style import Line, Span
from hud.tui.views import header, main, playback, pressure, small, stack, tasks, timeline, workers
from hud.tui.views import help as help_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.model import Snapshot

_BODIES = {
    Scope.BLOCKERS: main.view,
    Scope.WORKERS: workers.view,
    Scope.TIMELINE: timeline.view,
    Scope.TASKS: tasks.view,
    Scope.PRESSURE: pressure.view,
    Scope.STACKS: stack.view,
}


def compose(snapshot: Snapshot, state: UiState, size: Size) -> list[Line]:
    """Exactly ``size.height`` lines of at most ``size.width`` cells.

    ``state`` must have been settled with this snapshot; a paused state shows its own one.
    """
    width, height = size
    seen = state.paused or snapshot
    if width < SMALLEST.width or height < SMALLEST.height:
        return small.view(seen, state, width, height)
    foot = header.foot(state, width)
    if state.help:
        return [*help_view.view(seen, state, width, height - 1), foot]
    above, below = header_height(size), footer_height(state)
    body = _BODIES[state.view](seen, state, width, height - above - below)
    top = header.view(seen, state, width, above)
    bar = [playback.view(state, width)] if state.playback is not None else []
    return block([*top, *body, *bar, foot], width, height, state.glyphs.ellipsis)


Cell = tuple[str, str]
_BLANK: Cell = (" ", "")
_JOINED = 3
"""Equal cells between two changes that are written again, because moving costs more."""


class Run(NamedTuple):
    """Spans to write from column ``x`` of line ``y`` on, both zero-based."""

    y: int
    x: int
    spans: Line


def cells_of(line: Line, width: int) -> list[Cell]:
    """``line`` as exactly ``width`` cells."""
    found: list[Cell] = []
    for span in line:
        if span.text.isascii():
            found += [(char, span.style) for char in span.text]
            continue
        for char in span.text:
            wide = text.cells(char)
            if not wide and found:
                last = -2 if found[-1][0] == "" and len(found) > 1 else -1
                found[last] = (found[last][0] + char, found[last][1])
            elif wide:
                found.append((char, span.style))
                found += [("", span.style)] * (wide - 1)
    del found[width:]
    return found + [_BLANK] * (width - len(found))


def diff(old: Sequence[Line] | None, new: Sequence[Line], width: int) -> list[Run]:
    """What to write so that a screen that shows ``old`` shows ``new``.

    ``None`` stands for a cleared screen. Both are for the same width.
    """
    runs: list[Run] = []
    for y, line in enumerate(new):
        before: Line = old[y] if old is not None and y < len(old) else ()
        if line == before:
            continue
        same, at = _beginning(before, line)
        now, then = cells_of(line[same:], width - at), cells_of(before[same:], width - at)
        changed = [x for x, pair in enumerate(zip(now, then, strict=True)) if pair[0] != pair[1]]
        start = 0
        while start < len(changed):
            end = start
            while end + 1 < len(changed) and changed[end + 1] - changed[end] <= _JOINED + 1:
                end += 1
            first, last = changed[start], changed[end] + 1
            while first > 0 and now[first][0] == "":
                first -= 1
            while last < len(now) and now[last][0] == "":
                last += 1
            runs.append(Run(y, at + first, _spans(now[first:last])))
            start = end + 1
    return runs


def _beginning(before: Line, line: Line) -> tuple[int, int]:
    """How many spans both lines begin with, and how many cells these take."""
    same = at = 0
    for one, other in zip(before, line, strict=False):
        if one != other:
            break
        same += 1
        at += text.cells(one.text)
    # A mark in the next span would join the last character of this one.
    if same and same < len(line) and not line[same].text.isascii():
        return 0, 0
    return same, at


def _spans(part: Sequence[Cell]) -> Line:
    return tuple(
        Span("".join(char for char, _ in group), style)
        for style, group in groupby(part, key=lambda cell: cell[1])
    )
