"""Bodies of async fns by their code, as rustc 1.95 writes it. Whole programs: tests/e2e."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.symbols.elf.file import ElfFile
from hud.symbols.inference.coroutines import Coroutines
from hud.symbols.inference.locations import Locations
from hud.symbols.machine.instructions import LONGEST, aarch64, x86_64
from hud.symbols.module import Module
from hud.symbols.names import ASYNC, describe, is_closure
from tests.builders.elfbuild import Sym, elf, symbol_sections

from .test_locations import DATA, RESUMED, TEXT, call, code, lea, program

SIZE = 0x100
PANIC = TEXT + 0x80
OTHER = RESUMED - 0x20
"""Panics with another message, right before the one that matters."""
TABLE = TEXT + 0x200
SLOT = TEXT + 0x300
RDI, RCX = 0x3D, 0x0D

PUSHES = bytes.fromhex("4156 53 50 4989f6 4889fb")
"""push r14; push rbx; push rax; mov r14, rsi; mov rbx, rdi"""
JUMP = bytes.fromhex("48630481 4801c8 ffe0")
"""movsxd rax, [rcx + rax * 4]; add rax, rcx; jmp rax"""
STATE = bytes.fromhex("0fb64711")
"""movzx eax, byte ptr [rdi + 0x11]"""
TEST = bytes.fromhex("85c0")
PROBES = bytes.fromhex("4c8d9c2400f0ffff 4881ec00100000 48c7042400000000 4c39dc 75ec")
"""lea r11, [rsp - 0x1000]; sub rsp, 0x1000; mov qword ptr [rsp], 0; cmp rsp, r11; jne"""
SPILL = bytes.fromhex("48897c2408")
"""mov [rsp + 8], rdi"""


def jne(at: int, target: int = PANIC) -> bytes:
    return b"\x75" + struct.pack("<b", target - at - 2)


def switched(begin: bytes) -> bytes:
    """A jump table, as where there is something to await."""
    return begin + lea(TEXT + len(begin), TABLE, RCX) + JUMP


def without_awaits(begin: bytes) -> bytes:
    """Without anything to await."""
    return begin + jne(TEXT + len(begin)) + b"\xc3"


def is_body(pieces: dict[int, bytes], machine: int = 62, size: int = SIZE) -> bool:
    rows = [TEXT + 0x60, TEXT + 0x60, PANIC, TEXT + 0x60]
    made = {
        PANIC: lea(PANIC, DATA + 64) + call(PANIC + 7, RESUMED),
        OTHER: lea(OTHER, DATA + 8) + b"\x0f\x0b",
        TABLE: struct.pack("<4i", *(row - TABLE for row in rows)),
        SLOT: struct.pack("<Q", RESUMED),
        TEXT + 0x60: b"\xc3",
        **pieces,
    }
    file = program(made, [], [], machine=machine).elf
    return Coroutines(file, Locations(file)).is_body(TEXT, size)


@pytest.mark.parametrize(
    "begin",
    [
        switched(PUSHES + STATE),
        switched(bytes.fromhex("4881ec58020000") + SPILL + STATE),
        switched(bytes.fromhex("0fb68650010000")),  # behind the place for the result
        switched(PROBES + STATE),
        without_awaits(STATE + TEST),
        without_awaits(bytes.fromhex("53 807f1100")),  # cmp byte ptr [rdi + 0x11], 0
        without_awaits(bytes.fromhex("f3 0f 1e fa 53 f6471101")),  # test byte ptr [rdi + 0x11], 1
        # the third of the tests: test eax, eax; je; cmp eax, 3; je; cmp eax, 2; jne
        without_awaits(STATE + TEST + bytes.fromhex("7480 83f803 7480 83f802")),
    ],
)
def test_a_body_leads_to_its_panic_by_its_state_alone(begin: bytes) -> None:
    assert is_body({TEXT: begin})


@pytest.mark.parametrize(
    "begin",
    [
        # the byte is behind a pointer that the closure holds
        switched(bytes.fromhex("488b07 0fb64011")),
        switched(bytes.fromhex("488b07 4c8b30 410fb64611")),
        # another byte is tested before, or something else
        switched(bytes.fromhex("807f1800 7450") + STATE),
        switched(bytes.fromhex("488b07 4883f807 7450") + STATE),
        # something is done before: a store, a call
        switched(bytes.fromhex("c6471801") + STATE),
        switched(call(TEXT, OTHER) + STATE),
        # not by the state at all
        call(TEXT, RESUMED),
        lea(TEXT, DATA + 64) + call(TEXT + 7, RESUMED),
        b"\xc3",
        b"",
    ],
)
def test_a_closure_with_a_body_inside_is_none(begin: bytes) -> None:
    assert not is_body({TEXT: begin})


def test_the_panic_is_known_by_its_message_however_it_is_called() -> None:
    begin = without_awaits(STATE + TEST)
    slot = b"\xff\x15" + struct.pack("<i", SLOT - PANIC - 13)
    assert is_body({TEXT: begin, PANIC: lea(PANIC, DATA + 64) + slot})
    assert not is_body({TEXT: begin, PANIC: lea(PANIC, DATA + 64) + call(PANIC + 7, OTHER)})
    # as older compilers write it
    assert is_body({TEXT: begin, PANIC: lea(PANIC, DATA) + call(PANIC + 7, OTHER)})


def test_a_table_of_addresses() -> None:
    begin = STATE + b"\xff\x24\xc5" + struct.pack("<i", TABLE)
    rows = struct.pack("<4Q", TEXT + 0x60, PANIC, PANIC, TEXT + 0x60)
    assert is_body({TEXT: begin, TABLE: rows})


def test_nothing_is_read_beyond_the_function() -> None:
    begin = without_awaits(STATE + TEST)
    assert not is_body({TEXT: begin}, size=PANIC - TEXT)
    assert not is_body({TEXT: b"\xeb\xfe"})
    assert not is_body({TEXT: begin}, size=1 << 40)
    file = program({TEXT: begin}, [], []).elf
    assert not Coroutines(file, Locations(file)).is_body(1 << 60, SIZE)
    assert not Coroutines(file, Locations(file)).is_body(TEXT, 0)


def words(*begin: int) -> bytes:
    return struct.pack(f"<{len(begin)}I", *begin)


def page(target: int, at: int, register: int = 0) -> int:
    return 0x90000000 | ((target >> 12) - (at >> 12) & 3) << 29 | register


def branch(opcode: int, at: int, target: int) -> int:
    return opcode | (target - at) // 4 & 0x3FFFFFF


LEAF = (
    0xA9BE7BFD,  # stp x29, x30, [sp, #-32]!
    0xA9014FF4,  # stp x20, x19, [sp, #16]
    0x910003FD,  # mov x29, sp
    0x39404408,  # ldrb w8, [x0, #17]
    0xAA0003F3,  # mov x19, x0
    0x7100051F,  # cmp w8, #1
    0x5400012C,  # b.gt
    0x35000328,  # cbnz w8, PANIC
)


def aarch64_is_body(*begin: int) -> bool:
    panic = (
        page(DATA, PANIC),
        0x91010000,  # add x0, x0, #0x40
        branch(0x94000000, PANIC + 8, RESUMED),
    )
    resumed = (
        0xAA0003E2,  # mov x2, x0
        page(DATA, RESUMED + 4),
        0x91000000,  # add x0, x0, #0
        0x528008E1,  # mov w1, #0x47
        branch(0x94000000, RESUMED + 16, OTHER),
    )
    pieces = {TEXT: words(*begin), PANIC: words(*panic), RESUMED: words(*resumed)}
    return is_body(pieces, machine=183)


def test_aarch64() -> None:
    assert aarch64_is_body(*LEAF)
    byte_by_pointer = (0xF9400000, *LEAF[3:])  # ldr x0, [x0]
    assert not aarch64_is_body(*byte_by_pointer)
    store_before = (0x39006001, *LEAF[3:])  # strb w1, [x0, #24]
    assert not aarch64_is_body(*store_before)
    assert not aarch64_is_body(*LEAF[4:])


def test_a_jump_table_of_aarch64() -> None:
    # ldrb w8, [x0, #17]; adrp, add x9, TABLE; adr x10, .; ldrb w11, [x9, x8]
    # add x10, x10, x11, lsl #2; br x10
    begin = (0x39404408, page(TABLE, TEXT, 9), 0x91080129, 0x1000006A, 0x3868692B, 0x8B0B094A,
            0xD61F0140)  # fmt: skip
    base = TEXT + 24
    rows = bytes((TEXT + 0x60 - base) // 4 for _ in range(4))
    panics = bytes([*rows[:1], (PANIC - base) // 4, *rows[2:]])
    pieces = {
        TEXT: words(*begin),
        PANIC: words(page(DATA, PANIC), 0x91010000, branch(0x94000000, PANIC + 8, RESUMED)),
        RESUMED: words(0xAA0003E2, page(DATA, RESUMED + 4), 0x91000000, 0xD4200000),
        TEXT + 0x60: words(0xD65F03C0),  # ret
    }
    assert is_body({**pieces, TABLE: panics}, machine=183)
    assert not is_body({**pieces, TABLE: rows}, machine=183)


@settings(max_examples=400, deadline=None)
@given(st.binary(min_size=LONGEST, max_size=LONGEST))
def test_any_bytes_are_an_instruction_or_none(raw: bytes) -> None:
    for decode in (x86_64, aarch64):
        found = decode(raw, TEXT)
        assert found is None or 0 < found.size <= LONGEST


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([PUSHES, STATE, TEST, JUMP, b"\x75\xf0", b"\xeb\xf8", b"\x00"])))
def test_any_code_ends(pieces: list[bytes]) -> None:
    assert is_body({TEXT: b"".join(pieces)[:0x50]}) in (True, False)


# --------------------------------------------------------------------------- names

HASH = "17h0123456789abcdef"
BODY = f"_ZN3app5login28_$u7b$$u7b$closure$u7d$$u7d${HASH}E"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (BODY, True),
        (f"{BODY}.llvm.12345", True),
        ("_RNCNvCs12_3app5login0", True),
        ("_RINvNCNvCs12_3app5login04spinhE", False),
        (f"_ZN3app5login28_$u7b$$u7b$closure$u7d$$u7d$4spin{HASH}E", False),
        (f"_ZN4core3ptr45drop_in_place$LT$app..$u7b$$u7b$closure$u7d$$u7d$$GT${HASH}E", False),
        ("closure", False),
        ("SyNC", False),
    ],
)  # fmt: skip
def test_symbols_of_closures(raw: str, expected: bool) -> None:
    assert is_closure(raw) == expected


def test_a_body_without_debug_info_is_named_so() -> None:
    message = TEXT + 0x900
    begin = without_awaits(STATE + TEST)
    made = {
        TEXT: begin,
        PANIC: lea(PANIC, message + 64) + call(PANIC + 7, RESUMED),
        RESUMED: lea(RESUMED, message) + b"\x0f\x0b",
        message: b"`async fn` resumed after completion",
    }
    closure = BODY.replace("login", "logon")
    symbols = [Sym(BODY, TEXT, SIZE), Sym(closure, TEXT + SIZE, 0x40), Sym("main", RESUMED, 0x40)]
    module = Module(ElfFile(elf(symbol_sections(symbols), text=code(made))))
    frames = [describe("app", at, module.frames(at), {})[0] for at in (TEXT + 9, TEXT + SIZE)]
    assert [frame.function for frame in frames] == ["app::login::{async}", "app::logon::{closure}"]
    assert [frame.raw for frame in frames] == [BODY, closure]
    assert [module.kind(symbol) for symbol in module.defined(b"app|main")] == [ASYNC, "", ""]
