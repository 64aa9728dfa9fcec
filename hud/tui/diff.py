"""What of a screen changed since the last time."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

from hud.tui.style import Line, Span
from hud.tui.text import cells, narrow

if TYPE_CHECKING:
    from collections.abc import Sequence

_JOINED = 3
"""Equal cells between two changes that are written again, because moving costs more."""


class Row(NamedTuple):
    """A line as exactly so many cells as the screen is wide."""

    cells: Sequence[str]
    """Characters with their marks; the second cell of a wide one is empty."""
    ends: Sequence[int]
    """The columns where each style ends, ascending."""
    styles: tuple[str, ...]


class Run(NamedTuple):
    """Spans to write from column ``x`` of line ``y`` on, both zero-based."""

    y: int
    x: int
    spans: Line


@lru_cache(maxsize=512)
def row_of(line: Line, width: int) -> Row:
    """``line`` as ``width`` cells; what is beyond them is left out."""
    texts, styles = zip(*line, strict=True) if line else ((), ())
    whole = "".join(texts)
    if all(map(narrow, texts)):
        row: Sequence[str] = whole.ljust(width)
        ends = [*accumulate(map(len, texts)), width]
    else:
        row = _spread(whole)
        row += " " * (width - len(row))
        ends = [*accumulate(map(cells, texts)), width]
    if max(ends) > width:
        ends = [min(end, width) for end in ends]
    return Row(row[:width], ends, (*styles, ""))


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
    changed: list[int] = []
    ours, theirs = new.cells, old.cells
    at = i = j = 0
    while at < width:
        while new.ends[i] <= at:
            i += 1
        while old.ends[j] <= at:
            j += 1
        end = min(new.ends[i], old.ends[j])
        if new.styles[i] != old.styles[j]:
            changed += range(at, end)
        elif ours[at:end] != theirs[at:end]:
            changed += [x for x in range(at, end) if ours[x] != theirs[x]]
        at = end
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
    i = bisect_right(row.ends, first)
    spans: list[Span] = []
    while first < last:
        end = min(row.ends[i], last)
        text, style = "".join(row.cells[first:end]), row.styles[i]
        if spans and spans[-1].style == style:
            spans[-1] = Span(spans[-1].text + text, style)
        elif text:
            spans.append(Span(text, style))
        first, i = end, i + 1
    return tuple(spans)
