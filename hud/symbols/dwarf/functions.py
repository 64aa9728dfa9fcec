"""Finds the functions of a unit, and the calls that are inlined at an address."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.addresses import MAX_RANGES, RangeMap, add_ranges
from hud.symbols.dwarf.forms import MASK64, skip, uleb
from hud.symbols.dwarf.ranges import Budget, ranges_of
from hud.symbols.dwarf.scopes import bodies_around, scopes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.symbols.dwarf.units import Entry, Unit, Units

MAX_DEPTH = 512
MAX_CHAIN = 256
MAX_HOPS = 16
"""Abstract origins and specifications that are followed for one name."""
MAX_INLINE_WORK = 1 << 20
"""Range list entries read for one address."""

_FAR = 1 << 30


def index_functions(units: Units, unit: Unit, is_code: Callable[[int], bool]) -> RangeMap:
    """The offset of the subprogram entry that covers an address, for all of a unit.

    A unit that breaks off keeps the functions found before the damage, and leaves a note.
    """
    rows: list[tuple[int, int, int]] = []
    if unit.root is not None and unit.root.abbrev.children:
        try:
            _scan(units, unit, rows, is_code)
        except (FormatError, IndexError, struct.error) as why:
            units.note(f"debug info of a unit is damaged: {why}")
    return RangeMap(rows)


def _scan(
    units: Units,
    unit: Unit,
    rows: list[tuple[int, int, int]],
    is_code: Callable[[int], bool],
) -> None:
    assert unit.root is not None
    table = units.table(unit)
    bounds, sizes, _, open_at, _, open_size, mask = table.shapes()
    budget = Budget(MAX_RANGES)
    offset_size, address_size = unit.offset_size, unit.address_size
    base = unit.root.end
    data = bytes(units.info[base : unit.end])
    pos, end = 0, len(data)
    while pos < end:
        code = data[pos]
        size = sizes[code]
        if size:
            pos += size
            continue
        at = open_at[code]
        if at:
            byte = data[pos + at]
            if byte < 128:
                pos += open_size[code] + (byte & mask[code])
                continue
        plain = bounds[code]
        if plain is not None:
            low, size = plain.unpack(data, pos + plain.place)
            if size and is_code(low) and low + size <= MASK64:
                rows.append((low, low + size, base + pos))
            if plain.size:
                pos += plain.size
                continue
            byte = data[pos + plain.at]
            if plain.at and byte < 128:
                pos += open_size[code] + (byte & mask[code])
                continue
        code, behind = uleb(data, pos)
        abbrev = table.get(code)
        if abbrev.is_function and plain is None:
            entry = units.entry(unit, base + pos)
            add_ranges(rows, ranges_of(units, unit, entry, budget), entry.offset, is_code)
            pos = entry.end - base
        else:
            pos = skip(data, behind, abbrev.steps, offset_size, address_size)


def chain_at(units: Units, unit: Unit, function: int, vaddr: int) -> list[Entry]:
    """The entries of the function at an offset and of the calls inlined at an address in it,
    outermost first."""
    top = units.entry(unit, function)
    chain = [top]
    if not top.abbrev.children:
        return chain
    table = units.table(unit)
    _, _, sizes, _, open_at, open_size, mask = table.shapes()
    budget = Budget(MAX_INLINE_WORK)
    data, pos, end = units.info, top.end, unit.end
    depth, floor, quiet = 1, 0, _FAR  # entries deeper than ``quiet`` cannot cover the address
    while pos < end:
        code = data[pos]
        size = sizes[code]
        if size:
            pos += size
            continue
        at = open_at[code]
        if at:
            byte = data[pos + at]
            if byte < 128:
                pos += open_size[code] + (byte & mask[code])
                continue
        if code == 0:
            pos += 1
            depth -= 1
            if depth <= floor:
                break
            if depth <= quiet:
                quiet = _FAR
            continue
        code, behind = uleb(data, pos)
        abbrev = table.get(code)
        if abbrev.tag == dw.DW_TAG_INLINED_SUBROUTINE and depth <= quiet:
            entry = units.entry(unit, pos)
            pos = entry.end
            if any(low <= vaddr < high for low, high in ranges_of(units, unit, entry, budget)):
                chain.append(entry)
                if not abbrev.children or len(chain) > MAX_CHAIN:
                    break
                floor = depth
            elif abbrev.children:
                quiet = depth
        else:
            pos = skip(data, behind, abbrev.steps, unit.offset_size, unit.address_size)
            if abbrev.tag == dw.DW_TAG_SUBPROGRAM and abbrev.children and depth <= quiet:
                quiet = depth
        if abbrev.children:
            depth += 1
            if depth > MAX_DEPTH:
                raise FormatError("dwarf: entries nested too deeply")
    return chain


def names_of(units: Units, unit: Unit, entry: Entry) -> tuple[str, str]:
    """(linkage name, name) of a function or inlined call. Follows abstract origins and
    specifications, also into other units.

    Without a linkage name the name is qualified; beside one it is kept only where it says what the
    linkage name cannot: ``{async_fn#0}`` and the like, as rustc names closures and futures, with
    those around it: ``{async_fn#0}::{closure#1}``.
    """
    short = ""
    place = unit, entry
    for _ in range(MAX_HOPS):
        short = short or units.string(unit, entry, dw.DW_AT_NAME)
        for attribute in (dw.DW_AT_LINKAGE_NAME, dw.DW_AT_MIPS_LINKAGE_NAME):
            raw = units.string(unit, entry, attribute)
            if raw:
                return raw, _own(units, unit, entry, raw, short) if short.startswith("{") else ""
        place = unit, entry
        target = units.reference(unit, entry, dw.DW_AT_ABSTRACT_ORIGIN)
        if target is None:
            target = units.reference(unit, entry, dw.DW_AT_SPECIFICATION)
        if target is None:
            break
        if not unit.first <= target < unit.end:
            unit = units.containing(target)
        entry = units.entry(unit, target)
    return "", _qualified(units, *place, short) if short else ""


def _own(units: Units, unit: Unit, entry: Entry, raw: str, short: str) -> str:
    is_inside = max(raw.count("closure$u7d"), raw.count("NC")) > 1  # of another: both manglings
    around = bodies_around(units, unit, entry.offset) if is_inside else []
    return "::".join([*around, short.partition("<")[0]])


def own_name(units: Units, unit: Unit, entry: Entry) -> str:
    """A function's DW_AT_name, with its generics as rustc writes them; empty = none."""
    for _ in range(MAX_HOPS):
        name = units.string(unit, entry, dw.DW_AT_NAME)
        if name:
            return name
        target = units.reference(unit, entry, dw.DW_AT_ABSTRACT_ORIGIN)
        if target is None:
            target = units.reference(unit, entry, dw.DW_AT_SPECIFICATION)
        if target is None:
            break
        if not unit.first <= target < unit.end:
            unit = units.containing(target)
        entry = units.entry(unit, target)
    return ""


def _qualified(units: Units, unit: Unit, entry: Entry, short: str) -> str:
    if unit.language in dw.C_LANGUAGES or unit.root is None:
        return short
    return "::".join([*scopes_of(units, unit, entry.offset), short])
