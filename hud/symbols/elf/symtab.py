"""Finds the function of an address, and symbols by name, in an ELF symbol table.

A symbol without a size (hand-written assembly) ends where the next symbol or its section ends.
Names are read only for the symbols that are asked for.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.elf.file import (
    SHF_EXECINSTR,
    SHN_LORESERVE,
    SHN_UNDEF,
    STB_GLOBAL,
    STB_LOCAL,
    STT_FUNC,
    STT_GNU_IFUNC,
    STT_NOTYPE,
    STT_TLS,
    SYM,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.elf.file import ElfFile

MAX_SYMBOLS = 1 << 24
MAX_NESTING = 32
"""How many symbols that start closer to an address are passed by to find one that covers it."""
MAX_MATCHES = 1 << 20
"""Name offsets that one search may collect."""
SEARCH_CHUNK = 1 << 20

_ANCHORS = (b"^", rb"\A", b"(?<", rb"\b", rb"\B")


class FoundSymbol(NamedTuple):
    """One defined symbol; ``value`` is a vaddr, of STT_TLS an offset in the TLS segment."""

    name: str
    value: int
    size: int
    type: int


class Symtab:
    """The symbols of one file: .symtab, else .dynsym; ``table`` says which, empty = neither."""

    def __init__(self, elf: ElfFile) -> None:
        self.elf = elf
        self.table = next((t for t in (".symtab", ".dynsym") if _has_entries(elf, t)), "")
        self._starts: array[int] | None = None
        self._indices: array[int] = array("I")

    def lookup(self, vaddr: int) -> tuple[str, int, int] | None:
        """(raw name, start, size) of the function that covers a vaddr.

        Of several, the one that starts closest; of aliases one that is not local, with the fewest
        leading underscores, then a global one, then the first in the table. Suffixes such as
        ``.cold`` stay. A symbol without a size counts only where none with one covers the
        address.
        """
        starts = self.starts()
        at = bisect_right(starts, vaddr)
        found: list[tuple[tuple[int, int, int, int], str, int]] = []
        begin = -1
        for place in range(at - 1, max(-1, at - 1 - MAX_NESTING), -1):
            start = starts[place]
            if found and start != begin:
                break
            index = self._indices[place]
            name, info, _, _, _, size = self._entry(index)
            if vaddr - start < size:
                text = self.elf.symbol_name(name, self.table)
                found.append((_rank(text, info >> 4, index), text, size))
                begin = start
        if found:
            _, text, size = max(found)
            return text, begin, size
        return self._lookup_unsized(vaddr, at)

    def starts(self) -> array[int]:
        """Where the functions begin, by address; an alias repeats its address."""
        return self._starts if self._starts is not None else self._build()

    def _lookup_unsized(self, vaddr: int, at: int) -> tuple[str, int, int] | None:
        starts = self._starts
        if not starts or at == 0:
            return None
        start = starts[at - 1]
        place = at - 1
        while place >= 0 and place > at - 1 - MAX_NESTING and starts[place] == start:
            name, _, _, shndx, _, size = self._entry(self._indices[place])
            end = self._unsized_end(shndx, start)
            if at < len(starts):
                end = min(end, starts[at])
            if size == 0 and vaddr < end:
                return self.elf.symbol_name(name, self.table), start, end - start
            place -= 1
        return None

    def _unsized_end(self, shndx: int, start: int) -> int:
        sections = self.elf.sections
        if shndx < len(sections) and sections[shndx].flags & SHF_EXECINSTR:
            return sections[shndx].addr + sections[shndx].size
        return start

    def _entry(self, index: int) -> tuple[int, ...]:
        return SYM.unpack_from(self.elf.symbol_bytes(self.table), index * SYM.size)

    def _build(self) -> array[int]:
        code = {STT_FUNC, STT_GNU_IFUNC}
        executable = {
            index
            for index, section in enumerate(self.elf.sections)
            if section.flags & SHF_EXECINSTR
        }
        keys = []
        for index, (name, info, _, shndx, value, size) in enumerate(self._rows()):
            kind = info & 15
            if kind not in code:
                if kind != STT_NOTYPE or size or shndx not in executable or self._is_marker(name):
                    continue
            elif shndx == SHN_UNDEF or not value:
                continue
            keys.append(value << 32 | index)
        keys.sort()
        self._starts = array("Q", [key >> 32 for key in keys])
        self._indices = array("I", [key & 0xFFFFFFFF for key in keys])
        return self._starts

    def _is_marker(self, name: int) -> bool:
        """Arm mapping symbols (``$x``, ``$d``) and nameless ones mark no function."""
        strings = self.elf.string_bytes(self.table)
        return name >= len(strings) or strings[name] in (0, ord("$"))

    def _rows(self) -> Iterator[tuple[int, ...]]:
        if not self.table:
            return iter(())
        data = self.elf.symbol_bytes(self.table)
        if len(data) > MAX_SYMBOLS * SYM.size:
            raise FormatError(f"{self.elf.name}: too many symbols")
        return SYM.iter_unpack(data)

    # ------------------------------------------------------------------ by name

    def find(self, pattern: bytes) -> list[FoundSymbol]:
        """Every defined symbol in whose raw name ``re.search`` finds the pattern, in file order.

        A pattern without a left anchor costs one pass over the strings; with one, every name is
        read. FormatError where it matches more than MAX_MATCHES places.
        """
        matcher = re.compile(pattern, re.MULTILINE)
        wanted = None
        if not any(anchor in pattern for anchor in _ANCHORS):
            wanted = self._name_offsets(matcher)
            if not wanted:
                return []
        found = []
        for name, info, _, shndx, value, size in self._rows():
            if shndx == SHN_UNDEF or shndx >= SHN_LORESERVE:
                continue
            if wanted is None or name in wanted:
                text = self.elf.symbol_name(name, self.table)
                if matcher.search(text.encode("utf-8", "replace")):
                    found.append(FoundSymbol(text, value, size, info & 15))
        return found

    def tls_symbols(self) -> list[FoundSymbol]:
        """Every defined STT_TLS symbol, in file order; ``value`` is its offset in the segment."""
        return [
            FoundSymbol(self.elf.symbol_name(name, self.table), value, size, STT_TLS)
            for name, info, _, shndx, value, size in self._rows()
            if info & 15 == STT_TLS and shndx != SHN_UNDEF
        ]

    def _name_offsets(self, matcher: re.Pattern[bytes]) -> set[int]:
        """Where names begin that may hold a match: linkers let one name be the tail of another."""
        offsets: set[int] = set()
        for base, text in _string_chunks(self.elf.string_bytes(self.table)):
            for match in matcher.finditer(text):
                begin = text.rfind(b"\n", 0, match.start()) + 1
                offsets.update(range(base + begin, base + match.start() + 1))
                if len(offsets) > MAX_MATCHES:
                    raise FormatError(f"{self.elf.name}: too many symbol names match")
        return offsets


def _rank(name: str, bind: int, index: int) -> tuple[int, int, int, int]:
    """How good a name is among aliases; the largest wins."""
    underscores = len(name) - len(name.lstrip("_"))
    return bind != STB_LOCAL, -underscores, bind == STB_GLOBAL, -index


def _has_entries(elf: ElfFile, table: str) -> bool:
    try:
        return len(elf.symbol_bytes(table)) > SYM.size and len(elf.string_bytes(table)) > 1
    except FormatError as why:
        elf.notes.append(str(why))
        return False


def _string_chunks(strings: memoryview) -> Iterator[tuple[int, bytes]]:
    """(offset, bytes) pieces cut between names; NUL becomes newline, so that ``.`` stops there."""
    start = 0
    while start < len(strings):
        text = bytes(strings[start : start + SEARCH_CHUNK])
        if start + len(text) < len(strings):
            cut = text.rfind(b"\0") + 1
            text = text[:cut] if cut else text
        yield start, text.replace(b"\0", b"\n")
        start += len(text)
