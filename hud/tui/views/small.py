"""What a terminal gets that is too small for anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.tui.layout import block
from hud.tui.style import Line, Span
from hud.tui.text import pieces
from hud.tui.verdict import verdict

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.tui.state import UiState


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """What is there, what it takes, and the verdict, wrapped."""
    text = f"hud needs 60 x 15, this is {width} x {height} (q quit)"
    lines: list[Line] = [(Span(part, "bold"),) for part in pieces(text, width)]
    lines += [(Span(part),) for part in pieces(" ".join(verdict(snapshot)), width)]
    return block(lines, width, height, state.glyphs.ellipsis)
