"""Finds the entries that a compiler left out of the program: split units in .dwo and .dwp files.

The skeleton unit stayed in the program, with its line table and addresses. The split unit, under
the same 64-bit number, has the entries, alone in a .dwo file (here an object) or with many others
in a .dwp file (a package), whose index gives the unit's contribution to each section: the piece
that belongs to it. Sources: DWARF 5, sections 3.1.3, 7.3.2 and 7.3.5; for version 4 the GNU
extension (gcc.gnu.org/wiki/DebugFission, DebugFissionDWP).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.forms import fixed
from hud.symbols.dwarf.lines import join
from hud.symbols.dwarf.units import Unit, Units

if TYPE_CHECKING:
    from hud.symbols.elf.file import ElfFile

MAX_OBJECTS = 2_000
"""Objects that are kept for one module."""
MAX_WANTED = 200
"""Objects that are asked for at a time."""
MAX_PACKAGES = 4
MAX_UNITS = 4_096
"""Units of one object; link-time optimisation puts those of a whole program in one."""
MAX_COLUMNS = 32
CACHED_UNITS = 256
MAX_NAME = 4_096
"""Bytes of an object's path: PATH_MAX."""

_HEADER = struct.Struct("<IIII")
_OWN = frozenset(
    {".debug_info", ".debug_abbrev", ".debug_str", ".debug_str_offsets", ".debug_rnglists"}
)
_COLUMNS = {
    dw.DW_SECT_INFO: ".debug_info",
    dw.DW_SECT_ABBREV: ".debug_abbrev",
    dw.DW_SECT_STR_OFFSETS: ".debug_str_offsets",
    dw.DW_SECT_RNGLISTS: ".debug_rnglists",
}

Contributions = dict[str, tuple[int, int]]
"""Section -> (offset, size) of what belongs to one unit."""


class SplitUnits(Units):
    """The units of an object, or one of a package, with what their skeleton keeps."""

    def __init__(
        self, file: ElfFile, main: Units, skeleton: Unit, contributions: Contributions
    ) -> None:
        self._main = main
        self._skeleton = skeleton
        self._contributions = contributions
        self._views: dict[str, memoryview] = {}
        super().__init__(file)
        self.notes = main.notes

    def section(self, name: str) -> memoryview:
        if name not in _OWN:
            return self._main.section(name)
        view = self._views.get(name)
        if view is None:
            view = self.elf.section_data(name + ".dwo")
            if name in self._contributions:
                start, size = self._contributions[name]
                view = view[start : start + size]
            self._views[name] = view
        return view

    def _inherit(self, unit: Unit) -> None:
        skeleton = self._skeleton
        unit.addr_base = skeleton.addr_base
        unit.low_pc = skeleton.low_pc
        if unit.version < 5:
            if skeleton.root is not None:
                unit.ranges_base = skeleton.root.number(dw.DW_AT_GNU_RANGES_BASE)
            return
        # the header of the table: length, version and padding, or address sizes and a count
        wide = unit.offset_size == 8
        unit.str_offsets_base = 16 if wide else 8
        unit.rnglists_base = 20 if wide else 12


class _UnitIndex:
    """The index of a .dwp: which contributions a unit has."""

    def __init__(self, file: ElfFile) -> None:
        self.file = file
        self._index = file.section_data(".debug_cu_index")
        version, columns, self._units, self._slots = _HEADER.unpack_from(self._index)
        if version not in (2, 5):
            raise FormatError(f"{file.name}: a package index of unknown version {version}")
        size = _HEADER.size + 12 * self._slots + 4 * columns * (1 + 2 * self._units)
        if columns > MAX_COLUMNS or size > len(self._index) or self._slots & (self._slots - 1):
            raise FormatError(f"{file.name}: a damaged package index")
        self._rows_at = _HEADER.size + 8 * self._slots
        self._table_at = self._rows_at + 4 * self._slots
        self._columns = [fixed(self._index, self._table_at + 4 * n, 4) for n in range(columns)]
        self._is_gnu = version == 2

    def contributions(self, dwo_id: int) -> Contributions | None:
        """The contributions of a unit; None if it is not in the package."""
        mask = self._slots - 1
        slot, step = dwo_id & mask, dwo_id >> 32 & mask | 1
        for _ in range(self._slots):
            row = fixed(self._index, self._rows_at + 4 * slot, 4)
            if row == 0:
                return None
            if fixed(self._index, _HEADER.size + 8 * slot, 8) == dwo_id:
                return self._row(row) if row <= self._units else None
            slot = slot + step & mask
        return None

    def _row(self, row: int) -> Contributions:
        contributions = {}
        width = 4 * len(self._columns)
        for number, kind in enumerate(self._columns):
            name = _COLUMNS.get(kind)
            if name is None or (self._is_gnu and kind == dw.DW_SECT_RNGLISTS):
                continue
            at = self._table_at + width * row + 4 * number
            size = fixed(self._index, at + width * self._units, 4)
            contributions[name] = fixed(self._index, at, 4), size
        return contributions


class FullUnit(NamedTuple):
    """Where the entries of a unit are: the split unit, or the unit itself."""

    units: Units
    unit: Unit


class SplitFiles:
    """The objects and packages of one file with skeletons."""

    def __init__(self, main: Units) -> None:
        self._main = main
        self._packages: list[_UnitIndex] = []
        self._objects: dict[int, ElfFile] = {}
        self._count = 0
        self._found: dict[int, FullUnit] = {}
        self._wanted: dict[str, None] = {}

    def add(self, file: ElfFile) -> None:
        """Use one more file; FormatError with the reason if that makes no sense."""
        if file.section(".debug_cu_index") is not None:
            if len(self._packages) >= MAX_PACKAGES:
                raise FormatError(f"{file.name}: too many packages")
            self._packages.append(_UnitIndex(file))
            return
        if self._count >= MAX_OBJECTS:
            raise FormatError(f"{file.name}: too many .dwo files")
        units = SplitUnits(file, self._main, Unit(0, 0, 0, 4, 8, 0, 0, 0), {})
        found = [units.read(offset).dwo_id for offset in units.offsets()[:MAX_UNITS]]
        if not any(found):
            raise FormatError(f"{file.name}: no split unit in it")
        self._count += 1
        for dwo_id in found:
            self._objects.setdefault(dwo_id, file)

    def full_unit(self, skeleton: Unit) -> FullUnit:
        """Where the entries of a unit are: in itself where its file is not there (yet)."""
        if not skeleton.dwo_id or not skeleton.dwo_name:
            return FullUnit(self._main, skeleton)
        found = self._found.get(skeleton.offset) or self._find(skeleton)
        if found is None:
            self._want(join(skeleton.comp_dir, skeleton.dwo_name))
            return FullUnit(self._main, skeleton)
        if len(self._found) >= CACHED_UNITS:
            self._found.clear()
        self._found[skeleton.offset] = found
        return found

    def _want(self, name: str) -> None:
        if len(self._wanted) < MAX_WANTED and len(name) < MAX_NAME:
            self._wanted[name] = None

    def take_wanted(self) -> list[str]:
        """Paths of objects that were missed since the last call, up to MAX_WANTED."""
        wanted = list(self._wanted)
        self._wanted.clear()
        return wanted

    def _find(self, skeleton: Unit) -> FullUnit | None:
        for package in self._packages:
            contributions = package.contributions(skeleton.dwo_id)
            if contributions is not None:
                full = self._look(package.file, skeleton, contributions)
                if full is not None:
                    return full
        file = self._objects.get(skeleton.dwo_id)
        return self._look(file, skeleton, {}) if file is not None else None

    def _look(self, file: ElfFile, skeleton: Unit, contributions: Contributions) -> FullUnit | None:
        units = SplitUnits(file, self._main, skeleton, contributions)
        for offset in units.offsets()[:MAX_UNITS]:
            unit = units.at(offset)
            if unit.dwo_id == skeleton.dwo_id:
                return FullUnit(units, unit)
        return None
