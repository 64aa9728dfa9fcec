"""The decoder of x86_64: how long an instruction is, and where its opcode and operands are.

An opcode behind ``0F`` is 0x0F00 and its byte; one of ``0F 38``, ``0F 3A`` and of the vector
prefixes is BEYOND: none of those changes the control flow.

Not capstone: on libc and a Rust program (5.6 MB of code, 1.27 million instructions) every length is
the same, one after the other in 1.3 - 1.7 us against 1.8 - 1.9 of CPU for ``disasm_lite``, and
capstone needs 13 MB and 0.05 s of CPU to be imported.

Sources: Intel SDM volume 2, chapter 2 and appendix A (opcode maps).
"""

from __future__ import annotations

BEYOND = 0x10000
LONGEST = 15
"""Bytes of one instruction."""

_MODRM, _BYTE, _WORD, _FULL, _BAD, _PREFIX, _REX, _SPECIAL = 1, 2, 4, 8, 16, 32, 64, 128
"""What follows an opcode: ModRM, 1, 2 or 4 bytes of an immediate (_FULL: 2 behind 66); the rest
say what the byte itself is."""


def _rows(*rows: tuple[str, int]) -> bytes:
    """256 flags; a row is the bytes, single or as ``low-high``, and what they all have."""
    found = [0] * 256
    for places, flags in rows:
        for place in places.split():
            low, _, high = place.partition("-")
            for at in range(int(low, 16), int(high or low, 16) + 1):
                found[at] = flags
    return bytes(found)


_ALU = " ".join(f"{8 * row:02x}-{8 * row + 3:02x}" for row in range(8))
_ONE = _rows(
    (_ALU, _MODRM),
    ("04 0c 14 1c 24 2c 34 3c", _BYTE),
    ("05 0d 15 1d 25 2d 35 3d", _FULL),
    ("06 07 0e 16 17 1e 1f 27 2f 37 3f 60 61 82 9a ce d4-d6 ea", _BAD),
    ("26 2e 36 3e 64-67 f0 f2 f3", _PREFIX),
    ("40-4f", _REX),
    ("0f 62 c4 c5 8f a0-a3 b8-bf c8 e8 e9 f6 f7", _SPECIAL),
    ("63 84-8e d0-d3 d8-df fe ff", _MODRM),
    ("68 a9", _FULL),
    ("69 81 c7", _MODRM | _FULL),
    ("6a 70-7f a8 b0-b7 cd e0-e7 eb", _BYTE),
    ("6b 80 83 c0 c1 c6", _MODRM | _BYTE),
    ("c2 ca", _WORD),
)
_TWO = _rows(
    ("00-ff", _MODRM),
    ("04 0a 0c 0f 24-27 36 39 3b-3f 7a 7b a6 a7", _BAD),
    ("05-09 0b 0e 30-35 37 77 a0-a2 a8-aa c8-cf", 0),
    ("70-73 a4 ac ba c2 c4-c6", _MODRM | _BYTE),
    ("38 3a 80-8f", _SPECIAL),
)
_VECTOR = frozenset((0x70, 0x71, 0x72, 0x73, 0xC2, 0xC4, 0xC5, 0xC6))
"""Opcodes of map 1 with an immediate behind a vector prefix."""


def _behind_modrm(byte: int) -> int:
    """Bytes behind ModRM without an immediate, where no SIB byte says more."""
    mode, low = byte >> 6, byte & 7
    if mode == 3:
        return 0
    displacement = 4 if mode == 2 or (mode == 0 and low == 5) else mode
    return displacement + (low == 4)


_OPERANDS = bytes(map(_behind_modrm, range(256)))
_OFFSET = 8
"""Bytes of an address inside the instruction; 4 behind the prefix 67."""


def shape(code: bytes, at: int) -> tuple[int, int, int]:
    """(size, opcode, where its ModRM byte is) of the instruction at ``at``; the size 0 = there is
    none, and -1 for no ModRM byte. Bytes behind the end of ``code`` raise IndexError.
    """
    start = at
    short = wide = narrow = False
    byte = code[at]
    flags = _ONE[byte]
    while flags & (_PREFIX | _REX):
        wide = flags == _REX and bool(byte & 8)
        short = short or byte == 0x66
        narrow = narrow or byte == 0x67
        at += 1
        if at - start >= LONGEST:
            return 0, 0, -1
        byte = code[at]
        flags = _ONE[byte]
    at += 1
    opcode = byte
    if flags & _SPECIAL:
        if byte == 0x0F:
            opcode, at, flags = _two_bytes(code, at)
        elif byte in (0xC4, 0xC5, 0x62):
            return _with_vectors(code, start, at, byte)
        else:
            flags, more = _special(code, at, byte, wide=wide, short=short)
            at += 4 if narrow and byte & 0xFC == 0xA0 else more
    if flags & _BAD:
        return 0, 0, -1
    modrm = -1
    if flags & _MODRM:
        modrm = at
        at = _operands(code, at)
    if flags & _FULL:
        at += 2 if short else 4
    at += flags & (_BYTE | _WORD) and (1 if flags & _BYTE else 2)
    return at - start, opcode, modrm


def _two_bytes(code: bytes, at: int) -> tuple[int, int, int]:
    """Opcode, what comes behind it, and flags of an instruction with 0F before."""
    byte = code[at]
    if byte == 0x38:
        return BEYOND, at + 2, _MODRM
    if byte == 0x3A:
        return BEYOND, at + 2, _MODRM | _BYTE
    if byte & 0xF0 == 0x80:
        return 0x0F00 | byte, at + 5, 0
    if byte & 0xFC == 0x20:  # control and debug registers: ModRM names no memory, whatever its mode
        return 0x0F00 | byte, at + 2, 0
    return 0x0F00 | byte, at + 1, _TWO[byte]


def _special(code: bytes, at: int, byte: int, *, wide: bool, short: bool) -> tuple[int, int]:
    """Flags, and bytes of an immediate that they do not show."""
    if byte in (0xE8, 0xE9):
        return 0, 4
    if byte & 0xF8 == 0xB8:
        return 0, 8 if wide else 2 if short else 4
    if byte in (0xF6, 0xF7):
        tests = not code[at] & 0x30
        return _MODRM | ((_BYTE if byte == 0xF6 else _FULL) if tests else 0), 0
    if byte == 0x8F:
        return (_MODRM if not code[at] & 0x38 else _BAD), 0
    return 0, _OFFSET if byte & 0xFC == 0xA0 else 3


def _with_vectors(code: bytes, start: int, at: int, prefix: int) -> tuple[int, int, int]:
    at += {0xC5: 1, 0xC4: 2, 0x62: 3}[prefix]
    table = 1 if prefix == 0xC5 else code[at - 2] & 31 if prefix == 0xC4 else code[at - 3] & 7
    opcode = code[at]
    at += 1
    if not 1 <= table <= 6:
        return 0, 0, -1
    if prefix != 0x62 and table == 1 and opcode == 0x77:
        return at - start, BEYOND, -1
    immediate = table == 3 or (table == 1 and opcode in _VECTOR)
    modrm = at
    end = _operands(code, at)
    return end + immediate - start, BEYOND, modrm


def _operands(code: bytes, at: int) -> int:
    """Where the operands end whose ModRM byte is at ``at``."""
    byte = code[at]
    at += 1
    if byte & 0xC7 == 4 and code[at] & 7 == 5:
        at += 4
    return at + _OPERANDS[byte]
