"""The stacks of each blocker as one tree, outermost call first; all of them are a flame graph.

A *row* is a call in such a tree: (depth, frame, ns, cause, blamed), parents before their calls, the
heaviest first. Its ns are all that was blocked below it, its cause is that of most of these.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.cause import Cause
from hud.export.telling import shown_frame
from hud.model import Origin
from hud.text import printable, shortened
from hud.tui import folding
from hud.tui.frames import location

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hud.analysis.results import Blocker
    from hud.model import Frame, Stack

    Weights = Mapping[tuple[int, Cause], int]
    """ns by stack and cause."""

CAUSES = tuple(Cause)
"""A row names its cause by the number in here."""
MOST_ROWS = 5_000
"""In all trees together: the lightest calls are left out."""
_OWN, _LIBRARY, _OTHER = range(3)
_WHOSE = {Origin.USER: _OWN, Origin.DEPENDENCY: _LIBRARY}
LONGEST_NAME = 240
"""Characters."""
NO_STACK = "(no stack was caught)"

Row = tuple[int, int, int, int, int]


class Said(NamedTuple):
    """A frame as people read it, or a remark in the place of one."""

    name: str
    place: str = ""
    whose: int = _OTHER


def _said(frame: Frame) -> Said:
    inlined = " (inlined)" if frame.inlined else ""
    name = shortened(shown_frame(frame), LONGEST_NAME)
    return Said(f"{name}{inlined}", location(frame), _WHOSE.get(frame.origin, _OTHER))


class Frames:
    """Every frame that the page names, once."""

    def __init__(self) -> None:
        self.table: list[Said] = []
        self._numbers: dict[Said, int] = {}

    def number(self, frame: Frame) -> int:
        return self.of(_said(frame))

    def of(self, said: Said) -> int:
        if said not in self._numbers:
            self._numbers[said] = len(self.table)
            self.table.append(said)
        return self._numbers[said]


class _Step(NamedTuple):
    """What makes a call the same one."""

    said: Said
    blamed: bool


class _Node:
    """A call, and those below it."""

    __slots__ = ("calls", "causes", "ns")

    def __init__(self) -> None:
        self.ns = 0
        self.causes: Counter[Cause] = Counter()
        self.calls: dict[_Step, _Node] = {}

    def add(self, cause: Cause, ns: int) -> None:
        self.ns += ns
        self.causes[cause] += ns

    def call(self, step: _Step) -> _Node:
        return self.calls.setdefault(step, _Node())


class Trees:
    """Of all blockers, and what is left out of them."""

    def __init__(self, stacks: Mapping[int, Stack]) -> None:
        self.frames = Frames()
        self.least_ns = 0
        """Lighter calls are left out; 0 = none is."""
        self._stacks = stacks
        self._roots: list[_Node] = []
        self._shown: dict[int, Said] = {}
        """By the id of a frame: stacks share theirs, and live as long as this."""

    def add(self, blocker: Blocker, weights: Weights) -> None:
        """The tree of one more blocker. What no stack was caught of is a call of its own."""
        root = _Node()
        for (key, cause), ns in weights.items():
            self._enter(root, self._path(key), cause, ns)
        left = blocker.total_ns - sum(weights.values())
        if left > 0:
            self._enter(root, [_Step(Said(NO_STACK), True)], blocker.cause, left)
        self._roots.append(root)

    def rows(self) -> list[list[Row]]:
        """Of each blocker, in the order in which they were added."""
        weights = sorted((node.ns for root in self._roots for node in _all(root)), reverse=True)
        self.least_ns = weights[MOST_ROWS] + 1 if len(weights) > MOST_ROWS else 0
        return [list(self._walk(root)) for root in self._roots]

    @staticmethod
    def _enter(root: _Node, path: Iterable[_Step], cause: Cause, ns: int) -> None:
        node = root
        node.add(cause, ns)
        for step in path:
            node = node.call(step)
            node.add(cause, ns)

    def _path(self, key: int) -> list[_Step]:
        """Outermost first, without the runtime's frames."""
        stack = self._stacks.get(key)
        if stack is None:
            return [_Step(Said("(stack not known any more)"), True)]
        rows = folding.outline(stack, unfold=False)
        path = [_Step(self._said(row.frame), row.blocking) for row in rows if row.frame]
        if not path:
            path = [_Step(Said(printable(row.text)), True) for row in rows]
        if not stack.complete:
            why = f"(incomplete: {printable(stack.stop) or 'reason unknown'})"
            path.insert(0, _Step(Said(why), False))
        return path

    def _said(self, frame: Frame) -> Said:
        said = self._shown.get(id(frame))
        if said is None:
            said = self._shown[id(frame)] = _said(frame)
        return said

    def _walk(self, root: _Node) -> Iterator[Row]:
        """Without recursion: stacks may be deep."""
        waiting = [(0, *call) for call in _ranked(root)]
        while waiting:
            depth, step, node = waiting.pop()
            if node.ns < self.least_ns:
                continue
            cause = CAUSES.index(node.causes.most_common(1)[0][0])
            yield depth, self.frames.of(step.said), node.ns, cause, int(step.blamed)
            waiting += [(depth + 1, *call) for call in _ranked(node)]


def _ranked(node: _Node) -> list[tuple[_Step, _Node]]:
    """The lightest first."""
    return sorted(node.calls.items(), key=lambda call: (call[1].ns, call[0]))


def _all(root: _Node) -> Iterator[_Node]:
    waiting = [*root.calls.values()]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.calls.values()
