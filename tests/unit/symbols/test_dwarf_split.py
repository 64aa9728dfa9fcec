"""Split units made here, alone and in packages, in DWARF 5 and the GNU version 4; hostile ones."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.reader import RawFrame
from hud.symbols.elf.file import ElfFile
from hud.symbols.module import Module

from . import elfbuild as b
from .elfbuild import TEXT, Die, Info, Sec

STRING, DATA1, DATA2, DATA4, DATA8, REF4 = 0x08, 0x0B, 0x05, 0x06, 0x07, 0x13
SEC_OFFSET, STRX1, ADDRX, RNGLISTX = 0x17, 0x25, 0x1B, 0x23
GNU_ADDR, GNU_STR = 0x1F01, 0x1F02
IDS = (0x1122334455667788, 0x99AABBCCDDEEFF00)
ADDRESSES = (TEXT, TEXT + 0x100, TEXT + 0x800)
LINES = b.line_program(
    b.sequence(TEXT, [(0, 10), (0x20, 20), (0x100, 30), (0x140, 40)], 0x1000),
    directories=["src"],
    files=[("main.rs", 1), ("lib.rs", 1)],
)


@pytest.fixture(autouse=True)
def _gnu_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "ULEBS", b.ULEBS | {GNU_ADDR, GNU_STR})


class Made(NamedTuple):
    """A program whose only unit is a skeleton, and what its object has."""

    program: bytes
    parts: dict[str, bytes]


def _strings(*names: str) -> tuple[bytes, list[int]]:
    data, places = b"", []
    for name in names:
        places.append(len(data))
        data += name.encode() + b"\0"
    return data, places


def make(version: int, dwo_id: int = IDS[0], name: str = "outer") -> Made:
    """``name`` has [0, 0x100); in it ``inner`` is inlined at [0x20, 0x30) and [0x40, 0x50)."""
    old = version < 5
    skeleton = Info()
    attributes: list[tuple[int, int, int | str | bytes]] = [
        (dw.DW_AT_COMP_DIR, STRING, "/build"),
        (dw.DW_AT_STMT_LIST, SEC_OFFSET, 0),
        (dw.DW_AT_LOW_PC, 0x01, TEXT),
        (dw.DW_AT_HIGH_PC, DATA4, 0x1000),
        (dw.DW_AT_GNU_DWO_NAME if old else dw.DW_AT_DWO_NAME, STRING, f"{name}.dwo"),
        # the addresses before it are another unit's
        (dw.DW_AT_GNU_ADDR_BASE if old else dw.DW_AT_ADDR_BASE, SEC_OFFSET, 8),
    ]
    if old:
        attributes.append((dw.DW_AT_GNU_RANGES_BASE, SEC_OFFSET, 16))
        attributes.append((dw.DW_AT_GNU_DWO_ID, DATA8, dwo_id))
    tag, kinds = (0x11, (1, 1)) if old else (0x4A, (4, 5))
    skeleton.unit(Die(tag, attributes), version=version, kind=kinds[0], dwo_id=dwo_id)

    addr, strx = (GNU_ADDR, GNU_STR) if old else (ADDRX, STRX1)
    inner = Die(dw.DW_TAG_SUBPROGRAM, [(dw.DW_AT_LINKAGE_NAME, strx, 1)], label="inner")
    call = Die(
        dw.DW_TAG_INLINED_SUBROUTINE,
        [
            (dw.DW_AT_ABSTRACT_ORIGIN, REF4, "inner"),
            (dw.DW_AT_RANGES, SEC_OFFSET if old else RNGLISTX, 0),
            (dw.DW_AT_CALL_FILE, DATA1, 1),
            (dw.DW_AT_CALL_LINE, DATA2, 7),
        ],
    )
    outer = Die(
        dw.DW_TAG_SUBPROGRAM,
        [
            (dw.DW_AT_LINKAGE_NAME, strx, 0),
            (dw.DW_AT_LOW_PC, addr, 0),
            (dw.DW_AT_HIGH_PC, DATA4, 0x100),
        ],
        [call],
    )
    root = [(dw.DW_AT_LANGUAGE, DATA2, 0x1C), *([(dw.DW_AT_GNU_DWO_ID, DATA8, dwo_id)] * old)]
    split = Info()
    split.unit(Die(0x11, root, [inner, outer]), version=version, kind=kinds[1], dwo_id=dwo_id)

    strings, places = _strings(name, "inner")
    offsets = struct.pack(f"<{len(places)}I", *places)
    lists = struct.pack("<HBBI", 5, 8, 0, 1) + struct.pack("<I", 4)
    lists += b"\x04\x20\x30\x04\x40\x50\x00"
    if not old:
        offsets = struct.pack("<IHH", len(offsets) + 4, 5, 0) + offsets
    pairs = (*((0, 0),), *((0x20, 0x30), (0x40, 0x50), (0, 0)))
    sections = [
        *skeleton.sections(),
        Sec(".debug_addr", bytes(8) + struct.pack("<3Q", *ADDRESSES)),
        Sec(".debug_ranges", b"".join(struct.pack("<QQ", *pair) for pair in pairs)),
        Sec(".debug_line", LINES),
    ]
    parts = {
        ".debug_info.dwo": split.info,
        ".debug_abbrev.dwo": split.abbrev + b"\0",
        ".debug_str.dwo": strings,
        ".debug_str_offsets.dwo": offsets,
        ".debug_rnglists.dwo": struct.pack("<I", len(lists)) + lists,
    }
    return Made(b.elf(sections), parts)


def dwo(made: Made) -> bytes:
    return b.elf([Sec(*part) for part in made.parts.items()], kind=1)


COLUMNS = {1: ".debug_info.dwo", 3: ".debug_abbrev.dwo", 6: ".debug_str_offsets.dwo"}


def dwp(version: int, *made: Made, slots: int = 4) -> bytes:
    """A package; its strings are shared, so that only one of them may have any."""
    columns = dict(COLUMNS) | ({8: ".debug_rnglists.dwo"} if version >= 5 else {})
    whole: dict[str, bytes] = {}
    cuts: list[list[tuple[int, int]]] = []
    for one in made:
        cuts.append([])
        for name, data in one.parts.items():
            before = whole.get(name, b"")
            if name in columns.values():
                # something else's bytes lie before each contribution
                cuts[-1].append((len(before) + 16, len(data)))
                whole[name] = before + bytes(16) + data
            else:
                whole[name] = data
    order = [columns[kind] for kind in columns]
    names = [name for name in made[0].parts if name in order]
    table = [[row[names.index(name)] for name in order] for row in cuts]
    hashes, rows = [0] * slots, [0] * slots
    for number, dwo_id in enumerate(IDS[: len(made)], 1):
        slot = dwo_id & slots - 1
        while rows[slot]:
            slot = slot + (dwo_id >> 32 & slots - 1 | 1) & slots - 1
        hashes[slot], rows[slot] = dwo_id, number
    index = struct.pack("<IIII", 5 if version >= 5 else 2, len(order), len(made), slots)
    index += struct.pack(f"<{slots}Q", *hashes) + struct.pack(f"<{slots}I", *rows)
    index += struct.pack(f"<{len(order)}I", *columns)
    for place in (0, 1):
        index += b"".join(struct.pack("<I", cell[place]) for row in table for cell in row)
    return b.elf([*(Sec(*part) for part in whole.items()), Sec(".debug_cu_index", index)], kind=1)


def opened(data: bytes, name: str = "split") -> ElfFile:
    return ElfFile(data, name, relocatable=True)


def expected(name: str) -> list[tuple[RawFrame, ...]]:
    outer = RawFrame(name, "", "/build/src/main.rs", 10, False, TEXT, 0x100)
    inner = RawFrame("inner", "", "/build/src/main.rs", 20, True, TEXT, 0x100)
    return [(outer,), (inner, outer._replace(line=7)), (outer._replace(line=20),)]


PLACES = (TEXT, TEXT + 0x44, TEXT + 0x38)


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
