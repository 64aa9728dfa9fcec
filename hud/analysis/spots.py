"""Where to look at the code of a blocker: the frame to blame in the stack of its main case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.blame import culpable
from hud.model import Frame, Origin, Spot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hud.analysis.results import Blocker, Snapshot
    from hud.model import Stack

MOST_BLOCKERS = 20


def blamed_frame(blocker: Blocker, stacks: Mapping[int, Stack]) -> Frame | None:
    """The blocker's frame in the stack of its main case; None while that has no names."""
    stack = stacks.get(blocker.example)
    if stack is None or not stack.frames:
        return None
    return stack.frames[culpable(stack.frames)]


def spot_of(blocker: Blocker, stacks: Mapping[int, Stack]) -> Spot | None:
    """Where the blocker's code is; None as long as that is not known."""
    frame = blamed_frame(blocker, stacks)
    if frame is None or not frame.address or frame.origin is Origin.KERNEL:
        return None
    innermost = stacks[blocker.example].addresses[:1]
    is_caller = (frame.address,) != innermost and not frame.recovered
    return Spot(frame.address, is_caller, frame.file, frame.line)


def spots(snapshot: Snapshot) -> list[Spot]:
    """The spots of the heaviest blockers, the heaviest first."""
    found = (spot_of(one, snapshot.stacks) for one in snapshot.blockers[:MOST_BLOCKERS])
    return [spot for spot in found if spot is not None]
