"""Puts spans into lines of a given width: clipping, two-sided lines, tables with columns by
priority.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.tui.style import Line, Span
from hud.tui.text import cells, cut, pad

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def width_of(line: Iterable[Span]) -> int:
    """Cells of a line."""
    return sum([len(text) if text.isascii() else cells(text) for text, _ in line])


def clip(line: Iterable[Span], width: int, ellipsis: str) -> Line:
    """``line`` in at most ``width`` cells; what fits stays the same tuple."""
    line = tuple(line)
    if width_of(line) <= width:
        return line
    left = width
    for at, (text, style) in enumerate(line):
        size = len(text) if text.isascii() else cells(text)
        if size > left:
            rest = (Span(cut(text, left, ellipsis), style),) if left > 0 else ()
            return (*line[:at], *rest)
        left -= size
    return line


def selected(line: Iterable[Span], width: int) -> Line:
    """``line`` as the row under the cursor: its ground goes across all ``width`` cells."""
    spans = [Span(text, f"selected {style}".rstrip()) for text, style in line]
    spare = width - width_of(spans)
    return (*spans, Span(" " * spare, "selected")) if spare > 0 else tuple(spans)


def wrapped(items: Iterable[Line], width: int) -> list[Line]:
    """Items one behind the other, as many to a line as fit."""
    lines: list[Line] = []
    for item in items:
        if lines and width_of(lines[-1]) + width_of(item) <= width:
            lines[-1] = (*lines[-1], *item)
        else:
            lines.append(item)
    return lines


class Item(NamedTuple):
    """A part of a line that may be left out; ``drop`` as for columns."""

    span: Span
    drop: int


def _fitting(items: Sequence[Item], width: int, gap: int) -> list[Item]:
    """Those that stay; room that one leaves may do for a smaller one behind it."""
    kept: set[int] = set()
    for at in sorted(range(len(items)), key=lambda at: items[at].drop):
        size = cells(items[at].span.text) + gap
        if size <= width or not items[at].drop:
            kept.add(at)
            width -= size
    return [items[at] for at in sorted(kept)]


def spread(
    left: Sequence[Item], right: Sequence[Item], width: int, ellipsis: str, gap: int = 2
) -> Line:
    """Items from the left edge and items up to the right edge; what does not fit is left out."""
    marked = [*left, *right]
    kept = _fitting(marked, width - 1, gap)
    spans: list[Span] = []
    at = 0
    aside = [item for item in marked[len(left) :] if item in kept]
    room = width - 1 - sum(cells(item.span.text) + gap for item in aside)
    for item in left:
        if item in kept:
            blanks = 1 if not spans else gap
            spans += [Span(" " * blanks), item.span]
            at += blanks + cells(item.span.text)
    start = clip(spans, max(room + 1, 1), ellipsis)
    if not aside:
        return clip(spans, width, ellipsis)
    used = width_of(start)
    total = sum(cells(item.span.text) for item in aside) + gap * (len(aside) - 1)
    end: list[Span] = [Span(" " * max(width - 1 - total - used, 1))]
    for item in aside:
        end += [item.span, Span(" " * gap)]
    return clip((*start, *end[:-1]), width, ellipsis)


def facts(items: Sequence[Item], room: int, dot: str) -> Line:
    """Those that fit into ``room`` cells, the lowest ``drop`` first, with a dot between them."""
    kept: set[int] = set()
    for at in sorted(range(len(items)), key=lambda at: items[at].drop):
        room -= cells(items[at].span.text) + (3 if kept else 0)
        if room < 0:
            break
        kept.add(at)
    spans: list[Span] = []
    for at in sorted(kept):
        spans += [Span(f" {dot} ", "label"), items[at].span] if spans else [items[at].span]
    return tuple(spans)


_GAP = Span("  ")


class Column(NamedTuple):
    """One column of a table; ``width`` is what it needs at least."""

    name: str
    head: str
    width: int
    right: bool = False
    drop: int = 0
    """Its turn to go when the terminal is too narrow: the highest goes first, 0 never goes."""
    grow: int = 0
    """Its part of the cells left over, up to ``widest``."""
    widest: int = 0


class Table:
    """The columns that fit into ``width`` cells, with their widths."""

    def __init__(self, columns: Sequence[Column], width: int, margin: int) -> None:
        self.margin = margin
        kept = list(columns)
        while len(kept) > 1 and self._need(kept) > width:
            last = max(kept, key=lambda column: column.drop)
            if not last.drop:
                break
            kept.remove(last)
        self.columns = tuple(kept)
        self.widths = {column.name: column.width for column in kept}
        self._grow(width - self._need(kept))
        self._total = width
        self.key = tuple(self.widths.items())
        """Tables with equal ones draw equal rows."""

    def _need(self, columns: Sequence[Column]) -> int:
        return self.margin + sum(c.width for c in columns) + 2 * (len(columns) - 1)

    def _grow(self, spare: int) -> None:
        while spare > 0:
            growing = [c for c in self.columns if c.grow and self.widths[c.name] < c.widest]
            if not growing:
                return
            unit = max(spare // sum(c.grow for c in growing), 1)
            for column in growing:
                step = min(unit * column.grow, column.widest - self.widths[column.name], spare)
                self.widths[column.name] += step
                spare -= step

    def __contains__(self, name: str) -> bool:
        return name in self.widths

    def at(self, x: int) -> str:
        """The name of the column at ``x``, its blanks to the next one included; empty = none."""
        left = self.margin
        for column in self.columns:
            if left <= x < left + self.widths[column.name] + 2:
                return column.name
            left += self.widths[column.name] + 2
        return ""

    def head(self, sorted_by: str, ellipsis: str) -> Line:
        """The line of column heads."""
        spans: list[Span] = [Span(" " * self.margin)]
        for column in self.columns:
            style = "sorted" if column.name == sorted_by else "head"
            spans += self._cell((Span(column.head, style),), column, ellipsis)
        return clip(spans[:-1], self._total, ellipsis)

    def row(self, marker: Span, values: Mapping[str, Line], ellipsis: str) -> Line:
        """One row; ``marker`` fills the margin, ``values`` holds a line per column name."""
        margin = Span(pad(cut(marker.text, self.margin), self.margin), marker.style)
        return clip((margin, *self.cells(values, ellipsis)), self._total, ellipsis)

    def cells(self, values: Mapping[str, Line], ellipsis: str) -> Line:
        """A row without its margin."""
        spans: list[Span] = []
        for column in self.columns:
            content = tuple([span for span in values[column.name] if span.text])
            spans += self._cell(content, column, ellipsis)
        return tuple(spans[:-1])

    def _cell(self, content: Line, column: Column, ellipsis: str) -> Line:
        spare = self.widths[column.name] - width_of(content)
        if spare < 0:
            content = clip(content, self.widths[column.name], ellipsis)
            spare = self.widths[column.name] - width_of(content)
        if not spare:
            return (*content, _GAP)
        if column.right:
            return (Span(" " * spare), *content, _GAP)
        return (*content, Span(" " * (spare + len(_GAP.text))))


def block(lines: Sequence[Line], width: int, height: int, ellipsis: str) -> list[Line]:
    """Exactly ``height`` lines, each of at most ``width`` cells."""
    fitted = [clip(line, width, ellipsis) for line in lines[:height]]
    return fitted + [()] * (height - len(fitted))
