"""The ELF reader on files made here: headers, addresses, sections, notes, hostile bytes."""

from __future__ import annotations

import ctypes
import lzma
import os
import struct
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.elf import file as elf_file
from hud.symbols.elf import inflate
from hud.symbols.elf.file import PT_GNU_EH_FRAME, PT_GNU_RELRO, ElfFile, Symbol
from hud.symbols.elf.inflate import XZ_LIMIT
from hud.symbols.facts import TlsSegment
from tests.builders.elfbuild import TEXT, Sec, Seg, Sym, compressed, elf, note, symbol_sections

BUILD_ID = bytes(range(20))


def test_header_facts() -> None:
    file = ElfFile(elf(machine=183, kind=2), "app")
    assert (file.machine, file.type, file.name) == ("aarch64", 2, "app")
    assert [s.name for s in file.sections] == ["", ".text", ".shstrtab"]
    assert file.notes == []


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "too short"),
        (bytes(64), "not an ELF file"),
        (elf(ident=b"\x7fELF\x01\x01\x01"), "not a 64-bit little-endian"),
        (elf(ident=b"\x7fELF\x02\x02\x01"), "not a 64-bit little-endian"),
        (elf(kind=4), "neither an executable nor a shared object"),
    ],
)
def test_refuses_what_is_no_program(data: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        ElfFile(data)


def test_program_headers_outside_of_the_file() -> None:
    data = bytearray(elf())
    struct.pack_into("<H", data, 56, 4000)
    with pytest.raises(FormatError, match="program headers do not fit"):
        ElfFile(data)


def test_addresses_go_through_the_loads() -> None:
    file = ElfFile(
        elf(segments=[Seg(1, 6, 0x1800, 0x5800, 0x100, 0x900), Seg(7, 4, 0x1800, 0x5800, 8, 40)])
    )
    assert file.offset_of(0x5810) == 0x1810
    assert file.offset_of(0x5900) is None, "memsz beyond filesz is zero-filled"
    assert file.vaddr_of(0x1810) == 0x1810, "of two mappings the executable one"
    assert file.offset_of(0) is None
    assert file.vaddr_of(0x10_0000) is None
    assert file.tls == TlsSegment(0x5800, 8, 40, 8)
    assert file.code_ranges() == ((TEXT, TEXT + 0x1000),)
    assert file.segment(PT_GNU_EH_FRAME) is None


def test_read_by_vaddr() -> None:
    file = ElfFile(elf(text=b"abcdefgh" * 512))
    assert bytes(file.read(TEXT + 8, 4)) == b"abcd"
    with pytest.raises(FormatError, match=r"no 9 bytes at 0x1ff8"):
        file.read(TEXT + 0xFF8, 9)


def test_without_section_headers() -> None:
    file = ElfFile(elf(headers=False))
    assert file.sections == ()
    assert file.section(".text") is None
    assert bytes(file.section_data(".text")) == b""
    assert file.loads[0].vaddr == TEXT


def test_data_is_all_that_no_code_is() -> None:
    at = TEXT + 0x1000
    sections = [
        Sec(".rodata.cst", b"cst", flags=2, addr=at),
        Sec(".eh_frame", b"eh", flags=2, addr=at + 3),
        Sec(".data.rel.ro", b"relro", flags=3, addr=at + 5),
        Sec(".bss", b"", type=8, flags=3, addr=at + 10),
    ]
    loads = [Seg(1, 6, at, at, 10, 10), Seg(PT_GNU_RELRO, 4, at + 5, at + 5, 5, 5)]
    file = ElfFile(elf(sections, segments=loads))

    def pieces(limit: int, *, writable: bool) -> list[tuple[int, bytes]]:
        return [(vaddr, bytes(one)) for vaddr, one in file.data_pieces(limit, writable=writable)]

    assert pieces(100, writable=False) == [(at, b"cst")]
    assert pieces(100, writable=True) == [(at, b"cst"), (at + 5, b"relro")]
    assert pieces(5, writable=True) == [(at, b"cst"), (at + 5, b"re")]
    assert [file.is_constant(vaddr) for vaddr in (TEXT, at, at + 5)] == [True, False, True]


def test_section_headers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    many = elf([Sec(f".s{n}", b"") for n in range(5)])
    count = len(ElfFile(many).sections)
    monkeypatch.setattr(elf_file, "MAX_SECTIONS", count)
    assert len(ElfFile(many).sections) == count
    monkeypatch.setattr(elf_file, "MAX_SECTIONS", count - 1)
    assert ElfFile(many).sections == ()


def test_damaged_section_headers_count_as_none() -> None:
    data = bytearray(elf())
    struct.pack_into("<Q", data, 40, 1 << 60)
    file = ElfFile(data)
    assert file.sections == ()
    assert file.notes == ["section headers: outside of the file, or of an unknown size"]
    data = bytearray(elf())
    struct.pack_into("<H", data, 60, 60000)
    file = ElfFile(data)
    assert file.sections == ()
    assert file.notes == ["section headers: 60000 do not fit the file"]


def test_section_data() -> None:
    file = ElfFile(elf([Sec(".a", b"hello"), Sec(".bss", b"", 8), Sec(".a", b"second")]))
    assert bytes(file.section_data(".a")) == b"hello"
    assert bytes(file.section_data(".bss")) == b""
    assert bytes(file.section_data(".nothing")) == b""


def test_section_outside_of_the_file() -> None:
    data = bytearray(elf([Sec(".a", b"hello")]))
    shoff = struct.unpack_from("<Q", data, 40)[0]
    struct.pack_into("<Q", data, shoff + 2 * 64 + 32, 1 << 40)
    with pytest.raises(FormatError, match=r"section \.a reaches outside"):
        ElfFile(data).section_data(".a")


def test_compressed_section() -> None:
    text = b"some debug info " * 1000
    file = ElfFile(elf([Sec(".debug_info", compressed(text), flags=0x800)]))
    assert bytes(file.section_data(".debug_info")) == text
    assert file.section(".debug_info") is not None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (compressed(b"x" * 100, size=1 << 40), "too large"),
        (compressed(b"x" * 100, size=1 << 28), "impossible compression ratio"),
        (compressed(b"x" * 100, size=99), "100 bytes instead of 99"),
        (compressed(b"x" * 100, size=101), "100 bytes instead of 101"),
        (compressed(b"x" * 100)[:24] + b"junk", "incorrect header check"),
        (compressed(b"x", kind=9), "unknown compression 9"),
        (b"short", "no compression header"),
    ],
)
def test_damaged_compression(data: bytes, why: str) -> None:
    file = ElfFile(elf([Sec(".debug_info", data, flags=0x800)]))
    with pytest.raises(FormatError, match=why):
        file.section_data(".debug_info")


def test_gnu_compressed_sections_have_their_plain_name() -> None:
    text = b"some debug info " * 1000
    packed = b"ZLIB" + struct.pack(">Q", len(text)) + zlib.compress(text)
    file = ElfFile(elf([Sec(".zdebug_info", packed)]))
    assert bytes(file.section_data(".debug_info")) == text
    found = file.section(".debug_info")
    assert found is not None
    assert found.compressed


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"ZLIB" + struct.pack(">Q", 1 << 40) + b"x", "too large"),
        (b"ZLIB" + struct.pack(">Q", 1 << 28) + b"x", "impossible compression ratio"),
        (b"ZLIB" + struct.pack(">Q", 9) + zlib.compress(b"ten bytes "), "10 bytes instead of 9"),
        (b"ZLIB" + bytes(8) + b"junk", "incorrect header check"),
        (b"ZLIB", "no compression header"),
        (b"zlib" + bytes(20), "no compression header"),
    ],
)
def test_damaged_gnu_compression(data: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        ElfFile(elf([Sec(".zdebug_info", data)])).section_data(".debug_info")


ZSTD = bytes.fromhex("28b52ffd604005c5000080736f6d6520646562756720696e666f2001005a9c7f2e01")
"""1600 bytes of text as zstd 1.5 makes them."""


def _zstd(frame: bytes, size: int) -> ElfFile:
    head = struct.pack("<IIQQ", 2, 0, size, 1)
    return ElfFile(elf([Sec(".debug_info", head + frame, flags=0x800)]))


def _zstd_at_hand() -> bool:
    try:
        ctypes.CDLL(inflate.LIBZSTD)
    except OSError:
        return sys.version_info >= (3, 14)
    return True


@pytest.mark.skipif(not _zstd_at_hand(), reason="neither libzstd nor Python 3.14")
def test_zstd() -> None:
    text = b"some debug info " * 100
    assert bytes(_zstd(ZSTD, len(text)).section_data(".debug_info")) == text
    for damaged in (_zstd(ZSTD, 1599), _zstd(ZSTD[:-3], 1600), _zstd(b"junk", 0), _zstd(b"", 9)):
        with pytest.raises(FormatError):
            damaged.section_data(".debug_info")


def test_zstd_without_a_library_leaves_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflate, "load_zstd", lambda: None)
    monkeypatch.setitem(sys.modules, "compression", None)
    file = _zstd(ZSTD, 1600)
    for _ in range(2):
        with pytest.raises(FormatError, match=r"zstd needs libzstd\.so\.1 \(package "):
            file.section_data(".debug_info")
    assert len(file.notes) == 1


def test_mini_debug_is_a_file_of_its_own() -> None:
    inner = elf(symbol_sections([Sym("main", TEXT, 16)]))
    file = ElfFile(elf([Sec(".gnu_debugdata", lzma.compress(inner))]), "app")
    mini = file.mini_debug()
    assert mini is not None
    assert [mini.symbol_name(one.name) for one in mini.symbols()] == ["", "main"]
    assert ElfFile(elf()).mini_debug() is None


@pytest.mark.parametrize(
    "data",
    [
        b"junk",
        lzma.compress(b"not an elf file"),
        lzma.compress(bytes(XZ_LIMIT + 1), preset=0),
        lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 2 * XZ_LIMIT}]),
    ],
    ids=["no xz", "no elf", "too large", "a decoder that is too large"],
)
def test_damaged_mini_debug(data: bytes) -> None:
    with pytest.raises(FormatError):
        ElfFile(elf([Sec(".gnu_debugdata", data)])).mini_debug()


def test_build_id_from_section_or_segment() -> None:
    payload = note(1, b"GNU\0", b"abi?") + note(3, b"Go\0\0", b"no") + note(3, b"GNU\0", BUILD_ID)
    assert ElfFile(elf([Sec(".note.gnu.build-id", payload)])).build_id() == BUILD_ID.hex()
    text = payload.ljust(0x1000, b"\0")
    stripped = elf(text=text, headers=False, segments=[Seg(4, 4, TEXT, TEXT, 80, 80, 4)])
    assert ElfFile(stripped).build_id() == BUILD_ID.hex()
    assert ElfFile(elf()).build_id() == ""


def test_debuglink() -> None:
    link = b"app.debug\0\0\0" + struct.pack("<I", 0xDEADBEEF)
    assert ElfFile(elf([Sec(".gnu_debuglink", link)])).debuglink() == ("app.debug", 0xDEADBEEF)
    assert ElfFile(elf([Sec(".gnu_debuglink", b"app.debug\0")])).debuglink() is None
    assert ElfFile(elf()).debuglink() is None


def test_symbols_in_file_order() -> None:
    file = ElfFile(elf(symbol_sections([Sym("main", TEXT, 16), Sym("loc", TEXT + 16, 4, bind=0)])))
    rows = list(file.symbols())
    assert rows[1] == Symbol(1, 0x12, 0, 1, TEXT, 16)
    assert [(file.symbol_name(s.name), s.type, s.bind) for s in rows] == [
        ("", 0, 0),
        ("main", 2, 1),
        ("loc", 2, 0),
    ]
    assert list(file.symbols(".dynsym")) == []
    assert file.symbol_name(1 << 30) == ""


def test_maps_a_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "app"
    path.write_bytes(elf([Sec(".a", b"hello")]))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with ElfFile(descriptor, str(path)) as file:
            os.fstat(descriptor)
            view = file.section_data(".a")
            file.release()
            assert bytes(view) == b"hello"
        assert bytes(view) == b"hello", "a view keeps the map"
    finally:
        os.close(descriptor)


def test_a_descriptor_that_cannot_be_mapped(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, flags in (("empty", os.O_RDONLY), (".", os.O_RDONLY)):
        descriptor = os.open(tmp_path / name, flags)
        try:
            with pytest.raises(FormatError, match="cannot be mapped"):
                ElfFile(descriptor, name)
        finally:
            os.close(descriptor)


def test_reads_the_running_interpreter() -> None:
    with open("/proc/self/exe", "rb") as opened, ElfFile(opened.fileno(), "python") as file:
        assert file.offset_of(file.entry) is not None
        data = bytes(file.read(file.entry, 4))
        opened.seek(file.offset_of(file.entry) or 0)
        assert opened.read(4) == data


SEED = elf(
    [
        Sec(".debug_info", compressed(b"x" * 500), flags=0x800),
        Sec(".note.gnu.build-id", note(3, b"GNU\0", BUILD_ID)),
        Sec(".gnu_debuglink", b"app.debug\0\0\0" + bytes(4)),
        *symbol_sections([Sym("main", TEXT, 16)]),
    ],
    text=bytes(64),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), max_size=12),
    st.integers(0, len(SEED)),
)
def test_hostile_bytes_end_in_format_error_or_a_result(
    changes: list[tuple[int, int]], cut: int
) -> None:
    header = [(at % 64 if n % 2 else len(SEED) - 1 - at % 600, v)
              for n, (at, v) in enumerate(changes)]  # fmt: skip
    data = bytearray(SEED)
    for at, value in header:
        data[at] = value
    try:
        file = ElfFile(bytes(data[: cut if cut > 64 else len(data)]))
        assert len(file.build_id()) <= 512
        file.debuglink()
        for symbol in file.symbols():
            file.symbol_name(symbol.name)
        for section in file.sections:
            assert len(file.section_data(section.name)) < 1 << 20
    except FormatError as why:
        assert "\n" not in str(why)


def test_program_headers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = elf(segments=[Seg(PT_GNU_RELRO, 4, TEXT, TEXT, 8, 8, 1)])
    monkeypatch.setattr(elf_file, "MAX_SEGMENTS", 2)
    assert len(ElfFile(data).segments) == 2
    monkeypatch.setattr(elf_file, "MAX_SEGMENTS", 1)
    with pytest.raises(FormatError, match="2 program headers do not fit the file"):
        ElfFile(data)
