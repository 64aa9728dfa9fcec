"""Finds where the function of an address begins and ends by ``.eh_frame_hdr``, without any symbol.

Its search table lists the FDE of each function by pc. Code that compilers move out of a function
(``.cold``) has an FDE of its own, and is a part of it here. Nothing is read but the table's probes
and the one FDE found.

Sources: Linux Standard Base 5.0 Core, 10.6 (``.eh_frame``, ``.eh_frame_hdr``); DWARF 5, 6.4.2.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.elf.file import PT_GNU_EH_FRAME
from hud.symbols.unwind.cfi import PADDING, Cie, EhFrame, pointer, read_cie, uleb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.elf.file import ElfFile

DATA_RELATIVE_I32 = 0x3B
"""DW_EH_PE_datarel | DW_EH_PE_sdata4: the only encoding linkers give the search table."""
ROW_LIMIT = 4 << 20
FDE_LIMIT = 64
"""Bytes of an FDE that are read: its length, CIE pointer, pc and size come first."""
CIE_LIMIT = 1024
STACK_RULES = (0x0C, 0x0D, 0x0E)
"""DW_CFA_def_cfa, DW_CFA_def_cfa_register, DW_CFA_def_cfa_offset."""
FUNCTION_LIMIT = 64 << 20
"""Bytes; a longer "function" is damage."""

_HEAD = struct.Struct("<II")
_ROW = struct.Struct("<ii")


class Bounds:
    """The search table of one module; ``of`` answers from it."""

    def __init__(self, elf: ElfFile) -> None:
        """Raises FormatError where there is no search table of the usual kind."""
        self._elf = elf
        self._cies: dict[int, Cie] = {}
        header = elf.segment(PT_GNU_EH_FRAME)
        if header is None:
            raise FormatError(f"{elf.name}: no .eh_frame_hdr")
        data = bytes(elf.read(header.vaddr, min(header.filesz, 64))) + PADDING
        if data[0] != 1 or data[3] != DATA_RELATIVE_I32:
            raise FormatError(f"{elf.name}: an .eh_frame_hdr of an unknown kind")
        section = EhFrame(data, len(data) - len(PADDING), header.vaddr, elf.machine_id)
        _, at = pointer(section, 4, data[1])
        self.count, at = pointer(section, at, data[2])
        if self.count > ROW_LIMIT:
            raise FormatError(f"{elf.name}: {self.count} functions in .eh_frame_hdr")
        self._base = header.vaddr
        self._rows = elf.read(header.vaddr + at, self.count * _ROW.size)

    def of(self, vaddr: int) -> tuple[int, int] | None:
        """(start, size) of the function that covers a vaddr; FormatError where it is damaged."""
        row = self._row(vaddr)
        if row is None:
            return None
        start, fde = row
        size = self._fde(fde, start)[0]
        return (start, size) if vaddr - start < size else None

    def is_part(self, start: int) -> bool:
        """Does the code that begins there begin inside a stack frame, as a part does and a function
        never? FormatError where it is damaged."""
        row = self._row(start)
        if row is None or row[0] != start:
            return False
        _, section, at, cie = self._fde(row[1], start)
        if cie.augmented:
            size, at = uleb(section.data, at)
            at += size
        return at < section.size and section.data[at] in STACK_RULES

    def _row(self, vaddr: int) -> tuple[int, int] | None:
        """Begin and FDE of the last function that does not begin behind a vaddr."""
        wanted = vaddr - self._base
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if _ROW.unpack_from(self._rows, middle * _ROW.size)[0] <= wanted:
                low = middle + 1
            else:
                high = middle
        if low == 0:
            return None
        start, fde = _ROW.unpack_from(self._rows, (low - 1) * _ROW.size)
        return self._base + start, self._base + fde

    def starts(self) -> list[int]:
        """Where the functions begin, by address."""
        return [self._base + start for start, _ in _ROW.iter_unpack(self._rows)]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Every function (start, size) whose FDE can be read, by address."""
        for start, fde in _ROW.iter_unpack(self._rows):
            try:
                size = self._fde(self._base + fde, self._base + start)[0]
            except FormatError:
                continue
            yield self._base + start, size

    def _fde(self, fde: int, start: int) -> tuple[int, EhFrame, int, Cie]:
        """Size of the function; its FDE, as far as it is read, and where in that its augmentation
        or its rules begin; its CIE."""
        length, delta = _HEAD.unpack(self._elf.read(fde, _HEAD.size))
        if not 4 < length < 0xFFFFFFF0 or delta == 0:
            raise FormatError(f"{self._elf.name}: no FDE at {fde:#x}")
        cie = self._cie(fde + 4 - delta)
        size = min(length + 4, FDE_LIMIT)
        data = bytes(self._elf.read(fde, size)) + PADDING
        section = EhFrame(data, size, fde, self._elf.machine_id)
        begin, at = pointer(section, 8, cie.encoding)
        count, at = pointer(section, at, cie.encoding & 15)
        if begin != start or not 0 < count <= FUNCTION_LIMIT:
            raise FormatError(f"{self._elf.name}: the FDE at {fde:#x} contradicts the table")
        return count, section, at, cie

    def _cie(self, cie: int) -> Cie:
        known = self._cies.get(cie)
        if known is None:
            length, identity = _HEAD.unpack(self._elf.read(cie, _HEAD.size))
            if identity != 0 or not 4 < length <= CIE_LIMIT:
                raise FormatError(f"{self._elf.name}: no CIE at {cie:#x}")
            data = bytes(self._elf.read(cie, length + 4)) + PADDING
            section = EhFrame(data, length + 4, cie, self._elf.machine_id)
            known = self._cies[cie] = read_cie(section, 8, length + 4)
        return known
