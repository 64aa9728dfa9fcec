"""Decompresses ELF sections: those of the gABI, GNU's older ``.zdebug_*`` and ``.gnu_debugdata``.

A section of the gABI (SHF_COMPRESSED) is an Elf64_Chdr, then a zlib or zstd stream; one of GNU's is
``ZLIB``, the size as u64 in big-endian order, then a zlib stream; ``.gnu_debugdata`` is a whole ELF
file as xz. zstd is read by Python 3.14 itself, before by the system's libzstd.
"""

from __future__ import annotations

import ctypes
import struct
import zlib
from contextlib import suppress
from functools import cache

from hud.errors import FormatError

ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD = 1, 2
CHDR = struct.Struct("<IIQQ")

MAX_INFLATED = 1 << 29
"""Bytes that one compressed section may grow to."""
MAX_ZLIB_RATIO = 1040
"""Deflate cannot do better than 1032:1; a larger claim is a lie."""


GNU_MAGIC = b"ZLIB"
LIBZSTD = "libzstd.so.1"
XZ_LIMIT = 64 << 20
"""Bytes that an xz stream may grow to, and that its decoder may take."""


class NotReadableError(FormatError):
    """A compression for which this machine lacks what reads it."""


def inflate_gnu(raw: memoryview, name: str) -> bytes:
    """The contents of a ``.zdebug_*`` section; FormatError where it is damaged or too large."""
    if raw[: len(GNU_MAGIC)] != GNU_MAGIC or len(raw) < 12:
        raise FormatError(f"section {name}: no compression header")
    return _checked(ELFCOMPRESS_ZLIB, raw[12:], int.from_bytes(raw[4:12], "big"), name)


def inflate_xz(raw: memoryview, name: str) -> bytes:
    """The contents of ``.gnu_debugdata``; FormatError where it is damaged or too large."""
    try:
        import lzma
    except ImportError:  # a Python that was built without it
        raise NotReadableError(f"section {name}: this Python has no lzma module") from None
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_LIMIT)
    try:
        data = decoder.decompress(raw, XZ_LIMIT + 1)
    except lzma.LZMAError as why:
        raise FormatError(f"section {name}: {why}") from why
    if len(data) > XZ_LIMIT:
        raise FormatError(f"section {name}: more than {XZ_LIMIT} bytes when decompressed")
    return data


def inflate(raw: memoryview, name: str) -> bytes:
    """The contents of a compressed section; FormatError where it is damaged or too large."""
    if len(raw) < CHDR.size:
        raise FormatError(f"section {name}: no compression header")
    kind, _, size, _ = CHDR.unpack_from(raw)
    return _checked(kind, raw[CHDR.size :], size, name)


def _checked(kind: int, body: memoryview, size: int, name: str) -> bytes:
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
        return _by_libzstd(bytes(body), size, name)
    try:
        data: bytes = zstd.ZstdDecompressor().decompress(body, size + 1)
    except (zstd.ZstdError, EOFError) as why:
        raise FormatError(f"section {name}: {why}") from why
    return data


@cache
def load_zstd() -> ctypes.CDLL | None:
    """The system's libzstd where Python itself has none; None where neither has. Loaded once: the
    process that decompresses can open no file."""
    with suppress(ImportError):
        import compression.zstd  # type: ignore[import-not-found, unused-ignore]  # noqa: F401

        return None
    with suppress(OSError):
        return ctypes.CDLL(LIBZSTD)
    return None


def _by_libzstd(body: bytes, size: int, name: str) -> bytes:
    """<zstd.h>, ZSTD_decompress and ZSTD_isError: stable since 1.0."""
    library = load_zstd()
    if library is None:
        raise NotReadableError(
            f"compressed debug info: zstd needs {LIBZSTD} (package libzstd1, libzstd, zstd-libs) "
            "or Python 3.14"
        )
    library.ZSTD_decompress.restype = ctypes.c_size_t
    target = bytearray(max(size, 1))
    written = library.ZSTD_decompress(
        (ctypes.c_char * len(target)).from_buffer(target),
        ctypes.c_size_t(size),
        body,
        ctypes.c_size_t(len(body)),
    )
    if library.ZSTD_isError(ctypes.c_size_t(written)):
        raise FormatError(f"section {name}: damaged zstd data")
    return bytes(memoryview(target)[:written])
