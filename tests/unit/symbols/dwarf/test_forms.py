"""Attribute forms: reading and stepping over agree for each of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.forms import merge_steps, read, skip, sleb, step_of, uleb
from tests.builders import elfbuild as b

FORMS = sorted(
    value for name, value in vars(dw).items() if name.startswith("DW_FORM_") and value < 0x100
)
VALUES = {
    dw.DW_FORM_STRING: b"text\0",
    dw.DW_FORM_EXPRLOC: b"\x03abc",
    dw.DW_FORM_BLOCK: b"\x81\x01" + bytes(129),
    dw.DW_FORM_BLOCK1: b"\x02ab",
    dw.DW_FORM_BLOCK2: b"\x02\x00ab",
    dw.DW_FORM_BLOCK4: b"\x02\x00\x00\x00ab",
    dw.DW_FORM_INDIRECT: b"\x0f\x85\x01",
}


@given(st.integers(0, (1 << 64) - 1))
def test_uleb(value: int) -> None:
    assert uleb(b"\0" + b.uleb(value) + b"\xff", 1) == (value, 1 + len(b.uleb(value)))


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_sleb(value: int) -> None:
    assert sleb(b.sleb(value), 0) == (value, len(b.sleb(value)))


def test_a_number_without_end() -> None:
    with pytest.raises(FormatError, match="longer than ten bytes"):
        uleb(b"\x80" * 20, 0)
    with pytest.raises(IndexError):
        uleb(b"\x80" * 5, 0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("offset_size", [4, 8])
def test_step_and_read_agree(form: int, offset_size: int) -> None:
    step = step_of(form, offset_size, 8)
    data = VALUES.get(form, b"\x05" * (step if step >= 0 else 1))
    actual, value, end = read(data, 0, form, -7, offset_size, 8)
    assert end == len(data)
    assert skip(data, 0, (step,), offset_size, 8) == len(data)
    if form == dw.DW_FORM_IMPLICIT_CONST:
        assert value == -7
    elif form == dw.DW_FORM_INDIRECT:
        assert (actual, value) == (dw.DW_FORM_UDATA, 133)
    elif form == dw.DW_FORM_STRING:
        assert value == b"text"
    elif form == dw.DW_FORM_FLAG_PRESENT:
        assert value == 1
    elif form not in VALUES:
        assert value == int.from_bytes(data, "little")


def test_reads_stop_at_the_end() -> None:
    with pytest.raises(FormatError, match="reaches outside"):
        read(b"\x01\x02", 0, dw.DW_FORM_DATA4, 0, 4, 8)
    with pytest.raises(FormatError, match="reaches outside"):
        read(b"\x05abc", 0, dw.DW_FORM_EXPRLOC, 0, 4, 8)
    with pytest.raises(FormatError, match="string without end"):
        read(b"abc", 0, dw.DW_FORM_STRING, 0, 4, 8)
    with pytest.raises(FormatError, match="string without end"):
        read(memoryview(b"abc" * 200), 0, dw.DW_FORM_STRING, 0, 4, 8)
    with pytest.raises(FormatError, match="unknown form 0x77"):
        step_of(0x77, 4, 8)
    with pytest.raises(FormatError, match="nested indirect"):
        read(b"\x16\x16\x16", 0, dw.DW_FORM_INDIRECT, 0, 4, 8)


def test_merged_steps() -> None:
    assert merge_steps([4, 2, -1, 0, 8, 1, -2]) == (6, -1, 9, -2)
    assert merge_steps([0, 0]) == ()
