"""Compressed sections: of the gABI, GNU's older ones, xz; damaged and lying ones."""

from __future__ import annotations

import lzma
import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.elf import inflate as tested
from hud.symbols.elf.inflate import inflate, inflate_gnu, inflate_xz

TEXT = b"some text, " * 400


def gabi(body: bytes, size: int, kind: int = 1) -> memoryview:
    return memoryview(struct.pack("<IIQQ", kind, 0, size, 1) + body)


def gnu(body: bytes, size: int) -> memoryview:
    return memoryview(b"ZLIB" + struct.pack(">Q", size) + body)


def test_each_kind() -> None:
    packed = zlib.compress(TEXT)
    assert inflate(gabi(packed, len(TEXT)), "x") == TEXT
    assert inflate_gnu(gnu(packed, len(TEXT)), "x") == TEXT
    assert inflate_xz(memoryview(lzma.compress(TEXT)), "x") == TEXT


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (memoryview(b"short"), "no compression header"),
        (gabi(zlib.compress(TEXT), len(TEXT), kind=7), "unknown compression 7"),
        (gabi(zlib.compress(TEXT), len(TEXT) - 1), f"{len(TEXT)} bytes instead of"),
        (gabi(zlib.compress(TEXT), len(TEXT) + 1), f"{len(TEXT)} bytes instead of"),
        (gabi(zlib.compress(TEXT), 1 << 20), "impossible compression ratio"),
        (gabi(zlib.compress(TEXT), 1 << 40), "too large"),
        (gabi(b"no stream at all", 16), "Error -3"),
        (gabi(zlib.compress(TEXT)[:-30], len(TEXT)), "instead of"),
    ],
)
def test_what_is_refused(raw: memoryview, why: str) -> None:
    with pytest.raises(FormatError, match=why) as caught:
        inflate(raw, ".debug_info")
    assert str(caught.value).startswith("section .debug_info: ")


def test_the_older_kind_needs_its_mark() -> None:
    with pytest.raises(FormatError, match="no compression header"):
        inflate_gnu(memoryview(b"ZLIP" + bytes(20)), "x")


def test_an_xz_stream_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tested, "XZ_LIMIT", 1 << 20)
    packed = lzma.compress(bytes((1 << 20) + 1), preset=0)
    with pytest.raises(FormatError, match=r"more than|[Mm]emory"):
        inflate_xz(memoryview(packed), "x")


@given(st.binary(max_size=80), st.integers(0, 200), st.sampled_from([1, 2]))
def test_any_bytes_end_in_a_result_or_a_format_error(body: bytes, size: int, kind: int) -> None:
    for read, raw in ((inflate, gabi(body, size, kind)), (inflate_gnu, gnu(body, size))):
        with suppress(FormatError):
            assert len(read(raw, "x")) == size
    with suppress(FormatError):
        inflate_xz(memoryview(body), "x")
