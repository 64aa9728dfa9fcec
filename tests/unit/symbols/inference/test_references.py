"""Where functions refer to panic locations, in machine code made by hand."""

from __future__ import annotations

import struct

import pytest

from hud.symbols.inference.locations import Location, Locations
from hud.symbols.inference.references import References

from .test_locations import MAIN, RESUMED, TEXT, Program, call, jne, lea, program, record

START, COLD, CALLEE, NEXT = TEXT, TEXT + 0x400, TEXT + 0x900, TEXT + 0x940
SIZE = 0x500


def references(made: Program) -> References:
    return References(made.elf, Locations(made.elf))


def jmp(at: int, target: int) -> bytes:
    return b"\xe9" + struct.pack("<i", target - at - 5)


def test_references_know_from_where_they_are_reached_and_definitions() -> None:
    made = program(
        {
            START + 0x10: jne(START + 0x10, COLD),
            START + 0x80: jne(START + 0x80, COLD + 0x20),
            COLD: lea(COLD, record(0)) + call(COLD + 7, RESUMED),
            COLD + 0x20: lea(COLD + 0x20, record(1)) + call(COLD + 0x27, CALLEE),
        },
        [(MAIN, 20, 30), (MAIN, 25, 9)],
        [],
    )
    first, second = references(made).of(START, SIZE)
    begin, other = (START + 0x10,), (START + 0x80,)
    assert first == (COLD, record(0), begin, Location(MAIN, 20, 30), True, COLD + 7)
    assert second == (COLD + 0x20, record(1), other, Location(MAIN, 25, 9), False, COLD + 0x27)


def test_aarch64_forms_addresses_in_two_instructions() -> None:
    def adrp(at: int, target: int, register: int) -> int:
        pages = (target >> 12) - (at >> 12)
        return 0x90000000 | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5 | register

    bl = TEXT + 0x48
    words = {
        TEXT: 0x54000001 | (0x40 // 4) << 5,  # b.ne +0x40
        TEXT + 4: 0xD65F03C0,
        TEXT + 0x40: adrp(TEXT + 0x40, record(1), 3),
        TEXT + 0x44: 0x91000000 | (record(1) & 0xFFF) << 10 | 3 << 5,
        bl: 0x94000000 | (CALLEE - bl) // 4,
    }
    pieces = {at: struct.pack("<I", word) for at, word in words.items()}
    made = program(pieces, [(MAIN, 1, 1), (MAIN, 9, 2)], [], machine=183)
    (only,) = references(made).of(TEXT, 0x80)
    assert only == (TEXT + 0x44, record(1), (TEXT,), Location(MAIN, 9, 2), False, bl)


@pytest.mark.parametrize(
    ("callee", "returns"),
    [
        ({CALLEE: b"\x0f\x0b"}, False),
        ({CALLEE: b"\xc3"}, True),
        ({CALLEE: call(CALLEE, NEXT), NEXT: b"\xc3"}, False),  # what it calls may
        ({CALLEE: jmp(CALLEE, NEXT), NEXT: b"\xc3"}, True),
        ({CALLEE: jmp(CALLEE, NEXT), NEXT: b"\x0f\x0b"}, False),
        ({CALLEE: jmp(CALLEE, NEXT), NEXT: jmp(NEXT, CALLEE)}, True),
        ({CALLEE: b"\xff\xe0"}, True),
        ({CALLEE: b"\x48\xb8" + b"\xc3" * 8 + b"\x0f\x0b"}, False),  # bytes of a constant
    ],
)
def test_a_callee_that_takes_a_location_may_return(callee: dict[int, bytes], returns: bool) -> None:
    """``tokio::spawn`` takes one, and the code behind it is not cut off."""
    pieces = {START + 8: lea(START + 8, record(0)) + call(START + 15, CALLEE), **callee}
    bounds = [(START, SIZE), (CALLEE, 0x20), (NEXT, 0x20)]
    code = references(program(pieces, [(MAIN, 7, 9)], bounds)).code(START, SIZE)
    assert (START + 15 in code.calls) is returns
    assert (START + 16 in code.stops) is not returns
    assert code.references[0].sites == (START + 8,)


def test_a_block_begins_behind_a_conditional_jump_too() -> None:
    """``jne elsewhere; <panic>``: the panic is reached from the jump before it, not from the last
    jump that leads anywhere before."""
    pieces = {
        START: jne(START, START + 0x40),
        START + 0x40: jne(START + 0x40, START + 0x80),
        START + 0x46: lea(START + 0x46, record(0)) + call(START + 0x4D, CALLEE),
    }
    (only,) = references(program(pieces, [(MAIN, 7, 9)], [])).of(START, SIZE)
    assert only.sites == (START + 0x40,)


def test_short_jumps_count() -> None:
    pieces = {
        START: b"\x75\x3e",  # jne START + 0x40
        START + 2: b"\xeb\x7c",  # jmp START + 0x80
        START + 0x40: lea(START + 0x40, record(0)) + call(START + 0x47, CALLEE),
    }
    code = references(program(pieces, [(MAIN, 7, 9)], [])).code(START, SIZE)
    assert code.references[0].sites == (START,)
    assert code.jumps == [(START, START + 0x40), (START + 2, START + 0x80)]
    assert START + 4 in code.stops


def test_panics_that_share_their_call_are_known_by_it() -> None:
    """``lea rdi, one; jmp end; .. lea rdi, two; end: call panic_const_async_fn_resumed``."""
    pieces = {
        START: jne(START, COLD),
        START + 6: jne(START + 6, COLD + 0x40) + b"\xc3",
        COLD: lea(COLD, record(0)) + jmp(COLD + 7, COLD + 0x47),
        COLD + 0x40: lea(COLD + 0x40, record(1)) + call(COLD + 0x47, RESUMED),
    }
    made = program(pieces, [(MAIN, 7, 9), (MAIN, 20, 9)], [])
    found = references(made).of(START, SIZE)
    assert [(one.definition, one.sites) for one in found] == [
        (True, (START,)),
        (True, (START + 6,)),
    ]


def test_a_use_that_leads_nowhere_is_for_no_call() -> None:
    pieces = {
        START: lea(START, record(0)) + b"\xc3",
        START + 8: call(START + 8, RESUMED),
    }
    (only,) = references(program(pieces, [(MAIN, 7, 9)], [])).of(START, SIZE)
    assert (only.definition, only.call) == (False, 0)
