"""Unwind rules read off instructions, against what a compiler says of the same code."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.symbols.elf.file import ElfFile
from hud.symbols.elf.symtab import Symtab
from hud.symbols.unwind.cfi import END, FP, NONE, SP
from hud.symbols.unwind.derived import rules_of
from hud.symbols.unwind.table import unwind_table
from hud.symbols.unwind.tableless import WORTH_IT, complete_table
from tests.builders.elfbuild import PT_LOAD, TEXT, Seg, elf

DEMO = Path(__file__).resolve().parents[4] / "prebuilt" / "demo-server-x86_64"
CALL = bytes.fromhex("ff15 00000000")
RET = b"\xc3"
FRAME, NO_FRAME = bytes.fromhex("53 4883ec10"), bytes.fromhex("4883c410 5b c3")
"""push rbx; sub rsp, 16 ... add rsp, 16; pop rbx; ret."""


def sp(offset: int, slot: int = 0) -> int:
    return SP | offset // 8 << 4 | slot << 20


def fp(offset: int, slot: int) -> int:
    return FP | offset // 8 << 4 | slot << 20


def rules(code: bytes, *entries: int) -> list[tuple[int, int]]:
    return list(zip(*rules_of(code, entries), strict=True))


def test_each_instruction_moves_the_place_of_the_return_address() -> None:
    code = bytes.fromhex("55 53 4883ec18") + CALL + bytes.fromhex("4883c418 5b 5d c3")
    assert rules(code) == [
        (0, sp(8)),
        (1, sp(16, 2)),
        (2, sp(24, 2)),
        (6, sp(48, 2)),
        (16, sp(24, 2)),
        (17, sp(16, 2)),
        (18, sp(8)),
        (19, NONE),
    ]


def test_a_frame_pointer_counts_where_the_stack_pointer_is_lost() -> None:
    code = bytes.fromhex("55 4889e5 4883e4e0 4829c4") + CALL + bytes.fromhex("c9 c3")
    assert rules(code) == [
        (0, sp(8)),
        (1, sp(16, 2)),
        (8, fp(16, 2)),
        (18, sp(8)),
        (19, NONE),
    ]


def test_behind_a_call_that_does_not_return_another_function_may_stand() -> None:
    first = bytes.fromhex("4883ec18") + CALL
    second = FRAME + CALL + NO_FRAME
    found = rules(first + second, 0)
    assert found[:4] == [(0, sp(8)), (4, sp(32)), (10, sp(8)), (11, sp(16))]
    assert found == rules(first + second, 0, 10), "nothing is gained by knowing it"


def test_a_symbol_ends_what_falls_into_it() -> None:
    code = bytes.fromhex("4883ec18") + CALL + RET
    assert rules(code, 0, 10) == [(0, sp(8)), (4, sp(32)), (10, sp(8)), (11, NONE)]


def test_rows_of_a_jump_table_have_the_state_at_the_jump() -> None:
    jump = bytes.fromhex("ffe0")
    row = CALL + NO_FRAME
    assert rules(FRAME + jump + row + row) == [
        (0, sp(8)),
        (1, sp(16)),
        (5, sp(32)),
        (17, sp(16)),
        (18, sp(8)),
        (19, sp(32)),
        (29, sp(16)),
        (30, sp(8)),
        (31, NONE),
    ]


def test_who_clears_the_frame_pointer_returns_to_nobody() -> None:
    clone = bytes.fromhex("4989c9 0f05 85c0 7509 31ed 5f 41ffd1 0f05 f4 c3")
    assert rules(clone) == [(0, sp(8)), (11, END), (18, sp(8)), (19, NONE)]
    saved = bytes.fromhex("55 31ed") + CALL + bytes.fromhex("5d c3")
    assert END not in dict(rules(saved)).values()


def test_what_contradicts_itself_has_no_rule() -> None:
    assert rules(bytes.fromhex("53 c3")) == [(0, NONE)]
    unaligned = bytes.fromhex("90") * 3 + CALL + bytes.fromhex("c3")
    assert rules(unaligned)[0] == (0, NONE)


def test_many_ways_into_one_wrong_end_are_given_up() -> None:
    """Each jump alone is wrong, and to see that takes the whole tail."""
    jumps, tail = 20_000, b"\x99" * 100_000 + bytes.fromhex("53 c3")
    code = b"".join(b"\xe9" + (5 * left).to_bytes(4, "little") for left in range(jumps)[::-1])
    assert rules(code + tail)[-1][1] == NONE


def test_many_wrong_functions_without_an_end_are_given_up() -> None:
    """Each pops its own return address, and behind each the end of the whole is looked for."""
    assert rules_of(b"\x58" * 20_000, range(20_000)) == ([0], [NONE])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(-5, 250), max_size=5))
def test_any_bytes_end(code: bytes, entries: list[int]) -> None:
    offsets, found = rules_of(code, entries)
    assert offsets == sorted(set(offsets))
    assert (offsets[0], found[-1]) == (0, NONE)


@pytest.mark.skipif(not DEMO.exists(), reason="no prebuilt demo server")
@pytest.mark.parametrize(("symbols", "known"), [(True, 0.75), (False, 0.6)])
def test_they_are_what_the_compiler_says(symbols: bool, known: float) -> None:
    """Of each byte with both: where the CFA is, if both go by the same register.

    What only exceptions lead to, a sixth of the code, is not found.
    """
    with DEMO.open("rb") as file, ElfFile(file.fileno(), "demo") as program:
        section, table = program.section(".text"), unwind_table(program)
        assert section is not None
        assert table is not None
        code = bytes(program.read(section.addr, min(section.size, 1 << 17)))
        starts = [one - section.addr for one in Symtab(program).starts()] if symbols else []
    offsets, found = rules_of(code, starts)
    rows = array("I", table.rows)
    pcs, told = rows[0::2], rows[1::2]
    have = same = 0
    for at in range(0, len(code), 7):
        want = told[bisect_right(pcs, section.addr + at - table.base) - 1]
        got = found[bisect_right(offsets, at) - 1]
        have += got != NONE
        same += got != NONE and (got & 15 != want & 15 or (got ^ want) & 0xFFFFF == 0)
    assert have >= known * len(code) / 7
    assert same >= 0.99 * have


# --------------------------------------------------------------------------- whole modules


def _bare(functions: int, headers: bool = True) -> bytes:
    text = (FRAME + CALL + NO_FRAME).ljust(32, b"\x90") * functions
    loads = [Seg(PT_LOAD, 4, 0, 0, 64, 64, 0x1000)]
    return elf(text=text, segments=loads, headers=headers)


@pytest.mark.parametrize("headers", [True, False])
def test_a_module_without_any_table_gets_one(headers: bool) -> None:
    table = complete_table(ElfFile(_bare(WORTH_IT // 32, headers)))
    assert table is not None
    rows = array("I", table.rows)
    assert (rows[0], rows[1], rows[-1]) == (0, NONE, NONE)
    assert list(rows[2:10]) == [TEXT, sp(8), TEXT + 1, sp(16), TEXT + 5, sp(32), TEXT + 15, sp(16)]
    assert (table.functions, table.unsupported) == (0, 0)


def test_a_little_assembly_is_left_alone() -> None:
    assert complete_table(ElfFile(_bare(8))) is None
