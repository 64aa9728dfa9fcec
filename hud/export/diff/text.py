"""A comparison as text: what changed in all, then a row for each blocker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.export.diff import cells
from hud.export.wrap import wrapped
from hud.text import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.comparison.compare import Comparison

_RIGHT = ("before", "after", "change")


def written(comparison: Comparison, width: int) -> str:
    """Lines of at most so many columns."""
    sides = (("  before  ", comparison.before), ("  after   ", comparison.after))
    lines = [line for label, run in sides for line in wrapped(label, cells.about(run), width)]
    lines.append("")
    for sentence in cells.told(comparison):
        lines += wrapped("  ", sentence, width)
    table = cells.table(comparison)
    if table:
        lines += ["", *_laid_out(table, width)]
    rest = cells.left_out(comparison)
    return "\n".join([*lines, *(["", f"  {rest}"] if rest else []), ""])


def _laid_out(table: Sequence[Sequence[str]], width: int) -> list[str]:
    titles = table[0]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [shortened(_line(row, titles, widths), width) for row in table]


def _line(row: Sequence[str], titles: Sequence[str], widths: Sequence[int]) -> str:
    titled = zip(titles, row, widths, strict=True)
    said = (f"{cell:>{room}}" if at in _RIGHT else f"{cell:<{room}}" for at, cell, room in titled)
    return ("  " + "  ".join(said)).rstrip()
