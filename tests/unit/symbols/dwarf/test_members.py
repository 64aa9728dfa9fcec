"""Structures found by a member's name, in bytes that the test makes up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.members import structures_with
from hud.symbols.dwarf.units import Units
from hud.symbols.elf.file import ElfFile
from tests.builders.elfbuild import Die, Info, Sec, elf

STRINGS = b"\0Context\0set_current_task_id\0budget\0runtime\0other\0"
STRP, DATA1 = 0x0E, 0x0B


def place(name: str) -> int:
    return STRINGS.index(name.encode() + b"\0")


def member(name: str, offset: int) -> Die:
    values = [
        (dw.DW_AT_NAME, STRP, place(name)),
        (dw.DW_AT_DATA_MEMBER_LOCATION, DATA1, offset),
    ]
    return Die(dw.DW_TAG_MEMBER, values)


def structure(**members: int) -> Die:
    return Die(
        dw.DW_TAG_STRUCTURE_TYPE,
        [(dw.DW_AT_NAME, STRP, place("Context"))],
        [member(name, offset) for name, offset in members.items()],
    )


def file(*structures: Die, more: Die | None = None) -> bytes:
    info = Info()
    for one in structures:
        info.unit(Die(0x11, [(dw.DW_AT_NAME, STRP, place("other"))], [one]))
    if more is not None:
        info.unit(Die(0x11, [], [more]))
    return elf([*info.sections(), Sec(".debug_str", STRINGS)])


def found(data: bytes, name: str = "current_task_id") -> list[dict[str, int]]:
    return structures_with(Units(ElfFile(data)), name)


def test_all_members_of_the_structure() -> None:
    # the name is the tail of a longer one, as linkers share strings
    context = {"budget": 68, "current_task_id": 48, "runtime": 70}
    assert found(file(structure(other=4), structure(**context))) == [context]


def test_each_different_structure_once() -> None:
    one, two = {"current_task_id": 8, "budget": 1}, {"current_task_id": 16, "budget": 2}
    assert found(file(structure(**one), structure(**two), structure(**one))) == [one, two]


def test_a_name_elsewhere_is_no_member() -> None:
    named = Die(dw.DW_TAG_SUBPROGRAM, [(dw.DW_AT_NAME, STRP, place("current_task_id"))])
    assert found(file(more=named)) == []
    assert found(file(structure(budget=1))) == []
    assert found(elf()) == []


GOOD = file(structure(budget=68, current_task_id=48), structure(current_task_id=1))


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=8))
def test_damaged_bytes_give_a_result(changes: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, value in changes:
        if at >= 64:
            data[at] = value
    try:
        units = Units(ElfFile(bytes(data)))
    except FormatError:
        return
    assert len(structures_with(units, "current_task_id")) <= 64
