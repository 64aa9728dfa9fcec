"""Finds where a function refers to panic locations, and how its code leads there.

The site of such a use is where control flow turns to it: the jump to the cold block that panics,
else the use itself. See `hud.symbols.inference.locations` and `hud.symbols.machine.scan`.

A location that is passed to a call does not say how that ends: most callees panic, but ``spawn``,
``sleep`` and whatever else is ``#[track_caller]`` take one and return. A callee does not return if
there is no RET in it, nor a jump to a function that has one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.elf.file import ET_EXEC
from hud.symbols.inference.callsites import Callsites
from hud.symbols.machine.scan import GLANCES, SCANS, Pair, Scan
from hud.symbols.unwind.bounds import Bounds

if TYPE_CHECKING:
    from hud.symbols.elf.file import ElfFile
    from hud.symbols.inference.locations import Location, Locations

CODE_LIMIT = 1 << 19
"""Bytes of one function that are decoded."""
REFERENCE_LIMIT = 2048
TABLE_LIMIT = 64
TABLE_ROWS = 256
CALL_DISTANCE = 12
"""Instructions from the use of a location to the call that it is for, at most."""
CALLEE_LIMIT = 4096
"""Bytes of a callee that are looked at: what is longer returns."""
LEAPS = 4
"""Jumps out of a callee into another that are followed."""
CACHE_LIMIT = 1 << 16


class Reference(NamedTuple):
    """One use of a location by a function."""

    at: int
    """Vaddr of the instruction."""
    target: int
    """Vaddr of the location."""
    sites: tuple[int, ...]
    """Vaddrs in the function that lead there, ascending; never empty."""
    location: Location
    definition: bool
    call: int = 0
    """Vaddr of the call that gets it; 0 = not known."""


class FunctionCode(NamedTuple):
    """What the bytes of one function show."""

    references: list[Reference]
    """By address."""
    jumps: list[Pair]
    """(source, target), both inside the function."""
    stops: list[int]
    """Addresses that the instruction before does not fall through to."""
    calls: dict[int, int]
    """Those that return: vaddr -> callee, by address; negative: that of a slot, 0 = not known."""
    starts: array[int]
    """Vaddrs of the instructions."""
    loads: list[int]
    """Of them, those that read or compare a byte of memory."""

    def instruction(self, vaddr: int) -> tuple[int, int]:
        """(start, end) of the instruction that a vaddr is in."""
        index = bisect_right(self.starts, vaddr)
        start = self.starts[index - 1] if index else vaddr
        return start, self.starts[index] if index < len(self.starts) else start + 1


EMPTY = FunctionCode([], [], [], {}, array("Q"), [])


class References:
    """The references of one module's functions."""

    def __init__(self, elf: ElfFile, locations: Locations) -> None:
        self._elf = elf
        self._locations = locations
        self._callsites = Callsites(elf, locations)
        self._bounds: Bounds | None = None
        self._unbounded = False
        self._returning: dict[int, bool] = {}

    def bounds(self, vaddr: int) -> Pair | None:
        """(start, size) of the function at a vaddr by ``.eh_frame_hdr``; None = not known."""
        try:
            if self._bounds is None and not self._unbounded:
                self._unbounded = True
                self._bounds = Bounds(self._elf)
            return self._bounds.of(vaddr) if self._bounds is not None else None
        except FormatError:
            return None

    def glance(self, start: int, size: int) -> set[Location]:
        """The locations that the function [start, start + size) may refer to; that is cheap."""
        glance = GLANCES.get(self._elf.machine_id)
        found = glance(self._read(start, size), start, self._fixed) if glance else ([], [])
        targets = [*found[0], *map(self._locations.pointer_or_none, found[1])]
        return {one for one in map(self._at, targets) if one is not None}

    def _at(self, vaddr: int) -> Location | None:
        return self._locations.at(vaddr) or self._callsites.at(vaddr)

    def paths(self) -> set[str]:
        """Of all source files that can be referred to."""
        return self._locations.paths() | self._callsites.paths()

    def of(self, start: int, size: int) -> list[Reference]:
        """The uses of locations by the function [start, start + size), by address."""
        return self.code(start, size).references if self.glance(start, size) else []

    def code(self, start: int, size: int) -> FunctionCode:
        """What the function [start, start + size) shows.

        Of a function longer than CODE_LIMIT only its beginning; empty for an unknown machine.
        """
        scan = SCANS.get(self._elf.machine_id)
        if scan is None:
            return EMPTY
        code = self._read(start, size)
        found = scan(code, start, self._fixed)
        uses: list[tuple[int, int, Location]] = []
        held = [(at, self._locations.pointer_or_none(slot)) for at, slot in found.slots]
        for at, target in sorted([*found.addresses, *held]):
            location = self._at(target)
            if location is not None and len(uses) < REFERENCE_LIMIT:
                uses.append((at, target, location))
        jumps = sorted(found.jumps + self._table_jumps(found, code, start))
        ways = _Ways(found)
        gets = {at: call for at, _, _ in uses if (call := ways.call_after(at)) is not None}
        panics = {at: pc for at, (pc, callee) in gets.items() if not self.returns(callee)}
        definitions = {at for at in panics if self._locations.is_resumed(gets[at][1])}
        sites = _sites(uses, jumps, found.forks, panics, start)
        ends = set(panics.values())
        return FunctionCode(
            [
                Reference(at, to, sites[at], where, at in definitions, gets.get(at, (0,))[0])
                for at, to, where in uses
            ],
            [(source, target) for target, source in jumps],
            sorted({*found.stops, *(one + 1 for one in ends)}),
            {pc: callee for pc, callee in found.calls if pc not in ends},
            found.starts,
            found.loads,
        )

    @property
    def _fixed(self) -> bool:
        return self._elf.type == ET_EXEC

    def _read(self, start: int, size: int) -> bytes:
        try:
            return bytes(self._elf.read(start, min(size, CODE_LIMIT)))
        except FormatError:
            return b""

    def _table_jumps(self, found: Scan, code: bytes, start: int) -> list[Pair]:
        """The jumps through tables of 32-bit offsets, as ``match`` on a state becomes."""
        tables = sorted({table for _, table in found.tables})
        jumps: list[Pair] = []
        for at, table in found.tables[:TABLE_LIMIT]:
            following = bisect_right(tables, table)
            end = tables[following] if following < len(tables) else table + 4 * TABLE_ROWS
            for row in range(table, min(end, table + 4 * TABLE_ROWS), 4):
                try:
                    raw = self._locations.constant(row, 4)
                except FormatError:
                    break
                target = table + int.from_bytes(raw, "little", signed=True)
                if not 0 <= target - start < len(code):
                    break
                jumps.append((target, at))
        return jumps

    def returns(self, callee: int, leaps: int = LEAPS) -> bool:
        """May a callee return? Negative: what a slot holds; 0 = not known, True."""
        if callee < 0:
            callee = self._locations.pointer_or_none(-callee)
        if callee <= 0 or not leaps:
            return True
        if callee not in self._returning:
            if len(self._returning) >= CACHE_LIMIT:
                self._returning.clear()
            self._returning[callee] = True  # one that leads to itself
            self._returning[callee] = self._may_return(callee, leaps)
        return self._returning[callee]

    def _may_return(self, callee: int, leaps: int) -> bool:
        bounds = self.bounds(callee)
        size = bounds[0] + bounds[1] - callee if bounds is not None else 0
        if bounds is None or bounds[0] != callee or size > CALLEE_LIMIT:
            # without bounds: nobody jumps over a location for nothing
            return bounds is not None
        found = SCANS[self._elf.machine_id](self._read(callee, size), callee, self._fixed)
        if found.returns:
            return True
        return any(self.returns(target, leaps - 1) for _, target in found.leaves)


class _Ways:
    """The straight ways of one function."""

    def __init__(self, found: Scan) -> None:
        self._starts = found.starts
        self._calls = dict(found.calls)
        self._stops = set(found.stops)
        forks = {pc for pc, _ in found.forks}
        self._jumps = {pc: target for target, pc in found.jumps if pc not in forks}

    def call_after(self, at: int) -> Pair | None:
        """The call that the way from ``at`` comes to first."""
        index = bisect_left(self._starts, at)
        for _ in range(CALL_DISTANCE):
            if index >= len(self._starts):
                return None
            pc = self._starts[index]
            if pc in self._calls:
                return pc, self._calls[pc]
            target = self._jumps.get(pc)
            if target is not None:
                index = bisect_left(self._starts, target)
                continue
            index += 1
            if index < len(self._starts) and self._starts[index] in self._stops:
                return None
        return None


def _sites(
    uses: list[tuple[int, int, Location]],
    jumps: list[Pair],
    forks: list[Pair],
    panics: dict[int, int],
    start: int,
) -> dict[int, tuple[int, ...]]:
    """Where each use is reached from. ``jumps``: (target, source), sorted.

    The block of a use that panics begins at the last jump target or behind the last conditional
    jump before it, if no other use lies between. A jump out of another use's block of the same
    location (the two panics of an async fn follow each other) is followed back once. A use that
    does not panic is its own site.
    """
    targets = [target for target, _ in jumps]
    behind = {end: pc for pc, end in forks}
    ends = sorted(behind)
    sites: dict[int, tuple[int, ...]] = {}
    blocks: list[tuple[int, int, int]] = []
    before = start - 1
    for at, target, _ in uses:
        begin = max(_last(targets, at), _last(ends, at))
        found = {at}
        if begin > before and at in panics:
            low, high = bisect_left(jumps, (begin, -1)), bisect_right(jumps, (begin, 1 << 64))
            found = {source for _, source in jumps[low:high]}
            found |= {behind[begin]} if begin in behind else set()
            blocks.append((begin, at, target))
        sites[at] = tuple(sorted(found))
        before = at
    same: dict[int, list[int]] = {}
    for at, target, _ in uses:
        same.setdefault(target, []).append(at)
    for begin, end, target in blocks:
        for at in same[target]:
            if at != end and any(begin <= site <= end for site in sites[at]):
                kept = {site for site in sites[at] if not begin <= site <= end}
                sites[at] = tuple(sorted(kept | set(sites[end])))
    return sites


def _last(places: list[int], at: int) -> int:
    """The last of the sorted places that is not behind ``at``; -1 = there is none."""
    index = bisect_right(places, at)
    return places[index - 1] if index else -1
