"""Reads .BTF.ext, the second BTF section of an object (linux/btf.h, linux/bpf.h).

A record is one ``struct bpf_core_relo`` or ``struct bpf_func_info``; records are grouped by code
section.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.kernel.btf import MAGIC, Btf

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct("<HBBIIIIIII")
CORE_RECORD = struct.Struct("<IIII")
FUNCTION_RECORD = struct.Struct("<II")
FUNCTIONS, CORE = 4, 8
"""Where the header says offset and length of the two parts."""
GROUP = struct.Struct("<II")
MOST_RECORDS = 1 << 16
MOST_ACCESS = 1024


class CoreRecord(NamedTuple):
    """``struct bpf_core_relo`` with the access string read."""

    kind: int
    type_id: int
    access: str


def core_records(data: bytes, btf: Btf) -> dict[str, dict[int, list[CoreRecord]]]:
    """By section name and instruction number in it; FormatError if broken."""
    found: dict[str, dict[int, list[CoreRecord]]] = {}
    for section, (byte, type_id, access_offset, kind) in _records(data, btf, CORE, CORE_RECORD):
        access = btf.name(access_offset)
        if byte % 8 or len(access) > MOST_ACCESS:
            raise FormatError(".BTF.ext: a record that fits no instruction")
        group = found.setdefault(section, {})
        group.setdefault(byte // 8, []).append(CoreRecord(kind, type_id, access))
    return found


def function_records(data: bytes, btf: Btf) -> dict[str, dict[int, int]]:
    """Type ids of the functions, by section name and first instruction; FormatError if broken."""
    found: dict[str, dict[int, int]] = {}
    for section, (byte, type_id) in _records(data, btf, FUNCTIONS, FUNCTION_RECORD):
        if byte % 8:
            raise FormatError(".BTF.ext: a function that fits no instruction")
        found.setdefault(section, {})[byte // 8] = type_id
    return found


def _records(
    data: bytes, btf: Btf, part: int, record: struct.Struct
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(section name, fields) of each record of one part of the section."""
    if len(data) < 24:
        raise FormatError(".BTF.ext: truncated header")
    magic, version, _, header_size = struct.unpack_from("<HBBI", data)
    if magic != MAGIC or version != 1:
        raise FormatError(".BTF.ext: not little-endian version 1")
    if header_size < HEADER.size or len(data) < HEADER.size:
        return  # older than CO-RE
    offset, length = HEADER.unpack_from(data)[part : part + 2]
    at = header_size + offset
    end = at + length
    if end > len(data):
        raise FormatError(".BTF.ext: records outside the section")
    if length == 0:
        return
    if length < 4:
        raise FormatError(".BTF.ext: truncated records")
    (size,) = struct.unpack_from("<I", data, at)
    if size < record.size or size % 4:
        raise FormatError(f".BTF.ext: records of {size} bytes")
    at += 4
    seen = 0
    while at < end:
        if at + GROUP.size > end:
            raise FormatError(".BTF.ext: truncated group")
        name_offset, count = GROUP.unpack_from(data, at)
        at += GROUP.size
        seen += count
        if seen > MOST_RECORDS or at + count * size > end:
            raise FormatError(".BTF.ext: more records than bytes")
        name = btf.name(name_offset)
        for start in range(at, at + count * size, size):
            yield name, record.unpack_from(data, start)
        at += count * size
