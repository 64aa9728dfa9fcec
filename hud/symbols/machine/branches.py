"""The call before a return address, and the stubs of the PLT.

A call leads to its ``target``, or through the slot there, which holds the address. Sources: Intel
SDM volume 2 (CALL, JMP); Arm ARM C6 (BL, B, BR).
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, NamedTuple

from hud.symbols.elf.file import EM_AARCH64, EM_X86_64

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_CALL = 6
"""Bytes before a return address that ``calls_before`` wants; fewer where there are none."""
LONGEST_STUB = 24

_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")


class Way(NamedTuple):
    """One call or jump."""

    at: int
    """Vaddr of the instruction."""
    target: int
    through: bool = False
    """The address is what the 8 bytes at ``target`` hold."""


class Machine(NamedTuple):
    """The readers for one instruction set."""

    calls_before: Callable[[bytes, int], list[Way]]
    """Of the code right before a return address, and that: what the call may be, best first.
    Indirect calls are none."""
    stub: Callable[[bytes, int], int]
    """Of LONGEST_STUB bytes of code, and where they are: the slot; 0 = it is no stub."""
    trampoline: bytes
    """What returns from a signal handler begins with."""


# --------------------------------------------------------------------------- x86_64

_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_BND = b"\xf2"


def _calls_x86(code: bytes, pc: int) -> list[Way]:
    found = []
    if code[-5:-4] == b"\xe8":
        found.append(Way(pc - 5, pc + _I32.unpack(code[-4:])[0]))
    if code[-6:-4] == b"\xff\x15":
        found.append(Way(pc - 6, pc + _I32.unpack(code[-4:])[0], through=True))
    return found


def _stub_x86(code: bytes, pc: int) -> int:
    at = len(_ENDBR64) if code.startswith(_ENDBR64) else 0
    at += code.startswith(_BND, at)
    if code[at : at + 2] != b"\xff\x25" or len(code) < at + 6:
        return 0
    return pc + at + 6 + int(_I32.unpack_from(code, at + 2)[0])


# --------------------------------------------------------------------------- aarch64


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _calls_aarch64(code: bytes, pc: int) -> list[Way]:
    word = _U32.unpack(code[-4:])[0] if len(code) >= 4 else 0
    if word & 0xFC000000 != 0x94000000:
        return []
    return [Way(pc - 4, pc - 4 + 4 * _signed(word & 0x3FFFFFF, 26))]


def _stub_aarch64(code: bytes, pc: int) -> int:
    """ADRP X16; LDR X17, [X16, ..]; ADD X16, ..; BR X17; BTI C may come first."""
    words = array("I", code[: len(code) // 4 * 4])
    first = 1 if words and words[0] == 0xD503245F else 0
    if len(words) < first + 4:
        return 0
    page, load, _, jump = words[first : first + 4]
    if page & 0x9F00001F != 0x90000010 or load & 0xFFC003FF != 0xF9400211 or jump != 0xD61F0220:
        return 0
    distance = _signed(page >> 3 & 0x1FFFFC | page >> 29 & 3, 21) << 12
    return (pc + 4 * first & ~0xFFF) + distance + 8 * (load >> 10 & 0xFFF)


MACHINES = {
    EM_X86_64: Machine(_calls_x86, _stub_x86, b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05"),
    EM_AARCH64: Machine(_calls_aarch64, _stub_aarch64, b"\x68\x11\x80\xd2\x01\x00\x00\xd4"),
}
"""By the machine of an ELF file."""
