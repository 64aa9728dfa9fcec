"""The timeline's cells as lines: heights for how much was blocked, hues and letters for the cause.

Where a worker only waited for a CPU a cell is a pattern: that blocks nobody, however long it was.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.cause import Cause
from hud.tui import bars, cells
from hud.tui.cache import IdentityCache
from hud.tui.style import Line, Span, cause_style

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from hud.analysis.results import Episode, Snapshot
    from hud.tui.cells import Cell, Row
    from hud.tui.glyphs import Glyphs
    from hud.tui.times import Shown

_STYLES = {cause: cause_style(cause) for cause in Cause} | {Cause.WAITING: "wait"}
_BLANK = ("", " ")


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
            self._mark(one for one in snapshot.timeline if one.stack in marked)

    def _mark(self, episodes: Iterable[Episode]) -> None:
        for episode in episodes:
            columns = (column for column, _ in self._cells.parts(episode))
            self._marked.setdefault(episode.tid, set()).update(columns)

    def all(self) -> list[Line]:
        """Of all workers together; the highest cell is full."""
        row = self._cells.row(cells.ALL, self._open)
        top = max((row[at].blocked_ns for at in self._columns if at in row), default=1)
        return self._drawn(row, max(top, 1), frozenset()).heights

    def of(self, tid: int) -> Strip:
        """Of one worker; a cell that is blocked all the time is full."""
        marked = self._marked.get(tid, frozenset[int]())
        row = self._cells.row(tid, self._open)
        if marked:
            return self._drawn(row, self._cell_ns, marked)
        key = row.version, self._columns, self._tall, self._glyphs
        return _strips.get(row, key, lambda: self._drawn(row, self._cell_ns, marked))

    def _drawn(self, row: Row, top_ns: int, marked: Set[int]) -> Strip:
        found = [row.get(column) for column in self._columns]
        styles = [_style(cell, at in marked) for at, cell in zip(self._columns, found, strict=True)]
        values = [
            (cell.blocked_ns if cell else 0, style)
            for cell, style in zip(found, styles, strict=True)
        ]
        heights = bars.columns(values, self._tall, top_ns, self._glyphs)
        waits = {at for at, cell in enumerate(found) if cell and not cell.blocked_ns}
        if waits:
            heights[-1] = _with_pattern(heights[-1], waits, self._glyphs.pattern)
        letters = [
            (style, cell.cause.letter) if cell else _BLANK
            for cell, style in zip(found, styles, strict=True)
        ]
        return Strip(heights, _joined(letters))


def _style(cell: Cell | None, marked: bool) -> str:
    if cell is None:
        return ""
    style = _STYLES[cell.cause]
    return f"selected {style}" if marked else style


def _with_pattern(line: Line, columns: Set[int], pattern: str) -> Line:
    """``line`` with the pattern of waiting for a CPU in these columns."""
    chars = [(span.style, char) for span in line for char in span.text]
    return _joined(("wait", pattern) if at in columns else char for at, char in enumerate(chars))


def _joined(chars: Iterable[tuple[str, str]]) -> Line:
    return tuple(
        Span("".join(char for _, char in group), style)
        for style, group in groupby(chars, key=itemgetter(0))
    )
