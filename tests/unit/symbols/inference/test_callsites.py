"""The callsites of tracing: known by the name that their metadata points to."""

from __future__ import annotations

import struct

import pytest

from hud.symbols.elf.file import ElfFile
from hud.symbols.inference.callsites import Callsites
from hud.symbols.inference.locations import Location, Locations

from .test_locations import MAIN, RELRO, TEXT, Program, call, lea, program, record
from .test_places import AT, WRITE, place, told
from .test_references import references

EVENT: tuple[str | bytes, int, int] = ("event src/db.rs:171", 1, 1)


def callsites(made: Program) -> Callsites:
    return Callsites(made.elf, Locations(made.elf))


def test_an_event_is_known_from_its_metadata_on() -> None:
    found = callsites(program({}, [(MAIN, 7, 9), EVENT], []))
    event = Location("src/db.rs", 171, 0)
    assert [found.at(record(at)) for at in (0, 1, 2)] == [event, event, None]
    assert found.at(record(1) - 0x80) is None
    assert found.at(0) is None


def test_a_callsite_leads_to_its_metadata() -> None:
    """Its first words hold a pointer to it."""
    rows: list[tuple[str | bytes, int, int]] = [(MAIN, 7, 9)] * 8 + [EVENT]
    made = program({}, rows, [])
    image = bytearray(made.elf.data)
    far = TEXT + 0xF00  # no relocation: as in a file that is loaded where it says
    image[far + 8 : far + 16] = struct.pack("<Q", RELRO + 24 * 8)
    found = callsites(Program(ElfFile(bytes(image), "app"), made.records))
    assert found.at(far) == Location("src/db.rs", 171, 0)


@pytest.mark.parametrize(
    "name", ["event src/db.rs", "event src/db.rs:x", "span src/db.rs:171", "event :171", "x"]
)
def test_other_names_are_none(name: str) -> None:
    assert callsites(program({}, [(name, 1, 1)], [])).at(record(0)) is None


def test_functions_refer_to_it_directly_or_by_a_slot() -> None:
    slot = TEXT + 0x300
    by_slot = b"\x48\x8b\x3d" + struct.pack("<i", slot - AT - 7)
    for use in (lea(AT, record(0)), by_slot):
        pieces = {AT: use + call(AT + 7, WRITE), slot: struct.pack("<Q", record(0))}
        made = program(pieces, [EVENT], [])
        assert references(made).glance(TEXT, 0x200) == {Location("src/db.rs", 171, 0)}
        (only,) = references(made).of(TEXT, 0x200)
        assert (only.at, only.location.line, only.definition) == (AT, 171, False)


def test_an_event_behind_a_call_tells_its_line() -> None:
    pieces = {AT: call(AT, WRITE), AT + 5: lea(AT + 5, record(0)) + call(AT + 12, WRITE)}
    (frame,) = told(pieces, [EVENT], AT)
    assert place(frame)[:2] == ("src/db.rs", 171)
