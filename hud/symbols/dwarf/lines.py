"""Finds the source line of an address in a line program.

A sequence of a line program is a run of rows in address order, ended by an explicit end. Sources:
DWARF 4 and 5, section 6.2.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.cache import Lru
from hud.symbols.dwarf.forms import fixed, initial_length, read, string_end, uleb
from hud.symbols.dwarf.rows import Opcodes, Rows, decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.symbols.dwarf.forms import Bytes, Value
    from hud.symbols.dwarf.units import Unit, Units

MAX_SEQUENCES = 1 << 20
MAX_FILES = 1 << 17
MAX_RUN = 2048
"""Opcodes that one match passes: the regular expression engine remembers each."""
SEARCHES = 24
"""How often a program is searched for one function before all its sequences are found."""
MAX_BEFORE = 24
"""Bytes of the opcodes that come before a sequence's first address: file, column, flags."""
CACHED_ROWS = 1 << 14
"""Rows that stay decoded per line program."""
MAX_OVERLAP = 8
"""How many sequences that start closer to an address are passed by to find one that covers it."""


_SET_ADDRESS = bytes((0, 9, dw.DW_LNE_SET_ADDRESS))
_END_SEQUENCE = bytes((0, 1, dw.DW_LNE_END_SEQUENCE))


class FileName(NamedTuple):
    """A file or directory of the header: its string as in the file, and its directory."""

    form: int
    value: Value
    directory: int


class LineTable:
    """One line program; what is not asked for is not decoded.

    Compilers that give each function a section, as Rust's does, give each a sequence too: one in
    hundreds is ever needed. It is searched for by the function's start first; after some searches,
    or where that does not help, all sequences are found, which costs as much as many searches.
    """

    def __init__(
        self,
        program: Bytes,
        version: int,
        directories: list[FileName],
        files: list[FileName],
        opcodes: Opcodes,
        start: int,
        is_code: Callable[[int], bool],
    ) -> None:
        """``start``: where the opcodes begin; sequences of what is no code are left out."""
        self.version = version
        self.directories = directories
        self.files = files
        self._program = program
        self._opcodes = opcodes
        self._start = start
        self._is_code = is_code
        self._searches = SEARCHES
        self._starts: array[int] | None = None
        self._begins = self._ends = array("Q")
        self._rows: Lru[Rows] = Lru(CACHED_ROWS, lambda rows: len(rows.addresses) + 16)

    @property
    def weight(self) -> int:
        """Roughly the bytes it keeps, with some decoded rows."""
        names = len(self.files) + len(self.directories)
        return len(self._program) // 2 + 200 * names + (1 << 16)

    def lookup(self, vaddr: int, function: int = 0) -> tuple[int, int] | None:
        """(file number, line) of an address; None where no row covers it.

        ``function``: where its function begins, if that is known.
        """
        if function and self._starts is None and self._searches:
            self._searches -= 1
            found = self._search(vaddr, function)
            if found is not None:
                return found
        starts = self._starts if self._starts is not None else self._find_sequences()
        at = bisect_right(starts, vaddr) - 1
        for index in range(at, max(-1, at - MAX_OVERLAP), -1):
            found = self._rows_of(index).lookup(vaddr)
            if found is not None:
                return found
        return None

    def _search(self, vaddr: int, function: int) -> tuple[int, int] | None:
        """As ``lookup``, where a sequence begins with the function's address.

        Of several the last one counts, as among all sequences. The bytes cannot be anything else:
        nothing but DW_LNE_set_address holds eight raw bytes. A few opcodes may come before it.
        """
        program = bytes(self._program)
        at = program.rfind(_SET_ADDRESS + function.to_bytes(8, "little"), self._start)
        if at < 0:
            return None
        first = max(self._start, at - MAX_BEFORE)
        end = program.rfind(_END_SEQUENCE, first, at)
        begin = end + len(_END_SEQUENCE) if end >= 0 else self._start
        if begin < first:
            return None
        try:
            rows = self._rows.get(begin, lambda: decode(program, begin, self._opcodes))
        except (FormatError, IndexError):
            return None
        return rows.lookup(vaddr) if rows.addresses[:1] == array("Q", [function]) else None

    def _find_sequences(self) -> array[int]:
        rows = _sequences(bytes(self._program), self._start, self._opcodes.lengths)
        sequences = sorted(row for row in rows if self._is_code(row[0]))
        self._starts = array("Q", [row[0] for row in sequences])
        self._begins = array("Q", [row[1] for row in sequences])
        self._ends = array("Q", [row[2] for row in sequences])
        return self._starts

    def _rows_of(self, index: int) -> Rows:
        """The rows of a sequence, numbered in address order."""
        begin, end = self._begins[index], self._ends[index]
        return self._rows.get(
            begin, lambda: decode(bytes(self._program[begin:end]), 0, self._opcodes)
        )

    def path(self, units: Units, unit: Unit, number: int) -> str:
        """The path of a file number, made absolute by directory and compilation directory."""
        if self.version < 5:
            number -= 1
        if not 0 <= number < len(self.files):
            return ""
        file = self.files[number]
        name = units.string_of(unit, file.form, file.value)
        directory = ""
        index = file.directory - (self.version < 5)
        if 0 <= index < len(self.directories):
            entry = self.directories[index]
            directory = units.string_of(unit, entry.form, entry.value)
        return join(unit.comp_dir, directory, name)


def join(*parts: str) -> str:
    """Parts of a path; an absolute one drops those before it."""
    path = ""
    for part in parts:
        if part.startswith("/") or not path:
            path = part or path
        elif part:
            path = f"{path.rstrip('/')}/{part}"
    return path


def read_lines(units: Units, unit: Unit, is_code: Callable[[int], bool]) -> LineTable:
    """Decode the header of a unit's line program; FormatError where it makes no sense."""
    data = units.section(".debug_line")
    offset_size, pos, end = initial_length(data, unit.line_offset)
    program = bytes(data[unit.line_offset : end])
    pos -= unit.line_offset
    version = fixed(program, pos, 2)
    if not 2 <= version <= 5:
        raise FormatError(f"dwarf: line program of unknown version {version}")
    pos += 2
    if version >= 5:
        pos += 2
    header_size = fixed(program, pos, offset_size)
    pos += offset_size
    start = pos + header_size
    min_step = program[pos]
    pos += 1 + (version >= 4) + 1  # maximum operations (VLIW only), default_is_stmt
    line_base = program[pos] - (program[pos] & 128) * 2
    line_range, opcode_base = program[pos + 1], program[pos + 2]
    if opcode_base == 0 or line_range == 0:
        raise FormatError("dwarf: line program without opcodes")
    lengths = program[pos + 3 : pos + 2 + opcode_base]
    pos += 2 + opcode_base
    if version >= 5:
        directories, pos = _entries_v5(program, pos, offset_size, unit.address_size)
        files, pos = _entries_v5(program, pos, offset_size, unit.address_size)
    else:
        directories, files = _entries_v2(program, pos)
    specials = range(255 - len(lengths))
    none = [0] * (len(lengths) + 1)
    opcodes = Opcodes(
        lengths,
        min_step,
        none + [op // line_range * min_step for op in specials],
        none + [line_base + op % line_range for op in specials],
    )
    view = data[unit.line_offset : end]
    return LineTable(view, version, directories, files, opcodes, start, is_code)


def _entries_v2(data: bytes, pos: int) -> tuple[list[FileName], list[FileName]]:
    directories: list[FileName] = []
    files: list[FileName] = []
    while data[pos]:
        end = string_end(data, pos)
        directories.append(FileName(dw.DW_FORM_STRING, data[pos:end], 0))
        pos = end + 1
    pos += 1
    while data[pos]:
        end = string_end(data, pos)
        name = data[pos:end]
        directory, pos = uleb(data, end + 1)
        _, pos = uleb(data, pos)
        _, pos = uleb(data, pos)
        files.append(FileName(dw.DW_FORM_STRING, name, directory))
    return directories, files


def _entries_v5(
    data: bytes, pos: int, offset_size: int, address_size: int
) -> tuple[list[FileName], int]:
    formats = []
    kinds = data[pos]
    pos += 1
    for _ in range(kinds):
        content, pos = uleb(data, pos)
        form, pos = uleb(data, pos)
        formats.append((content, form))
    count, pos = uleb(data, pos)
    if count > MAX_FILES:
        raise FormatError("dwarf: too many files in a line program")
    entries = []
    for _ in range(count):
        name: tuple[int, Value] = (0, b"")
        directory = 0
        for content, form in formats:
            actual, value, pos = read(data, pos, form, 0, offset_size, address_size)
            if content == dw.DW_LNCT_PATH:
                name = (actual, value)
            elif content == dw.DW_LNCT_DIRECTORY_INDEX and isinstance(value, int):
                directory = value
        entries.append(FileName(*name, directory))
    return entries, pos


@lru_cache(maxsize=16)
def _plain_opcodes(lengths: bytes) -> re.Pattern[bytes]:
    """Matches opcodes that neither begin nor end a sequence, up to MAX_RUN of them.

    No two alternatives begin with the same byte, and none can match in two ways: the match is the
    one way to read the program, and the regular expression only makes it fast.
    """
    by_count: dict[int, list[int]] = {}
    for opcode, count in enumerate(lengths, 1):
        if opcode != dw.DW_LNS_FIXED_ADVANCE_PC:
            by_count.setdefault(count, []).append(opcode)
    parts = [rb"\x00(?:\x02\x04.|\x03\x04..|\x04\x04...)"]  # DW_LNE_set_discriminator
    if len(lengths) < 255:
        parts.insert(0, b"[%s-\xff]+" % _escape(len(lengths) + 1))
    if len(lengths) >= dw.DW_LNS_FIXED_ADVANCE_PC:
        parts.append(b"%s.." % _escape(dw.DW_LNS_FIXED_ADVANCE_PC))
    for count, opcodes in sorted(by_count.items()):
        numbers = rb"(?:[\x80-\xff]*[\x00-\x7f]){%d}" % count if count else b""
        parts.append(b"[%s]%s" % (b"".join(map(_escape, opcodes)), numbers))
    return re.compile(b"(?:%s){1,%d}" % (b"|".join(parts), MAX_RUN), re.DOTALL)


def _escape(byte: int) -> bytes:
    return b"\\x%02x" % byte


def _sequences(data: bytes, pos: int, lengths: bytes) -> list[tuple[int, int, int]]:
    """(lowest address set, start, end) of each sequence, as offsets in the program."""
    match = _plain_opcodes(lengths).match
    found = []
    begin, lowest = pos, -1
    while pos < len(data):
        plain = match(data, pos)
        if plain is not None:
            pos = plain.end()
            continue
        if data[pos] != 0:
            break  # an opcode cut off by the end
        size, pos = uleb(data, pos + 1)
        code = data[pos] if size else 0
        if code == dw.DW_LNE_SET_ADDRESS:
            address = fixed(data, pos + 1, min(size - 1, 8))
            lowest = address if lowest < 0 else min(lowest, address)
        pos += size
        if code == dw.DW_LNE_END_SEQUENCE:
            found.append((max(lowest, 0), begin, pos))
            if len(found) > MAX_SEQUENCES:
                raise FormatError("dwarf: too many sequences in a line program")
            begin, lowest = pos, -1
    return found
