"""Split units made here, alone and in packages, in DWARF 5 and the GNU version 4; hostile ones."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.dwarf.reader import RawFrame
from hud.symbols.elf.file import ElfFile
from hud.symbols.module import Module
from tests.builders import elfbuild as b
from tests.builders.elfbuild import TEXT, Sec
from tests.builders.splitdwarf import IDS, PLACES, dwo, dwp, make


def opened(data: bytes, name: str = "split") -> ElfFile:
    return ElfFile(data, name, relocatable=True)


def expected(name: str) -> list[tuple[RawFrame, ...]]:
    outer = RawFrame(name, "", "/build/src/main.rs", 10, False, TEXT, 0x100)
    inner = RawFrame("inner", "", "/build/src/main.rs", 20, True, TEXT, 0x100)
    return [(outer,), (inner, outer._replace(line=7)), (outer._replace(line=20),)]


@pytest.mark.parametrize("version", [4, 5])
def test_an_object(version: int) -> None:
    made = make(version)
    module = Module(ElfFile(made.program))
    (bare,) = module.frames(TEXT)
    assert (bare.name_raw, bare.line) == ("", 10)
    assert module.take_wanted() == ["/build/outer.dwo"]
    assert module.add_split(opened(dwo(made))) == ""
    assert [module.frames(place) for place in PLACES] == expected("outer")
    assert module.take_wanted() == []


@pytest.mark.parametrize("version", [4, 5])
def test_a_package(version: int) -> None:
    first, second = make(version), make(version, IDS[1], "later")
    for dwo_id, made in ((0, first), (1, second)):
        # the strings are those of the last one
        package = dwp(version, *([first, second] if dwo_id else [second, first][1:]))
        module = Module(ElfFile(made.program))
        assert module.add_split(opened(package)) == ""
        name = ("outer", "later")[dwo_id]
        assert [module.frames(place) for place in PLACES] == expected(name)


def test_a_package_of_another_build() -> None:
    module = Module(ElfFile(make(5, 77).program))
    assert module.add_split(opened(dwp(5, make(5)))) == ""
    (frame,) = module.frames(TEXT)
    assert frame.name_raw == ""
    assert module.take_wanted() == ["/build/outer.dwo"]


def test_a_probe_of_the_index_goes_on_behind_a_full_slot() -> None:
    made = make(5, IDS[1], "later")
    module = Module(ElfFile(made.program))
    assert (IDS[0] ^ IDS[1]) & 1 == 0  # two slots: the ids meet
    assert module.add_split(opened(dwp(5, make(5), made, slots=2))) == ""
    assert module.frames(TEXT) == expected("later")[0]


def test_an_object_of_another_build_changes_nothing() -> None:
    module = Module(ElfFile(make(5, 77).program))
    assert module.add_split(opened(dwo(make(5)))) == ""
    assert module.frames(TEXT)[0].name_raw == ""


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b.elf([Sec(".debug_info.dwo", b"")], kind=1), "split: no split unit in it"),
        (
            b.elf([Sec(".debug_cu_index", struct.pack("<IIII", 3, 4, 1, 2))], kind=1),
            "split: a package index of unknown version 3",
        ),
        (
            b.elf([Sec(".debug_cu_index", struct.pack("<IIII", 5, 4, 1, 2))], kind=1),
            "split: a damaged package index",
        ),
        (
            b.elf([Sec(".debug_cu_index", struct.pack("<IIII", 5, 4, 1, 3) + bytes(999))], kind=1),
            "split: a damaged package index",
        ),
    ],
)
def test_what_is_refused(data: bytes, why: str) -> None:
    assert Module(ElfFile(make(5).program)).add_split(opened(data)) == why


def test_a_module_without_debug_info_takes_none() -> None:
    module = Module(ElfFile(b.elf()))
    assert module.add_split(opened(dwo(make(5)))) == "no debug info that it could belong to"


@settings(max_examples=300, deadline=None)
@given(data=st.data(), package=st.booleans())
def test_damaged_files_end_in_a_result(data: st.DataObject, package: bool) -> None:
    version = data.draw(st.sampled_from([4, 5]))
    made = make(version)
    whole = bytearray(dwp(version, made) if package else dwo(made))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0x1000, len(whole) - 1))
        whole[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
    module = Module(ElfFile(made.program))
    with suppress(FormatError):
        module.add_split(opened(bytes(whole)))
    for place in PLACES:
        assert all(isinstance(frame, RawFrame) for frame in module.frames(place))
    assert module.take_wanted() in ([], ["/build/outer.dwo"])
