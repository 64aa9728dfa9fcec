"""What the machine code of one function shows without disassembling it: addresses, jumps, calls.

Sources: Intel SDM volume 2 (LEA, Jcc, JMP, MOV); Arm ARM C6 (ADRP, ADR, ADD).
"""

from __future__ import annotations

import re
import struct
from array import array
from typing import NamedTuple, TypeAlias

from hud.symbols.elf import EM_AARCH64, EM_X86_64

TABLE_DISTANCE = 40
"""Bytes from the LEA of a jump table to its jump, at most."""

_I32 = struct.Struct("<i")

Pair: TypeAlias = "tuple[int, int]"


class Scan(NamedTuple):
    """What the bytes of a function show; each list by pc, but ``jumps``."""

    addresses: list[Pair]
    """(pc, address formed)."""
    jumps: list[Pair]
    """(target, pc), both inside the function."""
    calls: list[Pair]
    """(pc, callee), or (pc, -GOT slot)."""
    tables: list[Pair]
    """(pc of the indirect jump, table of offsets)."""
    stops: list[int]


_LEA = re.compile(rb"[\x48\x4c]\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]")
_MOV_IMM = re.compile(rb"[\xb8-\xbf](?=...\x00)", re.DOTALL)
_NEAR = re.compile(rb"\x0f[\x80-\x8f]|\xe9", re.DOTALL)
_CALL = re.compile(rb"\xe8|\xff\x15")
_INDIRECT = re.compile(rb"\xff[\xe0-\xe7]")
_END = re.compile(rb"\xff[\xe0-\xe7]|\x0f\x0b")


def _scan_x86(code: bytes, start: int, fixed: bool) -> Scan:
    """By patterns, without knowing where instructions begin: what they find wrongly is no location.

    Short jumps are left out: too many bytes look like one, and they lead nowhere far. ``fixed``:
    the file is loaded where it says, and addresses may be immediates.
    """
    end = len(code) - 4
    addresses, jumps, calls, tables, stops = [], [], [], [], []
    for match in _LEA.finditer(code):
        at = match.start()
        if at + 3 <= end:
            address = start + at + 7 + _I32.unpack_from(code, at + 3)[0]
            addresses.append((start + at, address))
            jump = _INDIRECT.search(code, at + 7, at + TABLE_DISTANCE)
            if jump and address % 4 == 0:
                tables.append((start + jump.start(), address))
    if fixed:
        addresses += [
            (start + match.start(), _I32.unpack_from(code, match.end())[0])
            for match in _MOV_IMM.finditer(code)
            if match.end() <= end
        ]
    for match in _NEAR.finditer(code):
        at = match.end()
        target = at + 4 + _I32.unpack_from(code, at)[0] if at <= end else -1
        if 0 <= target < len(code):
            jumps.append((start + target, start + match.start()))
            if match[0] == b"\xe9":
                stops.append(start + at + 4)
    stops += [start + match.end() for match in _END.finditer(code)]
    for match in _CALL.finditer(code):
        at = match.end()
        if at <= end:
            callee = start + at + 4 + _I32.unpack_from(code, at)[0]
            calls.append((start + match.start(), callee if match[0] == b"\xe8" else -callee))
    return Scan(addresses, jumps, calls, tables, stops)


def _scan_aarch64(code: bytes, start: int, fixed: bool) -> Scan:  # noqa: ARG001 (always relative)
    """ADRP and the ADD of the same register; ADR; B.cond, CBZ, TBZ, B, BL, BR, RET."""
    found = Scan([], [], [], [], [])
    pages: dict[int, int] = {}
    for index, word in enumerate(array("I", code[: len(code) // 4 * 4])):
        pc = start + 4 * index
        if word & 0x1F000000 == 0x10000000:
            delta = _signed(word >> 3 & 0x1FFFFC | word >> 29 & 3, 21)
            if word >> 31:
                pages[word & 31] = (pc & ~0xFFF) + (delta << 12)
            else:
                found.addresses.append((pc, pc + delta))
        elif word & 0xFFC00000 == 0x91000000:
            if word >> 5 & 31 in pages:
                found.addresses.append((pc, pages[word >> 5 & 31] + (word >> 10 & 0xFFF)))
        elif word & 0xFC000000 == 0x94000000:
            found.calls.append((pc, pc + 4 * _signed(word & 0x3FFFFFF, 26)))
        else:
            bits, low = next((row[2:] for row in _JUMPS if word & row[0] == row[1]), (0, 0))
            target = pc + 4 * _signed(word >> low & (1 << bits) - 1, bits) if bits else -1
            if start <= target < start + len(code):
                found.jumps.append((target, pc))
            if bits == 26 or word & 0xFFFFFC1F in (0xD65F0000, 0xD61F0000):
                found.stops.append(pc + 4)
    return found


_JUMPS = (
    (0xFF000010, 0x54000000, 19, 5),
    (0x7E000000, 0x34000000, 19, 5),
    (0x7E000000, 0x36000000, 14, 5),
    (0xFC000000, 0x14000000, 26, 0),
)
"""B.cond, CBZ and CBNZ, TBZ and TBNZ, B: mask, value, bits of the offset, its lowest bit."""


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


SCANS = {EM_X86_64: _scan_x86, EM_AARCH64: _scan_aarch64}
"""By machine: of the code of a function, where that begins, and whether the file is loaded where it
says."""
