"""Recovers the frames that tail calls removed: from the machine code between two frames of a stack.

Of each pair of frames, a return address and the pc of the next inner frame, only the call before
the return address can have pushed that. So the function that it names, the callee, was entered; if
it is not the one that the inner pc is in, the goal, it has left by a jump, to the goal or to a
function that did the same. A path leads from callee to goal by such jumps.

Where there is one path, and no function on it is open (`hud.symbols.tailcalls.landings`), each
function on it was there, and left by the jump that leads on. Else only what all paths have in
common is certain - the callee always -, and between it and the goal there is a gap. Where the
callee can leave in no way that leads to the goal, something was misread, and nothing is said.
"""

from __future__ import annotations

from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.elf.exports import VersionedName
from hud.symbols.tailcalls.landings import Left

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hud.symbols.elf.exports import Exported
    from hud.symbols.loaded import Loaded
    from hud.symbols.tailcalls.landings import Landings

DEPTH = 4
"""Jumps of a path, at most. It is deeper than most are: one path is to be the only one."""
MOST_FUNCTIONS = 100
"""Looked at for one pair."""
MOST_PATHS = 64
CACHE_LIMIT = 1 << 15
VDSO = "[vdso]"
"""The dynamic linker does not look there."""
COLD = ".cold"
"""In the names of parts (`hud.symbols.unwind.bounds`), as GCC and LLVM have it."""


class Address(NamedTuple):
    """An address: the module's number and a vaddr."""

    module: int
    vaddr: int


class Step(NamedTuple):
    """A function that left by a jump."""

    module: int
    at: tuple[int, ...]
    """Vaddrs of the jumps that may have been it; empty = not known."""
    start: int
    gap: bool
    """What it jumped to is not known: not the next inner frame, or not for certain."""


class _Found(NamedTuple):
    paths: list[tuple[Address, ...]]
    """From the callee to the goal, both included."""
    jumps: dict[tuple[Address, Address], list[int]]
    is_closed: bool
    """No path but these, as far as the machine code tells."""
    is_whole: bool
    """There is no other way out of the callee than those looked at, open or not."""


class TailCalls:
    """The pairs of one process."""

    def __init__(self, modules: Mapping[int, Loaded]) -> None:
        self._modules = modules
        self._known: dict[tuple[Address, Address], tuple[Step, ...]] = {}
        self._named: dict[VersionedName, Address | None] = {}
        self._count = 0
        """Of the modules that these hold for."""

    def between(self, caller: Address, inner: Address) -> tuple[Step, ...]:
        """The functions between two frames, innermost first.

        ``caller``: the return address. ``inner``: the pc, of a caller the byte before its return
        address. Raises FormatError where a module cannot be read.
        """
        if self._count != len(self._modules):
            self._count = len(self._modules)
            self._known.clear()
            self._named.clear()
        bounds = self._landings(inner.module).function_at(inner.vaddr)
        if bounds is None:
            return ()
        goal = Address(inner.module, bounds[0])
        key = caller, goal
        if key not in self._known:
            if len(self._known) >= CACHE_LIMIT:
                self._known.clear()
            self._known[key] = self._steps(caller, goal, inner)
        return self._known[key]

    def extent(self, inner: Address) -> tuple[int, int]:
        """(start, size) of the code that ``between`` says the same of: a function, or one pc."""
        return self._landings(inner.module).function_at(inner.vaddr) or (inner.vaddr, 1)

    def _landings(self, module: int) -> Landings:
        return self._modules[module].landings()

    def _steps(self, caller: Address, goal: Address, inner: Address) -> tuple[Step, ...]:
        named = self._landings(caller.module).called(caller.vaddr)
        callee = self._function(caller.module, named)
        if callee is None or self._is_same(callee, goal, inner):
            return ()
        found = self._search(callee, goal)
        if found.paths:
            steps = [one for one in _certain(found) if not self._is_cold(one.module, one.start)]
            return tuple(reversed(steps))
        if found.is_whole or self._is_in_the_linker(named, caller, callee, goal):
            return ()
        return (Step(callee.module, (), callee.vaddr, gap=True),)

    def _function(self, module: int, to: int | VersionedName | None) -> Address | None:
        """The function that a way leads to; None = not known for certain."""
        if to is None:
            return None
        if not isinstance(to, VersionedName):
            return Address(module, to)
        if to not in self._named:
            if len(self._named) >= CACHE_LIMIT:
                self._named.clear()
            self._named[to] = self._find(to)
        return self._named[to]

    def _find(self, name: VersionedName) -> Address | None:
        found = [
            (number, exported)
            for number in self._modules
            if (exported := self._exported(number, name)) is not None
        ]
        if len(found) != 1:  # which one of several the dynamic linker takes is not known here
            return None
        number, exported = found[0]
        if exported.is_ifunc or not self._landings(number).begins(exported.vaddr):
            return None
        return Address(number, exported.vaddr)

    def _exported(self, number: int, name: VersionedName) -> Exported | None:
        loaded = self._modules[number]
        if loaded.name == VDSO:
            return None
        try:
            return loaded.landings().exports.find(name)
        except FormatError:  # it cannot be read
            return None

    def _is_same(self, callee: Address, goal: Address, inner: Address) -> bool:
        """Is the goal the callee, or nothing that a function has jumped to as a tail call?"""
        landings = self._landings(goal.module)
        if callee == goal or landings.returns_from_signal(goal.vaddr):
            return True
        if landings.is_part(goal.vaddr) or self._is_cold(goal.module, goal.vaddr):
            return True
        _, start = landings.name(inner.vaddr)
        same_file = callee.module == goal.module and start != 0
        return same_file and start == landings.name(callee.vaddr)[1]

    def _is_cold(self, module: int, start: int) -> bool:
        """By its name, where it has no stack frame to tell by."""
        return COLD in self._landings(module).name(start)[0]

    def _is_in_the_linker(
        self, named: int | VersionedName | None, caller: Address, callee: Address, goal: Address
    ) -> bool:
        """May the dynamic linker still look for the callee? Then that was not entered."""
        modules = caller.module, callee.module
        return isinstance(named, VersionedName) and goal.module not in modules

    # ------------------------------------------------------------------ paths

    def _search(self, callee: Address, goal: Address) -> _Found:
        jumps: dict[tuple[Address, Address], list[int]] = {}
        opened: set[Address] = set()
        seen, frontier = {callee}, [callee]
        is_cut = False
        for _ in range(DEPTH):
            following = []
            for function in frontier:
                left = self._left(function)
                if left.is_open:
                    opened.add(function)
                for at, to in self._exits(function, left):
                    if to is None:
                        opened.add(function)
                        continue
                    jumps.setdefault((function, to), []).append(at)
                    if to != goal and to not in seen:
                        if len(seen) < MOST_FUNCTIONS:
                            seen.add(to)
                            following.append(to)
                        else:
                            is_cut = True
            frontier = following
        near = _distances(goal, jumps)
        paths = list(islice(_paths((callee,), goal, _onward(jumps), near), MOST_PATHS + 1))
        is_cut |= len(paths) > MOST_PATHS
        is_closed = not is_cut and opened.isdisjoint(one for path in paths for one in path)
        return _Found(paths, jumps, is_closed, not (opened or is_cut or frontier))

    def _left(self, function: Address) -> Left:
        landings = self._landings(function.module)
        bounds = landings.function_at(function.vaddr)
        return landings.left(*bounds) if bounds is not None else Left((), is_open=True)

    def _exits(self, function: Address, left: Left) -> Iterator[tuple[int, Address | None]]:
        for at, to in left.exits:
            found = self._function(function.module, to)
            if found != function:
                yield at, found


def _onward(jumps: Iterable[tuple[Address, Address]]) -> dict[Address, list[Address]]:
    found: dict[Address, list[Address]] = {}
    for function, to in jumps:
        found.setdefault(function, []).append(to)
    return found


def _distances(goal: Address, jumps: Iterable[tuple[Address, Address]]) -> dict[Address, int]:
    """How many jumps each function is away from the goal; those that are near enough for a path."""
    back = _onward((to, function) for function, to in jumps)
    found = {goal: 0}
    frontier = [goal]
    for distance in range(1, DEPTH + 1):
        before = (one for to in frontier for one in back.get(to, ()) if one not in found)
        frontier = list(dict.fromkeys(before))
        found.update(dict.fromkeys(frontier, distance))
    return found


def _paths(
    path: tuple[Address, ...],
    goal: Address,
    onward: Mapping[Address, Sequence[Address]],
    near: Mapping[Address, int],
) -> Iterator[tuple[Address, ...]]:
    """The ways on to the goal, which come to no function twice."""
    if path[-1] == goal:
        yield path
    elif len(path) <= DEPTH:
        for to in onward.get(path[-1], ()):
            if to not in path and near.get(to, DEPTH) <= DEPTH - len(path):
                yield from _paths((*path, to), goal, onward, near)


def _certain(found: _Found) -> Iterator[Step]:
    """What is certain of the paths, outermost first."""
    first = found.paths[0]
    certain = [one for one in first[:-1] if all(one in path for path in found.paths)]
    if not found.is_closed:
        certain = certain[:1]
    for function, to in pairwise([*certain, first[-1]]):
        steps = (pair for path in found.paths for pair in pairwise(path))
        sure = found.is_closed and all(after == to for before, after in steps if before == function)
        at = tuple(found.jumps[function, to]) if sure else ()
        yield Step(function.module, at, function.vaddr, gap=not sure)
