"""Calls before a return address and stubs of the PLT, in both instruction sets."""

from __future__ import annotations

import struct

import pytest

from hud.symbols.elf.file import EM_AARCH64, EM_X86_64
from hud.symbols.machine.branches import LONGEST_CALL, LONGEST_STUB, MACHINES, Way

X86, ARM = MACHINES[EM_X86_64], MACHINES[EM_AARCH64]
PC = 0x401000


def words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def test_a_direct_call() -> None:
    code = b"\x90\xe8" + struct.pack("<i", -0x100)
    assert X86.calls_before(code, PC) == [Way(PC - 5, PC - 0x100)]
    assert ARM.calls_before(words(0, 0x97FFFFFF), PC) == [Way(PC - 4, PC - 8)]
    assert ARM.calls_before(words(0x94000010), PC) == [Way(PC - 4, PC - 4 + 0x40)]


def test_a_call_through_the_got_may_also_be_read_as_a_direct_one() -> None:
    code = b"\xff\x15" + struct.pack("<i", 0x2000)
    assert X86.calls_before(code, PC) == [Way(PC - 6, PC + 0x2000, through=True)]
    both = b"\xff\x15" + b"\xe8\x01\x00\x00"  # the last four bytes are the distance of either
    assert [way.through for way in X86.calls_before(both, PC)] == [True]


@pytest.mark.parametrize("machine", [X86, ARM])
def test_no_call(machine: object) -> None:
    for code in (b"", b"\x90" * LONGEST_CALL, b"\xff\xd0", words(0xD65F03C0)):
        assert machine.calls_before(code, PC) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("before", [b"", b"\xf3\x0f\x1e\xfa", b"\xf2", b"\xf3\x0f\x1e\xfa\xf2"])
def test_a_stub_of_x86(before: bytes) -> None:
    code = before + b"\xff\x25" + struct.pack("<i", 0x30)
    assert X86.stub(code.ljust(LONGEST_STUB, b"\x90"), PC) == PC + len(code) + 0x30
    assert X86.stub(code[:-1], PC) == 0
    assert X86.stub(b"\x90" + code, PC) == 0


@pytest.mark.parametrize("before", [(), (0xD503245F,)])
def test_a_stub_of_aarch64(before: tuple[int, ...]) -> None:
    """adrp x16, #0x10000; ldr x17, [x16, #24]; add x16, x16, #24; br x17."""
    code = words(*before, 0x90000090, 0xF9400E11, 0x91006210, 0xD61F0220)
    assert ARM.stub(code, PC) == (PC & ~0xFFF) + 0x10000 + 24
    assert ARM.stub(code[:-4], PC) == 0
    assert ARM.stub(code[:-4] + words(0xD61F0200), PC) == 0
