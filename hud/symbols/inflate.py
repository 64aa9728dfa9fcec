"""Decompresses ELF sections: an Elf64_Chdr, then a zlib or zstd stream (gABI, SHF_COMPRESSED)."""

from __future__ import annotations

import struct
import zlib

from hud.errors import FormatError

ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD = 1, 2
CHDR = struct.Struct("<IIQQ")

MAX_INFLATED = 1 << 29
"""Bytes that one compressed section may grow to."""
MAX_ZLIB_RATIO = 1040
"""Deflate cannot do better than 1032:1; a larger claim is a lie."""


class NewerPythonError(FormatError):
    """A compression that only a newer Python reads."""


def inflate(raw: memoryview, name: str) -> bytes:
    """The contents of a compressed section; FormatError where it is damaged or too large."""
    if len(raw) < CHDR.size:
        raise FormatError(f"section {name}: no compression header")
    kind, _, size, _ = CHDR.unpack_from(raw)
    body = raw[CHDR.size :]
    if size > MAX_INFLATED:
        raise FormatError(f"section {name}: {size} bytes when decompressed, too large")
    if kind == ELFCOMPRESS_ZLIB:
        if size > MAX_ZLIB_RATIO * len(body) + 64:
            raise FormatError(f"section {name}: impossible compression ratio")
        data = _inflate_zlib(body, size, name)
    elif kind == ELFCOMPRESS_ZSTD:
        data = _inflate_zstd(body, size, name)
    else:
        raise FormatError(f"section {name}: unknown compression {kind}")
    if len(data) != size:
        raise FormatError(f"section {name}: {len(data)} bytes instead of {size}")
    return data


def _inflate_zlib(body: memoryview, size: int, name: str) -> bytes:
    try:
        return zlib.decompressobj().decompress(body, size + 1)
    except zlib.error as why:
        raise FormatError(f"section {name}: {why}") from why


def _inflate_zstd(body: memoryview, size: int, name: str) -> bytes:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise NewerPythonError("compressed debug info: zstd needs Python 3.14") from None
    try:
        data: bytes = zstd.ZstdDecompressor().decompress(body, size + 1)
    except (zstd.ZstdError, EOFError) as why:
        raise FormatError(f"section {name}: {why}") from why
    return data
