"""Decodes .debug_abbrev tables and prepares, per abbreviation, how to step over its entries.

Many entries (DIEs) share one abbreviation. Tables with the sizes of whole entries make passing an
uninteresting entry one addition.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.forms import STEP_BLOCK, STEP_ULEB, merge_steps, sleb, step_of, uleb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hud.symbols.dwarf.forms import Bytes

MAX_ABBREVS = 1 << 16
MAX_ATTRIBUTES = 1 << 9
MAX_PIECE = 96
"""Bytes of attributes that are looked up before they are read."""

_CODE_ATTRIBUTES = frozenset({dw.DW_AT_LOW_PC, dw.DW_AT_RANGES})


class Attribute(NamedTuple):
    """One attribute of an abbreviation."""

    name: int
    form: int
    implicit: int
    """The value, of DW_FORM_implicit_const."""


class Abbrev(NamedTuple):
    """One abbreviation; ``steps`` pass all attribute values (``forms.skip``)."""

    code: int
    tag: int
    children: bool
    attributes: tuple[Attribute, ...]
    steps: tuple[int, ...]

    @property
    def is_function(self) -> bool:
        """A subprogram that may have code."""
        return self.tag == dw.DW_TAG_SUBPROGRAM and any(
            attribute.name in _CODE_ATTRIBUTES for attribute in self.attributes
        )


class AbbrevTable:
    """The abbreviations at one offset of .debug_abbrev, decoded as far as they were asked for."""

    def __init__(self, data: Bytes, offset: int, offset_size: int, address_size: int) -> None:
        self._coming = decode(data, offset, offset_size, address_size)
        self._sizes = offset_size, address_size
        self._by_code: dict[int, Abbrev] = {}
        self._shapes: Shapes | None = None

    def get(self, code: int) -> Abbrev:
        """The abbreviation of a code; FormatError if the table has none."""
        found = self._by_code.get(code)
        if found is not None:
            return found
        for abbrev in self._coming:
            self._by_code.setdefault(abbrev.code, abbrev)
            if abbrev.code == code:
                return abbrev
            if len(self._by_code) >= MAX_ABBREVS:
                raise FormatError("dwarf: too many abbreviations in a table")
        raise FormatError(f"dwarf: no abbreviation {code}")

    def shapes(self) -> Shapes:
        """How to step over entries, for all abbreviations."""
        if self._shapes is None:
            for abbrev in self._coming:
                self._by_code.setdefault(abbrev.code, abbrev)
                if len(self._by_code) >= MAX_ABBREVS:
                    raise FormatError("dwarf: too many abbreviations in a table")
            self._shapes = _shapes(self._by_code.values(), *self._sizes)
        return self._shapes


class Shapes(NamedTuple):
    """Tables by an entry's first byte, which is its code where that is below 128.

    ``functions`` serves the search for functions, where depth does not matter; ``leaves`` the
    search for inlined calls: an entry with a size in it is neither a call nor has it children.
    A size of 0 means: look closer. Then, where ``*_at`` is not 0, all but one value have a known
    size; the byte there is that value, or the length of that block, if it is below 128: the entry
    has ``size`` bytes, and for a block (``mask`` 127, else 0) that length on top.
    """

    bounds: list[FunctionEntry | None]
    """Of functions that say where they are in the plainest way."""
    functions: list[int]
    leaves: list[int]
    functions_at: list[int]
    leaves_at: list[int]
    size: list[int]
    mask: list[int]


class FunctionEntry(NamedTuple):
    """How to find the code of a function, and its next entry."""

    unpack: Callable[[Bytes, int], tuple[int, int]]
    """(address, size) at a position."""
    place: int
    """That position, from the entry's first byte."""
    size: int
    """Of the whole entry; 0 = see ``at``."""
    at: int
    """As ``functions_at`` of `Shapes`."""


_PAIRS = {
    dw.DW_FORM_DATA1: struct.Struct("<QB"),
    dw.DW_FORM_DATA2: struct.Struct("<QH"),
    dw.DW_FORM_DATA4: struct.Struct("<QI"),
    dw.DW_FORM_DATA8: struct.Struct("<QQ"),
}


def _shapes(abbrevs: Iterable[Abbrev], offset_size: int, address_size: int) -> Shapes:
    numbers = ([0] * 256 for _ in range(6))
    shapes = Shapes([None] * 256, *numbers)
    shapes.functions[0] = 1
    for abbrev in abbrevs:
        code, steps = abbrev.code, abbrev.steps
        if code > 127:
            continue
        if abbrev.is_function and address_size == 8:
            shapes.bounds[code] = _bounds(abbrev.attributes, steps, offset_size)
        leaf = not abbrev.children and abbrev.tag != dw.DW_TAG_INLINED_SUBROUTINE
        known, at = _open(steps)
        if min(steps, default=0) >= 0:
            shapes.functions[code] = 0 if abbrev.is_function else known
            shapes.leaves[code] = known if leaf else 0
        elif at:
            shapes.functions_at[code] = 0 if abbrev.is_function else at
            shapes.leaves_at[code] = at if leaf else 0
            shapes.size[code] = known + 1
            shapes.mask[code] = 127 if STEP_BLOCK in steps else 0
    return shapes


@lru_cache(maxsize=8192)
def _bounds(
    attributes: tuple[Attribute, ...], steps: tuple[int, ...], offset_size: int
) -> FunctionEntry | None:
    """Where the low pc is an address, and the size of the code right behind it; else None."""
    names = [attribute.name for attribute in attributes]
    if dw.DW_AT_RANGES in names or len(set(names)) != len(names):
        return None
    low = names.index(dw.DW_AT_LOW_PC)
    pair = (
        _PAIRS.get(attributes[low + 1].form) if dw.DW_AT_HIGH_PC in names[low + 1 :][:1] else None
    )
    before = [step_of(attribute.form, offset_size, 8) for attribute in attributes[:low]]
    if attributes[low].form != dw.DW_FORM_ADDR or pair is None or min(before, default=0) < 0:
        return None
    known, at = _open(steps)
    return FunctionEntry(pair.unpack_from, 1 + sum(before), 0 if min(steps) < 0 else known, at)


def _open(steps: tuple[int, ...]) -> tuple[int, int]:
    """(the bytes that are known, where the one value is that has an open size; 0 = not just one)"""
    open_steps = [step for step in steps if step < 0]
    at = 0
    if open_steps in ([STEP_BLOCK], [STEP_ULEB]):
        at = 1 + sum(steps[: steps.index(open_steps[0])])
    return 1 + sum(step for step in steps if step > 0), at


def decode(data: Bytes, pos: int, offset_size: int, address_size: int) -> Iterator[Abbrev]:
    """The abbreviations of one table in file order (DWARF 5, section 7.5.3)."""
    while True:
        code, pos = uleb(data, pos)
        if code == 0:
            return
        tag, pos = uleb(data, pos)
        children = data[pos] != 0
        pos += 1
        piece = bytes(data[pos : pos + MAX_PIECE])
        try:
            found = _attributes(piece[: piece.find(b"\0\0") + 2], offset_size, address_size)
        except IndexError:
            found = _read_attributes(data, pos, offset_size, address_size)
        yield Abbrev(code, tag, children, found.attributes, found.steps)
        pos += found.size


class Attributes(NamedTuple):
    """The attributes of an abbreviation, one copy for all tables: compilers write the same few."""

    attributes: tuple[Attribute, ...]
    steps: tuple[int, ...]
    size: int
    """Bytes in the table, the end mark included."""


@lru_cache(maxsize=8192)
def _attributes(piece: bytes, offset_size: int, address_size: int) -> Attributes:
    """IndexError where the end mark is not the first pair of zeros."""
    return _read_attributes(piece, 0, offset_size, address_size)


def _read_attributes(data: Bytes, start: int, offset_size: int, address_size: int) -> Attributes:
    attributes: list[Attribute] = []
    pos = start
    while True:
        name, pos = uleb(data, pos)
        form, pos = uleb(data, pos)
        implicit = 0
        if form == dw.DW_FORM_IMPLICIT_CONST:
            implicit, pos = sleb(data, pos)
        if name == 0 and form == 0:
            break
        attributes.append(Attribute(name, form, implicit))
        if len(attributes) > MAX_ATTRIBUTES:
            raise FormatError("dwarf: too many attributes in an abbreviation")
    steps = merge_steps(step_of(a.form, offset_size, address_size) for a in attributes)
    return Attributes(tuple(attributes), steps, pos - start)
