"""The functions that calls and jumps lead to."""

from __future__ import annotations

import struct

import pytest

from hud.errors import FormatError
from hud.symbols.elf.file import EM_AARCH64, EM_X86_64
from hud.symbols.machine import reach
from hud.symbols.machine.reach import Reach

SIZE = 0x20
SLOT = 0x9000


class Program:
    """Functions of SIZE bytes at each multiple of 0x100."""

    def __init__(self, machine: int, code: dict[int, bytes]) -> None:
        self.machine_id = machine
        self.code = {start: body.ljust(SIZE, b"\x90") for start, body in code.items()}
        self.slots = {SLOT: 0x400}

    def read(self, vaddr: int, size: int) -> bytes:
        if vaddr not in self.code:
            raise FormatError("no code")
        return self.code[vaddr][:size]

    def bounds(self, vaddr: int) -> tuple[int, int] | None:
        start = vaddr & ~0xFF
        return (start, SIZE) if start in self.code and vaddr < start + SIZE else None

    def reached(self, start: int, depth: int) -> dict[int, int]:
        found = Reach(self, lambda slot: self.slots.get(slot, 0), self.bounds)  # type: ignore[arg-type]
        return found.of(start, depth)


def call(at: int, target: int, opcode: bytes = b"\xe8") -> bytes:
    return opcode + struct.pack("<i", target - at - len(opcode) - 4)


def branch(at: int, target: int) -> bytes:
    return struct.pack("<I", 0x94000000 | (target - at) // 4 & 0x3FFFFFF)


def test_calls_jumps_and_the_got() -> None:
    program = Program(
        EM_X86_64,
        {
            0x100: call(0x100, 0x200) + call(0x105, 0x300, b"\xe9"),
            0x200: call(0x200, SLOT, b"\xff\x15"),
            0x300: call(0x300, 0x100),
            0x400: call(0x400, 0x500),
            0x500: b"",
        },
    )
    assert program.reached(0x100, 0) == {0x100: 0}
    assert program.reached(0x100, 1) == {0x100: 0, 0x200: 1, 0x300: 1}
    assert program.reached(0x100, 9) == {0x100: 0, 0x200: 1, 0x300: 1, 0x400: 2, 0x500: 3}


def test_only_where_a_function_begins_counts() -> None:
    program = Program(EM_X86_64, {0x100: call(0x100, 0x204) + call(0x105, 0x108), 0x200: b""})
    assert program.reached(0x100, 3) == {0x100: 0}


def test_aarch64() -> None:
    code = {0x100: branch(0x100, 0x300) + branch(0x104, 0x200), 0x200: b"", 0x300: b""}
    code[0x200] = branch(0x200, 0x100)
    assert Program(EM_AARCH64, code).reached(0x100, 2) == {0x100: 0, 0x300: 1, 0x200: 1}


def test_what_cannot_be_read_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(EM_X86_64, {0x100: call(0x100, 0x200), 0x200: call(0x200, 0x300), 0x300: b""})
    monkeypatch.setattr(reach, "FUNCTION_LIMIT", 2)
    assert program.reached(0x100, 5) == {0x100: 0, 0x200: 1}
    program.machine_id = 8
    assert program.reached(0x100, 5) == {0x100: 0}
