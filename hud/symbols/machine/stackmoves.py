"""What an instruction of x86_64 does to the stack pointer, the frame pointer and the control flow.

All others are PLAIN, and only their length counts.

Not capstone, which took three times as long for one instruction at a time (9 us against 3; libc's
code), needs 13 MB and 0.05 s of CPU to be imported, and tells what it does as text.

Source: Intel SDM volume 2.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from hud.symbols.machine.lengths import shape

if TYPE_CHECKING:
    from collections.abc import Callable

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
_UNKNOWN = ""


class Move(NamedTuple):
    kind: str
    size: int
    value: int


def move_at(code: bytes, at: int) -> Move | None:
    """The instruction at an offset; None where there is none, or one that is not known.

    ``value`` of CALL, BRANCH and JUMP is an offset too.
    """
    try:
        size, opcode, modrm = shape(code, at)
    except IndexError:
        return None
    if not size or at + size > len(code):
        return None
    read = _READERS.get(opcode)
    if read is None:
        return Move(PLAIN, size, 0)
    kind, value = read(code, at, at + size, modrm)
    return Move(kind, size, value) if kind else None


_NOP = re.compile(rb"[\x66\x2e]*(?:\x90|[\x40-\x4f]?\x0f\x1f.*)|\xcc", re.DOTALL)


def is_padding(code: bytes, at: int, move: Move) -> bool:
    """Does nothing, as linkers and compilers put between functions."""
    return _NOP.fullmatch(code, at, at + move.size) is not None


_I8, _I32 = struct.Struct("<b"), struct.Struct("<i")
_SP, _FP = 4, 5
_BY_SP = 0x24
"""The SIB byte of an address at a distance from the stack pointer."""


def _signed(code: bytes, end: int, *, short: bool) -> int:
    """The displacement or immediate that an instruction ends with."""
    value: int = (_I8 if short else _I32).unpack_from(code, end - (1 if short else 4))[0]
    return value


def _rex(code: bytes, at: int, modrm: int) -> int:
    """The REX prefix of an instruction with an opcode of one byte, 0 = none; -1 where it has other
    prefixes."""
    if modrm == at + 1:
        return 0
    return code[at] if modrm == at + 2 and code[at] & 0xF0 == 0x40 else -1


def _fixed(kind: str, size: int) -> Callable[[bytes, int, int, int], tuple[str, int]]:
    """An instruction that has no operands that matter; with prefixes it is another."""
    return lambda code, at, end, modrm: (kind if end - at == size else _UNKNOWN, 0)  # noqa: ARG005


def _any(kind: str) -> Callable[[bytes, int, int, int], tuple[str, int]]:
    return lambda code, at, end, modrm: (kind, 0)  # noqa: ARG005


def _relative(kind: str, size: int) -> Callable[[bytes, int, int, int], tuple[str, int]]:
    """To a distance of so many bytes, whatever prefixes there are."""
    return lambda code, at, end, modrm: (kind, end + _signed(code, end, short=size == 1))  # noqa: ARG005


def _push(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:  # noqa: ARG001
    if end - at == 1:
        return PUSH_FP if code[at] & 7 == _FP else PUSH, 0
    return PUSH if end - at == 2 and code[at] == 0x41 else _UNKNOWN, 0


def _pop(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:  # noqa: ARG001
    if end - at == 1:
        return {_SP: LOST, _FP: POP_FP}.get(code[at] & 7, POP), 0
    return POP if end - at == 2 and code[at] == 0x41 else _UNKNOWN, 0


def _immediate(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:
    """ADD, SUB and AND of the stack pointer and a constant."""
    if _rex(code, at, modrm) != 0x48 or code[modrm] not in (0xC4, 0xEC, 0xE4):
        return PLAIN, 0
    if code[modrm] == 0xE4:
        return LOST, 0
    value = _signed(code, end, short=end == modrm + 2)
    return ADD, -value if code[modrm] == 0xEC else value


def _lea(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:
    byte = code[modrm]
    mode, register, base = byte >> 6, byte >> 3 & 7, byte & 7
    if mode in (1, 2) and _rex(code, at, modrm) == 0x48:
        if base == 4 and code[modrm + 1] == _BY_SP and register in (_SP, _FP):
            return LEA_SP if register == _SP else LEA_FP, _signed(code, end, short=mode == 1)
        if register == _SP and base == _FP:
            return SP_FROM_FP, _signed(code, end, short=mode == 1)
    return _to_register(code, at, end, modrm)


def _mov(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:
    """MOV between registers, in both of its forms."""
    if _rex(code, at, modrm) == 0x48:
        first, second = (0xE5, 0xEC) if code[modrm - 1] == 0x89 else (0xEC, 0xE5)
        if code[modrm] in (first, second):
            return LEA_FP if code[modrm] == first else SP_FROM_FP, 0
    if code[modrm - 1] == 0x89:
        return _on_register(code, at, end, modrm)
    return _to_register(code, at, end, modrm)


def _xor(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:
    if code[modrm] == 0xED and _rex(code, at, modrm) in (0, 0x48):
        return ZERO_FP, 0
    if code[modrm - 1] == 0x31:
        return _on_register(code, at, end, modrm)
    return _to_register(code, at, end, modrm)


def _to_register(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:  # noqa: ARG001
    """Changes the register of its ModRM byte."""
    lost = code[modrm] >> 3 & 7 == _SP and _rex(code, at, modrm) & ~3 == 0x48
    return LOST if lost else PLAIN, 0


def _on_register(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:  # noqa: ARG001
    """Changes the other operand."""
    lost = code[modrm] & 0xC7 == 0xC0 | _SP and _rex(code, at, modrm) & ~4 == 0x48
    return LOST if lost else PLAIN, 0


def _exchange(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:
    kind = _to_register(code, at, end, modrm)
    return kind if kind[0] == LOST else _on_register(code, at, end, modrm)


def _exchange_a(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:  # noqa: ARG001
    return LOST if code[at:end] == b"\x48\x94" else PLAIN, 0


def _group_5(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:  # noqa: ARG001
    """INC, DEC, CALL, JMP, PUSH."""
    kind = (PLAIN, PLAIN, CALL_ANY, _UNKNOWN, JUMP_ANY, _UNKNOWN, PUSH, _UNKNOWN)
    return kind[code[modrm] >> 3 & 7], 0


def _constant(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:  # noqa: ARG001
    """MOV of a constant, XABORT and XBEGIN."""
    return PLAIN if not code[modrm] & 0x38 or code[modrm] == 0xF8 else _UNKNOWN, 0


def _group_4(code: bytes, at: int, end: int, modrm: int) -> tuple[str, int]:  # noqa: ARG001
    """INC and DEC of a byte."""
    return _UNKNOWN if code[modrm] & 0x30 else PLAIN, 0


_READERS: dict[int, Callable[[bytes, int, int, int], tuple[str, int]]] = {
    **dict.fromkeys(range(0x50, 0x58), _push),
    **dict.fromkeys(range(0x58, 0x60), _pop),
    **dict.fromkeys((0x03, 0x0B, 0x13, 0x1B, 0x23, 0x2B, 0x63), _to_register),
    **dict.fromkeys((0x01, 0x09, 0x11, 0x19, 0x21, 0x29), _on_register),
    **dict.fromkeys((0x31, 0x33), _xor),
    **dict.fromkeys((0x81, 0x83), _immediate),
    **dict.fromkeys((0x89, 0x8B), _mov),
    0x87: _exchange,
    0x94: _exchange_a,
    0x8D: _lea,
    0x68: _fixed(PUSH, 5),
    0x6A: _fixed(PUSH, 2),
    0x9C: _fixed(PUSH, 1),
    0x9D: _fixed(POP, 1),
    0x8F: _any(POP),
    0xC8: _fixed(LOST, 4),
    0xC9: _fixed(LEAVE, 1),
    0xE8: _relative(CALL, 4),
    0xE9: _relative(JUMP, 4),
    0xEB: _relative(JUMP, 1),
    **dict.fromkeys((*range(0x70, 0x80), *range(0xE0, 0xE4)), _relative(BRANCH, 1)),
    **dict.fromkeys(range(0x0F80, 0x0F90), _relative(BRANCH, 4)),
    **dict.fromkeys((0xC6, 0xC7), _constant),
    0xFE: _group_4,
    0xFF: _group_5,
    **dict.fromkeys((0xC2, 0xC3), _any(RET)),
    **dict.fromkeys((0x0F0B, 0xCC, 0xF4), _any(STOP)),
    # INS and OUTS, far and interrupt returns, ICEBP: of no compiler
    **dict.fromkeys((*range(0x6C, 0x70), 0xCA, 0xCB, 0xCF, 0xF1), _any(_UNKNOWN)),
}
"""By opcode: of the code, where the instruction begins and ends, and its ModRM byte."""
