"""The tables of an ELF file: sections, contents and symbols, by pyelftools.

Section and symbol types, flags and layouts are those of elf.h. The sizes in the headers are checked
before pyelftools believes them.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import BinaryIO, NamedTuple

from hud.errors import FormatError, ObjectError

MOST_BYTES = 16 << 20
MOST_SECTIONS = 1024
MOST_SYMBOLS = 1 << 16
MOST_NAME = 1024

EHDR_SIZE = 64
SHDR_SIZE = 64
SYM = struct.Struct("<IBBHQQ")
EM_BPF = 247
SHT_NULL = 0
SHT_PROGBITS = 1
SHT_NOBITS = 8
SHT_REL = 9
SHF_ALLOC = 2
SHF_EXECINSTR = 4
SHF_COMPRESSED = 0x800
STT_OBJECT = 1
STT_FUNC = 2
STT_SECTION = 3
STB_LOCAL = 0
SHN_LORESERVE = 0xFF00

TYPES = {"SHT_PROGBITS": SHT_PROGBITS, "SHT_NOBITS": SHT_NOBITS, "SHT_REL": SHT_REL}
"""pyelftools' names of the section types that count here."""

_FOREIGN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    TypeError,
    UnicodeError,
    ValueError,
    struct.error,
)
"""What pyelftools lets out when the bytes lie to it, besides its own ELFError."""


class Section(NamedTuple):
    name: str
    type: int
    flags: int
    size: int
    data: bytes
    info: int
    """For a SHT_REL section: the section that its relocations change."""


class Symbol(NamedTuple):
    name: str
    type: int
    local: bool
    section: int
    value: int
    size: int


def section_of_file(file: BinaryIO, name: str, limit: int) -> bytes | None:
    """Contents of the section ``name`` of an ELF file; None without one. FormatError if broken."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        section = ELFFile(file).get_section_by_name(name)
        if section is None:
            return None
        if section["sh_flags"] & SHF_COMPRESSED or section["sh_size"] > limit:
            raise FormatError(f"section {name}: compressed or too large")
        return bytes(section.data())
    except (ELFError, *_FOREIGN) as error:
        raise FormatError(f"broken ELF file ({type(error).__name__})") from error


def read_tables(data: bytes, name: str) -> tuple[list[Section], list[Symbol]]:
    """Sections and symbols of the BPF object ``data``, called ``name``; ObjectError if broken."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    if len(data) > MOST_BYTES:
        raise _bad(name, "larger than 16 MiB")
    if len(data) < EHDR_SIZE or data[:6] != b"\x7fELF\x02\x01":
        raise _bad(name, "not a little-endian 64-bit ELF file")
    (machine,) = struct.unpack_from("<H", data, 18)
    (section_at,) = struct.unpack_from("<Q", data, 40)
    entry_size, count, names = struct.unpack_from("<HHH", data, 58)
    if machine != EM_BPF:
        raise _bad(name, f"for machine {machine}, not BPF")
    if (
        entry_size != SHDR_SIZE
        or not 0 < count <= MOST_SECTIONS
        or section_at + count * SHDR_SIZE > len(data)
        or names >= count
    ):
        raise _bad(name, "broken section table")
    total = 0
    for at in range(section_at, section_at + count * SHDR_SIZE, SHDR_SIZE):
        kind, flags, _, offset, size = struct.unpack_from("<IQQQQ", data, at + 4)
        total += size
        if flags & SHF_COMPRESSED or total > 2 * MOST_BYTES:
            raise _bad(name, "compressed or oversized sections")
        if kind not in (SHT_NULL, SHT_NOBITS) and offset + size > len(data):
            raise _bad(name, "truncated: a section ends outside the file")
    try:
        file = ELFFile(BytesIO(data))
        sections = []
        for part in file.iter_sections():
            header = part.header
            kind = TYPES.get(header["sh_type"], SHT_NULL)
            content = b"" if kind == SHT_NOBITS or not header["sh_size"] else part.data()
            sections.append(
                Section(
                    part.name,
                    kind,
                    header["sh_flags"],
                    header["sh_size"],
                    bytes(content),
                    header["sh_info"],
                )
            )
        table = file.get_section_by_name(".symtab")
        strings = b""
        if table is not None:
            strings = bytes(file.get_section(table.header["sh_link"]).data())
    except (ELFError, *_FOREIGN) as error:
        raise _bad(name, f"broken ELF file ({type(error).__name__})") from error
    symbols = next((part.data for part in sections if part.name == ".symtab"), b"")
    return sections, _symbol_table(name, symbols, strings, len(sections))


def _symbol_table(what: str, table: bytes, strings: bytes, sections: int) -> list[Symbol]:
    if len(table) // SYM.size > MOST_SYMBOLS:
        raise _bad(what, "more than 65536 symbols")
    symbols = []
    for name_at, kind, _, section, value, size in SYM.iter_unpack(
        table[: len(table) // SYM.size * SYM.size]
    ):
        end = strings.find(b"\0", name_at)
        if end < 0 or end - name_at > MOST_NAME:
            raise _bad(what, "a symbol name outside the strings")
        if SHN_LORESERVE > section >= sections:
            raise _bad(what, "a symbol in a section that is not there")
        name = strings[name_at:end].decode("utf-8", "replace")
        symbols.append(Symbol(name, kind & 0xF, kind >> 4 == STB_LOCAL, section, value, size))
    return symbols


def _bad(name: str, what: str) -> ObjectError:
    return ObjectError(f"object {name}: {what}")
