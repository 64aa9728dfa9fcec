"""The panic locations that a function refers to, and from where: source places without symbols.

Terms: a *location* is a ``core::panic::Location``, {path pointer u64, path length u64, line u32,
column u32}, in ``.data.rel.ro`` or ``.rodata*``; a *reference* is an instruction that forms the
address of one. It stands in cold code, away from the line that it is about; its *sites* are the
pcs of the function from which a jump leads there (its own pc, where none does). A *definition* is
the location of an async fn or block itself: what polling it once too often panics with.

In a position-independent file the path pointer comes from a relative relocation: DT_RELA keeps it
beside the place, DT_RELR in the place itself. Only the one function is scanned that is asked for.
Sources: library/core/src/panic/location.rs of rustc 1.60 to 1.97 (the layout was read off binaries:
it is no promise).
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.elf import ET_EXEC
from hud.symbols.relocations import relative_relocations
from hud.symbols.scan import SCANS, Pair, Scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.elf import ElfFile

PATH_LIMIT = 1024
LINE_LIMIT = 1 << 24
COLUMN_LIMIT = 1 << 16
CODE_LIMIT = 1 << 20
"""Bytes of one function that are scanned."""
REFERENCE_LIMIT = 4096
TABLE_LIMIT = 64
TABLE_ROWS = 256
CALL_DISTANCE = 40
"""Bytes from the LEA of a location to the call that it is for, at most."""
CALLEE_SIZE = 96
KEPT = 1 << 16
RESUMED = b"`async fn` resumed"
"""The message of panic_const_async_fn_resumed, library/core/src/panicking.rs; blocks too."""

_RECORD = struct.Struct("<QQII")
_SUFFIX = b".rs"


class Location(NamedTuple):
    """One ``core::panic::Location``."""

    path: str
    line: int
    column: int


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


class Code(NamedTuple):
    """What the bytes of one function show."""

    references: list[Reference]
    """By address."""
    jumps: list[tuple[int, int]]
    """(source, target), both inside the function; short jumps of x86_64 are left out."""
    stops: list[int]
    """Addresses that the instruction before does not fall through to, as far as is known."""


class Locations:
    """The locations of one module; relocations are read when the first one is asked for."""

    def __init__(self, elf: ElfFile) -> None:
        self._elf = elf
        self._relocations: tuple[array[int], array[int]] | None = None
        self._known: dict[int, Location | None] = {}
        self._resumed: dict[int, bool] = {}

    def at(self, vaddr: int) -> Location | None:
        """The location that lies at a vaddr; None where the bytes cannot be one."""
        if vaddr not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            try:
                self._known[vaddr] = self._read(vaddr)
            except FormatError:
                self._known[vaddr] = None
        return self._known[vaddr]

    def _read(self, vaddr: int) -> Location | None:
        if vaddr % 8:
            return None
        _, length, line, column = _RECORD.unpack(self._elf.read(vaddr, _RECORD.size))
        if not len(_SUFFIX) < length <= PATH_LIMIT:
            return None
        if not (0 < line <= LINE_LIMIT and 0 < column <= COLUMN_LIMIT):
            return None
        raw = self._constant(self.pointer(vaddr), length)
        if not raw.endswith(_SUFFIX):
            return None
        try:
            path = raw.decode()
        except UnicodeDecodeError:
            return None
        return Location(path, line, column) if path.isprintable() else None

    def _constant(self, vaddr: int, size: int) -> bytes:
        """``size`` bytes of read-only data; FormatError where there are none."""
        if not self._elf.is_constant(vaddr):
            raise FormatError(f"{self._elf.name}: no constant at {vaddr:#x}")
        return bytes(self._elf.read(vaddr, size))

    def pointer(self, vaddr: int) -> int:
        """The pointer that the loader leaves at a vaddr; FormatError outside of the file."""
        places, addends = self._relative()
        at = bisect_left(places, vaddr)
        if at < len(places) and places[at] == vaddr:
            return addends[at]
        return int.from_bytes(self._elf.read(vaddr, 8), "little")

    def _relative(self) -> tuple[array[int], array[int]]:
        if self._relocations is None:
            try:
                self._relocations = relative_relocations(self._elf)
            except FormatError:
                self._relocations = array("Q"), array("Q")
        return self._relocations

    def all(self) -> Iterator[tuple[int, Location]]:
        """Every location that a relative relocation fills, by address; for figures."""
        for place in self._relative()[0]:
            found = self.at(place)
            if found is not None:
                yield place, found

    # ------------------------------------------------------------------ one function

    def references(self, start: int, size: int) -> list[Reference]:
        """The uses of locations by the function [start, start + size), by address."""
        return self.code(start, size).references

    def code(self, start: int, size: int) -> Code:
        """What the function [start, start + size) shows.

        Of a function longer than CODE_LIMIT only its beginning; empty for an unknown machine.
        """
        scan = SCANS.get(self._elf.machine_id)
        if scan is None:
            return Code([], [], [])
        try:
            code = bytes(self._elf.read(start, min(size, CODE_LIMIT)))
        except FormatError:
            return Code([], [], [])
        found = scan(code, start, self._elf.type == ET_EXEC)
        uses: list[tuple[int, int, Location]] = []
        for at, target in sorted(found.addresses):
            location = self.at(target)
            if location is not None and len(uses) < REFERENCE_LIMIT:
                uses.append((at, target, location))
        jumps = sorted(found.jumps + self._table_jumps(found, code, start))
        sites = _sites(uses, jumps, start)
        references = []
        stops = set(found.stops)
        for at, target, location in uses:
            call = _call_after(found.calls, at)
            definition = call is not None and self.is_resumed(call[1])
            references.append(Reference(at, target, sites[at], location, definition))
            if call is not None:  # it panics
                stops.add(call[0] + 1)
        return Code(references, [(source, target) for target, source in jumps], sorted(stops))

    def _table_jumps(self, found: Scan, code: bytes, start: int) -> list[Pair]:
        """The jumps through tables of 32-bit offsets, as ``match`` on a state becomes."""
        tables = sorted({table for _, table in found.tables})
        jumps: list[Pair] = []
        for at, table in found.tables[:TABLE_LIMIT]:
            following = bisect_right(tables, table)
            end = tables[following] if following < len(tables) else table + 4 * TABLE_ROWS
            for row in range(table, min(end, table + 4 * TABLE_ROWS), 4):
                try:
                    offset = int.from_bytes(self._constant(row, 4), "little", signed=True)
                except FormatError:
                    break
                if not 0 <= table + offset - start < len(code):
                    break
                jumps.append((table + offset, at))
        return jumps

    def is_resumed(self, callee: int) -> bool:
        """Is it ``panic_const_async_fn_resumed`` or its like? Negative: what a slot leads to."""
        if callee < 0:
            callee = self.pointer_or_none(-callee)
        if callee not in self._resumed:
            if len(self._resumed) >= KEPT:
                self._resumed.clear()
            self._resumed[callee] = self._panics_resumed(callee)
        return self._resumed[callee]

    def _panics_resumed(self, callee: int) -> bool:
        """Does a function refer first to the message, or (rustc before 1.93) to a pointer to it?"""
        scan = SCANS[self._elf.machine_id]
        for size in (CALLEE_SIZE, 16):
            try:
                code = bytes(self._elf.read(callee, size))
            except FormatError:
                continue
            # its neighbours panic with other messages
            first = min(scan(code, callee, self._elf.type == ET_EXEC).addresses, default=(0, 0))[1]
            return self.says_resumed(first) or self.says_resumed(self.pointer_or_none(first))
        return False

    def says_resumed(self, vaddr: int) -> bool:
        """Is the message at a vaddr?"""
        try:
            return self._constant(vaddr, len(RESUMED)) == RESUMED
        except FormatError:
            return False

    def pointer_or_none(self, vaddr: int) -> int:
        """0 = there is no pointer."""
        try:
            return self.pointer(vaddr)
        except FormatError:
            return 0


def _call_after(calls: list[Pair], at: int) -> Pair | None:
    following = bisect_right(calls, (at, 1 << 64))
    if following == len(calls) or calls[following][0] - at > CALL_DISTANCE:
        return None
    return calls[following]


def _sites(
    uses: list[tuple[int, int, Location]], jumps: list[Pair], start: int
) -> dict[int, tuple[int, ...]]:
    """Where each use is reached from. ``jumps``: (target, source), sorted.

    The block of a use begins at the last jump target before it, if no other use lies between. A
    jump out of another use's block of the same location (the two panics of an async fn follow each
    other) is followed back once.
    """
    targets = [target for target, _ in jumps]
    sites: dict[int, tuple[int, ...]] = {}
    blocks: list[tuple[int, int, int]] = []
    before = start - 1
    for at, target, _ in uses:
        end = bisect_right(targets, at)
        found = {at}
        if end and targets[end - 1] > before:
            begin = bisect_left(targets, targets[end - 1])
            found = {source for _, source in jumps[begin:end]}
            blocks.append((targets[end - 1], at, target))
        sites[at] = tuple(sorted(found))
        before = at
    for begin, end, target in blocks:
        for at, other, _ in uses:
            if other == target and at != end and any(begin <= s <= end for s in sites[at]):
                kept = {site for site in sites[at] if not begin <= site <= end}
                sites[at] = tuple(sorted(kept | set(sites[end])))
    return sites
