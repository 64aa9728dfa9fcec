"""A comparison as a Markdown table, for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.export.diff import cells
from hud.export.markdown import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hud.analysis.comparison.compare import Comparison


def written(comparison: Comparison, _width: int) -> str:
    """GitHub's Markdown; what the target named is escaped."""
    first, *others = cells.told(comparison)
    lines = [f"**{plain(first)}**", "", *(f"- {plain(one)}" for one in others)]
    titles, *rows = cells.table(comparison) or [()]
    if rows:
        lines += [_row(titles), _row("---" for _ in titles)]
        lines += [_row(map(plain, row)) for row in rows]
    for label, run in (("Before", comparison.before), ("After", comparison.after)):
        lines += ["", f"{label}: {plain(cells.about(run))}"]
    rest = cells.left_out(comparison)
    return "\n".join([*lines, *(["", rest] if rest else []), ""])


def _row(said: Iterable[str]) -> str:
    return f"| {' | '.join(said)} |"
