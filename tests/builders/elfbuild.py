"""ELF files, DWARF entries and line programs assembled in Python, byte by byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_NOBITS = 1, 2, 3, 8
ALLOC_EXEC = 0x6
PT_LOAD = 1
TEXT = 0x1000
"""Vaddr of .text in the files made here; its file offset is 0x1000 as well."""


def uleb(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def sleb(value: int) -> bytes:
    out = b""
    while not -64 <= value < 64:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value & 127])


# --------------------------------------------------------------------------- ELF


class Sec(NamedTuple):
    name: str
    data: bytes
    type: int = SHT_PROGBITS
    flags: int = 0
    addr: int = 0
    link: str = ""
    entsize: int = 0


class Sym(NamedTuple):
    name: str
    value: int
    size: int
    type: int = 2
    bind: int = 1
    section: int = 1


class Seg(NamedTuple):
    type: int
    flags: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int
    align: int = 8


def symbol_sections(symbols: Sequence[Sym], table: str = ".symtab") -> list[Sec]:
    """A symbol table and its strings; a name that ends another one shares its bytes."""
    strings = b"\0"
    rows = bytes(24)
    for symbol in symbols:
        name = symbol.name.encode() + b"\0"
        at = strings.find(name)
        if at < 0:
            at = len(strings)
            strings += name
        info = symbol.bind << 4 | symbol.type
        rows += struct.pack("<IBBHQQ", at, info, 0, symbol.section, symbol.value, symbol.size)
    strings_name = ".strtab" if table == ".symtab" else ".dynstr"
    return [
        Sec(table, rows, SHT_SYMTAB, link=strings_name, entsize=24),
        Sec(strings_name, strings, SHT_STRTAB),
    ]


def compressed(data: bytes, *, kind: int = 1, size: int | None = None) -> bytes:
    header = struct.pack("<IIQQ", kind, 0, len(data) if size is None else size, 1)
    return header + zlib.compress(data)


def note(kind: int, owner: bytes, payload: bytes) -> bytes:
    header = struct.pack("<III", len(owner), len(payload), kind)
    return header + owner + bytes(-len(owner) % 4) + payload + bytes(-len(payload) % 4)


def elf(
    sections: Sequence[Sec] = (),
    *,
    text: bytes = bytes(0x1000),
    segments: Sequence[Seg] = (),
    machine: int = 62,
    kind: int = 3,
    ident: bytes = b"\x7fELF\x02\x01\x01",
    headers: bool = True,
) -> bytes:
    """A file with .text (section 1) in an executable PT_LOAD at TEXT, then the sections given."""
    loads = [Seg(PT_LOAD, 5, TEXT, TEXT, len(text), len(text), 0x1000), *segments]
    rows = [
        Sec("", b"", 0),
        Sec(".text", text, flags=ALLOC_EXEC, addr=TEXT),
        *sections,
    ]
    names = b"\0"
    name_at = []
    for row in (*rows, Sec(".shstrtab", b"")):
        name_at.append(len(names) if row.name else 0)
        names += row.name.encode() + b"\0" if row.name else b""
    rows.append(Sec(".shstrtab", names, SHT_STRTAB))
    index = {row.name: number for number, row in enumerate(rows)}

    body = bytearray(TEXT - 64 - 56 * len(loads))
    table = b""
    for row, at in zip(rows, name_at, strict=True):
        offset = 64 + 56 * len(loads) + len(body) if row.type else 0
        link = index.get(row.link, 0)
        table += struct.pack(
            "<IIQQQQIIQQ", at, row.type, row.flags, row.addr, offset, len(row.data), link, 0, 1,
            row.entsize,
        )  # fmt: skip
        body += row.data
    shoff = 64 + 56 * len(loads) + len(body) if headers else 0
    count = len(rows) if headers else 0
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", ident.ljust(16, b"\0"), kind, machine, 1, TEXT, 64, shoff, 0, 64, 56,
        len(loads), 64 if headers else 0, count, count - 1 if headers else 0,
    )  # fmt: skip
    programs = b"".join(
        struct.pack("<IIQQQQQQ", s.type, s.flags, s.offset, s.vaddr, s.vaddr, s.filesz, s.memsz,
                    s.align)
        for s in loads
    )  # fmt: skip
    return head + programs + bytes(body) + (table if headers else b"")


# --------------------------------------------------------------------------- DWARF entries


@dataclass
class Die:
    """One entry: attributes are (name, form, value); a str value of a reference is a label."""

    tag: int
    attributes: Sequence[tuple[int, int, int | str | bytes]] = ()
    children: Sequence[Die] = ()
    label: str = ""
    offset: int = field(default=0, init=False)


FIXED = {
    0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x0C: 1, 0x01: 8, 0x11: 1, 0x12: 2, 0x13: 4, 0x14: 8,
    0x0E: 4, 0x17: 4, 0x1F: 4, 0x10: 4, 0x25: 1, 0x26: 2, 0x27: 3, 0x28: 4, 0x29: 1, 0x2A: 2,
    0x2B: 3, 0x2C: 4, 0x20: 8,
}  # fmt: skip
GNU_ADDR, GNU_STR = 0x1F01, 0x1F02
ULEBS = {0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23, GNU_ADDR, GNU_STR}
REF_ADDR, IMPLICIT, PRESENT, SDATA, STRING, EXPRLOC = 0x10, 0x21, 0x19, 0x0D, 0x08, 0x18


class Info:
    """.debug_info and .debug_abbrev of several units that share one abbreviation table."""

    def __init__(self) -> None:
        self._codes: dict[tuple[object, ...], int] = {}
        self._labels: dict[str, int] = {}
        self.abbrev = b""
        self.info = b""

    def unit(self, root: Die, *, version: int = 4, kind: int = 1, dwo_id: int = 0) -> int:
        """Append a unit; labels of units before it can be referred to. Returns its offset."""
        start = len(self.info)
        extra = struct.pack("<Q", dwo_id) if kind in (4, 5) else b""
        size = (12 if version >= 5 else 11) + len(extra)
        for _ in range(2):  # the first pass finds the offsets of labels
            body = self._entry(root, start, size)
        if version >= 5:
            head = struct.pack("<HBBI", version, kind, 8, 0) + extra
        else:
            head = struct.pack("<HIB", version, 0, 8)
        self.info += struct.pack("<I", len(head) + len(body)) + head + body
        return start

    def sections(self) -> list[Sec]:
        return [Sec(".debug_info", self.info), Sec(".debug_abbrev", self.abbrev + b"\0")]

    def _code(self, die: Die) -> int:
        implicit = [value if form == IMPLICIT else 0 for _, form, value in die.attributes]
        shape = tuple((name, form) for name, form, _ in die.attributes)
        key = (die.tag, bool(die.children), shape, tuple(implicit))
        if key not in self._codes:
            code = self._codes[key] = len(self._codes) + 1
            self.abbrev += uleb(code) + uleb(die.tag) + bytes([bool(die.children)])
            for (name, form), value in zip(shape, implicit, strict=True):
                self.abbrev += uleb(name) + uleb(form)
                self.abbrev += sleb(int(value)) if form == IMPLICIT else b""
            self.abbrev += b"\0\0"
        return self._codes[key]

    def _entry(self, die: Die, unit: int, at: int) -> bytes:
        die.offset = unit + at
        if die.label:
            self._labels[die.label] = die.offset
        out = uleb(self._code(die))
        for _, form, value in die.attributes:
            out += self._value(form, value, unit)
        for child in die.children:
            out += self._entry(child, unit, at + len(out))
        return out + (b"\0" if die.children else b"")

    def _value(self, form: int, value: int | str | bytes, unit: int) -> bytes:
        if form == STRING:
            return str(value).encode() + b"\0"
        if isinstance(value, str):
            value = self._labels.get(value, 0) - (0 if form == REF_ADDR else unit)
            value = max(value, 0)
        if form in FIXED:
            return int(value).to_bytes(FIXED[form], "little")
        if form in ULEBS:
            return uleb(int(value))
        if form == SDATA:
            return sleb(int(value))
        if form == EXPRLOC:
            assert isinstance(value, bytes)
            return uleb(len(value)) + value
        assert form in (IMPLICIT, PRESENT), hex(form)
        return b""


# --------------------------------------------------------------------------- lines

LINE_BASE, LINE_RANGE, OPCODE_BASE = -5, 14, 13
OPERANDS = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])
END_SEQUENCE = b"\0\1\1"


def set_address(address: int) -> bytes:
    return b"\0\x09\x02" + struct.pack("<Q", address)


def row(line_delta: int, address_delta: int) -> bytes:
    """One special opcode."""
    opcode = line_delta - LINE_BASE + LINE_RANGE * address_delta + OPCODE_BASE
    assert 0 <= line_delta - LINE_BASE < LINE_RANGE
    return bytes([opcode])


def advance_line(delta: int) -> bytes:
    return b"\x03" + sleb(delta)


def advance_pc(delta: int) -> bytes:
    return b"\x02" + uleb(delta)


def set_file(number: int) -> bytes:
    return b"\x04" + uleb(number)


def sequence(address: int, rows: Sequence[tuple[int, int]], size: int) -> bytes:
    """(offset, line) rows, then the end ``size`` bytes after the start."""
    out, at, line = set_address(address), 0, 1
    for offset, number in rows:
        out += b"\x05\x01" + advance_line(number - line) + advance_pc(offset - at) + b"\x01"
        at, line = offset, number
    return out + advance_pc(size - at) + END_SEQUENCE


def line_program(
    program: bytes,
    *,
    version: int = 4,
    directories: Sequence[str] = (),
    files: Sequence[tuple[str, int]] = (),
) -> bytes:
    """A .debug_line contribution; version 5 has its strings inline, with an MD5 sum each."""
    head = b"\x01" + (b"\x01" if version >= 4 else b"") + b"\x01"
    head += bytes([LINE_BASE & 255, LINE_RANGE, OPCODE_BASE]) + OPERANDS
    if version >= 5:
        head += b"\x01\x01\x08" + uleb(len(directories))
        head += b"".join(name.encode() + b"\0" for name in directories)
        head += b"\x03\x01\x08\x02\x0b\x05\x1e" + uleb(len(files))
        head += b"".join(name.encode() + b"\0" + bytes([d]) + bytes(16) for name, d in files)
        prefix = struct.pack("<HBB", version, 8, 0)
    else:
        head += b"".join(name.encode() + b"\0" for name in directories) + b"\0"
        head += b"".join(name.encode() + b"\0" + uleb(d) + b"\0\0" for name, d in files) + b"\0"
        prefix = struct.pack("<H", version)
    body = prefix + struct.pack("<I", len(head)) + head + program
    return struct.pack("<I", len(body)) + body


def aranges(unit: int, pairs: Sequence[tuple[int, int]]) -> bytes:
    """One set of .debug_aranges: (address, size) pairs of a unit."""
    body = struct.pack("<HIBB", 2, unit, 8, 0) + bytes(4)
    body += b"".join(struct.pack("<QQ", *pair) for pair in pairs) + bytes(16)
    return struct.pack("<I", len(body)) + body
