"""Recording files to test with."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from hud.record.format import CHUNK, HEAD, MAGIC
from hud.record.reader import Reader

if TYPE_CHECKING:
    from hud.record.format import Entry


DATA = Path(__file__).parents[2] / "data"


REAL = DATA / "demo.hud"


def read(data: bytes) -> tuple[list[Entry], str]:
    reader = Reader(io.BytesIO(data))
    entries = list(reader.entries())
    return entries, reader.lacks


def chunk(plain: bytes, deflate: zlib._Compress | None = None) -> bytes:
    deflate = deflate or zlib.compressobj(6, zlib.DEFLATED, -15)
    payload = deflate.compress(plain) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return CHUNK.pack(len(payload), zlib.crc32(payload)) + payload


START = HEAD.pack(MAGIC, 1, 0)
