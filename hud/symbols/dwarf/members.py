"""Finds structures by the name of one of their members, without walking the entries.

The name's place in .debug_str is looked for in the bytes of .debug_info: a hit that reads as a
member's entry is one. DWARF 5 names are indices and are not found so, nor is anything in split or
compressed sections. Source: DWARF 5, section 5.7.6.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw

if TYPE_CHECKING:
    from hud.symbols.dwarf.units import Entry, Unit, Units

MAX_INFO = 512 << 20
"""Bytes of .debug_info that are looked through: half a second."""
MAX_STRINGS = (1 << 32) - 1
"""Bytes of .debug_str: as far as a reference of four bytes reaches."""
MAX_HITS = 64
MAX_MEMBERS = 64

_DAMAGE = (FormatError, IndexError, OverflowError, struct.error)


def structures_with(units: Units, member: str) -> list[dict[str, int]]:
    """Name -> offset of all members, for each different structure that has this member.

    Never raises; what is damaged is not found.
    """
    sections = [units.elf.section(name) for name in (".debug_info", ".debug_str")]
    if any(s is None or s.compressed for s in sections) or len(units.info) > MAX_INFO:
        return []
    try:
        strings = units.section(".debug_str")[:MAX_STRINGS]
    except FormatError:
        return []
    found: list[dict[str, int]] = []
    hits = 0
    # a string may be the tail of a longer one
    for name in re.finditer(re.escape(member.encode()) + b"\0", strings):
        reference = re.escape(name.start().to_bytes(4, "little"))
        for hit in re.finditer(reference, units.info):
            members = _structure_at(units, hit.start(), member)
            if members and members not in found:
                found.append(members)
            hits += 1
            if hits >= MAX_HITS:
                return found
    return found


def _structure_at(units: Units, name_at: int, member: str) -> dict[str, int]:
    """The members around the one whose name is at this place of .debug_info; or nothing."""
    for code_size in (1, 2):  # the entry begins with its abbreviation's number
        try:
            unit = units.containing(name_at - code_size)
            entry = _member(units, unit, name_at - code_size)
            if entry is None or units.string(unit, entry, dw.DW_AT_NAME) != member:
                continue
            return _neighbours(units, unit, entry)
        except _DAMAGE:
            continue
    return {}


def _member(units: Units, unit: Unit, offset: int) -> Entry | None:
    try:
        entry = units.entry(unit, offset)
    except _DAMAGE:
        return None
    named = entry.values.get(dw.DW_AT_NAME, (0, 0))[0] == dw.DW_FORM_STRP
    return entry if named and entry.abbrev.tag == dw.DW_TAG_MEMBER else None


def _neighbours(units: Units, unit: Unit, entry: Entry) -> dict[str, int]:
    """Members follow one another; those before are found where all have the same size."""
    size = entry.end - entry.offset
    entries = [entry]
    while len(entries) < MAX_MEMBERS:
        before = _member(units, unit, entries[0].offset - size)
        if before is None or before.end != entries[0].offset:
            break
        entries.insert(0, before)
    while len(entries) < MAX_MEMBERS:
        after = _member(units, unit, entries[-1].end)
        if after is None:
            break
        entries.append(after)
    return {
        units.string(unit, one, dw.DW_AT_NAME): one.number(dw.DW_AT_DATA_MEMBER_LOCATION)
        for one in entries
    }
