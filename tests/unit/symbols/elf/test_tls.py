"""Slots that the loader fills, in relocation tables that the test makes up."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.elf.file import PT_DYNAMIC, PT_LOAD, PT_TLS, ElfFile
from hud.symbols.elf.tls import (
    DESCRIPTOR,
    DISTANCE,
    DT_JMPREL,
    DT_PLTRELSZ,
    DT_RELA,
    DT_RELACOUNT,
    DT_RELASZ,
    DT_SYMTAB,
    MODULE,
    tls_slots,
)
from hud.symbols.facts import Slot
from tests.builders.elfbuild import TEXT, Seg, elf

RELATIVE, DTPMOD, TPOFF, TLSDESC = 8, 16, 18, 36
PLACE = TEXT
"""Vaddr and offset of what follows; tables are at 0x100 bytes from one another."""


def rela(vaddr: int, kind: int, symbol: int = 0, addend: int = 0) -> bytes:
    return struct.pack("<QQq", vaddr, symbol << 32 | kind, addend)


def file(*relocations: bytes, plt: tuple[bytes, ...] = (), relative: int = 0) -> bytes:
    tags = {
        DT_RELA: PLACE + 0x400,
        DT_RELASZ: 24 * len(relocations),
        DT_RELACOUNT: relative,
        DT_JMPREL: PLACE + 0x800,
        DT_PLTRELSZ: 24 * len(plt),
        DT_SYMTAB: PLACE + 0x200,
    }
    dynamic = b"".join(struct.pack("<Qq", *tag) for tag in tags.items()) + bytes(16)
    symbols = struct.pack("<IBBHQQ", 0, 0, 0, 0, 0, 0)
    symbols += struct.pack("<IBBHQQ", 0, 6, 0, 0, 0, 0)  # 1: of another module
    symbols += struct.pack("<IBBHQQ", 0, 6, 0, 9, 0x20, 8)  # 2: of this one
    text = bytearray(0x1000)
    parts = (dynamic, b"", symbols, b"", b"".join(relocations), b"", b"", b"", b"".join(plt))
    for number, part in enumerate(parts):
        text[0x100 * number : 0x100 * number + len(part)] = part
    segments = [
        Seg(PT_DYNAMIC, 6, PLACE, PLACE, len(dynamic), len(dynamic)),
        Seg(PT_TLS, 4, PLACE + 0xF00, PLACE + 0xF00, 0x40, 0x100),
        Seg(PT_LOAD, 6, PLACE + 0xF00, PLACE + 0x2F00, 0x40, 0x100),
    ]
    return elf(text=bytes(text), segments=segments)


def slots(data: bytes) -> tuple[Slot, ...]:
    return tls_slots(ElfFile(data))


def test_each_kind_once_it_is_of_this_module() -> None:
    data = file(
        rela(0x10, RELATIVE),
        rela(0x3000, DTPMOD),
        rela(0x3010, DTPMOD, symbol=1),
        rela(0x3020, TPOFF, symbol=2, addend=8),
        rela(0x3030, TPOFF, symbol=1),
        plt=(rela(0x3040, TLSDESC, addend=0x30),),
        relative=1,
    )
    assert slots(data) == (
        Slot(MODULE, 0x3000, 0),
        Slot(DISTANCE, 0x3020, 0x28),
        Slot(DESCRIPTOR, 0x3048, 0x30),
    )


def test_a_few_of_each_kind_are_enough() -> None:
    found = slots(file(*(rela(0x3000 + 16 * n, DTPMOD) for n in range(20))))
    assert found == tuple(Slot(MODULE, 0x3000 + 16 * n, 0) for n in range(4))


@pytest.mark.parametrize("addend", [-8, 0x101, 1 << 40])
def test_what_lies_outside_of_the_block_is_left_out(addend: int) -> None:
    assert slots(file(rela(0x3000, TPOFF, addend=addend))) == ()


def test_without_thread_locals_or_tables() -> None:
    assert slots(elf()) == ()
    assert slots(elf(segments=[Seg(PT_TLS, 4, TEXT, TEXT, 0, 0x40)])) == ()
    assert slots(file(relative=1 << 60)) == ()


GOOD = file(rela(0x3000, DTPMOD), rela(0x3020, TPOFF, symbol=2), plt=(rela(0x3040, TLSDESC),))


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(64, len(GOOD) - 1), st.integers(0, 255)), max_size=8))
def test_damaged_bytes_end_in_our_error_or_a_result(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, value in changes:
        data[at] = value
    try:
        found = slots(bytes(data))
    except FormatError:
        return
    assert len(found) <= 12
