"""Finds the words where the loader writes which TLS block is a module's, by its TLS relocations.

Such a word, a slot in the module's own data, gets the module id (an index of each thread's dtv),
the distance of a variable from the thread pointer (initial-exec code), or a TLS descriptor. A
variable of another module has such relocations too: those are left out.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.elf.file import EM_AARCH64, EM_X86_64, PT_DYNAMIC, SHN_UNDEF, SYM
from hud.symbols.facts import Slot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.elf.file import ElfFile

MODULE, DISTANCE, DESCRIPTOR = 0, 1, 2

KINDS = {
    EM_X86_64: {16: MODULE, 18: DISTANCE, 36: DESCRIPTOR},
    EM_AARCH64: {1028: MODULE, 1030: DISTANCE, 1031: DESCRIPTOR},
}
"""By machine and relocation: R_X86_64_DTPMOD64, _TPOFF64, _TLSDESC; R_AARCH64_TLS_DTPMOD,
_TLS_TPREL, _TLSDESC (<elf.h>)."""

# <elf.h>
DT_PLTRELSZ, DT_SYMTAB, DT_RELA, DT_RELASZ, DT_JMPREL, DT_RELACOUNT = 2, 6, 7, 8, 23, 0x6FFFFFF9
DYN = struct.Struct("<Qq")
RELA = struct.Struct("<QQq")

MAX_DYNAMIC = 4096
MAX_RELOCATIONS = 4 << 20
MOST_OF_A_KIND = 4


def tls_slots(elf: ElfFile) -> tuple[Slot, ...]:
    """A few slots of each kind, in the order of the file; FormatError for damaged tables."""
    kinds = KINDS.get(elf.machine_id)
    if kinds is None or elf.tls is None:
        return ()
    tags = _dynamic(elf)
    found: dict[int, list[Slot]] = {}
    relative = max(0, tags.get(DT_RELACOUNT, 0))
    tables = ((DT_RELA, DT_RELASZ, relative), (DT_JMPREL, DT_PLTRELSZ, 0))
    for start, size, skipped in tables:
        if start not in tags:
            continue
        count = max(0, tags.get(size, 0)) // RELA.size - skipped
        if not 0 < count <= MAX_RELOCATIONS:
            continue
        table = elf.read(tags[start] + skipped * RELA.size, count * RELA.size)
        for vaddr, info, addend in RELA.iter_unpack(table):
            kind = kinds.get(info & 0xFFFFFFFF)
            if kind is None or len(found.get(kind, ())) >= MOST_OF_A_KIND:
                continue
            value = _value(elf, tags.get(DT_SYMTAB), info >> 32)
            if value is not None and 0 <= value + addend <= elf.tls.memsz:
                vaddr += 8 * (kind == DESCRIPTOR)
                found.setdefault(kind, []).append(Slot(kind, vaddr, value + addend))
    return tuple(slot for kind in sorted(found) for slot in found[kind])


def _dynamic(elf: ElfFile) -> dict[int, int]:
    segment = elf.segment(PT_DYNAMIC)
    if segment is None:
        return {}
    size = min(segment.filesz, MAX_DYNAMIC * DYN.size) // DYN.size * DYN.size
    return dict(_entries(elf.read(segment.vaddr, size)))


def _entries(data: memoryview) -> Iterator[tuple[int, int]]:
    for tag, value in DYN.iter_unpack(data):
        if not tag:
            return
        yield tag, value


def _value(elf: ElfFile, symtab: int | None, index: int) -> int | None:
    """A symbol's offset in the block; None for one of another module. 0 names the module itself."""
    if not index:
        return 0
    if symtab is None:
        return None
    try:
        _, _, _, shndx, value, _ = SYM.unpack(elf.read(symtab + index * SYM.size, SYM.size))
    except FormatError:
        return None
    return None if shndx == SHN_UNDEF else value
