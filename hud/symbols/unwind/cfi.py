"""Executes the call-frame programs of ``.eh_frame``: one CIE or FDE's bytes to unwind rules.

The rules are those of `hud.symbols.unwind.table`. While a program runs, a rule holds more than the
32 bits of the table and is called wide; `RuleCodes` reduces it.

Not pyelftools: the demo server's 13,351 rows took 0.03 s of CPU against 0.6, and it raises at
``DW_CFA_GNU_args_size``.

Sources: Linux Standard Base 5.0 Core, 10.6 (CIE, FDE, pointer encodings); DWARF 5, 6.4 and 7.24
(instructions); System V ABI AMD64, figure 3.36, and "DWARF for the Arm 64-bit Architecture"
(register numbers, negate_ra_state); binutils' bfd/elfxx-x86.c and lld (the PLT's expression).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from hud.errors import FormatError
from hud.symbols.elf.file import EM_AARCH64, EM_X86_64

NONE, SP, FP, END, PLT, SIGNAL, UNSUPPORTED = 0, 1, 2, 3, 4, 5, 6
SP_LR = 8
SP_DEREF = 9


class Registers(NamedTuple):
    sp: int
    fp: int
    ra: int


REGISTERS = {EM_X86_64: Registers(7, 6, 16), EM_AARCH64: Registers(31, 29, 30)}

# While a program runs, a rule carries more than fits 32 bits: `RuleCodes` reduces it to the u32.
_OTHER = 7  # kind: the CFA is in another register
_OFFSET_MASK = 0xFFFF << 4
_SLOT_MASK = 0xFFF << 20
_RA_SHIFT = 32
_RA_MASK = 0xFFF << _RA_SHIFT
_RA_UNDEFINED = 1 << 44
_RA_ODD = 1 << 45
_FP_ODD = 1 << 46
_OFFSET_ODD = 1 << 47
_CFA_BITS = 0xFFFFF | _OFFSET_ODD
_FP_BITS = _SLOT_MASK | _FP_ODD
_RA_BITS = _RA_MASK | _RA_UNDEFINED | _RA_ODD

PADDING = bytes(64)  # one instruction's operands may be read past the end of the section


class RuleCodes(dict[int, int]):
    """The wide rules met so far -> the u32 rules of the table."""

    def __init__(self, machine: int, *, signal: bool) -> None:
        super().__init__()
        self.machine = machine
        self.signal = signal

    def __missing__(self, wide: int) -> int:
        self[wide] = rule = self._reduce(wide)
        return rule

    def _reduce(self, wide: int) -> int:
        if self.signal:
            return SIGNAL
        if wide & _RA_UNDEFINED:
            return END
        kind = wide & 15
        if kind not in (SP, FP) and not (self.machine == EM_X86_64 and kind in (PLT, SP_DEREF)):
            return UNSUPPORTED
        if kind == PLT:
            return wide & 0xFFFFF
        if wide & (_RA_ODD | _FP_ODD | _OFFSET_ODD):
            return UNSUPPORTED
        narrow = wide & 0xFFFFFFFF
        slot = narrow >> 20
        ra = (wide & _RA_MASK) >> _RA_SHIFT
        if self.machine == EM_X86_64:
            return narrow if ra == 1 else UNSUPPORTED
        if ra == 0:
            return narrow if slot == 0 else UNSUPPORTED
        if slot == 0:
            return (narrow & ~15) | SP_LR | ra << 20 if kind == SP else UNSUPPORTED
        return narrow if ra == slot - 1 else UNSUPPORTED


class Cie:
    """What the FDEs of one CIE share."""

    __slots__ = ("augmented", "cache", "code", "data", "encoding", "registers", "rules", "start")

    def __init__(self, machine: int) -> None:
        self.registers = REGISTERS[machine]
        self.code = 1
        self.data = -8
        self.encoding = 0
        self.augmented = False
        self.start = 0
        self.rules = RuleCodes(machine, signal=False)
        # program -> (pc offsets, rules): a third of all functions have a program seen before
        self.cache: dict[bytes, tuple[list[int], list[int]]] = {}


class EhFrame(NamedTuple):
    data: bytes
    """The section and `PADDING`."""
    size: int
    vaddr: int
    machine: int


_FIXED = {
    0: struct.Struct("<Q"),
    2: struct.Struct("<H"),
    3: struct.Struct("<I"),
    4: struct.Struct("<Q"),
    10: struct.Struct("<h"),
    11: struct.Struct("<i"),
    12: struct.Struct("<q"),
}
_ABSOLUTE, _PCREL = 0x00, 0x10


def uleb(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = data[at + place]
        value |= (byte & 127) << 7 * place
        if byte < 128:
            return value, at + place + 1
    raise FormatError("unwind data: a number of more than 10 bytes")


def _sleb(data: bytes, at: int) -> tuple[int, int]:
    value, end = uleb(data, at)
    bits = 7 * (end - at)
    return (value - (1 << bits) if value >> (bits - 1) else value), end


def pointer(section: EhFrame, at: int, encoding: int) -> tuple[int, int]:
    """An encoded pointer (LSB, table 10.5) at ``at`` -> (vaddr, what follows)."""
    form, relation = encoding & 15, encoding & 0x70
    if form == 1:
        value, end = uleb(section.data, at)
    elif form == 9:
        value, end = _sleb(section.data, at)
    elif form in _FIXED:
        fixed = _FIXED[form]
        value, end = fixed.unpack_from(section.data, at)[0], at + fixed.size
    else:
        raise FormatError(f"unwind data: pointer encoding {encoding:#x}")
    if relation == _PCREL:
        value += section.vaddr + at
    elif relation != _ABSOLUTE:
        raise FormatError(f"unwind data: pointer encoding {encoding:#x}")
    return value & 0xFFFFFFFFFFFFFFFF, end


def read_cie(section: EhFrame, at: int, end: int) -> Cie:
    """``at``: behind the CIE id. Raises FormatError where the CIE cannot be understood."""
    data = section.data
    cie = Cie(section.machine)
    version = data[at]
    if version not in (1, 3):
        raise FormatError(f"unwind data: CIE version {version}")
    name_end = data.find(b"\0", at + 1, end)
    if name_end < 0:
        raise FormatError("unwind data: an endless augmentation")
    augmentation = data[at + 1 : name_end]
    cie.code, at = uleb(data, name_end + 1)
    cie.data, at = _sleb(data, at)
    if version == 1:
        ra, at = data[at], at + 1
    else:
        ra, at = uleb(data, at)
    if ra != cie.registers.ra or cie.code > 256 or abs(cie.data) > 256:
        raise FormatError("unwind data: a CIE for another machine")
    if augmentation[:1] == b"z":
        cie.augmented = True
        size, at = uleb(data, at)
        program = at + size
        for letter in augmentation[1:].decode("latin-1"):
            if at > end:
                break
            if letter == "R":
                cie.encoding, at = data[at], at + 1
            elif letter == "L":
                at += 1
            elif letter == "P":
                form = data[at] & 15
                at += 1 + (_FIXED[form].size if form in _FIXED else 8)
            elif letter == "S":
                cie.rules = RuleCodes(section.machine, signal=True)
            elif letter not in "BG":
                raise FormatError(f"unwind data: augmentation {augmentation!r}")
        at = program
    elif augmentation:
        raise FormatError(f"unwind data: augmentation {augmentation!r}")
    if at > end:
        raise FormatError("unwind data: a truncated CIE")
    _, wides = run(data, at, end, cie)
    cie.start = wides[-1]
    return cie


def _expression(block: bytes) -> int:
    """The CFA bits for a DWARF expression: the three shapes that tools emit, else UNSUPPORTED."""
    # breg7 8; breg16 0; lit15; and; litN; ge; lit3; shl; plus: binutils and lld, for .plt
    if len(block) == 11 and block[:6] == b"\x77\x08\x80\x00\x3f\x1a" and block[7:] == b'\x2a3$"':
        return PLT | (block[6] - 0x30) << 4 if 0x30 <= block[6] <= 0x3F else UNSUPPORTED
    # breg7 N; deref; plus_uconst 8: OpenSSL's assembly, and all that descends from it
    if block[:1] == b"\x77" and block[-3:] == b"\x06\x23\x08" and 5 <= len(block) <= 8:
        offset, end = _sleb(block + PADDING, 1)
        if end == len(block) - 3 and offset % 8 == 0 and 0 <= offset < 1 << 19:
            return SP_DEREF | offset << 1
    return UNSUPPORTED


def _saved(wide: int, register: int, offset: int, registers: Registers) -> int:
    """The rule after "``register`` is saved at CFA + ``offset``"."""
    slot = -offset // 8
    odd = offset % 8 != 0 or not 0 < slot < 4096
    if register == registers.fp:
        return wide & ~_FP_BITS | (_FP_ODD if odd else slot << 20)
    if register == registers.ra:
        return wide & ~_RA_BITS | (_RA_ODD if odd else slot << _RA_SHIFT)
    return wide


def _cfa_offset(wide: int, offset: int) -> int:
    if offset % 8 or not 0 <= offset < 1 << 19:
        return wide & ~_OFFSET_MASK | _OFFSET_ODD
    return wide & ~(_OFFSET_MASK | _OFFSET_ODD) | offset << 1


def _cfa_register(wide: int, register: int, registers: Registers) -> int:
    kind = SP if register == registers.sp else FP if register == registers.fp else _OTHER
    return wide & ~15 | kind


def run(data: bytes, at: int, end: int, cie: Cie) -> tuple[list[int], list[int]]:
    """Executes a CFA program -> (pc offsets from the function's start, wide rules).

    From the first instruction that is not understood to the function's end it is UNSUPPORTED.
    """
    code, unit, registers = cie.code, cie.data, cie.registers
    fp = 0x80 | registers.fp
    ra = 0x80 | registers.ra
    wide = cie.start
    pcs: list[int] = []
    wides: list[int] = []
    last = -1
    pc = 0
    remembered: list[int] = []
    while at < end:
        op = data[at]
        at += 1
        if op >= 0x80:
            if op >= 0xC0:  # DW_CFA_restore
                if op == fp | 0x40:
                    wide = wide & ~_FP_BITS | cie.start & _FP_BITS
                elif op == ra | 0x40:
                    wide = wide & ~_RA_BITS | cie.start & _RA_BITS
                continue
            value = data[at]  # DW_CFA_offset
            at += 1
            if value > 127:
                value, at = uleb(data, at - 1)
            if op in (fp, ra):
                wide = _saved(wide, op & 63, value * unit, registers)
            continue
        if op == 0x0E:  # DW_CFA_def_cfa_offset
            value = data[at]
            at += 1
            if value > 127:
                value, at = uleb(data, at - 1)
            if value & 7 or value >= 1 << 19:
                wide = wide & ~_OFFSET_MASK | _OFFSET_ODD
            else:
                wide = wide & ~(_OFFSET_MASK | _OFFSET_ODD) | value << 1
            continue
        if op >= 0x40:  # DW_CFA_advance_loc
            step = (op & 63) * code
        elif op == 0x00:  # DW_CFA_nop
            continue
        elif op == 0x0A:  # DW_CFA_remember_state
            remembered.append(wide)
            continue
        elif op == 0x0B:  # DW_CFA_restore_state
            if not remembered:
                wide = UNSUPPORTED
                break
            wide = remembered.pop()
            continue
        elif op == 0x0C:  # DW_CFA_def_cfa
            value, at = uleb(data, at)
            offset, at = uleb(data, at)
            wide = _cfa_offset(_cfa_register(wide, value, registers), offset)
            continue
        elif op == 0x0D:  # DW_CFA_def_cfa_register
            value, at = uleb(data, at)
            wide = _cfa_register(wide, value, registers)
            continue
        elif op == 0x02:  # DW_CFA_advance_loc1
            step = data[at] * code
            at += 1
        elif op == 0x03:  # DW_CFA_advance_loc2
            step = (data[at] | data[at + 1] << 8) * code
            at += 2
        elif op == 0x04:  # DW_CFA_advance_loc4
            step = int.from_bytes(data[at : at + 4], "little") * code
            at += 4
        else:
            wide, at = _rare(data, at, op, wide, cie)
            if at < 0:
                wide = UNSUPPORTED
                break
            continue
        if step:
            if wide != last:
                pcs.append(pc)
                wides.append(wide)
                last = wide
            pc += step
    if at > end:
        wide = UNSUPPORTED
    if wide != last:
        pcs.append(pc)
        wides.append(wide)
    return pcs, wides


def _rare(data: bytes, at: int, op: int, wide: int, cie: Cie) -> tuple[int, int]:
    """The less common instructions -> (rule, next); next -1 = not understood."""
    registers = cie.registers
    if op == 0x2E:  # DW_CFA_GNU_args_size
        return wide, uleb(data, at)[1]
    if op == 0x2D:  # DW_CFA_AARCH64_negate_ra_state: pauth only changes how lr is signed
        return wide, at
    if op == 0x0F:  # DW_CFA_def_cfa_expression
        size, at = uleb(data, at)
        return wide & ~_CFA_BITS | _expression(data[at : at + min(size, 12)]), at + size
    if op == 0x12:  # DW_CFA_def_cfa_sf
        register, at = uleb(data, at)
        value, at = _sleb(data, at)
        return _cfa_offset(_cfa_register(wide, register, registers), value * cie.data), at
    if op == 0x13:  # DW_CFA_def_cfa_offset_sf
        value, at = _sleb(data, at)
        return _cfa_offset(wide, value * cie.data), at
    if op not in _REGISTER_RULES:
        return wide, -1
    register, at = uleb(data, at)
    if op in (0x05, 0x11):  # DW_CFA_offset_extended, DW_CFA_offset_extended_sf
        value, at = (uleb if op == 0x05 else _sleb)(data, at)
        return _saved(wide, register, value * cie.data, registers), at
    if op in (0x10, 0x16):  # DW_CFA_expression, DW_CFA_val_expression
        size, at = uleb(data, at)
        at += size
    elif op in (0x09, 0x14, 0x15, 0x2F):  # register, val_offset, val_offset_sf, GNU_negative_...
        at = uleb(data, at)[1]
    bits, odd = {registers.fp: (_FP_BITS, _FP_ODD), registers.ra: (_RA_BITS, _RA_ODD)}.get(
        register, (0, 0)
    )
    if op == 0x06:  # DW_CFA_restore_extended
        return wide & ~bits | cie.start & bits, at
    if op in (0x07, 0x08):  # DW_CFA_undefined, DW_CFA_same_value
        undefined = op == 0x07 and register == registers.ra
        return wide & ~bits | (_RA_UNDEFINED if undefined else 0), at
    return wide & ~bits | odd, at


_REGISTER_RULES = frozenset((0x05, 0x06, 0x07, 0x08, 0x09, 0x10, 0x11, 0x14, 0x15, 0x16, 0x2F))
