"""Frames that tail calls had removed from a stack: what is said of them, and which ones count."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hud.model import Frame


def remark(frame: Frame) -> str:
    """What stands beside such a frame; empty for any other."""
    if not frame.recovered:
        return ""
    return "(via)" if frame.gap else "(tail call)"


def counts(frame: Frame) -> bool:
    """False where it explains nothing: recovered, and without a name."""
    return bool(frame.function) or not frame.recovered
