"""Walks over rules and memory that the test makes up, as with a thread that sleeps."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.probe.prologue import ends_in_call, frame_bytes
from hud.probe.walk import NO_MODULE, NO_POINTER, NO_RULE, TOO_DEEP, UNREADABLE, walk
from hud.probe.wire import MAX_FRAMES

SP, FP, END, PLT, SIGNAL, DEREF = 1, 2, 3, 4, 5, 9
PC, STACK = 0x5000, 0x7000
U64 = (1 << 64) - 1


def rule(kind: int, offset: int = 0, slot: int = 0) -> int:
    return kind | offset // 8 << 4 | slot << 20


class Rules:
    """By exact address."""

    def __init__(self, rules: Mapping[int, int], frames: Mapping[int, int] | None = None) -> None:
        self.rules = rules
        self.frames = frames or {}

    def rule_at(self, pc: int) -> int | None:
        return self.rules.get(pc)

    def frame_set_at(self, pc: int) -> int | None:
        return self.frames.get(pc)


class Memory:
    def __init__(self, words: Mapping[int, int], code: Mapping[int, bytes] | None = None) -> None:
        self.words = words
        self.code = code or {}

    def read(self, address: int, size: int) -> bytes:
        for start, data in self.code.items():
            if start <= address < start + len(data):
                return data[address - start :][:size]
        word = self.words.get(address)
        return b"" if word is None or size != 8 else struct.pack("<Q", word)


def test_from_sp_to_the_begin_of_the_thread() -> None:
    """The byte before a return address is looked up, of the innermost pc itself."""
    rules = Rules({PC: rule(SP, 16), 0x5FFF: rule(SP, 8), 0x60FF: END})
    memory = Memory({STACK + 8: 0x6000, STACK + 16: 0x6100})
    assert walk(PC, STACK, rules, memory.read) == ((PC, 0x6000, 0x6100), "")


def test_a_return_address_of_zero_is_the_end() -> None:
    memory = Memory({STACK: 0})
    assert walk(PC, STACK, Rules({PC: rule(SP, 8)}), memory.read) == ((PC,), "")


def test_a_frame_pointer_that_an_inner_frame_saved() -> None:
    rules = Rules({PC: rule(SP, 24, slot=2), 0x5FFF: rule(FP, 16, slot=2), 0x60FF: END})
    memory = Memory({STACK + 16: 0x6000, STACK + 8: 0x7100, 0x7108: 0x6100, 0x7100: 0})
    assert walk(PC, STACK, rules, memory.read) == ((PC, 0x6000, 0x6100), "")


def test_a_frame_pointer_that_nobody_saved() -> None:
    rules = Rules({PC: rule(SP, 8), 0x5FFF: rule(FP, 16), 0x60FF: END})
    memory = Memory({STACK: 0x6000, 0x7108: 0x6100})
    assert walk(PC, STACK, rules, memory.read) == ((PC, 0x6000), NO_POINTER)
    assert walk(PC, STACK, rules, memory.read, fp=0x7100) == ((PC, 0x6000, 0x6100), "")


BODY = b"\x41\x57\x53\x48\x83\xec\x20" + b"\x90" * 40  # push r15; push rbx; sub rsp, 32
CALL = b"\xe8\0\0\0\0"


@pytest.mark.parametrize(
    ("code", "call", "stop"),
    [
        (BODY, CALL, ""),
        (BODY, b"\x90" * 5, NO_POINTER),  # no return address is where the code says
        (b"\x48\x83\xe4\xe0" + BODY, CALL, NO_POINTER),  # and rsp, -32
    ],
)
def test_a_frame_pointer_by_the_code_that_set_it(code: bytes, call: bytes, stop: str) -> None:
    rules = Rules(
        {PC: rule(SP, 8), 0x6013: rule(FP, 16, slot=2), 0x60FF: END}, frames={0x6013: 0x6004}
    )
    frame = STACK + 8 + 16 + 32
    memory = Memory(
        {STACK: 0x6014, frame: 7, frame + 8: 0x6100}, {0x6004: code, 0x60F9: b"\x90\x90" + call}
    )
    found = walk(PC, STACK, rules, memory.read)
    assert found == ((PC, 0x6014) + ((0x6100,) if not stop else ()), stop)


def test_plt_and_dereference() -> None:
    rules = Rules({0x500C: rule(PLT) | 11 << 4, 0x5FFF: rule(DEREF, 8), 0x60FF: END})
    memory = Memory({STACK + 8: 0x6000, STACK + 24: 0x7200, 0x7200: 0x6100})
    assert walk(0x500C, STACK, rules, memory.read) == ((0x500C, 0x6000, 0x6100), "")


def test_a_signal_frame_tells_all_registers() -> None:
    """The pc that a signal interrupted is no return address."""
    words = {STACK + 40 + 128: 0x6000, STACK + 40 + 120: 0x7400, STACK + 40 + 80: 0x7500}
    rules = Rules({PC: SIGNAL, 0x6000: rule(FP, 16), 0x60FF: END})
    memory = Memory(words | {0x7508: 0x6100})
    assert walk(PC, STACK, rules, memory.read) == ((PC, 0x6000, 0x6100), "")


@pytest.mark.parametrize(
    ("known", "stop"),
    [({}, NO_MODULE), ({PC: 0}, NO_RULE), ({PC: 6}, NO_RULE), ({PC: rule(SP, 8)}, UNREADABLE)],
)
def test_why_it_stops(known: dict[int, int], stop: str) -> None:
    assert walk(PC, STACK, Rules(known), Memory({}).read) == ((PC,), stop)


class Anywhere:
    """Every address has the same rule."""

    def __init__(self, one: int | None, frame: int | None = None) -> None:
        self.one, self.frame = one, frame

    def rule_at(self, _pc: int) -> int | None:
        return self.one

    def frame_set_at(self, _pc: int) -> int | None:
        return self.frame


def test_a_loop_has_an_end() -> None:
    found = walk(PC, STACK, Anywhere(rule(DEREF)), lambda _a, _s: struct.pack("<Q", STACK))
    assert (len(found.addresses), found.stop) == (MAX_FRAMES, TOO_DEEP)


@settings(max_examples=300, deadline=None)
@given(
    pc=st.integers(0, U64),
    sp=st.integers(0, U64),
    one=st.none() | st.integers(0, (1 << 32) - 1),
    frame=st.none() | st.integers(0, U64),
    data=st.data(),
)
def test_hostile_memory(
    pc: int, sp: int, one: int | None, frame: int | None, data: st.DataObject
) -> None:
    pool = data.draw(st.lists(st.binary(max_size=40), min_size=1, max_size=8))
    asked: list[int] = []

    def read(address: int, size: int) -> bytes:
        assert 0 <= address <= U64
        asked.append(address)
        return pool[address % len(pool)][:size]

    found = walk(pc, sp, Anywhere(one, frame), read)
    assert len(found.addresses) <= MAX_FRAMES
    assert all(0 < address <= U64 for address in found.addresses)
    assert len(asked) <= 4 * MAX_FRAMES


@pytest.mark.parametrize(
    ("code", "size"),
    [
        ("48 81 ec 10 01 00 00 90", 0x110),
        ("41 57 41 56 41 55 41 54 53 50 90", 48),  # push rax makes room, too
        ("48 83 ec 80 90", None),  # minus 128
        ("90 90", None),
        ("53", None),  # cut off
        ("", None),
    ],
)
def test_prologues(code: str, size: int | None) -> None:
    assert frame_bytes(bytes.fromhex(code)) == size


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("90 90 e8 01 02 03 04", True),
        ("90 ff 15 01 02 03 04", True),  # call [rip + ...]
        ("90 90 90 90 41 ff d7", True),  # call r15
        ("90 90 90 90 90 ff d0", True),
        ("90 90 90 90 ff 50 18", True),  # call [rax + 24]
        ("41 ff 94 24 00 01 00 00", True),
        ("90 90 90 90 90 ff e0", False),  # jmp rax
        ("90 90 90 90 90 ff 15", False),
        ("e9 01 02 03 04 90 90", False),
        ("", False),
    ],
)
def test_calls(code: str, call: bool) -> None:
    assert ends_in_call(bytes.fromhex(code)) is call
