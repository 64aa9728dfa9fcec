"""Reads the dynamic relocations of a file: its own addresses, the slots that its calls go through.

A relative relocation puts an address in the file, moved by as much as the file is, at its place
(the psABIs' word for r_offset); a slot is 8 bytes of data (of the GOT) that a call goes through.
Sources: ELF gABI, "Dynamic Section"; x86-64 psABI, table 4.9; AArch64 ELF ABI, "Dynamic
relocations".
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from itertools import takewhile
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.elf.file import EM_AARCH64, EM_X86_64, ET_EXEC, PT_DYNAMIC, SYM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.elf.file import ElfFile

DT_PLTRELSZ, DT_RELA, DT_RELASZ, DT_RELAENT, DT_JMPREL = 2, 7, 8, 9, 23
DT_RELRSZ, DT_RELR, DT_RELRENT = 35, 36, 37
RELATIVE = {EM_X86_64: 8, EM_AARCH64: 1027}
"""R_X86_64_RELATIVE, R_AARCH64_RELATIVE."""
SYMBOLIC = {EM_X86_64: (1, 6, 7), EM_AARCH64: (257, 1025, 1026)}
"""R_*_64 (ABS64), R_*_GLOB_DAT, R_*_JUMP_SLOT: the address of a symbol."""
IRELATIVE = {EM_X86_64: 37, EM_AARCH64: 1032}
"""R_*_IRELATIVE: what the ifunc resolver at the addend chooses when the program starts."""
ROW = 24
"""Bytes of an Elf64_Rela: place, info, addend."""
TABLE_LIMIT = 1 << 22
"""Rows of one table that are read."""
LOOKED_AT = 1 << 20
"""Of them, besides the relative ones that come first."""
SEARCHED = 1 << 23
"""Bytes of data in which addresses are looked for; a second of CPU for ten million."""
WORD = 8

_DYN = struct.Struct("<QQ")


def dynamic_tags(elf: ElfFile) -> dict[int, int]:
    """The dynamic section by tag, the first of each; empty where there is none.

    Raises FormatError where it lies outside of the file.
    """
    dynamic = elf.segment(PT_DYNAMIC)
    if dynamic is None:
        return {}
    data = elf.read(dynamic.vaddr, min(dynamic.filesz, 1 << 16) // _DYN.size * _DYN.size)
    tags: dict[int, int] = {}
    for tag, value in takewhile(lambda row: row[0], _DYN.iter_unpack(data)):
        tags.setdefault(tag, value)
    return tags


class Slots:
    """The slots of one file that get the address of a symbol, or of a function that is chosen."""

    def __init__(self, elf: ElfFile) -> None:
        self._elf = elf
        self._rows: dict[int, tuple[int, int]] = {}
        try:
            tags = dynamic_tags(elf)
        except FormatError:
            return
        for table, size in ((DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)):
            if table in tags:
                self._read(tags[table], tags.get(size, 0))

    def _read(self, start: int, size: int) -> None:
        relative = RELATIVE.get(self._elf.machine_id)
        wanted = (*SYMBOLIC.get(self._elf.machine_id, ()), IRELATIVE.get(self._elf.machine_id))
        try:
            words = array("Q", bytes(self._elf.read(start, min(size // ROW, TABLE_LIMIT) * ROW)))
        except (FormatError, OverflowError):
            return
        kinds = words[1::3]
        first = kinds.count(relative) if relative is not None else 0
        if kinds[:first].count(relative or 0) != first:
            first = 0
        for row in range(first, min(len(kinds), first + LOOKED_AT)):
            kind, symbol = kinds[row] & 0xFFFFFFFF, kinds[row] >> 32
            if kind in wanted:
                self._rows[words[3 * row]] = symbol, words[3 * row + 2]

    def index(self, slot: int) -> int:
        """The number of the dynamic symbol whose address the slot gets; 0 = of none."""
        return self._rows.get(slot, (0, 0))[0]

    def symbol(self, slot: int) -> str:
        """The name whose address the slot gets; empty if it gets none by name."""
        index = self.index(slot)
        table = self._elf.symbol_bytes(".dynsym")
        if not 0 < index < len(table) // SYM.size:
            return ""
        return self._elf.symbol_name(SYM.unpack_from(table, index * SYM.size)[0], ".dynsym")

    def ifunc_resolver(self, slot: int) -> int:
        """The function that chooses what the slot gets when the program starts; 0 = none does."""
        symbol, addend = self._rows.get(slot, (0, 0))
        return 0 if symbol else addend


def relative_relocations(elf: ElfFile) -> tuple[array[int], array[int]]:
    """(places, addends) of the file's own addresses in its data, by place: of the relative
    relocations in DT_RELA and DT_RELR; where a file is not position independent of all words that
    may be an address of its.

    FormatError where the dynamic section contradicts the file.
    """
    if elf.type == ET_EXEC:
        return _addresses(elf)
    places, addends = _rela(elf)
    packed = _relr(elf)
    if not packed:
        return places, addends
    rows = sorted([*zip(places, addends, strict=True), *packed])
    return array("Q", [place for place, _ in rows]), array("Q", [addend for _, addend in rows])


def _addresses(elf: ElfFile) -> tuple[array[int], array[int]]:
    """The words of the data that are addresses inside the file."""
    low = min((load.vaddr for load in elf.loads), default=0)
    high = max((load.vaddr + load.memsz for load in elf.loads), default=0)
    rows: list[tuple[int, int]] = []
    for vaddr, data in elf.data_pieces(SEARCHED, writable=True):
        begin = -vaddr % WORD
        words = array("Q", bytes(data[begin : begin + (len(data) - begin) // WORD * WORD]))
        rows += [
            (vaddr + begin + WORD * index, word)
            for index, word in enumerate(words)
            if low <= word < high
        ]
    rows.sort()
    return array("Q", [place for place, _ in rows]), array("Q", [word for _, word in rows])


def _relr(elf: ElfFile) -> list[tuple[int, int]]:
    """(place, addend) of DT_RELR: an even word is a place, an odd one a bit for each of the 63
    words behind the one before. The addend is in the place."""
    tags = dynamic_tags(elf)
    size = tags.get(DT_RELRSZ, 0)
    if not size or tags.get(DT_RELRENT) != WORD or size % WORD or size > TABLE_LIMIT * WORD:
        return []
    places: list[int] = []
    at = 0
    for word in array("Q", bytes(elf.read(tags.get(DT_RELR, 0), size))):
        if word & 1:
            places += [at + WORD * bit for bit in range(63) if word >> (bit + 1) & 1]
            at += 63 * WORD
        else:
            places.append(word)
            at = word + WORD
        if len(places) > TABLE_LIMIT:
            raise FormatError(f"{elf.name}: more than {TABLE_LIMIT} relocations")
    return list(_filled(elf, places))


def _filled(elf: ElfFile, places: list[int]) -> Iterator[tuple[int, int]]:
    """What is in the places; those outside of the file are left out."""
    places.sort()
    for load in elf.loads:
        data = elf.read(load.vaddr, load.filesz)
        end = load.vaddr + load.filesz - WORD
        for place in places[bisect_left(places, load.vaddr) : bisect_right(places, end)]:
            inside = place - load.vaddr
            yield place, int.from_bytes(data[inside : inside + WORD], "little")


def _rela(elf: ElfFile) -> tuple[array[int], array[int]]:
    """Those of DT_RELA."""
    kind = RELATIVE.get(elf.machine_id)
    tags = dynamic_tags(elf)
    if kind is None:
        return array("Q"), array("Q")
    size = tags.get(DT_RELASZ, 0)
    if not size or tags.get(DT_RELAENT) != ROW or size % ROW:
        return array("Q"), array("Q")
    if size > TABLE_LIMIT * ROW:
        raise FormatError(f"{elf.name}: {size // ROW} relocations")
    words = array("Q", bytes(elf.read(tags.get(DT_RELA, 0), size)))
    kinds = words[1::3]
    places, addends = words[0::3], words[2::3]
    count = kinds.count(kind)  # relative ones have no symbol and come first
    if kinds[:count].count(kind) == count:
        places, addends = places[:count], addends[:count]
        if all(map(int.__le__, places, places[1:])):
            return places, addends
    rows = sorted(
        (place, addend)
        for place, addend, found in zip(places, addends, kinds, strict=False)
        if found == kind
    )
    return array("Q", [place for place, _ in rows]), array("Q", [addend for _, addend in rows])
