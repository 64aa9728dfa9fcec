"""Recording files are read as far as they go, whoever wrote them."""

from __future__ import annotations

import io
import os
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hud.errors import FormatError, UsageError
from hud.model import Batch
from hud.record import reader as hud_reader
from hud.record.format import CHUNK, HEAD, MAGIC, MOST_CHUNK, RECORD, Encoder, RecordKind
from hud.record.reader import Reader, open_recording

from .recordings import REAL, START, chunk, read

if TYPE_CHECKING:
    from types import ModuleType


def test_one_changed_byte_is_noticed() -> None:
    data = bytearray(REAL.read_bytes())
    whole, _ = read(bytes(data))
    data[len(data) // 2] ^= 0x10
    entries, lacks = read(bytes(data))
    assert 0 < len(entries) < len(whole)
    assert entries == whole[: len(entries)]
    assert lacks.startswith("damaged at byte")
    assert lacks.endswith("its checksum is wrong")


@pytest.mark.parametrize("data", [b"", b"\x89hud", b"{}" * 50, MAGIC, b"\x7fELF" + b"\0" * 60])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="not a recording of hud"):
        Reader(io.BytesIO(data))


def test_a_later_format_is_refused_and_a_later_minor_is_not() -> None:
    with pytest.raises(FormatError, match=r"format 2\.3: this hud reads format 1") as caught:
        Reader(io.BytesIO(HEAD.pack(MAGIC, 2, 3)))
    assert "newer" in caught.value.hint
    assert Reader(io.BytesIO(HEAD.pack(MAGIC, 1, 9))).minor == 9


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file") as caught:
        open_recording(str(tmp_path / "absent.hud"))
    assert "--record" in caught.value.hint
    with pytest.raises(UsageError, match="not a file"):
        open_recording(str(tmp_path))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match="not a file"):
        open_recording(str(tmp_path / "fifo"))
    with pytest.raises(UsageError, match="not a file"):
        open_recording("/dev/zero")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (chunk(b"\0" * (MOST_CHUNK + 1)), "grows beyond measure"),
        (CHUNK.pack(MOST_CHUNK + 1, 0) + b"x" * 50, f"a chunk of {MOST_CHUNK + 1} bytes"),
        (CHUNK.pack(4, zlib.crc32(b"\xff" * 4)) + b"\xff" * 4, "not compressed"),
        (chunk(RECORD.pack(RecordKind.BEGIN, 1 << 31)), "longer than its chunk"),
        (chunk(RECORD.pack(RecordKind.LOOK, 3_000) + b"\x91" * 3_000), "makes no sense"),
        (b"\x01\x02", "cut off at byte 12"),
    ],
)
def test_chunks_that_cannot_be(data: bytes, says: str) -> None:
    entries, lacks = read(START + data)
    assert entries == []
    assert says in lacks


def test_a_deflate_stream_that_ends_is_refused() -> None:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    payload = deflate.compress(b"") + deflate.flush(zlib.Z_FINISH)
    _, lacks = read(START + CHUNK.pack(len(payload), zlib.crc32(payload)) + payload)
    assert "grows beyond measure" in lacks


def test_many_chunks_that_inflate_are_bounded_in_all() -> None:
    plain = RECORD.pack(200, MOST_CHUNK - RECORD.size) + b"\0" * (MOST_CHUNK - RECORD.size)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = START + b"".join(chunk(plain, deflate) for _ in range(30))
    assert len(data) < 500_000
    begun = time.process_time()
    entries, lacks = read(data)
    assert (entries, "grows beyond measure" in lacks) == ([], True)
    assert time.process_time() - begun < 20


def test_what_adds_up_is_bounded(monkeypatch: pytest.MonkeyPatch, build: ModuleType) -> None:
    monkeypatch.setattr(hud_reader, "MOST_KEPT", 10_000)
    encoder = Encoder()
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    data = START + chunk(encoder.begin(build.info()), deflate)
    for at in range(20):
        records = encoder.batch(Batch(time_ns=at, names={at: os.urandom(500).hex()}))
        data += chunk(b"".join(records), deflate)
    entries, lacks = read(data)
    assert 5 < len(entries) < 15
    assert "more than fits the memory" in lacks
