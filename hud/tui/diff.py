"""What of a screen changed since the last time."""

from __future__ import annotations

from functools import lru_cache
from itertools import compress, pairwise
from operator import ne, or_
from typing import TYPE_CHECKING, NamedTuple

from hud.tui.style import Line, Span
from hud.tui.text import cells, narrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_JOINED = 3
"""Equal cells between two changes that are written again, because moving costs more."""


class Row(NamedTuple):
    """A line as exactly so many cells as the screen is wide."""

    cells: Sequence[str]
    """Characters with their marks; the second cell of a wide one is empty."""
    styles: Sequence[str]
    """Of each cell."""


class Run(NamedTuple):
    """Spans to write from column ``x`` of line ``y`` on, both zero-based."""

    y: int
    x: int
    spans: Line


@lru_cache(maxsize=512)
def row_of(line: Line, width: int) -> Row:
    """``line`` as ``width`` cells; what is beyond them is left out."""
    texts = [text for text, _ in line]
    row: Sequence[str] = "".join(texts)
    size = len if all(map(narrow, texts)) else cells
    if size is cells:
        row = _spread("".join(texts))
    styles: list[str] = []
    for text, style in line:
        styles += [style] * size(text)
    spare = width - len(styles)
    return Row([*row, *" " * spare][:width], [*styles, *[""] * spare][:width])


def _spread(text: str) -> list[str]:
    found: list[str] = []
    for char in text:
        wide = cells(char)
        if wide:
            found += [char] + [""] * (wide - 1)
        elif found:
            found[-2 if found[-1] == "" else -1] += char
    return found


def diff(old: Sequence[Line] | None, new: Sequence[Line], width: int) -> list[Run]:
    """What to write so that a screen that shows ``old`` shows ``new``.

    ``None`` stands for a cleared screen. Both are for the same width.
    """
    runs: list[Run] = []
    for y, line in enumerate(new):
        before: Line = old[y] if old is not None and y < len(old) else ()
        if line is not before and line != before:
            now = row_of(line, width)
            for first, last in _stretches(row_of(before, width), now, width):
                runs.append(Run(y, first, _spans(now, first, last)))
    return runs


def _stretches(old: Row, new: Row, width: int) -> list[tuple[int, int]]:
    """The columns that differ, those that are near each other together."""
    differ: Iterable[object] = map(ne, old.cells, new.cells)
    if old.styles != new.styles:
        differ = map(or_, differ, map(ne, old.styles, new.styles))
    changed = list(compress(range(width), differ))
    if not changed:
        return []
    gaps = [(before, after) for before, after in pairwise(changed) if after - before > _JOINED + 1]
    firsts = [changed[0], *(after for _, after in gaps)]
    lasts = [*(before for before, _ in gaps), changed[-1]]
    return [_whole(new, first, last + 1) for first, last in zip(firsts, lasts, strict=True)]


def _whole(row: Row, first: int, last: int) -> tuple[int, int]:
    """The stretch with the other halves of the wide characters at its ends."""
    while first > 0 and row.cells[first] == "":
        first -= 1
    while last < len(row.cells) and row.cells[last] == "":
        last += 1
    return first, last


def _spans(row: Row, first: int, last: int) -> Line:
    spans: list[Span] = []
    while first < last:
        style, end = row.styles[first], first + 1
        while end < last and row.styles[end] == style:
            end += 1
        spans.append(Span("".join(row.cells[first:end]), style))
        first = end
    return tuple(spans)
