"""Finds the callsites of `tracing` in a file: where its events are, in the source.

``tracing::info!`` and its like make a static each, the callsite, whose metadata has a name,
``event src/db.rs:171``. Code refers to the one or the other where the event is, between the calls
that it is compiled to: not only where it panics.

Sources: tracing-core/src/metadata.rs, tracing/src/macros.rs (0.1; the layouts are no promise, so
the name is looked for near what code refers to).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.inference.locations import PATH_LIMIT, Location

if TYPE_CHECKING:
    from hud.symbols.elf.file import ElfFile
    from hud.symbols.inference.locations import Locations

NEAR = 0x80
"""Bytes from a metadata's start to its name, at most."""
FIRST = 4
"""Words of a callsite that may lead to its metadata."""
MOST_NAMES = 1 << 16
SEARCHED = 256 << 20
"""Bytes of constants that are searched."""

_EVENT = re.compile(rb"event (?=[\x20-\x7e]{1,1020}?\.rs:\d)")
_NAME = re.compile(r"event (.+\.rs):(\d{1,8})")


class Callsites:
    """Those of one module; nothing is read before the first question."""

    def __init__(self, elf: ElfFile, locations: Locations) -> None:
        self._elf = elf
        self._locations = locations
        self._names: dict[int, Location] | None = None
        """By where the pointer to a name is."""
        self._places: list[int] = []

    def at(self, vaddr: int) -> Location | None:
        """The event whose callsite or metadata is at a vaddr, its column 0; None = it is none."""
        if not self._known():
            return None
        found = self._near(vaddr)
        for word in range(vaddr, vaddr + 8 * FIRST, 8) if found is None else ():
            target = self._locations.pointer_or_none(word)
            found = found or (self._near(target) if target else None)
        return found

    def paths(self) -> set[str]:
        """The files that have events."""
        return {one.path for one in self._known().values()}

    def _known(self) -> dict[int, Location]:
        if self._names is None:
            self._names = self._find()
            self._places = sorted(self._names)
        return self._names

    def _near(self, vaddr: int) -> Location | None:
        index = bisect_left(self._places, vaddr)
        if index == len(self._places) or self._places[index] >= vaddr + NEAR:
            return None
        return self._known()[self._places[index]]

    def _find(self) -> dict[int, Location]:
        starts = self._starts()
        found: dict[int, Location] = {}
        for place, addend in self._locations.pointers() if starts else ():
            if addend in starts and len(found) < MOST_NAMES:
                location = self._named(place, addend)
                if location is not None:
                    found[place] = location
        return found

    def _starts(self) -> set[int]:
        """Where the names of events may begin."""
        places = (
            vaddr + match.start()
            for vaddr, data in self._elf.data_pieces(SEARCHED, writable=False)
            for match in _EVENT.finditer(data)
        )
        return set(islice(places, MOST_NAMES))

    def _named(self, place: int, name: int) -> Location | None:
        try:
            length = int.from_bytes(self._elf.read(place + 8, 8), "little")
            raw = self._locations.constant(name, length) if length <= PATH_LIMIT else b""
            match = _NAME.fullmatch(raw.decode())
        except (FormatError, UnicodeDecodeError):
            return None
        return Location(match[1], int(match[2]), 0) if match and match[1].isprintable() else None
