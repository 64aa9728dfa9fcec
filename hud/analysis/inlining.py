"""Whether names are missing because the user's code was inlined into a framework's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.frameworks import runs_handler
from hud.analysis.spots import blamed_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hud.analysis.results import Blocker, Snapshot
    from hud.model import Stack

CURE = "CARGO_PROFILE_RELEASE_DEBUG=1 cargo build --release"
_SCANNED = 50
_WORTH_A_WORD = 0.1
"""Part of the blocked time that such rows must make up."""


def hidden_share(snapshot: Snapshot) -> float:
    """The part of the blocked time whose function has no name of its own because of that, 0..1."""
    hidden = sum(
        row.total_ns for row in snapshot.blockers[:_SCANNED] if _is_hidden(row, snapshot.stacks)
    )
    return min(1.0, hidden / max(snapshot.blocked_ns, 1))


def advice(snapshot: Snapshot) -> str:
    """A sentence with the cure; empty where nothing much is hidden."""
    if hidden_share(snapshot) < _WORTH_A_WORD:
        return ""
    return (
        "Your handlers have no names here: the compiler inlined them into the framework's code. "
        f"{CURE} adds names and lines without changing the code."
    )


def _is_hidden(row: Blocker, stacks: Mapping[int, Stack]) -> bool:
    if row.key[2] and not row.key[0]:
        return True  # named by a place in it
    frame = blamed_frame(row, stacks)
    if frame is None or frame.file:
        return False
    return runs_handler(frame) and row.key[0] == frame.function
