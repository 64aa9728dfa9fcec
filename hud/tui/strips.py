"""The timeline's cells as lines: heights for how much was blocked, hues and letters for the cause.

Where a worker only waited for a CPU a cell is a pattern: that blocks nobody, however long it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.cause import Cause
from hud.tui import cells
from hud.tui.cache import IdentityCache
from hud.tui.style import Line, Span, cause_style

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from hud.analysis.results import Episode, Snapshot
    from hud.tui.cells import Cell, Row
    from hud.tui.glyphs import Glyphs
    from hud.tui.times import Shown

_STYLES = {cause: cause_style(cause) for cause in Cause} | {Cause.WAITING: "wait"}


class Strip(NamedTuple):
    """One worker's cells."""

    heights: list[Line]
    letters: Line


_strips: IdentityCache[Row, Strip] = IdentityCache(1024)


class Strips:
    """The strips of one frame; one that is as it was in the last frame is not drawn again."""

    def __init__(
        self, snapshot: Snapshot, shown: Shown, tall: int, glyphs: Glyphs, marked: Set[int]
    ) -> None:
        """``tall``: lines of each; ``marked``: stacks whose episodes stand out."""
        self._cell_ns, self._tall, self._glyphs = shown.cell_ns, tall, glyphs
        first = (shown.start_ns - snapshot.info.start_monotonic_ns) // shown.cell_ns
        self._columns = range(first, first + shown.columns)
        self._cells = cells.of(snapshot, shown.cell_ns, self._columns)
        self._open = cells.in_progress(snapshot.timeline)
        self._marked: dict[int, set[int]] = {}
        if marked:
            self._mark([one for one in snapshot.timeline if one.stack in marked], snapshot)

    def _mark(self, episodes: Iterable[Episode], snapshot: Snapshot) -> None:
        zero, cell, shown = snapshot.info.start_monotonic_ns, self._cell_ns, self._columns
        for episode in episodes:
            start = episode.start_ns - zero
            end = (start + max(episode.duration_ns, 1) - 1) // cell
            columns = range(max(start // cell, shown.start), min(end + 1, shown.stop))
            self._marked.setdefault(episode.tid, set()).update(columns)

    def all(self) -> list[Line]:
        """Of all workers together; the highest cell is full."""
        row = self._cells.row(cells.ALL, self._open)
        top = max((row[at].blocked_ns for at in self._columns if at in row), default=1)
        return self._drawn(row, max(top, 1), frozenset()).heights

    def of(self, tid: int) -> Strip:
        """Of one worker; a cell that is blocked all the time is full."""
        marked = frozenset(self._marked.get(tid, ()))
        row = self._cells.row(tid, self._open)
        key = row.version, self._columns, self._tall, self._glyphs, marked
        return _strips.get(row, key, lambda: self._drawn(row, self._cell_ns, marked))

    def _drawn(self, row: Row, top_ns: int, marked: Set[int]) -> Strip:
        """From the cells in which something was: mostly these are few."""
        shown = sorted(column for column in row if column in self._columns)
        found = [
            (column - self._columns.start, row[column], _style(row[column], column in marked))
            for column in shown
        ]
        steps = len(self._glyphs.levels) - 1
        heights = [
            _joined((at, self._glyph(cell, top_ns, line), style) for at, cell, style in found)
            for line in range((self._tall - 1) * steps, -1, -steps)
        ]
        return Strip(heights, _joined((at, cell.cause.letter, style) for at, cell, style in found))

    def _glyph(self, cell: Cell, top_ns: int, below: int) -> str:
        """What of a cell is ``below`` steps and more above its foot."""
        if not cell.blocked_ns:
            return " " if below else self._glyphs.pattern
        steps = len(self._glyphs.levels) - 1
        high = max(round(cell.blocked_ns / top_ns * self._tall * steps), 1)
        return self._glyphs.levels[min(max(high - below, 0), steps)]


def _style(cell: Cell, marked: bool) -> str:
    style = _STYLES[cell.cause]
    return f"selected {style}" if marked else style


def _joined(glyphs: Iterable[tuple[int, str, str]]) -> Line:
    """(column, glyph, style), from the left to the right; between them nothing."""
    spans: list[Span] = []
    end = 0
    for at, glyph, style in glyphs:
        if glyph == " ":
            continue
        if at > end:
            spans.append(Span(" " * (at - end)))
        if at == end and spans and spans[-1].style == style:
            spans[-1] = Span(spans[-1].text + glyph, style)
        else:
            spans.append(Span(glyph, style))
        end = at + 1
    return tuple(spans)
