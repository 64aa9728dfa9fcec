"""Line programs made here: sequences in any order, dead code, both header formats."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.dwarf.lines import SEARCHES, LineTable, join, read_lines
from hud.symbols.dwarf.units import Unit, Units
from hud.symbols.elf.file import ElfFile
from tests.builders import elfbuild as b

CODE = range(0x1000, 0x100000)


def table(data: bytes, *, comp_dir: str = "/build") -> tuple[LineTable, Units, Unit]:
    units = Units(ElfFile(b.elf([b.Sec(".debug_line", data)])))
    unit = Unit(0, 4, 1, 4, 8, 0, 11, 11, line_offset=0, comp_dir=comp_dir)
    return read_lines(units, unit, CODE.__contains__), units, unit


def lookup(program: bytes, *addresses: int, **options: Any) -> list[tuple[int, int] | None]:
    lines, _, _ = table(b.line_program(program, **options))
    return [lines.lookup(address) for address in addresses]


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_one_sequence(version: int) -> None:
    program = b.sequence(0x2000, [(0, 10), (4, 12), (4, 13), (9, 7)], 12)
    assert lookup(program, 0x1FFF, 0x2000, 0x2003, 0x2004, 0x2008, 0x2009, 0x200B, 0x200C,
                  version=version) == [
        None, (1, 10), (1, 10), (1, 13), (1, 13), (1, 7), (1, 7), None,
    ]  # fmt: skip


def test_every_opcode() -> None:
    program = (
        b.set_file(3)
        + b"\x05\x81\x02"  # column 257
        + b"\x06\x07\x0a\x0b\x0c\x90\x01"  # statement, block, prologue, epilogue, isa
        + b.set_address(0x2000)
        + b.advance_line(41)
        + b"\x01"  # copy: 0x2000, line 42
        + b"\0\x02\x04\x07"  # discriminator
        + b.row(2, 3)  # 0x2003, line 44
        + b"\x08"  # const_add_pc: (255 - 13) // 14 = 17
        + b.row(-5, 0)  # 0x2014, line 39
        + b"\x09\x00\x01"  # fixed_advance_pc 256
        + b"\0\x05\x80abcd"  # an extended opcode of some vendor
        + b.set_file(2)
        + b.row(0, 0)  # 0x2114
        + b.advance_pc(8)
        + b.END_SEQUENCE
    )
    assert lookup(program, 0x2000, 0x2003, 0x2013, 0x2014, 0x2113, 0x2114, 0x211B, 0x211C) == [
        (3, 42), (3, 44), (3, 44), (3, 39), (3, 39), (2, 39), (2, 39), None,
    ]  # fmt: skip


def test_sequences_in_any_order_and_dead_ones() -> None:
    program = (
        b.sequence(0x5000, [(0, 50)], 16)
        + b.sequence(0, [(0, 99)], 0x4000)
        + b.sequence(0x3000, [(0, 30)], 16)
        + b.sequence(0xFFFFFFFFFFFFFFFF, [(0, 98)], 0)
        + b.sequence(0x4000, [(0, 40)], 16)
    )
    assert lookup(program, 0x3000, 0x400F, 0x5000, 0x10, 0x2000) == [
        (1, 30), (1, 40), (1, 50), None, None,
    ]  # fmt: skip


def test_rows_out_of_order_and_a_second_address() -> None:
    program = (
        b.set_address(0x3000) + b.advance_line(9) + b"\x01"
        + b.set_address(0x2000) + b.advance_line(5) + b"\x01"
        + b.set_address(0x3010) + b.END_SEQUENCE
    )  # fmt: skip
    assert lookup(program, 0x2000, 0x2FFF, 0x3000, 0x300F, 0x3010) == [
        (1, 15), (1, 15), (1, 10), (1, 10), None,
    ]  # fmt: skip


def test_a_sequence_without_end_is_dropped() -> None:
    whole = b.sequence(0x2000, [(0, 1)], 8)
    cut = b.sequence(0x3000, [(0, 2)], 8)[: -len(b.END_SEQUENCE)]
    assert lookup(whole + cut, 0x2000, 0x3000) == [(1, 1), None]


def test_long_runs_of_opcodes() -> None:
    rows = [(n, 1 + n % 2) for n in range(5000)]
    assert lookup(b.sequence(0x2000, rows, 5000), 0x2000, 0x2001, 0x2000 + 4999, 0x2000 + 5000) == [
        (1, 1), (1, 2), (1, 2), None,
    ]  # fmt: skip


def test_paths_of_version_4() -> None:
    lines, units, unit = table(
        b.line_program(
            b"", directories=["src", "/abs"], files=[("a.c", 0), ("b.c", 1), ("c.c", 2), ("/d", 1)]
        )
    )
    assert [lines.path(units, unit, n) for n in range(6)] == [
        "", "/build/a.c", "/build/src/b.c", "/abs/c.c", "/d", "",
    ]  # fmt: skip


def test_paths_of_version_5() -> None:
    lines, units, unit = table(
        b.line_program(
            b"", version=5, directories=["/build", "src"], files=[("a.c", 0), ("b.c", 1)]
        )
    )
    assert [lines.path(units, unit, n) for n in range(3)] == ["/build/a.c", "/build/src/b.c", ""]


def test_join() -> None:
    assert join("/x", "", "y") == "/x/y"
    assert join("/x/", "y", "z") == "/x/y/z"
    assert join("", "", "z") == "z"
    assert join("/x", "/y", "") == "/y"


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (4, 9, "unknown version 9"),
        (0, 0xFF, "reaches outside"),
        (14, 0, "without opcodes"),
        (15, 0, "without opcodes"),
    ],
)
def test_damaged_headers(at: int, value: int, why: str) -> None:
    data = bytearray(b.line_program(b.sequence(0x2000, [(0, 1)], 8)))
    data[at] = value
    with pytest.raises(FormatError, match=why):
        table(bytes(data))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 300), st.integers(1, 9)), min_size=1, max_size=8),
        min_size=1,
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_equals_a_map_of_every_address(plan: list[list[tuple[int, int]]], random: Any) -> None:
    expected: dict[int, tuple[int, int]] = {}
    programs = []
    at = 0x2000
    for steps in plan:
        rows, offset = [], 0
        for size, line in steps:
            rows.append((offset, line))
            expected.update((at + offset + n, (1, line)) for n in range(size))
            offset += size
        programs.append(b.sequence(at, rows, offset))
        at += offset + random.randrange(3)
    random.shuffle(programs)
    lines, _, _ = table(b.line_program(b"".join(programs)))
    assert {a: lines.lookup(a) for a in range(0x1FF0, at + 16)} == {
        a: expected.get(a) for a in range(0x1FF0, at + 16)
    }


def test_a_function_of_its_own_sequence_is_searched_for() -> None:
    program = (
        b.sequence(0x5000, [(0, 50)], 16)
        + b.set_file(2)  # compilers set the file before the address
        + b.sequence(0x3000, [(0, 30), (8, 31)], 16)
        + b.sequence(0x3000, [(0, 40), (8, 41)], 16)
    )
    lines, _, _ = table(b.line_program(program))
    assert lines.lookup(0x5004, 0x5000) == (1, 50)
    assert lines.lookup(0x3009, 0x3000) == (1, 41)  # the last one, as without the search
    assert lines._starts is None
    assert lines.lookup(0x3009) == (1, 41)
    assert lines.lookup(0x5004, 0x5004) == (1, 50)


def test_many_searches_end_in_all_sequences() -> None:
    program = b"".join(b.sequence(0x2000 + 16 * n, [(0, n + 1)], 16) for n in range(2 * SEARCHES))
    lines, _, _ = table(b.line_program(program))
    for n in range(2 * SEARCHES):
        assert lines.lookup(0x2005 + 16 * n, 0x2000 + 16 * n) == (1, n + 1)
        assert (lines._starts is None) == (n < SEARCHES)


def test_a_search_takes_nothing_but_the_beginning_of_a_sequence() -> None:
    second = (
        b.set_address(0x2000) + b.advance_line(5) + b"\x01"
        + b.advance_pc(64) * 16
        + b.set_address(0x3000) + b.advance_line(9) + b"\x01"
        + b.set_address(0x3010) + b.END_SEQUENCE
    )  # fmt: skip
    cut = b.sequence(0x4000, [(0, 2)], 8)[: -len(b.END_SEQUENCE)]
    lines, _, _ = table(b.line_program(second + cut))
    assert lines.lookup(0x3004, 0x3000) == (1, 15)
    assert lines.lookup(0x4000, 0x4000) is None
