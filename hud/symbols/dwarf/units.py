"""Finds the units of .debug_info and reads the attributes of single entries.

An entry (DIE) is named by its offset in .debug_info. Source: DWARF 5, sections 7.5.1 and 7.26.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.abbrev import Abbrev, AbbrevTable
from hud.symbols.dwarf.cache import Lru
from hud.symbols.dwarf.forms import fixed, initial_length, read, uleb
from hud.symbols.elf.file import c_string

if TYPE_CHECKING:
    from hud.symbols.dwarf.forms import Value
    from hud.symbols.elf.file import ElfFile

MAX_UNITS = 1 << 22
MAX_ABBREV_TABLES = 128
MAX_CACHED_UNITS = 512

_STRX = frozenset(
    {
        dw.DW_FORM_STRX,
        dw.DW_FORM_STRX1,
        dw.DW_FORM_STRX2,
        dw.DW_FORM_STRX3,
        dw.DW_FORM_STRX4,
        dw.DW_FORM_GNU_STR_INDEX,
    }
)
_ADDRX = frozenset(
    {
        dw.DW_FORM_ADDRX,
        dw.DW_FORM_ADDRX1,
        dw.DW_FORM_ADDRX2,
        dw.DW_FORM_ADDRX3,
        dw.DW_FORM_ADDRX4,
        dw.DW_FORM_GNU_ADDR_INDEX,
    }
)
_UNIT_REFS = frozenset(
    {
        dw.DW_FORM_REF1,
        dw.DW_FORM_REF2,
        dw.DW_FORM_REF4,
        dw.DW_FORM_REF8,
        dw.DW_FORM_REF_UDATA,
    }
)
_OTHER_FILE = frozenset(
    {
        dw.DW_FORM_GNU_REF_ALT,
        dw.DW_FORM_GNU_STRP_ALT,
        dw.DW_FORM_REF_SUP4,
        dw.DW_FORM_REF_SUP8,
        dw.DW_FORM_STRP_SUP,
    }
)


class Entry(NamedTuple):
    """One DIE: ``values`` holds (form, value as in the file) by attribute."""

    offset: int
    abbrev: Abbrev
    values: dict[int, tuple[int, Value]]
    end: int
    """Where its first child, or the next entry, begins."""

    def number(self, attribute: int) -> int:
        """A constant; 0 if it is absent or no number."""
        value = self.values.get(attribute, (0, 0))[1]
        return value if isinstance(value, int) else 0


class Body(NamedTuple):
    """A namespace that holds what is inside a closure, an async fn or block."""

    start: int
    """[start, end) of its entry and all that is inside, in .debug_info."""
    end: int
    name: str


@dataclass(slots=True)
class Unit:
    """One unit's header, and what its root says; offsets in .debug_info, bytes."""

    offset: int
    version: int
    kind: int
    offset_size: int
    address_size: int
    abbrev_offset: int
    first: int
    """Where the root begins."""
    end: int
    low_pc: int = 0
    name: str = ""
    comp_dir: str = ""
    line_offset: int = -1
    """Of its program in .debug_line; -1 = it has none."""
    language: int = 0
    str_offsets_base: int = 0
    addr_base: int = 0
    rnglists_base: int = 0
    ranges_base: int = 0
    """What offsets in .debug_ranges count from (GNU split units only)."""
    dwo_id: int = 0
    """Of a skeleton and of its split unit: the same number."""
    dwo_name: str = ""
    """Of a skeleton: the file that has its entries."""
    root: Entry | None = field(default=None, repr=False)
    bodies: tuple[Body, ...] | None = field(default=None, repr=False)
    """Of closures and async code, inner ones first; None = not read yet."""


class Units:
    """The units of one file, with the sections that their attributes point into."""

    def __init__(self, elf: ElfFile) -> None:
        self.elf = elf
        self.info = self.section(".debug_info")
        self.abbrev = self.section(".debug_abbrev")
        self.notes: list[str] = []
        self._tables: Lru[AbbrevTable] = Lru(MAX_ABBREV_TABLES)
        self._units: Lru[Unit] = Lru(MAX_CACHED_UNITS)
        self._offsets: list[int] | None = None

    def section(self, name: str) -> memoryview:
        """The contents of a section; empty if absent."""
        return self.elf.section_data(name)

    # ------------------------------------------------------------------ units

    def offsets(self) -> list[int]:
        """Where the units begin, in order; ends early where a header makes no sense."""
        if self._offsets is None:
            found: list[int] = []
            pos = 0
            while pos < len(self.info) and len(found) < MAX_UNITS:
                try:
                    _, _, end = initial_length(self.info, pos)
                except FormatError as why:
                    self.note(str(why))
                    break
                found.append(pos)
                pos = end
            self._offsets = found
        return self._offsets

    def containing(self, offset: int) -> Unit:
        """The unit that an offset in .debug_info belongs to."""
        at = bisect_right(self.offsets(), offset) - 1
        if at < 0:
            raise FormatError(f"dwarf: no unit at {offset:#x}")
        unit = self.at(self.offsets()[at])
        if not unit.first <= offset < unit.end:
            raise FormatError(f"dwarf: no entry at {offset:#x}")
        return unit

    def at(self, offset: int) -> Unit:
        """The unit that begins at an offset, with its root read."""
        return self._units.get(offset, lambda: self.read(offset))

    def read(self, offset: int) -> Unit:
        """As ``at``, and not kept."""
        unit = self._header(offset)
        self._read_root(unit)
        return unit

    def _header(self, offset: int) -> Unit:
        info = self.info
        offset_size, pos, end = initial_length(info, offset)
        version = fixed(info, pos, 2)
        pos += 2
        if not 2 <= version <= 5:
            raise FormatError(f"dwarf: unit of unknown version {version}")
        kind = dw.DW_UT_COMPILE
        dwo_id = 0
        if version >= 5:
            kind, address_size = info[pos], info[pos + 1]
            abbrev_offset = fixed(info, pos + 2, offset_size)
            pos += 2 + offset_size
            if kind in (dw.DW_UT_SKELETON, dw.DW_UT_SPLIT_COMPILE):
                dwo_id = fixed(info, pos, 8)
                pos += 8
            elif kind in (dw.DW_UT_TYPE, dw.DW_UT_SPLIT_TYPE):
                pos += 8 + offset_size
        else:
            abbrev_offset = fixed(info, pos, offset_size)
            address_size = info[pos + offset_size]
            pos += offset_size + 1
        if address_size not in (4, 8):
            raise FormatError(f"dwarf: addresses of {address_size} bytes")
        first = min(pos, end)
        return Unit(
            *(offset, version, kind, offset_size, address_size, abbrev_offset, first, end),
            dwo_id=dwo_id,
        )

    def _read_root(self, unit: Unit) -> None:
        if unit.first >= unit.end or unit.kind in (dw.DW_UT_TYPE, dw.DW_UT_SPLIT_TYPE):
            return
        code, pos = uleb(self.info, unit.first)
        if code == 0:
            return
        root = self._values(unit, unit.first, self.table(unit).get(code), pos)
        unit.root = root
        unit.language = root.number(dw.DW_AT_LANGUAGE)
        unit.str_offsets_base = root.number(dw.DW_AT_STR_OFFSETS_BASE)
        unit.addr_base = root.number(dw.DW_AT_ADDR_BASE) or root.number(dw.DW_AT_GNU_ADDR_BASE)
        unit.rnglists_base = root.number(dw.DW_AT_RNGLISTS_BASE)
        if dw.DW_AT_STMT_LIST in root.values:
            unit.line_offset = root.number(dw.DW_AT_STMT_LIST)
        self._inherit(unit)
        unit.low_pc = self.address(unit, root, dw.DW_AT_LOW_PC) or unit.low_pc
        unit.name = self.string(unit, root, dw.DW_AT_NAME)
        unit.comp_dir = self.string(unit, root, dw.DW_AT_COMP_DIR)
        unit.dwo_id = unit.dwo_id or root.number(dw.DW_AT_GNU_DWO_ID)
        unit.dwo_name = self.string(unit, root, dw.DW_AT_DWO_NAME) or self.string(
            unit, root, dw.DW_AT_GNU_DWO_NAME
        )

    def _inherit(self, unit: Unit) -> None:
        """What a unit's root leaves to others: nothing, except in split units."""

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    # ------------------------------------------------------------------ entries

    def table(self, unit: Unit) -> AbbrevTable:
        key = unit.abbrev_offset << 8 | unit.offset_size << 4 | unit.address_size
        return self._tables.get(
            key,
            lambda: AbbrevTable(
                self.abbrev, unit.abbrev_offset, unit.offset_size, unit.address_size
            ),
        )

    def entry(self, unit: Unit, offset: int) -> Entry:
        """The entry at an offset of a unit; FormatError for a null entry."""
        code, pos = uleb(self.info, offset)
        return self._values(unit, offset, self.table(unit).get(code), pos)

    def _values(self, unit: Unit, offset: int, abbrev: Abbrev, pos: int) -> Entry:
        values: dict[int, tuple[int, Value]] = {}
        for name, form, implicit in abbrev.attributes:
            actual, value, pos = read(
                self.info, pos, form, implicit, unit.offset_size, unit.address_size
            )
            values[name] = (actual, value)
        return Entry(offset, abbrev, values, pos)

    # ------------------------------------------------------------------ values

    def string(self, unit: Unit, entry: Entry, attribute: int) -> str:
        """A string attribute; empty if absent or kept in another file."""
        found = entry.values.get(attribute)
        return "" if found is None else self.string_of(unit, *found)

    def string_of(self, unit: Unit, form: int, value: Value) -> str:
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if form == dw.DW_FORM_STRP:
            return c_string(self.section(".debug_str"), value)
        if form == dw.DW_FORM_LINE_STRP:
            return c_string(self.section(".debug_line_str"), value)
        if form in _STRX:
            size = unit.offset_size
            place = unit.str_offsets_base + value * size
            return c_string(
                self.section(".debug_str"), fixed(self.section(".debug_str_offsets"), place, size)
            )
        if form in _OTHER_FILE:
            self.note("names kept in a supplementary debug file are not read")
        return ""

    def address(self, unit: Unit, entry: Entry, attribute: int) -> int | None:
        """An address attribute; None if it is absent or no address."""
        form, value = entry.values.get(attribute, (0, 0))
        if not isinstance(value, int):
            return None
        if form == dw.DW_FORM_ADDR:
            return value
        if form in _ADDRX:
            return self.indexed_address(unit, value)
        return None

    def indexed_address(self, unit: Unit, index: int) -> int:
        """Entry of .debug_addr, counted from the unit's base."""
        place = unit.addr_base + index * unit.address_size
        return fixed(self.section(".debug_addr"), place, unit.address_size)

    def reference(self, unit: Unit, entry: Entry, attribute: int) -> int | None:
        """The .debug_info offset that an attribute refers to; None if absent or elsewhere."""
        form, value = entry.values.get(attribute, (0, 0))
        if not isinstance(value, int):
            return None
        if form in _UNIT_REFS:
            return unit.offset + value
        if form == dw.DW_FORM_REF_ADDR:
            return value
        if form in _OTHER_FILE:
            self.note("names kept in a supplementary debug file are not read")
        return None
