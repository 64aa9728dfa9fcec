"""Protocol Buffers' wire format, as much as pprof and Perfetto need.

Format: protobuf.dev/programming-guides/encoding. A field of value 0 is left out, as proto3 does.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_VARINT, _EIGHT_BYTES, _BYTES = 0, 1, 2
_WORD = (1 << 64) - 1


def varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; negative numbers as 64 bits."""
    value &= _WORD
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def number(field: int, value: int) -> bytes:
    """An integer, a boolean or an enum."""
    return varint(field << 3 | _VARINT) + varint(value) if value else b""


def block(field: int, value: bytes) -> bytes:
    """A string or a message; there even where it is empty, for its place in a list may count."""
    return varint(field << 3 | _BYTES) + varint(len(value)) + value


def packed(field: int, values: Iterable[int]) -> bytes:
    """A list of integers, zeros too."""
    body = b"".join(map(varint, values))
    return block(field, body) if body else b""


def fixed(field: int, value: int) -> bytes:
    """An integer in eight bytes."""
    return varint(field << 3 | _EIGHT_BYTES) + struct.pack("<Q", value)


def double(field: int, value: float) -> bytes:
    return varint(field << 3 | _EIGHT_BYTES) + struct.pack("<d", value)
