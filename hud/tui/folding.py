"""A stack as people read it: outermost call first, own code in full, plumbing folded to one line.

Terms: the *blocking frame* is the one that analysis blames: the innermost frame of the user's own
code where there is any; *plumbing* is the runtime and std, and outside the user's code also the C
library's thread start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.blame import culpable
from hud.model import Blocker, Frame, Origin, Stack
from hud.tui.text import percent

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_STACKS = 50
"""Distinct stacks of a blocker that are shown; the rest is counted."""

_PLUMBING = frozenset((Origin.RUNTIME, Origin.STD))
_OUTSIDE = _PLUMBING | {Origin.C, Origin.KERNEL}

_OWNERS = {Origin.C: "libc", Origin.RUNTIME: "tokio"}


class Row(NamedTuple):
    """One line of an outline: a frame, or (``frame`` None) a sentence about some."""

    frame: Frame | None
    text: str = ""
    blocking: bool = False
    heading: bool = False


def outline(stack: Stack, unfold: bool) -> list[Row]:
    """The rows of one stack, outermost first."""
    if stack.frames is None:
        return [Row(None, f"{_frames(len(stack.addresses))}, names not known yet")]
    frames = stack.frames
    blocking = culpable(frames)
    outermost = max((i for i, f in enumerate(frames) if f.origin is Origin.USER), default=-1)
    rows: list[Row] = []
    folded: list[Frame] = []
    for at in range(len(frames) - 1, -1, -1):
        frame = frames[at]
        plumbing = _OUTSIDE if at > outermost >= 0 else _PLUMBING
        if frame.origin in plumbing and at != blocking and not unfold:
            folded.append(frame)
            continue
        if folded:
            rows.append(Row(None, _fold(folded)))
            folded = []
        rows.append(Row(frame, blocking=at == blocking))
    if folded:
        rows.append(Row(None, _fold(folded)))
    return rows


def _frames(number: int) -> str:
    return "1 frame" if number == 1 else f"{number} frames"


def _fold(frames: list[Frame]) -> str:
    names = dict.fromkeys(_whose(frame) for frame in frames)
    listed = ", ".join(list(names)[:3]) + (" ..." if len(names) > 3 else "")
    return f"{_frames(len(frames))} of {listed}"


def _whose(frame: Frame) -> str:
    return frame.crate or _OWNERS.get(frame.origin, frame.origin.value)


def below(stack: Stack) -> tuple[Frame | None, int, str]:
    """What the blocking frame called: the outermost frame below it, how many more there are, and
    the crate most of them belong to.
    """
    frames = stack.frames or ()
    called = frames[: max(culpable(frames), 0)]
    if not called:
        return None, 0, ""
    rest = called[:-1]
    crates = [_whose(frame).split(" ")[0] for frame in rest]
    return called[-1], len(rest), max(crates, key=crates.count) if crates else ""


def callers(stack: Stack) -> list[Frame]:
    """The user's own frames, outermost first; the last one is the blocking frame."""
    frames = stack.frames or ()
    blocking = culpable(frames)
    return [
        frame
        for at, frame in reversed(list(enumerate(frames)))
        if at == blocking or (at > blocking and frame.origin is Origin.USER)
    ]


def all_rows(blocker: Blocker, stacks: Mapping[int, Stack], unfold: bool) -> list[Row]:
    """The drill-down's rows: each distinct stack with its weight, the heaviest first."""
    rows: list[Row] = []
    total = sum(weight for _, weight in blocker.stacks) or 1
    shown = blocker.stacks[:MOST_STACKS]
    for number, (stack_key, weight) in enumerate(shown, start=1):
        stack = stacks.get(stack_key)
        head = f"{percent(weight / total)}  stack {number} of {len(blocker.stacks)}"
        if stack is None:
            rows.append(Row(None, f"{head}: not known any more", heading=True))
            continue
        why = "" if stack.complete else f"  (incomplete: {stack.stop or 'reason unknown'})"
        rows.append(Row(None, head + why, heading=True))
        rows += outline(stack, unfold)
        rows.append(Row(None))
    if len(blocker.stacks) > MOST_STACKS:
        rest = sum(weight for _, weight in blocker.stacks[MOST_STACKS:])
        left = len(blocker.stacks) - MOST_STACKS
        rows.append(Row(None, f"{percent(rest / total)}  in {left} more stacks", heading=True))
    if not blocker.stacks:
        rows.append(Row(None, "no stack was caught in any of these episodes", heading=True))
    return rows
