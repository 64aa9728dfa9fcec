"""Reads the address ranges of an entry: .debug_ranges (DWARF 4) and .debug_rnglists (DWARF 5).

Sources: DWARF 4, section 2.17.3; DWARF 5, section 2.17.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.forms import MASK64, fixed, uleb

if TYPE_CHECKING:
    from hud.symbols.dwarf.units import Entry, Unit, Units

Range = tuple[int, int]


class Budget:
    """How much work one question may still cost; hostile files share lists between entries."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise FormatError("dwarf: too much work for one address")


def ranges_of(units: Units, unit: Unit, entry: Entry, budget: Budget) -> list[Range]:
    """[start, end) of an entry's code, empty ones dropped; none if it has no code."""
    budget.spend(1)
    found = entry.values.get(dw.DW_AT_RANGES)
    if found is not None and isinstance(found[1], int):
        return _list(units, unit, found[0], found[1], budget)
    low = units.address(unit, entry, dw.DW_AT_LOW_PC)
    if low is None:
        return []
    high = units.address(unit, entry, dw.DW_AT_HIGH_PC)
    if high is None:
        high = low + entry.number(dw.DW_AT_HIGH_PC)
    return [(low, high)] if low < high else []


def _list(units: Units, unit: Unit, form: int, value: int, budget: Budget) -> list[Range]:
    if unit.version < 5:
        return _ranges(units, unit, unit.ranges_base + value, budget)
    if form == dw.DW_FORM_RNGLISTX:
        place = unit.rnglists_base + value * unit.offset_size
        section = units.section(".debug_rnglists")
        value = unit.rnglists_base + fixed(section, place, unit.offset_size)
    return _rnglist(units, unit, value, budget)


def _ranges(units: Units, unit: Unit, pos: int, budget: Budget) -> list[Range]:
    data = units.section(".debug_ranges")
    size = unit.address_size
    largest = (1 << 8 * size) - 1
    base = unit.low_pc
    ranges: list[Range] = []
    while True:
        budget.spend(1)
        start, end = fixed(data, pos, size), fixed(data, pos + size, size)
        pos += 2 * size
        if start == end == 0:
            return ranges
        if start == largest:
            base = end
        elif start < end:
            ranges.append((base + start & MASK64, base + end & MASK64))


def _rnglist(units: Units, unit: Unit, pos: int, budget: Budget) -> list[Range]:
    data = units.section(".debug_rnglists")
    size = unit.address_size
    base = unit.low_pc
    ranges: list[Range] = []
    while True:
        budget.spend(1)
        kind = data[pos]
        pos += 1
        if kind == dw.DW_RLE_END_OF_LIST:
            return ranges
        if kind == dw.DW_RLE_BASE_ADDRESSX:
            index, pos = uleb(data, pos)
            base = units.indexed_address(unit, index)
            continue
        if kind == dw.DW_RLE_BASE_ADDRESS:
            base = fixed(data, pos, size)
            pos += size
            continue
        if kind == dw.DW_RLE_OFFSET_PAIR:
            start, pos = uleb(data, pos)
            end, pos = uleb(data, pos)
            start, end = base + start, base + end
        elif kind in (dw.DW_RLE_START_END, dw.DW_RLE_START_LENGTH):
            start = fixed(data, pos, size)
            pos += size
            if kind == dw.DW_RLE_START_END:
                end = fixed(data, pos, size)
                pos += size
            else:
                length, pos = uleb(data, pos)
                end = start + length
        elif kind in (dw.DW_RLE_STARTX_ENDX, dw.DW_RLE_STARTX_LENGTH):
            index, pos = uleb(data, pos)
            other, pos = uleb(data, pos)
            start = units.indexed_address(unit, index)
            if kind == dw.DW_RLE_STARTX_ENDX:
                end = units.indexed_address(unit, other)
            else:
                end = start + other
        else:
            raise FormatError(f"dwarf: unknown range list entry {kind}")
        if start < end:
            ranges.append((start & MASK64, end & MASK64))
