"""Finds what an entry stands in: namespaces, types, and bodies.

A *body* is the namespace that rustc makes of a closure, an async fn or block for what is inside:
``{closure#0}``, ``{async_fn#0}``. Linkage names call all of them closures.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.forms import skip, uleb
from hud.symbols.dwarf.units import Body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.symbols.dwarf.units import Unit, Units

MAX_DEPTH = 512
_MARKS = ("{closure", "{async", "{gen")
_SCOPES = frozenset(
    {
        dw.DW_TAG_NAMESPACE,
        dw.DW_TAG_MODULE,
        dw.DW_TAG_CLASS_TYPE,
        dw.DW_TAG_STRUCTURE_TYPE,
        dw.DW_TAG_UNION_TYPE,
        dw.DW_TAG_ENUMERATION_TYPE,
    }
)


def scopes_of(units: Units, unit: Unit, target: int) -> list[str]:
    """Names of the namespaces and types around an entry, outermost first."""
    around: list[tuple[int, int]] = []
    for tag, offset in _levels(units, unit, target):
        if tag:
            around.append((tag, offset))
        elif around:
            around.pop()
    scopes = [offset for tag, offset in around if tag in _SCOPES]
    return [_name(units, unit, offset) or "(anonymous namespace)" for offset in scopes]


def bodies_around(units: Units, unit: Unit, target: int) -> list[str]:
    """Names of the bodies around an entry, outermost first."""
    if unit.bodies is None:
        unit.bodies = tuple(_bodies(units, unit))
    return [one.name for one in reversed(unit.bodies) if one.start < target < one.end]


def _bodies(units: Units, unit: Unit) -> Iterator[Body]:
    """Inner ones first. Damage costs those behind it."""
    around: list[tuple[int, int]] = []
    try:
        for tag, offset in _levels(units, unit, unit.end):
            if tag:
                around.append((tag, offset))
            elif around:
                tag, start = around.pop()
                name = _name(units, unit, start) if tag == dw.DW_TAG_NAMESPACE else ""
                if name.startswith(_MARKS):
                    yield Body(start, offset, name.partition("<")[0])
    except (FormatError, IndexError, struct.error) as why:
        units.note(f"debug info of a unit is damaged: {why}")


def _name(units: Units, unit: Unit, offset: int) -> str:
    return units.string(unit, units.entry(unit, offset), dw.DW_AT_NAME)


def _levels(units: Units, unit: Unit, end: int) -> Iterator[tuple[int, int]]:
    """(tag, offset) of each entry before ``end`` that has entries inside, and (0, offset) where
    these are over."""
    if unit.root is None or not unit.root.abbrev.children:
        return
    table = units.table(unit)
    sizes = table.shapes().leaves
    data, pos, depth = units.info, unit.root.end, 0
    while pos < end:
        code = data[pos]
        size = sizes[code]
        if size:
            pos += size
            continue
        if code == 0:
            pos, depth = pos + 1, depth - 1
            yield 0, pos
            continue
        offset = pos
        code, behind = uleb(data, pos)
        abbrev = table.get(code)
        pos = skip(data, behind, abbrev.steps, unit.offset_size, unit.address_size)
        if abbrev.children:
            depth += 1
            if depth > MAX_DEPTH:
                raise FormatError("dwarf: entries nested too deeply")
            yield abbrev.tag, offset
