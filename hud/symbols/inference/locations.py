"""Reads the panic locations of a file: source places that are there without symbols.

A ``core::panic::Location`` is {path pointer u64, path length u64, line u32, column u32}, in
``.data.rel.ro`` or ``.rodata*``. Code forms the address of one where it is about to panic. What
polls an async fn or block once too often panics with the location of that itself, by
panic_const_async_fn_resumed or its like, the resumed panic. Which functions do:
`hud.symbols.inference.references`.

In a position-independent file the path pointer comes from a relative relocation: DT_RELA keeps it
beside the place, DT_RELR in the place itself.
Sources: library/core/src/panic/location.rs of rustc 1.60 to 1.97 (the layout was read off binaries:
it is no promise).
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.elf.file import ET_EXEC
from hud.symbols.elf.relocations import relative_relocations
from hud.symbols.machine.scan import SCANS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.elf.file import ElfFile

PATH_LIMIT = 1024
LINE_LIMIT = 1 << 24
COLUMN_LIMIT = 1 << 16
CALLEE_SIZE = 96
CACHE_LIMIT = 1 << 16
MOST_SEARCHED = 1 << 20
"""Relocations that are looked at for the paths."""
RESUMED = b"`async fn` resumed"
"""The message of panic_const_async_fn_resumed, library/core/src/panicking.rs; blocks too."""

_RECORD = struct.Struct("<QQII")
_BEHIND_POINTER = struct.Struct("<QII")
_SUFFIX = b".rs"


class Location(NamedTuple):
    """One ``core::panic::Location``."""

    path: str
    line: int
    column: int


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
            if len(self._known) >= CACHE_LIMIT:
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
        if not _may_be(length, line, column):
            return None
        path = self._path(self.pointer(vaddr), length)
        return Location(path, line, column) if path else None

    def _path(self, vaddr: int, length: int) -> str:
        """Empty where it cannot be one."""
        try:
            raw = self.constant(vaddr, length)
            path = raw.decode() if raw.endswith(_SUFFIX) else ""
        except (FormatError, UnicodeDecodeError):
            return ""
        return path if path.isprintable() else ""

    def constant(self, vaddr: int, size: int) -> bytes:
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

    def pointers(self) -> Iterator[tuple[int, int]]:
        """(place, what is pointed to) of every relative relocation, by place."""
        return zip(*self._relative(), strict=True)

    def all(self) -> Iterator[tuple[int, Location]]:
        """Every location that a relative relocation fills, by address; for figures."""
        for place in self._relative()[0]:
            found = self.at(place)
            if found is not None:
                yield place, found

    def paths(self) -> set[str]:
        """Those of all locations that relative relocations fill."""
        names = {(path, length) for path, length, _ in self._candidates()}
        return {path for path in (self._path(*name) for name in names) if path}

    def lines(self) -> dict[str, list[int]]:
        """Those of all these locations by their path, ascending."""
        named: dict[tuple[int, int], set[int]] = {}
        for path, length, line in self._candidates():
            named.setdefault((path, length), set()).add(line)
        found: dict[str, set[int]] = {}
        for name, lines in named.items():
            found.setdefault(self._path(*name), set()).update(lines)
        return {path: sorted(lines) for path, lines in found.items() if path}

    def _candidates(self) -> Iterator[tuple[int, int, int]]:
        """(vaddr of the path, its length, line) of what may be a location, its path unread."""
        places, addends = self._relative()
        for load in self._elf.loads:
            low = bisect_left(places, load.vaddr)
            high = bisect_left(places, load.vaddr + max(0, load.filesz - _RECORD.size + 1))
            try:
                data = self._elf.read(load.vaddr, load.filesz)
            except FormatError:
                continue
            for row in range(low, min(high, low + MOST_SEARCHED)):
                rest = _BEHIND_POINTER.unpack_from(data, places[row] - load.vaddr + 8)
                if _may_be(*rest):
                    yield addends[row], rest[0], rest[1]

    def is_resumed(self, callee: int) -> bool:
        """Is it ``panic_const_async_fn_resumed`` or its like? Negative: what a slot leads to."""
        if callee < 0:
            callee = self.pointer_or_none(-callee)
        if callee not in self._resumed:
            if len(self._resumed) >= CACHE_LIMIT:
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
            return self.constant(vaddr, len(RESUMED)) == RESUMED
        except FormatError:
            return False

    def pointer_or_none(self, vaddr: int) -> int:
        """0 = there is no pointer."""
        try:
            return self.pointer(vaddr)
        except FormatError:
            return 0


def _may_be(length: int, line: int, column: int) -> bool:
    plausible = 0 < line <= LINE_LIMIT and 0 < column <= COLUMN_LIMIT
    return plausible and len(_SUFFIX) < length <= PATH_LIMIT
