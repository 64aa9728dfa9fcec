"""Tables of abbreviations, read as far as they are asked for."""

from __future__ import annotations

import pytest

from hud.errors import FormatError
from hud.symbols.dwarf.abbrev import MAX_ABBREVS, MAX_PIECE, AbbrevTable
from tests.builders import elfbuild as b


def test_abbreviations_are_decoded_as_far_as_needed() -> None:
    data = b"\x01\x2e\x00\0\0" + b"\x02\x34\x00\x03\x08\0\0" + b"\x03"
    table = AbbrevTable(data, 0, 4, 8)
    assert table.get(2).attributes == ((3, 8, 0),)
    assert table.get(1).tag == 0x2E
    with pytest.raises(IndexError):
        table.get(3)
    with pytest.raises(FormatError, match="no abbreviation 9"):
        AbbrevTable(data[:5] + b"\0", 0, 4, 8).get(9)


def test_an_implicit_zero_is_not_the_end_of_the_attributes() -> None:
    implicit = b"\x3b\x21\x00"  # decl_line, implicit_const 0
    data = b"\x01\x2e\x00" + implicit + b"\0\0" + b"\x02\x2e\x00\x03\x08\0\0" + b"\0"
    table = AbbrevTable(data, 0, 4, 8)
    assert table.get(1).attributes == ((0x3B, 0x21, 0),)
    assert table.get(2).attributes == ((3, 8, 0),)
    long = b"".join(b.uleb(0x2000 + n) + b"\x0b" for n in range(MAX_PIECE)) + b"\0\0"
    table = AbbrevTable(b"\x01\x2e\x00" + long + b"\0", 0, 4, 8)
    assert len(table.get(1).attributes) == MAX_PIECE


def test_too_many_abbreviations() -> None:
    data = b"".join(b.uleb(n) + b"\x01\x00\0\0" for n in range(1, MAX_ABBREVS + 2)) + b"\0"
    with pytest.raises(FormatError, match="too many abbreviations"):
        AbbrevTable(data, 0, 4, 8).shapes()
