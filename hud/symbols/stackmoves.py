"""What an instruction of x86_64 does to the stack pointer, the frame pointer and the way.

Terms: a *move* is one such instruction, MOVES says which there are; all others are PLAIN, and only
their length counts. One pattern tells lengths and moves, so that a megabyte takes half a second.

Source: Intel SDM volume 2, chapter 2 (prefixes, ModRM, SIB, VEX, EVEX) and appendix A.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from typing import NamedTuple

LONGEST = 15

# The names of groups in the pattern.
PLAIN = "plain"
PUSH, POP, PUSH_FP, POP_FP = "push", "pop", "push_fp", "pop_fp"
ADD, LEA_SP, LEA_FP, SP_FROM_FP = "add", "lea_sp", "lea_fp", "sp_from_fp"
"""sp += value; sp = sp + value; fp = sp + value; sp = fp + value."""
LEAVE, LOST, ZERO_FP = "leave", "lost", "zero_fp"
"""LOST: sp is something that cannot be known."""
CALL, CALL_ANY, BRANCH, JUMP, JUMP_ANY, RET, STOP = (
    *("call", "call_any", "branch", "jump", "jump_any"),
    *("ret", "stop"),
)
"""CALL, BRANCH and JUMP: ``value`` is the target; ``_ANY``: by a register or memory."""


class Move(NamedTuple):
    kind: str
    size: int
    value: int


_I8, _I32 = struct.Struct("<b"), struct.Struct("<i")


def _any_of(*values: int) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % value for value in sorted(set(values))) + b"]"


def _modrm(*registers: int, only_register: bool = False) -> bytes:
    """A ModRM byte with one of these in its middle, SIB and displacement included."""
    rows: dict[bytes, list[int]] = {}
    base_5 = _any_of(*(sib for sib in range(256) if sib & 7 == 5))
    other = _any_of(*(sib for sib in range(256) if sib & 7 != 5))
    for byte in range(256):
        mode, register, low = byte >> 6, byte >> 3 & 7, byte & 7
        if register not in (registers or range(8)) or (only_register and mode != 3):
            continue
        if mode == 3:
            more = b""
        elif low == 4:
            more = {0: b"(?:%b|%b.{4})" % (other, base_5), 1: b"..", 2: b".{5}"}[mode]
        else:
            more = {0: b".{4}" if low == 5 else b"", 1: b".", 2: b".{4}"}[mode]
        rows.setdefault(more, []).append(byte)
    return b"(?:" + b"|".join(_any_of(*found) + more for more, found in rows.items()) + b")"


def _one_of(*choices: bytes) -> bytes:
    return b"(?:" + b"|".join(choices) + b")"


_OTHER_PREFIX = _any_of(0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x67, 0xF0, 0xF2, 0xF3)
_REX, _REX_W = rb"[\x40-\x4f]?", rb"[\x48-\x4f]"
_ALU = [row + column for row in range(0, 0x40, 8) for column in range(4)]
_M = _modrm()
_WITH_IMM8 = (0x70, 0x71, 0x72, 0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6)
"""Of the opcodes behind 0F, and in VEX and EVEX map 1."""
_NO_MODRM = (0x05, 0x06, 0x07, 0x08, 0x09, 0x0E, *range(0x30, 0x38), 0x77, *range(0xA0, 0xA3),
             *range(0xA8, 0xAB), *range(0xC8, 0xD0))  # fmt: skip
_NOT_PLAIN = (0x0B, 0x38, 0x3A, *range(0x80, 0x90))
_MAP_1 = _one_of(
    _any_of(*_WITH_IMM8) + _M + b".",
    _any_of(*(set(range(256)) - set(_WITH_IMM8) - {0x77})) + _M,
    rb"\x77",
)
_PLAIN_0F = _one_of(
    _any_of(*_NO_MODRM),
    _any_of(*_WITH_IMM8) + _M + b".",
    rb"\x38." + _M,
    rb"\x3a." + _M + b".",
    _any_of(*(set(range(256)) - set(_NO_MODRM) - set(_WITH_IMM8) - set(_NOT_PLAIN))) + _M,
)
_PLAIN_OPCODE = _one_of(
    _any_of(*_ALU, 0x63, *range(0x84, 0x8F), *range(0xD0, 0xD4), *range(0xD8, 0xE0)) + _M,
    _any_of(*range(0x90, 0x9C), 0x9E, 0x9F, *range(0xA4, 0xA8), *range(0xAA, 0xB0), 0xD7,
            *range(0xEC, 0xF0), 0xF5, *range(0xF8, 0xFE)),
    _any_of(*range(0x04, 0x40, 8), 0xA8, *range(0xB0, 0xB8), 0xCD, *range(0xE4, 0xE8)) + b".",
    _any_of(0x6B, 0x80, 0x83, 0xC0, 0xC1) + _M + b".",
    rb"\xc6" + _modrm(0) + b".",
    rb"\xc6\xf8.",
    rb"\xc7\xf8.{4}",
    rb"\xf6" + _one_of(_modrm(0, 1) + b".", _modrm(*range(2, 8))),
    rb"\xf7" + _modrm(*range(2, 8)),
    rb"\xfe" + _modrm(0, 1),
    rb"\xff" + _modrm(0, 1),
    rb"[\xa0-\xa3].{8}",
    rb"\x0f" + _PLAIN_0F,
)  # fmt: skip
_IMMEDIATE = _one_of(
    _any_of(*range(0x05, 0x40, 8), 0xA9, *range(0xB8, 0xC0)),
    _any_of(0x69, 0x81) + _M,
    _any_of(0xC7) + _modrm(0),
    _any_of(0xF7) + _modrm(0, 1),
)
_VEX = _one_of(
    rb"\xc5." + _MAP_1,
    rb"\xc4[\x01\x21\x41\x61\x81\xa1\xc1\xe1]." + _MAP_1,
    rb"\xc4[\x02\x22\x42\x62\x82\xa2\xc2\xe2].." + _M,
    rb"\xc4[\x03\x23\x43\x63\x83\xa3\xc3\xe3].." + _M + b".",
    rb"\x62" + _any_of(*(b for b in range(256) if b & 7 == 1)) + b".." + _MAP_1,
    rb"\x62" + _any_of(*(b for b in range(256) if b & 7 in (2, 5, 6))) + b"..." + _M,
    rb"\x62" + _any_of(*(b for b in range(256) if b & 7 == 3)) + b"..." + _M + b".",
)
_PLAIN_ONE = _one_of(
    _VEX,
    rb"[\x48-\x4f][\xb8-\xbf].{8}",
    b"%b*" % _OTHER_PREFIX + _REX + _one_of(_PLAIN_OPCODE, _IMMEDIATE + b".{4}"),
    b"%b*" % _OTHER_PREFIX + rb"\x66(?:\x66|%b)*" % _OTHER_PREFIX + _REX
    + _one_of(_PLAIN_OPCODE, _IMMEDIATE + b".{2}"),
)  # fmt: skip
_ON_SP = _any_of(*(byte for byte in range(0xC0, 0x100) if byte & 7 == 4))
_TO_SP = (
    rb"[\x48-\x4b]"
    + _any_of(0x03, 0x0B, 0x13, 0x1B, 0x23, 0x2B, 0x33, 0x63, 0x87, 0x8B, 0x8D)
    + _modrm(4)
)
_ON_SP_OPCODES = _any_of(0x01, 0x09, 0x11, 0x19, 0x21, 0x29, 0x31, 0x87, 0x89)
_MOVES = (
    (PUSH_FP, rb"\x55"),
    (POP_FP, rb"\x5d"),
    (PUSH, rb"\x41?[\x50-\x57]|\x68.{4}|\x6a.|\x9c|[\x40-\x4f]?\xff" + _modrm(6)),
    (POP, rb"\x41[\x58-\x5f]|[\x58-\x5b\x5e\x5f]|\x9d|[\x40-\x4f]?\x8f" + _modrm(0)),
    (ADD, rb"\x48(?:\x83[\xec\xc4].|\x81[\xec\xc4].{4})"),
    (LEA_SP, rb"\x48\x8d(?:\x64\x24.|\xa4\x24.{4})"),
    (LEA_FP, rb"\x48(?:\x89\xe5|\x8b\xec|\x8d(?:\x6c\x24.|\xac\x24.{4}))"),
    (SP_FROM_FP, rb"\x48(?:\x89\xec|\x8b\xe5|\x8d(?:\x65.|\xa5.{4}))"),
    (LEAVE, rb"\xc9"),
    (ZERO_FP, rb"\x48?[\x31\x33]\xed"),
    (LOST, rb"\x5c|\xc8.{3}|\x48\x94|\x48(?:\x83\xe4.|\x81\xe4.{4})|" + _TO_SP
     + rb"|[\x48\x4c]" + _ON_SP_OPCODES + _ON_SP),
    (CALL, rb"[\x66\xf2]*[\x40-\x4f]?\xe8.{4}"),
    (CALL_ANY, rb"[\xf2\x3e]*[\x40-\x4f]?\xff" + _modrm(2)),
    (BRANCH, rb"[\x2e\x3e\xf2]?(?:[\x70-\x7f\xe0-\xe3].|\x0f[\x80-\x8f].{4})"),
    (JUMP, rb"\xf2?(?:\xeb.|\xe9.{4})"),
    (JUMP_ANY, rb"[\xf2\x3e]*[\x40-\x4f]?\xff" + _modrm(4)),
    (RET, rb"[\xf2\xf3]?(?:\xc3|\xc2..)"),
    (STOP, rb"\xf4|\x0f\x0b|\xcc"),
    (PLAIN, _PLAIN_ONE),
)  # fmt: skip


@cache
def _pattern() -> re.Pattern[bytes]:
    """Made when it is needed: that takes longer than to read a small library."""
    groups = (b"(?P<%b>%b)" % (name.encode(), pattern) for name, pattern in _MOVES)
    return re.compile(b"|".join(groups), re.DOTALL)


def move_at(code: bytes, at: int) -> Move | None:
    """The instruction at an offset; None where there is none, or one that is not known.

    ``value`` of CALL, BRANCH and JUMP is an offset too.
    """
    match = _pattern().match(code, at)
    if match is None:
        return None
    kind, end = match.lastgroup or PLAIN, match.end()
    return Move(kind, end - at, 0 if kind in _NO_VALUE else _value(kind, code, at, end))


_NOP = re.compile(rb"[\x66\x2e]*(?:\x90|[\x40-\x4f]?\x0f\x1f.*)|\xcc", re.DOTALL)


def is_padding(code: bytes, at: int, move: Move) -> bool:
    """Does nothing, as linkers and compilers put between functions."""
    return _NOP.fullmatch(code, at, at + move.size) is not None


_NO_VALUE = frozenset((PLAIN, PUSH, POP, PUSH_FP, POP_FP, LEAVE, ZERO_FP, LOST, CALL_ANY, JUMP_ANY,
                       RET, STOP))  # fmt: skip


def _value(kind: str, code: bytes, at: int, end: int) -> int:
    """The displacement or immediate that the instruction ends with."""
    flows = kind in (CALL, BRANCH, JUMP)
    if not flows and end - at == 3:
        return 0
    short = end - at <= (3 if flows else 5)
    value: int = (_I8 if short else _I32).unpack_from(code, end - (1 if short else 4))[0]
    if flows:
        return end + value
    return -value if kind == ADD and code[at + 2] == 0xEC else value
