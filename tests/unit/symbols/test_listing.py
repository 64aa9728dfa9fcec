"""The window of instructions around a pc, and what hostile bytes do to it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols import calls
from hud.symbols.elf.file import ElfFile
from hud.symbols.inference.inferred import Inferred
from hud.symbols.listing import Listing, Listings
from hud.symbols.machine import disassembly
from hud.symbols.machine.disassembly import AROUND, Disassembler
from hud.symbols.module import Module
from tests.builders import elfbuild
from tests.builders.elfbuild import TEXT, Sec, Seg, Sym

X86, ARM = 62, 183
NOP, LONG_NOP, RET = b"\x90", b"\x0f\x1f\x40\x00", b"\xc3"


def listings(
    text: bytes,
    *symbols: Sym,
    machine: int = X86,
    more: tuple[Sec, ...] = (),
    seg: tuple[Seg, ...] = (),
) -> Listings:
    sections = [*more, *elfbuild.symbol_sections(symbols)] if symbols else list(more)
    data = elfbuild.elf(sections, text=text, machine=machine, segments=seg)
    module = Module(ElfFile(data, "made"))
    return Listings(module, Inferred(module.elf))


def call(at: int, target: int) -> bytes:
    return b"\xe8" + struct.pack("<i", target - at - 5)


def test_window_ends_at_the_function() -> None:
    text = NOP * 8 + LONG_NOP * 3 + RET + NOP * 7
    code = listings(text, Sym("before", TEXT, 8), Sym("here", TEXT + 8, 13))
    found = code.around(TEXT + 12, caller=False)
    assert found == Listing(
        [
            (TEXT + 8, "nop dword ptr [rax]", ""),
            (TEXT + 12, "nop dword ptr [rax]", ""),
            (TEXT + 16, "nop dword ptr [rax]", ""),
            (TEXT + 20, "ret", ""),
        ],
        TEXT + 12,
        "",
    )


def test_window_is_bounded_in_a_long_function() -> None:
    code = listings(NOP * 40_000, Sym("long", TEXT, 40_000))
    found = code.around(TEXT + 30_000, caller=False)
    first = TEXT + 30_000 - AROUND
    assert [row[0] for row in found.rows] == list(range(first, first + 2 * AROUND + 1))
    assert found.at == TEXT + 30_000


def test_caller_is_its_call_even_as_the_last_instruction() -> None:
    text = NOP + call(TEXT + 1, TEXT + 6) + RET
    code = listings(text, Sym("noreturn", TEXT, 6), Sym("_ZN1a1b17h0123456789abcdefE", TEXT + 6, 1))
    found = code.around(TEXT + 6, caller=True)
    assert found.at == TEXT + 1
    assert found.rows[-1] == (TEXT + 1, f"call {TEXT + 6:#x}", "a::b")
    # the same address, innermost, is the start of the next function
    assert code.around(TEXT + 6, caller=False).rows == [(TEXT + 6, "ret", "")]


def test_instruction_across_two_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disassembly, "CHUNK", 6)
    code = listings(LONG_NOP * 9, Sym("f", TEXT, 36))
    found = code.around(TEXT + 20, caller=False)
    assert [row[0] for row in found.rows] == list(range(TEXT, TEXT + 36, 4))


@pytest.mark.parametrize(
    ("pc", "note", "rows"),
    [
        (TEXT + 5, "the instructions before cannot be told apart", 3),  # inside of an instruction
        (
            TEXT + 30,
            "the instructions before cannot be told apart",
            2,
        ),  # behind bytes that are none
    ],
)
def test_never_from_the_middle_of_an_instruction(pc: int, note: str, rows: int) -> None:
    text = LONG_NOP + b"\x48\xb8" + NOP * 8 + LONG_NOP + b"\x06" * 12 + LONG_NOP + RET
    code = listings(text, Sym("f", TEXT, len(text)))
    found = code.around(pc, caller=False)
    assert found.note == note
    assert found.rows[0][0] == pc


def test_what_is_before_stays_unknown_without_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    code = listings(LONG_NOP * 4 + RET)
    found = code.around(TEXT + 8, caller=False)
    assert (found.at, found.rows[0][0]) == (TEXT + 8, TEXT + 8)
    assert found.note == "where its function begins is not known"
    assert code.around(TEXT + 8, caller=True).at == 0
    monkeypatch.setattr(disassembly, "READ_LIMIT", 7)
    code = listings(LONG_NOP * 4 + RET, Sym("f", TEXT, 17))
    assert code.around(TEXT + 8, caller=False).note == "too far from the start of its function"


def test_bytes_that_are_no_instruction() -> None:
    code = listings(NOP + b"\x06" * 15, Sym("f", TEXT, 16))
    found = code.around(TEXT + 1, caller=False)
    assert (found.at, found.note) == (0, "not understood: 06 ...")
    with pytest.raises(FormatError, match="no code at 0x10"):
        code.around(0x10, caller=False)
    with pytest.raises(FormatError, match="no disassembler for machine 243"):
        listings(NOP, machine=243)


def test_jumps_inside_a_function_have_no_name_and_others_do() -> None:
    inside = b"\xeb\x00"
    tail = b"\xe9" + struct.pack("<i", 4 + 2)
    text = inside + tail + NOP * 4 + NOP * 2 + RET
    code = listings(
        text, Sym("f", TEXT, 11), Sym("_ZN4tail4call17h0123456789abcdefE", TEXT + 11, 3)
    )
    assert [row[2] for row in code.around(TEXT, caller=False).rows][:2] == ["", "tail::call+0x2"]


def test_stubs_and_slots_without_a_relocation() -> None:
    """A non-PIE slot holds the address itself."""
    slot = TEXT + 0x20
    through = b"\xff\x15" + struct.pack("<i", slot - TEXT - 6)
    stub_at = TEXT + 0x10
    stub = b"\xf3\x0f\x1e\xfa\xff\x25" + struct.pack("<i", slot - stub_at - 10)
    text = through + call(TEXT + 6, stub_at) + RET
    text = text.ljust(0x10, b"\xcc") + stub.ljust(16, b"\xcc") + struct.pack("<Q", TEXT + 0x28)
    code = listings(text + RET, Sym("f", TEXT, 12), Sym("callee", TEXT + 0x28, 1))
    rows = code.around(TEXT, caller=False).rows
    assert [row[2] for row in rows] == ["callee", "callee", ""]


def test_aarch64() -> None:
    words = [
        0xD503201F,  # nop
        0x94000003,  # bl TEXT+0x10
        0xFFFFFFFF,  # none
        0xD65F03C0,  # ret
        0x90000010,  # adrp x16, TEXT
        0xF9401211,  # ldr x17, [x16, #0x20]
        0x91008210,  # add x16, x16, #0x20
        0xD61F0220,  # br x17
    ]
    text = struct.pack("<8I", *words) + struct.pack("<Q", TEXT + 0x28) + struct.pack("<I", words[3])
    code = listings(text, Sym("f", TEXT, 16), Sym("callee", TEXT + 0x28, 4), machine=ARM)
    found = code.around(TEXT + 8, caller=True)
    assert found == Listing(
        [
            (TEXT, "nop", ""),
            (TEXT + 4, f"bl #{TEXT + 0x10:#x}", "callee"),
            (TEXT + 8, ".inst 0xffffffff", ""),
            (TEXT + 12, "ret", ""),
        ],
        TEXT + 4,
        "",
    )
    with pytest.raises(FormatError, match="no instruction begins at"):
        code.around(TEXT + 2, caller=False)


def test_names_are_bounded() -> None:
    name = "x" * 5000
    code = listings(call(TEXT, TEXT + 5) + RET, Sym("f", TEXT, 5), Sym(name, TEXT + 5, 1))
    assert len(code.around(TEXT, caller=False).rows[0][2]) == calls.NAME_LIMIT


@settings(deadline=None, max_examples=150)
@given(
    text=st.binary(min_size=1, max_size=600),
    machine=st.sampled_from([X86, ARM]),
    start=st.integers(0, 700),
    size=st.sampled_from([0, 1, 16, 300, 1 << 40, (1 << 64) - 1]),
    pc=st.integers(0, 700),
    caller=st.booleans(),
    dynamic=st.lists(
        st.tuples(st.sampled_from([2, 7, 8, 9, 23]), st.integers(0, 1 << 64)), max_size=6
    ),
)
def test_random_bytes(
    text: bytes,
    machine: int,
    start: int,
    size: int,
    pc: int,
    caller: bool,
    dynamic: list[tuple[int, int]],
) -> None:
    tags = b"".join(struct.pack("<QQ", tag, value & (1 << 64) - 1) for tag, value in dynamic)
    text = tags + text
    segment = Seg(2, 6, TEXT, TEXT, len(tags), len(tags))
    code = listings(text, Sym("f", TEXT + start, size), machine=machine, seg=(segment,))
    try:
        found = code.around(TEXT + pc, caller=caller)
    except FormatError:
        return
    addresses = [row[0] for row in found.rows]
    assert addresses == sorted(set(addresses))
    assert len(found.rows) <= 2 * AROUND + 1
    assert found.at in (0, *addresses)
    if not caller and found.at:
        assert found.at == TEXT + pc
    for vaddr, instruction, called in found.rows:
        assert TEXT <= vaddr < TEXT + len(text)
        assert instruction
        assert len(called) <= calls.NAME_LIMIT


def test_capstone_that_cannot_be_loaded_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "capstone", None)
    with pytest.raises(FormatError, match="capstone cannot be loaded"):
        Disassembler(ElfFile(elfbuild.elf(), "made"))
