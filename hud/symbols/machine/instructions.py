"""Decodes the few instructions that a function begins with, up to where it chooses its way.

An instruction becomes an Op, in one vocabulary for both machines; registers have the numbers of
their machine. Whatever is not listed here, a store beside the stack above all, is None.

Not capstone: its ``Cs`` with details took 14 us an instruction against 3.5 here (libc's code, CPU
time), and needs 13 MB and 0.05 s of CPU to be imported.

Sources: Intel SDM volume 2; Arm ARM C4.1 and C6.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from hud.symbols.machine.lengths import shape

LONGEST = 24
"""Bytes that a decoder wants; behind the end of the code any."""


class Op(Enum):
    """What it does, with the operands ``a`` to ``d`` of an Instruction."""

    NOTHING = auto()
    """As far as it matters: it changes the stack."""
    MOVE = auto()
    """a = b."""
    SET = auto()
    """a = the constant b."""
    CLEAR = auto()
    """a = something that was read."""
    OFFSET = auto()
    """a = b + the constant c."""
    COMPUTE = auto()
    """a = something that depends on b alone."""
    ADD = auto()
    """a = b + c * the constant d."""
    LOAD = auto()
    """a = the byte at b + the constant c."""
    INDEXED = auto()
    """a = the row, d bytes, that c chooses of the table at b."""
    TEST = auto()
    """Compare a with a constant, or the stack pointer a with anything."""
    TEST_BYTE = auto()
    """Compare the byte at a + the constant b with a constant."""
    BRANCH = auto()
    """To a, by what was compared last."""
    BRANCH_ON = auto()
    """To a, by the value of b."""
    JUMP = auto()
    """To a."""
    SWITCH = auto()
    """To what register a says."""
    TABLE = auto()
    """To the address that register b chooses of those at a."""
    CALL = auto()
    """Of the function at a; negative: of the one that the slot at -a holds."""


class Instruction(NamedTuple):
    """An operation and the bytes that it takes."""

    op: Op
    size: int
    a: int = 0
    b: int = 0
    c: int = 0
    d: int = 0


# --------------------------------------------------------------------------- x86_64

STACK_X86_64 = 4
_FRAME = 5
_I8 = struct.Struct("<b")
_I32 = struct.Struct("<i")
_U32 = struct.Struct("<I")


class _Operand(NamedTuple):
    """The operands of a ModRM byte: a register, and one more or the bytes at ``base`` + ``by`` *
    ``scale`` + ``distance``; ``base`` and ``by`` -1 = none."""

    register: int
    is_register: bool
    base: int
    by: int
    scale: int
    distance: int

    @property
    def on_stack(self) -> bool:
        return not self.is_register and self.base in (STACK_X86_64, _FRAME)


def _operand(code: bytes, at: int, rex: int, next_pc: int) -> _Operand:
    byte = code[at]
    mode, register, low = byte >> 6, byte >> 3 & 7 | (rex & 4) << 1, byte & 7
    at += 1
    base, index, scale = low | (rex & 1) << 3, -1, 1
    if mode == 3:
        return _Operand(register, True, base, -1, 1, 0)
    if low == 4:
        sib = code[at]
        at += 1
        base, scale = sib & 7 | (rex & 1) << 3, 1 << (sib >> 6)
        index = sib >> 3 & 7 | (rex & 2) << 2
        index = -1 if index == 4 else index
        if mode == 0 and sib & 7 == 5:
            base = -1
    elif mode == 0 and low == 5:
        address = next_pc + _I32.unpack_from(code, at)[0]
        return _Operand(register, False, -1, -1, 1, address)
    distance = 0
    if mode == 1:
        distance = _I8.unpack_from(code, at)[0]
    elif mode == 2 or base == -1:
        distance = _I32.unpack_from(code, at)[0]
    return _Operand(register, False, base, index, scale, distance)


def x86_64(code: bytes, pc: int) -> Instruction | None:
    """The instruction that ``code``, LONGEST bytes of it, begins with at ``pc``."""
    if code.startswith((b"\xf3\x0f\x1e\xfa", b"\x90")):
        return Instruction(Op.NOTHING, 1 if code[0] == 0x90 else 4)
    size, opcode, modrm = shape(code, 0)
    rex = code[0] if code[0] & 0xF0 == 0x40 else 0
    begin = 1 if rex else 0
    if not size or code[begin] != (opcode if opcode < 0x100 else 0x0F):
        return None  # other prefixes
    if modrm < 0:
        return _plain(opcode, code[:size], rex, pc)
    return _modrm(opcode, size, _operand(code, modrm, rex, pc + size), rex)


def _plain(opcode: int, code: bytes, rex: int, pc: int) -> Instruction | None:
    """Instructions without a ModRM byte."""
    size = len(code)
    if opcode & 0xFFF8 == 0x50:
        return Instruction(Op.NOTHING, size)
    if opcode & 0xFFF8 == 0xB8:
        value = int.from_bytes(code[-8 if rex & 8 else -4 :], "little")
        return Instruction(Op.SET, size, opcode & 7 | (rex & 1) << 3, value)
    near = opcode in (0xE8, 0xE9) or opcode & 0xFFF0 == 0x0F80
    if near or opcode == 0xEB or opcode & 0xFFF0 == 0x70:
        target = pc + size + int.from_bytes(code[-4 if near else -1 :], "little", signed=True)
        op = {0xE8: Op.CALL, 0xE9: Op.JUMP, 0xEB: Op.JUMP}.get(opcode, Op.BRANCH)
        return Instruction(op, size, target)
    return Instruction(Op.TEST, size, 0) if opcode in (0x3C, 0xA8) else None


def _modrm(opcode: int, end: int, found: _Operand, rex: int) -> Instruction | None:
    """``end``: the size of it."""
    number, other, kind = found.register, found.base, found.register & 7
    if opcode == 0xF6 and kind:
        return None
    bytes_only = opcode in (0x0FB6, 0x80, 0x84, 0x8A, 0xF6)
    if bytes_only and not rex and found.is_register and other in (4, 5, 6, 7):
        return None  # AH and the like
    compares = (opcode in (0x80, 0x81, 0x83) and kind == 7) or opcode == 0xF6
    if compares and found.is_register:
        return Instruction(Op.TEST, end, other)
    if compares and opcode in (0x80, 0xF6) and found.by < 0 and other >= 0:
        return Instruction(Op.TEST_BYTE, end, other, found.distance)
    if opcode in (0x81, 0x83) and found.is_register:
        # ADD, OR, AND, SUB, XOR; not those that take the carry
        return None if kind in (2, 3) else Instruction(Op.COMPUTE, end, other, other)
    if opcode in (0x84, 0x85) and found.is_register and number == other:
        return Instruction(Op.TEST, end, number)
    if opcode in (0x39, 0x3B) and STACK_X86_64 in (number, other) and found.is_register:
        return Instruction(Op.TEST, end, STACK_X86_64)
    if opcode in (0x88, 0x89, 0xC6, 0xC7) and found.on_stack:
        return Instruction(Op.NOTHING, end)
    if opcode in (0x89, 0x8B) and found.is_register:
        to, source = (other, number) if opcode == 0x89 else (number, other)
        return Instruction(Op.MOVE, end, to, source)
    if opcode == 0x0FB6 and found.is_register:
        return Instruction(Op.MOVE, end, number, other)
    if opcode in (0x0FB6, 0x8A) and found.by < 0 and other >= 0:
        return Instruction(Op.LOAD, end, number, other, found.distance)
    if opcode == 0x63 and found.scale == 4 and found.by >= 0 and not found.distance:
        return Instruction(Op.INDEXED, end, number, other, found.by, 4)
    if opcode in (0x8B, 0x63, 0x0FB6):
        return Instruction(Op.CLEAR, end, number)
    if opcode == 0x8D and not found.is_register:
        if other < 0 and found.by < 0:
            return Instruction(Op.SET, end, number, found.distance)
        if found.by < 0:
            return Instruction(Op.OFFSET, end, number, other, found.distance)
        return Instruction(Op.CLEAR, end, number)
    if opcode in (0x01, 0x03) and found.is_register:
        to, more = (other, number) if opcode == 0x01 else (number, other)
        return Instruction(Op.ADD, end, to, to, more, 1)
    if opcode in (0x29, 0x31) and found.is_register:
        return Instruction(Op.CLEAR, end, other)
    if opcode == 0xFF:
        return _indirect(kind, found, end)
    return Instruction(Op.NOTHING, end) if opcode == 0x0F1F else None


def _indirect(kind: int, found: _Operand, end: int) -> Instruction | None:
    slot = not found.is_register and found.base < 0 and found.by < 0
    if kind == 4 and found.is_register:
        return Instruction(Op.SWITCH, end, found.base)
    if kind == 4 and found.base < 0 and found.scale == 8:
        return Instruction(Op.TABLE, end, found.distance, found.by)
    if kind in (2, 4) and slot:
        return Instruction(Op.CALL, end, -found.distance)
    if kind in (0, 1) and found.is_register:
        return Instruction(Op.COMPUTE, end, found.base, found.base)
    return None


# --------------------------------------------------------------------------- aarch64

STACK_AARCH64 = 31


def aarch64(code: bytes, pc: int) -> Instruction | None:
    """The instruction that ``code`` begins with at ``pc``."""
    word = _U32.unpack_from(code)[0]
    for mask, value, op, operands in _PLAIN:
        if word & mask == value:
            return Instruction(op, 4, *operands(word))
    for mask, value, op, low, bits in _RELATIVE:
        if word & mask == value:
            target = pc + 4 * _signed(word >> low & (1 << bits) - 1, bits)
            return Instruction(op, 4, target, word & 31)
    if word & 0x1F000000 == 0x10000000:  # ADR, ADRP
        distance = _signed(word >> 3 & 0x1FFFFC | word >> 29 & 3, 21)
        address = (pc & ~0xFFF) + (distance << 12) if word >> 31 else pc + distance
        return Instruction(Op.SET, 4, word & 31, address)
    return None


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _none(word: int) -> tuple[int, ...]:  # noqa: ARG001
    return ()


def _to(word: int) -> tuple[int, ...]:
    return (word & 31,)


def _from(word: int) -> tuple[int, ...]:
    return (word >> 5 & 31,)


def _move(word: int) -> tuple[int, ...]:
    return word & 31, word >> 16 & 31


def _change(word: int) -> tuple[int, ...]:
    return word & 31, word >> 5 & 31


def _constant(word: int) -> tuple[int, ...]:
    return word & 31, (word >> 5 & 0xFFFF) << (word >> 21 & 3) * 16


def _offset(word: int) -> tuple[int, ...]:
    value = (word >> 10 & 0xFFF) << (word >> 22 & 1) * 12
    return word & 31, word >> 5 & 31, -value if word & 0x40000000 else value


def _load(word: int) -> tuple[int, ...]:
    return word & 31, word >> 5 & 31, word >> 10 & 0xFFF


def _load_unscaled(word: int) -> tuple[int, ...]:
    return word & 31, word >> 5 & 31, _signed(word >> 12 & 0x1FF, 9)


def _indexed(word: int) -> tuple[int, ...]:
    return word & 31, word >> 5 & 31, word >> 16 & 31, 1 << (word >> 30)


def _add(word: int) -> tuple[int, ...]:
    return word & 31, word >> 5 & 31, word >> 16 & 31, 1 << (word >> 10 & 0x3F)


def _add_extended(word: int) -> tuple[int, ...]:
    return word & 31, word >> 5 & 31, word >> 16 & 31, 1 << (word >> 10 & 7)


_PLAIN: tuple[tuple[int, int, Op, Callable[[int], tuple[int, ...]]], ...] = (
    # hints (PACIASP, BTI, NOP); STP, STR, STUR where the base is X29 or SP
    (0xFFFFF01F, 0xD503201F, Op.NOTHING, _none),
    (0x3A4003A0, 0x280003A0, Op.NOTHING, _none),
    (0xBBC003A0, 0xB90003A0, Op.NOTHING, _none),
    (0xBBE003A0, 0xB80003A0, Op.NOTHING, _none),
    # LDRB, LDURB; by a register LDRB, LDRH, LDRSW; LDR
    (0xFFC00000, 0x39400000, Op.LOAD, _load),
    (0xFFE00C00, 0x38400000, Op.LOAD, _load_unscaled),
    (0xFFE00C00, 0x38600800, Op.INDEXED, _indexed),
    (0xFFE01C00, 0x78601800, Op.INDEXED, _indexed),
    (0xFFE01C00, 0xB8A01800, Op.INDEXED, _indexed),
    (0xBFC00000, 0xB9400000, Op.CLEAR, _to),
    # MOV, MOVZ, MOVK, UXTB
    (0x7FE0FFE0, 0x2A0003E0, Op.MOVE, _move),
    (0x7F800000, 0x52800000, Op.SET, _constant),
    (0x7F800000, 0x72800000, Op.CLEAR, _to),
    (0xFFFFFC00, 0x53001C00, Op.COMPUTE, _change),
    # CMP and TST with an immediate, CMP of SP; AND; ADD and SUB; ADD of registers
    (0x7F80001F, 0x7100001F, Op.TEST, _from),
    (0x7F80001F, 0x7200001F, Op.TEST, _from),
    (0xFFE003FF, 0xEB2003FF, Op.TEST, _from),
    (0x7F800000, 0x12000000, Op.COMPUTE, _change),
    (0x3F800000, 0x11000000, Op.OFFSET, _offset),
    (0x7FE00000, 0x0B000000, Op.ADD, _add),
    (0x7FE00000, 0x0B200000, Op.ADD, _add_extended),
    (0xFFFFFC1F, 0xD61F0000, Op.SWITCH, _from),  # BR
)
"""Mask, value, operation, its operands: in this order."""
_RELATIVE = (
    (0xFC000000, 0x14000000, Op.JUMP, 0, 26),
    (0xFC000000, 0x94000000, Op.CALL, 0, 26),
    (0xFF000010, 0x54000000, Op.BRANCH, 5, 19),
    (0x7E000000, 0x34000000, Op.BRANCH_ON, 5, 19),
    (0x7E000000, 0x36000000, Op.BRANCH_ON, 5, 14),
)
"""B, BL, B.cond, CBZ, TBZ: mask, value, operation, the place of the distance and its bits."""
