"""Reads 64-bit little-endian ELF executables and shared objects over a memory map.

A vaddr is an address as the file's own tables give it, before the loader adds its bias. Segments
are program headers, sections section headers (absent after sstrip). Layouts and constants: the ELF
gABI and <elf.h>. Nothing is read before it is asked for, and every offset or count in the file is
checked against the file's size first.
"""

from __future__ import annotations

import mmap
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from hud.closing import Closing
from hud.errors import FormatError
from hud.symbols.elf.inflate import NotReadableError, inflate, inflate_gnu, inflate_xz
from hud.symbols.facts import TlsSegment

if TYPE_CHECKING:
    from collections.abc import Iterator

ET_REL, ET_EXEC, ET_DYN = 1, 2, 3
EM_X86_64, EM_AARCH64 = 62, 183
MACHINES = {EM_X86_64: "x86_64", EM_AARCH64: "aarch64"}

PT_LOAD, PT_DYNAMIC, PT_NOTE, PT_TLS = 1, 2, 4, 7
PT_GNU_EH_FRAME, PT_GNU_RELRO = 0x6474E550, 0x6474E552
PF_X, PF_W, PF_R = 1, 2, 4

SHT_PROGBITS, SHT_STRTAB, SHT_NOBITS = 1, 3, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_COMPRESSED = 0x1, 0x2, 0x4, 0x800

STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_TLS, STT_GNU_IFUNC = 0, 1, 2, 6, 10
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
SHN_UNDEF, SHN_LORESERVE, SHN_XINDEX = 0, 0xFF00, 0xFFFF
PN_XNUM = 0xFFFF

NT_GNU_BUILD_ID = 3

MAX_SECTIONS = 1 << 18
MAX_SEGMENTS = 1 << 12
MAX_NAME = 1 << 16
MAX_NOTE_RANGES = 64

EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR = struct.Struct("<IIQQQQQQ")
SHDR = struct.Struct("<IIQQQQIIQQ")
SYM = struct.Struct("<IBBHQQ")
NHDR = struct.Struct("<III")

_GNU_COMPRESSED = ".zdebug_"
_UNWIND_DATA = frozenset((".eh_frame", ".eh_frame_hdr", ".gcc_except_table"))
"""Sections whose bytes are nobody's strings or constants."""

Buffer: TypeAlias = "bytes | bytearray | memoryview | mmap.mmap"


class Segment(NamedTuple):
    """One Elf64_Phdr; offsets and sizes in bytes."""

    type: int
    flags: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int
    align: int


class Section(NamedTuple):
    """One Elf64_Shdr; ``size`` is the size in the file (compressed, if it is).

    GNU's ``.zdebug_info`` is ``.debug_info``, ``gnu_compressed``.
    """

    name: str
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int
    gnu_compressed: bool = False

    @property
    def compressed(self) -> bool:
        return self.gnu_compressed or bool(self.flags & SHF_COMPRESSED)


class Symbol(NamedTuple):
    """One Elf64_Sym; ``name`` is the offset in the string table, see ``ElfFile.symbol_name``."""

    name: int
    info: int
    other: int
    shndx: int
    value: int
    size: int

    @property
    def type(self) -> int:
        return self.info & 15

    @property
    def bind(self) -> int:
        return self.info >> 4


class ElfFile(Closing):
    """One ELF file, mapped; raises FormatError for what is not a 64-bit little-endian program.

    ``source`` is an open file descriptor (it is mapped and stays the caller's) or a buffer.
    ``notes`` collects sentences about what the file has and hud cannot read. A damaged section
    table counts as none: program headers, which the kernel has accepted, are enough for unwinding.
    ``relocatable``: object files (ET_REL, as .dwo and .dwp files are) are welcome too.
    """

    def __init__(self, source: int | Buffer, name: str = "", *, relocatable: bool = False) -> None:
        self.name = name
        self._types = (ET_REL, ET_EXEC, ET_DYN) if relocatable else (ET_EXEC, ET_DYN)
        self.notes: list[str] = []
        self._map: mmap.mmap | None = None
        if isinstance(source, int):
            try:
                self._map = mmap.mmap(source, 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError, OverflowError) as why:
                raise FormatError(f"{self._label()}: cannot be mapped: {why}") from why
            self.data = memoryview(self._map)
        else:
            self.data = memoryview(source).cast("B")
        self._inflated: dict[str, bytes] = {}
        try:
            self._read_headers()
        except FormatError:
            self.close()
            raise

    def close(self) -> None:
        """Unmap the file; views handed out before keep it mapped until they are gone."""
        self.data = memoryview(b"")
        self._inflated.clear()
        if self._map is not None:
            with suppress(BufferError):  # a view is still in use: the map goes with the last one
                self._map.close()
            self._map = None

    def release(self) -> None:
        """Give the pages read so far back to the system; they come back as they are needed."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)

    # ------------------------------------------------------------------ headers

    def _label(self) -> str:
        return self.name or "elf file"

    def _bad(self, what: str) -> FormatError:
        return FormatError(f"{self._label()}: {what}")

    def _read_headers(self) -> None:
        data = self.data
        if len(data) < EHDR.size:
            raise self._bad("too short for an ELF header")
        header = EHDR.unpack_from(data)
        ident: bytes = header[0]
        if ident[:4] != b"\x7fELF":
            raise self._bad("not an ELF file")
        if ident[4] != 2 or ident[5] != 1:
            raise self._bad("not a 64-bit little-endian ELF file")
        self.type: int = header[1]
        if self.type not in self._types:
            raise self._bad(f"neither an executable nor a shared object (e_type {self.type})")
        self.machine_id: int = header[2]
        self.machine: str = MACHINES.get(self.machine_id, f"machine {self.machine_id}")
        self.entry: int = header[4]
        phoff, shoff = header[5], header[6]
        phentsize, phnum, shentsize, shnum, shstrndx = header[9:14]

        self.sections: tuple[Section, ...] = ()
        self._by_name: dict[str, Section] = {}
        first = self._first_section(shoff, shentsize)
        if first is not None:
            if phnum == PN_XNUM:
                phnum = first[7]
            self._read_sections(
                shoff, shnum or first[5], first[6] if shstrndx == SHN_XINDEX else shstrndx
            )
        self._read_segments(phoff, phentsize, phnum)

    def _first_section(self, shoff: int, entsize: int) -> tuple[int, ...] | None:
        if shoff == 0:
            return None
        if entsize != SHDR.size or shoff + SHDR.size > len(self.data):
            self.notes.append("section headers: outside of the file, or of an unknown size")
            return None
        return SHDR.unpack_from(self.data, shoff)

    def _read_sections(self, shoff: int, count: int, names_index: int) -> None:
        end = shoff + count * SHDR.size
        if count > MAX_SECTIONS or end > len(self.data):
            self.notes.append(f"section headers: {count} do not fit the file")
            return
        rows = list(SHDR.iter_unpack(self.data[shoff:end]))
        names = b""
        if names_index < count:
            offset, size = rows[names_index][4:6]
            if offset + size <= len(self.data):
                names = bytes(self.data[offset : offset + min(size, 1 << 24)])
        self.sections = tuple(_section(c_string(names, row[0]), row) for row in rows)
        self._by_name = {row.name: row for row in reversed(self.sections)}

    def _read_segments(self, phoff: int, entsize: int, count: int) -> None:
        end = phoff + count * PHDR.size
        if count and (entsize != PHDR.size or count > MAX_SEGMENTS or end > len(self.data)):
            raise self._bad(f"{count} program headers do not fit the file")
        self.segments: tuple[Segment, ...] = tuple(
            Segment(kind, flags, offset, vaddr, filesz, memsz, align)
            for kind, flags, offset, vaddr, _, filesz, memsz, align in PHDR.iter_unpack(
                self.data[phoff:end]
            )
        )
        self.loads: tuple[Segment, ...] = tuple(s for s in self.segments if s.type == PT_LOAD)

    def segment(self, kind: int) -> Segment | None:
        """The first program header of a type, such as PT_GNU_EH_FRAME."""
        return next((s for s in self.segments if s.type == kind), None)

    @property
    def tls(self) -> TlsSegment | None:
        found = self.segment(PT_TLS)
        return found and TlsSegment(found.vaddr, found.filesz, found.memsz, found.align)

    # ------------------------------------------------------------------ addresses

    def offset_of(self, vaddr: int) -> int | None:
        """File offset of a vaddr; None where no PT_LOAD brings bytes of the file there."""
        for load in self.loads:
            if load.vaddr <= vaddr < load.vaddr + load.filesz:
                return vaddr - load.vaddr + load.offset
        return None

    def vaddr_of(self, offset: int) -> int | None:
        """Vaddr that a file offset is loaded at; where two segments map it, an executable one."""
        found = None
        for load in self.loads:
            if load.offset <= offset < load.offset + load.filesz:
                if load.flags & PF_X:
                    return offset - load.offset + load.vaddr
                if found is None:
                    found = offset - load.offset + load.vaddr
        return found

    def code_ranges(self) -> tuple[tuple[int, int], ...]:
        """[start, end) of each executable PT_LOAD."""
        return tuple((s.vaddr, s.vaddr + s.memsz) for s in self.loads if s.flags & PF_X)

    def read(self, vaddr: int, size: int) -> memoryview:
        """``size`` bytes of the file as loaded at ``vaddr``; FormatError if they are not there."""
        for load in self.loads:
            if load.vaddr <= vaddr and vaddr + size <= load.vaddr + load.filesz:
                start = vaddr - load.vaddr + load.offset
                if size >= 0 and start + size <= len(self.data):
                    return self.data[start : start + size]
        raise self._bad(f"no {size} bytes at {vaddr:#x}")

    def data_pieces(self, limit: int, *, writable: bool) -> Iterator[tuple[int, memoryview]]:
        """(vaddr, bytes) of the program's data in the file, ``limit`` bytes in all.

        Strings and constants lie in what is not ``writable``, tables of pointers in what is as
        well. By the sections' kinds, not their names: mold keeps strings in ``.rodata.str``. Where
        there are no sections by segment; one that data and code share counts.
        """
        ranges = list(self._data_sections(writable)) or [
            (s.vaddr, s.filesz) for s in self.loads if writable or not s.flags & PF_W
        ]
        for vaddr, size in ranges:
            piece = min(size, limit)
            with suppress(FormatError):
                if piece > 0:
                    yield vaddr, self.read(vaddr, piece)
            limit -= piece

    def _data_sections(self, writable: bool) -> Iterator[tuple[int, int]]:
        barred = SHF_EXECINSTR | SHF_COMPRESSED | (0 if writable else SHF_WRITE)
        for section in self.sections:
            if (
                section.type == SHT_PROGBITS
                and section.flags & (SHF_ALLOC | barred) == SHF_ALLOC
                and section.name not in _UNWIND_DATA
            ):
                yield section.addr, section.size

    def is_constant(self, vaddr: int) -> bool:
        """Is it in data that the program does not change once it runs?"""
        relro = self.segment(PT_GNU_RELRO)
        if relro is not None and relro.vaddr <= vaddr < relro.vaddr + relro.memsz:
            return True
        return any(
            load.vaddr <= vaddr < load.vaddr + load.filesz
            for load in self.loads
            if not load.flags & PF_W
        )

    # ------------------------------------------------------------------ sections

    def section(self, name: str) -> Section | None:
        return self._by_name.get(name)

    def section_data(self, name: str) -> memoryview:
        """The bytes of a section, decompressed; empty if it is absent or NOBITS.

        Raises FormatError where it lies outside of the file, or its compression is damaged or of a
        kind that nothing here reads (then ``notes`` says so as well).
        """
        section = self.section(name)
        if section is None or section.type == SHT_NOBITS:
            return memoryview(b"")
        if section.compressed:
            if name not in self._inflated:
                open_ = inflate_gnu if section.gnu_compressed else inflate
                with self._told():
                    self._inflated[name] = open_(self._raw(section), name)
            return memoryview(self._inflated[name])
        return self._raw(section)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What cannot be read for want of a library goes to ``notes`` too."""
        try:
            yield
        except NotReadableError as why:
            if why.message not in self.notes:
                self.notes.append(why.message)
            raise

    def mini_debug(self) -> ElfFile | None:
        """The file inside ``.gnu_debugdata``, as Fedora's programs have it: symbols of functions
        that the dynamic table lacks. None without one; FormatError where it is damaged."""
        data = self.section_data(".gnu_debugdata")
        if not data:
            return None
        with self._told():
            inner = inflate_xz(data, ".gnu_debugdata")
        return ElfFile(inner, f"{self.name} (.gnu_debugdata)")

    def _raw(self, section: Section) -> memoryview:
        end = section.offset + section.size
        if end > len(self.data):
            raise self._bad(f"section {section.name} reaches outside of the file")
        return self.data[section.offset : end]

    # ------------------------------------------------------------------ identity

    def build_id(self) -> str:
        """The GNU build id in lower-case hex; empty if there is none."""
        for kind, owner, payload in self.elf_notes():
            if kind == NT_GNU_BUILD_ID and owner == b"GNU\0":
                return payload.hex()
        return ""

    def elf_notes(self, limit: int = 256) -> Iterator[tuple[int, bytes, bytes]]:
        """(type, owner, content) of each note in the file whose content has at most ``limit``
        bytes."""
        ranges = [
            (s.offset, s.size, 4)
            for s in self.sections
            if s.name.startswith(".note") and s.type != SHT_NOBITS
        ]
        ranges += [(s.offset, s.filesz, s.align) for s in self.segments if s.type == PT_NOTE]
        for offset, size, align in ranges[:MAX_NOTE_RANGES]:
            yield from self._notes_in(offset, size, 8 if align == 8 else 4, limit)

    def _notes_in(
        self, offset: int, size: int, step: int, limit: int
    ) -> Iterator[tuple[int, bytes, bytes]]:
        end = min(offset + size, len(self.data))
        while offset + NHDR.size <= end:
            name_size, desc_size, kind = NHDR.unpack_from(self.data, offset)
            name_at = offset + NHDR.size
            desc_at = offset + _round_up(NHDR.size + name_size, step)
            offset = desc_at + _round_up(desc_size, step)
            if name_size > 256 or desc_size > limit:
                continue
            if desc_at + desc_size > end:
                return
            yield (
                kind,
                bytes(self.data[name_at : name_at + name_size]),
                bytes(self.data[desc_at : desc_at + desc_size]),
            )

    def debuglink(self) -> tuple[str, int] | None:
        """(.gnu_debuglink file name, CRC-32 of that file), or None."""
        try:
            data = bytes(self.section_data(".gnu_debuglink")[: MAX_NAME + 8])
        except FormatError:
            return None
        end = data.find(b"\0")
        crc_at = _round_up(end + 1, 4)
        if end <= 0 or crc_at + 4 > len(data):
            return None
        return data[:end].decode("utf-8", "replace"), int.from_bytes(
            data[crc_at : crc_at + 4], "little"
        )

    # ------------------------------------------------------------------ symbols

    def symbol_bytes(self, table: str = ".symtab") -> memoryview:
        """The Elf64_Sym array of .symtab or .dynsym, whole entries only; empty if absent."""
        data = self.section_data(table)
        return data[: len(data) - len(data) % SYM.size]

    def string_bytes(self, table: str = ".symtab") -> memoryview:
        """The string table that a symbol table refers to; empty if absent."""
        section = self._by_name.get(table)
        if section is None or not 0 < section.link < len(self.sections):
            return memoryview(b"")
        strings = self.sections[section.link]
        if strings.type == SHT_NOBITS or strings.compressed:
            return memoryview(b"")
        return self._raw(strings)

    def symbols(self, table: str = ".symtab") -> Iterator[Symbol]:
        """Every symbol of .symtab or .dynsym in file order, read as it is asked for."""
        return map(Symbol._make, SYM.iter_unpack(self.symbol_bytes(table)))

    def symbol_name(self, offset: int, table: str = ".symtab") -> str:
        """The name at an offset of the table's strings; empty if it lies outside."""
        return c_string(self.string_bytes(table), offset)


def _section(name: str, row: tuple[int, ...]) -> Section:
    gnu_compressed = name.startswith(_GNU_COMPRESSED)
    name = "." + name[2:] if gnu_compressed else name
    return Section._make((name, *row[1:], gnu_compressed))


def _round_up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def c_string(data: bytes | memoryview, offset: int) -> str:
    """The NUL-terminated string at an offset, at most MAX_NAME bytes; empty outside the data."""
    for limit in (128, 2048, MAX_NAME):
        text = bytes(data[offset : offset + limit])
        end = text.find(b"\0")
        if end >= 0 or len(text) < limit:
            break
    return text[: end if end >= 0 else len(text)].decode("utf-8", "replace")
