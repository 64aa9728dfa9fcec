"""How machine code goes from one function to another: the call before a return address, the jumps
out of a function.

Terms: a *way* is one such instruction; it leads to its *target*, or *through* the slot there, which
holds the address. A *stub* is code of the PLT that jumps through a slot. A function is *open* where
an indirect jump leaves it, and nothing in its bytes tells where to.

Bytes are taken for a way by patterns, without knowing where instructions begin: callers believe
only what leads to where a function begins. Short jumps are left out: nearly all that seem to leave
a function are none. Sources: Intel SDM volume 2 (CALL, JMP, Jcc); Arm ARM C6 (BL, B, BR).
"""

from __future__ import annotations

import re
import struct
from array import array
from typing import TYPE_CHECKING, NamedTuple

from hud.symbols.elf import EM_AARCH64, EM_X86_64

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


class Exits(NamedTuple):
    """The jumps of one function."""

    ways: list[Way]
    """Those that seem to lead out of it, by address."""
    is_open: bool


class Machine(NamedTuple):
    """The readers for one instruction set."""

    calls_before: Callable[[bytes, int], list[Way]]
    """Of the code right before a return address, and that: what the call may be, best first.
    Indirect calls are none."""
    exits: Callable[[bytes, int], Exits]
    """Of a function's code, and where that begins."""
    stub: Callable[[bytes, int], int]
    """Of LONGEST_STUB bytes of code, and where they are: the slot; 0 = it is no stub."""
    trampoline: bytes
    """What returns from a signal handler begins with."""


# --------------------------------------------------------------------------- x86_64

_JUMP = re.compile(rb"\xe9|\x0f[\x80-\x8f]|\xff\x25")
_INDIRECT = re.compile(
    rb"\xff(?:[\xe0-\xe7\x20-\x23\x26\x27\x60-\x63\x65-\x67\xa0-\xa3\xa5-\xa7]|[\x24\x64\xa4].)",
    re.DOTALL,
)
_SWITCH = re.compile(rb"[\x48-\x4f]\x63.{2,12}?[\x48-\x4f][\x01\x03].", re.DOTALL)
"""MOVSXD and ADD: a row of a table of offsets, and where the table is."""
SWITCH_DISTANCE = 24
"""Bytes from there to the jump, at most."""
_TAKES_MODRM = b"\x01\x03\x29\x2b\x31\x33\x39\x3b\x63\x81\x83\x85\x89\x8b\x8d\xff"
"""Instructions that are often seen with an operand that begins with or is 0xff."""
_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_BND = b"\xf2"


def _calls_x86(code: bytes, pc: int) -> list[Way]:
    found = []
    if code[-5:-4] == b"\xe8":
        found.append(Way(pc - 5, pc + _I32.unpack(code[-4:])[0]))
    if code[-6:-4] == b"\xff\x15":
        found.append(Way(pc - 6, pc + _I32.unpack(code[-4:])[0], through=True))
    return found


def _exits_x86(code: bytes, start: int) -> Exits:
    ways = []
    for match in _JUMP.finditer(code):
        at = match.end()
        if at + 4 <= len(code):
            target = at + 4 + _I32.unpack_from(code, at)[0]
            through = match[0] == b"\xff\x25"
            if through or not 0 <= target < len(code):
                ways.append(Way(start + match.start(), start + target, through))
    return Exits(ways, any(_leaves(code, match) for match in _INDIRECT.finditer(code)))


def _leaves(code: bytes, match: re.Match[bytes]) -> bool:
    """Is it an indirect jump, and no ``switch``'s?"""
    at = match.start()
    if match.end() > len(code) or _is_operand(code[max(at - 5, 0) : at].rjust(5, b"\x90")):
        return False
    if match[0][1] & 0xF8 == 0xE0:
        return _SWITCH.search(code, max(at - SWITCH_DISTANCE, 0), at) is None
    # the other kind of switch: a table of addresses, at an absolute one
    return not (match[0][1] == 0x24 and match[0][2] & 7 == 5)


def _is_operand(before: bytes) -> bool:
    """Is a 0xff no instruction, by the five bytes before it?

    It may be a register as an operand (XOR EDI, EDI), the first or last byte of a displacement
    (CALL, JMP, Jcc, relative to RIP), or in the middle of a constant.
    """
    five, four, _, two, one = before
    near = four in (0xE8, 0xE9) or one in (0xE8, 0xE9) or (five == 0x0F and four & 0xF0 == 0x80)
    relative = four & 0xC7 == 5 or (one & 0xC7 == 5 and two in _TAKES_MODRM)
    return near or relative or one == 0xFF or one in _TAKES_MODRM


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


def _exits_aarch64(code: bytes, start: int) -> Exits:
    """Conditional branches never leave a function."""
    ways = []
    is_open = False
    before = 0
    for index, word in enumerate(array("I", code[: len(code) // 4 * 4])):
        if word & 0xFC000000 == 0x14000000:
            target = 4 * (index + _signed(word & 0x3FFFFFF, 26))
            if not 0 <= target < len(code):
                ways.append(Way(start + 4 * index, start + target))
        elif word & 0xFFFFFC1F == 0xD61F0000:  # BR; of a switch right after the ADD of its register
            register = word >> 5 & 31
            is_open |= before & 0x7F00001F != 0x0B000000 | register
        before = word
    return Exits(ways, is_open)


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
    EM_X86_64: Machine(_calls_x86, _exits_x86, _stub_x86, b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05"),
    EM_AARCH64: Machine(
        _calls_aarch64, _exits_aarch64, _stub_aarch64, b"\x68\x11\x80\xd2\x01\x00\x00\xd4"
    ),
}
"""By the machine of an ELF file."""
