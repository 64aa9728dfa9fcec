"""The opcodes of a line program, one sequence at a time."""

from __future__ import annotations

import pytest

from hud.symbols.dwarf.rows import Opcodes, decode
from tests.builders.elfbuild import sleb, uleb

LENGTHS = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])
BASE, LINE_BASE, LINE_RANGE = len(LENGTHS) + 1, -5, 14
STEPS = [max(op - BASE, 0) for op in range(256)]
OPCODES = Opcodes(
    LENGTHS,
    1,
    [step // LINE_RANGE for step in STEPS],
    [LINE_BASE + step % LINE_RANGE for step in STEPS],
)
END = b"\x00\x01\x01"


def at(address: int) -> bytes:
    return b"\x00\x09\x02" + address.to_bytes(8, "little")


def special(address: int, line: int) -> bytes:
    return bytes([line - LINE_BASE + LINE_RANGE * address + BASE])


def test_places_by_address() -> None:
    program = at(0x1000) + b"\x03" + sleb(9) + b"\x01"  # line 10
    program += b"\x05" + uleb(300) + special(4, 2)  # a column changes nothing; line 12
    program += b"\x04" + uleb(3) + b"\x02" + uleb(0x10) + b"\x01"  # file 3
    program += b"\x08\x09\x05\x00" + b"\x0c" + uleb(7) + END
    rows = decode(program, 0, OPCODES)
    assert [rows.lookup(a) for a in (0xFFF, 0x1000, 0x1003, 0x1004, 0x1014)] == [
        None, (1, 10), (1, 10), (1, 12), (3, 12)
    ]  # fmt: skip
    assert rows.end == 0x1014 + STEPS[255] // LINE_RANGE + 5
    assert rows.lookup(rows.end) is None


def test_a_row_that_repeats_its_place_is_left_out() -> None:
    rows = decode(at(0) + b"\x01" + special(8, 0) + special(8, 1) + END, 0, OPCODES)
    assert list(rows.addresses) == [0, 16]


def test_rows_out_of_order_are_sorted() -> None:
    rows = decode(at(0x20) + b"\x01" + at(0x10) + special(0, 5) + END, 0, OPCODES)
    assert list(rows.addresses) == [0x10, 0x20]
    assert (rows.lookup(0x18), rows.lookup(0x1F)) == ((1, 6), (1, 6))


def test_a_sequence_without_end() -> None:
    with pytest.raises(IndexError):
        decode(at(0) + b"\x01", 0, OPCODES)
