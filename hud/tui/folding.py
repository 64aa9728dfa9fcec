"""Lists a stack as people read it: outermost call first, own code in full, runtime frames folded.

Marked is the frame that analysis blames: the innermost one of the user's own code where there is
any. Folded to one line are the runtime and std, around the blamed frame also what a dependency
polls on its way to it, and outside the user's code the C library's thread start; what the blamed
frame calls directly is shown, whosever it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.blame import culpable
from hud.model import Frame, Origin, Stack
from hud.tui.cache import kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_STACKS = 50
"""Distinct stacks of a blocker that are shown; the rest is counted."""

_FOLDED = frozenset((Origin.RUNTIME, Origin.STD))
_OUTSIDE = _FOLDED | {Origin.C, Origin.KERNEL}

_POLL = re.compile(r"::poll(?:_\w+)?(?:::\{\w+\})*$")
_OWNERS = {Origin.C: "libc", Origin.RUNTIME: "tokio"}


_DEEPEST = 24
"""Columns of indentation, at most."""


class Row(NamedTuple):
    """One line of an outline: a frame, or (``frame`` None) a sentence about some."""

    frame: Frame | None
    text: str = ""
    blocking: bool = False
    indent: str = ""
    """The lines of the tree."""
    part: float | None = None
    """Of the whole, what goes this way, 0..1; given where that has just changed."""


def outline(stack: Stack, unfold: bool) -> list[Row]:
    """The rows of one stack, outermost first."""
    if stack.frames is None:
        return [Row(None, f"{figures.count(len(stack.addresses), 'frame')}, names not known yet")]
    frames = stack.frames
    blocking = culpable(frames)
    outermost = max((i for i, f in enumerate(frames) if f.origin is Origin.USER), default=-1)
    rows: list[Row] = []
    folded: list[Frame] = []
    for at in range(len(frames) - 1, -1, -1):
        frame = frames[at]
        folds = _OUTSIDE if at > outermost >= 0 else _FOLDED
        passes_on = frame.origin in folds or (at > blocking and _polls(frame))
        if passes_on and at not in (blocking, blocking - 1) and not unfold:
            folded.append(frame)
            continue
        if folded:
            rows.append(Row(None, _fold(folded)))
            folded = []
        rows.append(Row(frame, blocking=at == blocking))
    if folded:
        rows.append(Row(None, _fold(folded)))
    return rows


def _polls(frame: Frame) -> bool:
    return frame.origin is Origin.DEPENDENCY and bool(_POLL.search(frame.function))


def _fold(frames: list[Frame]) -> str:
    names = dict.fromkeys(_whose(frame) for frame in frames)
    listed = ", ".join(list(names)[:3]) + (" ..." if len(names) > 3 else "")
    return f"{figures.count(len(frames), 'frame')} of {listed}"


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


class _Branches(NamedTuple):
    """What the tree is drawn with."""

    middle: str
    last: str
    bar: str


_LINES, _ASCII_LINES = _Branches("├ ", "└ ", "│ "), _Branches("+ ", "` ", "| ")


class _Node:
    """One row of the tree, with the stacks that reach it."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.weight = 0
        self.children: dict[tuple[object, ...], _Node] = {}


def tree(
    weights: Sequence[tuple[int, int]], stacks: Mapping[int, Stack], unfold: bool, unicode: bool
) -> list[Row]:
    """Distinct stacks, outermost calls first, joined where they share a beginning.

    ``weights`` are (stack key, weight), heaviest first. A row where stacks part carries the part
    of the whole that goes that way. Each call stands below its caller, two columns further on.
    """
    root = _Node(Row(None))
    whole = sum(weight for _, weight in weights) or 1
    unknown = 0
    for key, weight in weights[:MOST_STACKS]:
        stack = stacks.get(key)
        if stack is None:
            unknown += weight
            continue
        node = root
        why = f"incomplete: {stack.stop or 'reason unknown'}"
        begin = [] if stack.complete else [Row(None, why)]
        for row in [*begin, *_cached_outline(stack, unfold)]:
            node = node.children.setdefault(_identity(row), _Node(row))
            node.weight += weight
    rows: list[Row] = []
    _walk(root, "", whole, _LINES if unicode else _ASCII_LINES, rows)
    if unknown:
        rows.append(Row(None, "stacks not known any more", part=unknown / whole))
    if len(weights) > MOST_STACKS:
        rest = sum(weight for _, weight in weights[MOST_STACKS:])
        left = len(weights) - MOST_STACKS
        rows.append(Row(None, f"{left} more stacks", part=rest / whole))
    return rows


_cached_outline = kept(1024)(outline)


def _identity(row: Row) -> tuple[object, ...]:
    frame = row.frame
    if frame is None:
        return (row.text,)
    named = frame.function or (frame.module, frame.offset)
    return (named, frame.file, frame.line, frame.inlined, row.blocking)


def _walk(node: _Node, indent: str, whole: int, glyphs: _Branches, rows: list[Row]) -> None:
    """Without recursion over a chain: stacks may be deep, partings are few."""
    while len(node.children) == 1:
        (node,) = node.children.values()
        first = not rows
        branch = "" if first else indent + glyphs.last
        rows.append(node.row._replace(indent=branch, part=node.weight / whole if first else None))
        if not first and node.row.frame is not None:
            indent = _deeper(indent, "  ")
    ranked = sorted(node.children.values(), key=lambda child: -child.weight)
    for child in ranked:
        final = child is ranked[-1]
        branch = indent + (glyphs.last if final else glyphs.middle)
        rows.append(child.row._replace(indent=branch, part=child.weight / whole))
        _walk(child, _deeper(indent, "  " if final else glyphs.bar), whole, glyphs, rows)


def _deeper(indent: str, more: str) -> str:
    return indent + more if len(indent) < _DEEPEST else indent
