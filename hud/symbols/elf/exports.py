"""Looks up the functions that a file exports, and reads the versioned names that it imports.

A hidden definition is found only by who asks for its version; where one name has several, the
default one is not hidden. Sources: ELF gABI, "Dynamic Section"; LSB 5.0 Core, 10.7 (symbol
versions); the GNU hash table as binutils and glibc have it (elf/dl-lookup.c).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.elf.file import SHN_UNDEF, STT_FUNC, STT_GNU_IFUNC, SYM, c_string
from hud.symbols.elf.relocations import dynamic_tags

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.elf.file import ElfFile

DT_STRTAB, DT_SYMTAB, DT_STRSZ = 5, 6, 10
DT_GNU_HASH, DT_VERSYM = 0x6FFFFEF5, 0x6FFFFFF0
DT_VERDEF, DT_VERNEED = 0x6FFFFFFC, 0x6FFFFFFE

HIDDEN = 0x8000
"""Bit of an entry of the table of versions; the rest is its index: 0 = local, 1 = none."""
MOST_IN_BUCKET = 4096
MOST_VERSIONS = 4096
STRINGS_LIMIT = 64 << 20
CACHE_LIMIT = 1 << 14

_HASH_HEAD = struct.Struct("<4I")
_VERDEF = struct.Struct("<4H3I")
_VERDAUX = struct.Struct("<2I")
_VERNEED = struct.Struct("<2H3I")
_VERNAUX = struct.Struct("<I2H2I")


class VersionedName(NamedTuple):
    """A name that a file imports; ``version`` may be empty."""

    name: str
    version: str


class Exported(NamedTuple):
    """A function that a file defines."""

    vaddr: int
    is_ifunc: bool
    """It is no function of that name, but the resolver that chooses one at the program's start."""


class Exports:
    """The dynamic symbols of one file, found by its hash table."""

    def __init__(self, elf: ElfFile) -> None:
        self._elf = elf
        try:
            self._tags = dynamic_tags(elf)
            self._strings = self._read_strings()
        except FormatError:
            self._tags, self._strings = {}, memoryview(b"")
        self._versions: dict[int, str] | None = None
        self._found: dict[VersionedName, Exported | None] = {}

    def _read_strings(self) -> memoryview:
        size = min(self._tags.get(DT_STRSZ, 0), STRINGS_LIMIT)
        return self._elf.read(self._tags.get(DT_STRTAB, 0), size) if size else memoryview(b"")

    def versioned_name(self, index: int) -> VersionedName | None:
        """The name of a symbol by its number; None where there is none."""
        try:
            name = c_string(self._strings, self._symbol(index)[0])
            return VersionedName(name, self._version(index)[0]) if name else None
        except FormatError:
            return None

    def find(self, wanted: VersionedName) -> Exported | None:
        """The function of a name here, of its version where it has one; None = there is none."""
        if wanted not in self._found:
            if len(self._found) >= CACHE_LIMIT:
                self._found.clear()
            try:
                self._found[wanted] = self._find(wanted)
            except FormatError:
                self._found[wanted] = None
        return self._found[wanted]

    def _find(self, wanted: VersionedName) -> Exported | None:
        default = None
        for index in self._hashed(wanted.name.encode()):
            name, info, _, section, value, _ = self._symbol(index)
            if section == SHN_UNDEF or info & 15 not in (STT_FUNC, STT_GNU_IFUNC):
                continue
            if c_string(self._strings, name) != wanted.name:
                continue
            exported = Exported(value, info & 15 == STT_GNU_IFUNC)
            version, hidden = self._version(index)
            if wanted.version and version == wanted.version:
                return exported
            if not hidden:
                default = exported
        return default

    def _symbol(self, index: int) -> tuple[int, ...]:
        row = self._elf.read(self._tags.get(DT_SYMTAB, 0) + SYM.size * index, SYM.size)
        return SYM.unpack(row)

    def _hashed(self, name: bytes) -> Iterator[int]:
        """The numbers of the symbols with the hash of a name."""
        table = self._tags.get(DT_GNU_HASH)
        if table is None:
            return
        buckets, first, bloom, _ = _HASH_HEAD.unpack(self._elf.read(table, _HASH_HEAD.size))
        if not buckets:
            return
        wanted = 5381
        for byte in name:
            wanted = wanted * 33 + byte & 0xFFFFFFFF
        place = table + _HASH_HEAD.size + 8 * bloom
        index = self._word(place + 4 * (wanted % buckets))
        chain = place + 4 * buckets
        for at in range(index, index + MOST_IN_BUCKET if index >= first else 0):
            found = self._word(chain + 4 * (at - first))
            if found | 1 == wanted | 1:
                yield at
            if found & 1:
                return

    def _word(self, vaddr: int) -> int:
        return int.from_bytes(self._elf.read(vaddr, 4), "little")

    # ------------------------------------------------------------------ versions

    def _version(self, index: int) -> tuple[str, bool]:
        """The version of a symbol by its number, and whether it is hidden."""
        table = self._tags.get(DT_VERSYM)
        if table is None:
            return "", False
        entry = int.from_bytes(self._elf.read(table + 2 * index, 2), "little")
        if self._versions is None:
            self._versions = {}
            self._read_definitions(self._versions)
            self._read_needs(self._versions)
        return self._versions.get(entry & ~HIDDEN, ""), bool(entry & HIDDEN)

    def _read_definitions(self, versions: dict[int, str]) -> None:
        at = self._tags.get(DT_VERDEF, 0)
        for _ in range(MOST_VERSIONS if at else 0):
            _, _, number, _, _, aux, following = self._unpack(_VERDEF, at)
            name, _ = self._unpack(_VERDAUX, at + aux)
            versions[number] = c_string(self._strings, name)
            at += following
            if not following:
                return

    def _read_needs(self, versions: dict[int, str]) -> None:
        at = self._tags.get(DT_VERNEED, 0)
        left = MOST_VERSIONS if at else 0
        while left > 0:
            _, count, _, aux, following = self._unpack(_VERNEED, at)
            place = at + aux
            for _ in range(min(count, left)):
                _, _, number, name, step = self._unpack(_VERNAUX, place)
                versions[number] = c_string(self._strings, name)
                place += step
            left -= count + 1
            at += following
            if not following:
                return

    def _unpack(self, layout: struct.Struct, vaddr: int) -> tuple[int, ...]:
        return layout.unpack(self._elf.read(vaddr, layout.size))
