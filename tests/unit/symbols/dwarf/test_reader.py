"""Debug information made here: the calls at an address, in DWARF 4 and 5, and hostile bytes."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.errors import FormatError
from hud.symbols.dwarf import constants as dw
from hud.symbols.dwarf.reader import Dwarf, RawFrame
from hud.symbols.elf.file import ElfFile
from tests.builders import elfbuild as b
from tests.builders.elfbuild import TEXT, Die, Info, Sec

ADDR, DATA1, DATA2, DATA4, STRING = 0x01, 0x0B, 0x05, 0x06, 0x08
REF4, REF_ADDR, SEC_OFFSET, UDATA, IMPLICIT = 0x13, 0x10, 0x17, 0x0F, 0x21
RUST, C11 = 0x1C, 0x1D
VARIABLE = Die(0x34, [(0x02, b.EXPRLOC, b"\x91\x08"), (0x03, STRING, "v"), (0x3A, UDATA, 300)])

FILES = [("main.rs", 1), ("lib.rs", 1)]


def named(raw: str = "", name: str = "") -> list[tuple[int, int, str]]:
    return [
        *([(dw.DW_AT_LINKAGE_NAME, STRING, raw)] if raw else []),
        *([(dw.DW_AT_NAME, STRING, name)] if name else []),
    ]


def pcs(low: int, size: int) -> list[tuple[int, int, int]]:
    return [(dw.DW_AT_LOW_PC, ADDR, TEXT + low), (dw.DW_AT_HIGH_PC, DATA4, size)]


def function(low: int, size: int, *children: Die, raw: str = "", name: str = "") -> Die:
    return Die(dw.DW_TAG_SUBPROGRAM, [*pcs(low, size), *named(raw, name)], children)


def inlined(
    origin: str, low: int, size: int, line: int, *children: Die, form: int = REF4, file: int = 1
) -> Die:
    return Die(
        dw.DW_TAG_INLINED_SUBROUTINE,
        [
            (dw.DW_AT_ABSTRACT_ORIGIN, form, origin),
            *pcs(low, size),
            (dw.DW_AT_CALL_FILE, DATA1, file),
            (dw.DW_AT_CALL_LINE, DATA2, line),
        ],
        children,
    )


def abstract(label: str, raw: str = "", name: str = "") -> Die:
    return Die(dw.DW_TAG_SUBPROGRAM, [*named(raw, name), (0x20, IMPLICIT, 1)], label=label)


def root(*children: Die, language: int = RUST, extra: object = (), low: int | None = None) -> Die:
    attributes = [
        (dw.DW_AT_NAME, STRING, "unit"),
        (dw.DW_AT_COMP_DIR, STRING, "/build"),
        (dw.DW_AT_LANGUAGE, DATA2, language),
        (dw.DW_AT_STMT_LIST, SEC_OFFSET, 0),
        *([(dw.DW_AT_LOW_PC, ADDR, low)] if low is not None else []),
        *extra,  # type: ignore[misc]
    ]
    return Die(0x11, attributes, children)


def dwarf(info: Info, *sections: Sec, line: bytes = b"", ranges: bool = True) -> Dwarf:
    program = line or b.line_program(
        b.sequence(TEXT, [(0, 10), (0x20, 20), (0x30, 30), (0x40, 40)], 0x1000),
        directories=["src"],
        files=FILES,
    )
    every = [Sec(".debug_aranges", b.aranges(0, [(TEXT, 0x1000)]))] if ranges else []
    file = ElfFile(b.elf([*info.sections(), Sec(".debug_line", program), *every, *sections]), "app")
    return Dwarf(file, file.code_ranges())


def calls(frames: list[RawFrame]) -> list[tuple[str, str, int, bool]]:
    return [(f.name_raw or f.name, f.file, f.line, f.inlined) for f in frames]


@pytest.mark.parametrize("version", [4, 5])
def test_inlined_calls(version: int) -> None:
    info = Info()
    info.unit(
        root(
            abstract("a", "_ZN1a"),
            abstract("b", "_ZN1b"),
            VARIABLE,
            function(0x100, 0x10, raw="_ZN5other"),
            function(
                0,
                0x80,
                VARIABLE,
                inlined("b", 0x60, 0x10, 7, VARIABLE, inlined("a", 0x60, 8, 8)),
                Die(
                    0x0B,
                    pcs(0x20, 0x30),
                    [
                        VARIABLE,
                        inlined("a", 0x20, 0x20, 111, VARIABLE, inlined("b", 0x30, 4, 222, file=2)),
                        inlined("b", 0x44, 4, 333),
                    ],
                ),
                VARIABLE,
                raw="_ZN5outer",
            ),
        ),
        version=version,
    )
    found = dwarf(info)
    main, lib = "/build/src/main.rs", "/build/src/lib.rs"
    assert calls(found.frames(TEXT)) == [("_ZN5outer", main, 10, False)]
    assert calls(found.frames(TEXT + 0x2F)) == [
        ("_ZN1a", main, 20, True),
        ("_ZN5outer", main, 111, False),
    ]
    assert calls(found.frames(TEXT + 0x33)) == [
        ("_ZN1b", main, 30, True),
        ("_ZN1a", lib, 222, True),
        ("_ZN5outer", main, 111, False),
    ]
    assert calls(found.frames(TEXT + 0x34)) == [
        ("_ZN1a", main, 30, True),
        ("_ZN5outer", main, 111, False),
    ]
    assert calls(found.frames(TEXT + 0x44)) == [
        ("_ZN1b", main, 40, True),
        ("_ZN5outer", main, 333, False),
    ]
    assert calls(found.frames(TEXT + 0x67))[:2] == [
        ("_ZN1a", main, 40, True),
        ("_ZN1b", main, 8, True),
    ]
    assert {(f.symbol_start, f.symbol_size) for f in found.frames(TEXT + 0x33)} == {(TEXT, 0x80)}
    assert calls(found.frames(TEXT + 0x105)) == [("_ZN5other", main, 40, False)]
    assert found.versions() == (version,)
    assert found.notes == []


def test_a_line_without_a_function() -> None:
    info = Info()
    info.unit(root(function(0, 8, raw="f")))
    assert dwarf(info).frames(TEXT + 0x20) == [
        RawFrame("", "", "/build/src/main.rs", 20, False, 0, 0)
    ]


def test_no_unit() -> None:
    info = Info()
    info.unit(root(function(0, 8, raw="f")))
    assert dwarf(info).frames(TEXT + 0x4000) == []
    assert dwarf(info).frames(1 << 64) == []


def test_names_through_namespaces() -> None:
    info = Info()
    method = abstract("method", name="poll<u8>")
    info.unit(
        root(
            Die(
                dw.DW_TAG_NAMESPACE,
                named(name="app"),
                [
                    Die(dw.DW_TAG_NAMESPACE, named(name="{impl#0}"), [method]),
                    Die(dw.DW_TAG_STRUCTURE_TYPE, named(name="Job"), [function(0, 8, name="run")]),
                    Die(dw.DW_TAG_NAMESPACE, [], [function(8, 8, name="hidden")]),
                ],
            ),
            function(16, 8, inlined("method", 18, 2, 5), name="main"),
        )
    )
    found = dwarf(info)
    assert [f.name for f in found.frames(TEXT)] == ["app::Job::run"]
    assert [f.name for f in found.frames(TEXT + 8)] == ["app::(anonymous namespace)::hidden"]
    assert [f.name for f in found.frames(TEXT + 18)] == ["app::{impl#0}::poll<u8>", "main"]


def test_specification_and_origin_chains() -> None:
    """A C++ constructor: the code refers to the abstract instance, that to the declaration."""
    info = Info()
    declared = Die(
        dw.DW_TAG_CLASS_TYPE,
        named(name="Box"),
        [Die(dw.DW_TAG_SUBPROGRAM, named("_ZN3BoxC4Ev", "Box"), label="declared")],
    )
    instance = Die(
        dw.DW_TAG_SUBPROGRAM, [(dw.DW_AT_SPECIFICATION, REF4, "declared")], label="instance"
    )
    body = Die(dw.DW_TAG_SUBPROGRAM, [(dw.DW_AT_ABSTRACT_ORIGIN, REF4, "instance"), *pcs(0, 8)])
    info.unit(root(declared, instance, body, language=0x21))
    assert dwarf(info).frames(TEXT)[0][:2] == ("_ZN3BoxC4Ev", "")


def test_instances_of_one_origin_keep_their_own_names() -> None:
    """Complete and base constructor: one abstract instance, a linkage name each."""
    info = Info()
    bodies = [
        Die(
            dw.DW_TAG_SUBPROGRAM,
            [(dw.DW_AT_ABSTRACT_ORIGIN, REF4, "both"), *named(raw), *pcs(low, 8)],
        )
        for raw, low in (("_ZN3BoxC1Ev", 0), ("_ZN3BoxC2Ev", 8))
    ]
    info.unit(root(abstract("both", name="Box"), *bodies, language=0x21))
    found = dwarf(info)
    assert [found.frames(TEXT + low)[0].name_raw for low in (0, 8)] == [
        "_ZN3BoxC1Ev",
        "_ZN3BoxC2Ev",
    ]


def test_a_loop_of_references_ends() -> None:
    info = Info()
    info.unit(
        root(
            Die(
                dw.DW_TAG_SUBPROGRAM,
                [(dw.DW_AT_ABSTRACT_ORIGIN, REF4, "self"), *pcs(0, 8)],
                label="self",
            )
        )
    )
    assert dwarf(info).frames(TEXT)[0][:2] == ("", "")


def test_origins_in_other_units() -> None:
    info = Info()
    info.unit(root(abstract("far", "_ZN3far"), abstract("near", "_ZN4near")))
    second = info.unit(root(function(0, 8, inlined("far", 2, 2, 5, form=REF_ADDR), raw="f")))
    found = dwarf(info, ranges=False)
    assert found.frames(TEXT) == []
    found = dwarf(info, Sec(".debug_aranges", b.aranges(second, [(TEXT, 8)])), ranges=False)
    assert [f.name_raw for f in found.frames(TEXT + 2)] == ["_ZN3far", "f"]


def test_units_that_aranges_leave_out() -> None:
    info = Info()
    info.unit(root(function(0, 8, raw="listed"), extra=pcs(0, 8)))
    info.unit(root(function(8, 8, raw="unlisted"), extra=pcs(8, 8)))
    found = dwarf(info, Sec(".debug_aranges", b.aranges(0, [(TEXT, 8)])), ranges=False)
    assert [f.name_raw for f in found.frames(TEXT)] == ["listed"]
    assert [f.name_raw for f in found.frames(TEXT + 8)] == ["unlisted"]


def test_ranges_with_base_selection() -> None:
    largest = (1 << 64) - 1
    lists = struct.pack(
        "<12Q", 0x10, 0x18, 0x20, 0x20, largest, TEXT + 0x200, 0, 8, 0x30, 0x38, 0, 0
    )
    info = Info()
    split = Die(dw.DW_TAG_SUBPROGRAM, [(dw.DW_AT_RANGES, SEC_OFFSET, 0), *named("_ZN5split")])
    info.unit(root(split, low=TEXT))
    found = dwarf(info, Sec(".debug_ranges", lists))
    where = [
        offset for offset in range(0x300) if any(f.name_raw for f in found.frames(TEXT + offset))
    ]
    assert where == [*range(0x10, 0x18), *range(0x200, 0x208), *range(0x230, 0x238)]
    assert found.frames(TEXT + 0x204)[0].symbol_start == TEXT + 0x200


def test_indexed_lists_addresses_and_strings_of_version_5() -> None:
    entries = (
        b"\x05" + struct.pack("<Q", TEXT)  # base_address
        + b"\x04" + b.uleb(0x10) + b.uleb(0x18)  # offset_pair
        + b"\x01" + b.uleb(1)  # base_addressx: TEXT + 0x100
        + b"\x04" + b.uleb(0) + b.uleb(8)
        + b"\x03" + b.uleb(2) + b.uleb(8)  # startx_length: TEXT + 0x200
        + b"\x02" + b.uleb(2) + b.uleb(3)  # startx_endx: empty, TEXT + 0x200 both
        + b"\x07" + struct.pack("<Q", TEXT + 0x300) + b.uleb(8)  # start_length
        + b"\x06" + struct.pack("<QQ", TEXT + 0x400, TEXT + 0x408)  # start_end
        + b"\x00"
    )  # fmt: skip
    rnglists = struct.pack("<IHBBI", 8 + 8 + len(entries), 5, 8, 0, 2)
    rnglists += struct.pack("<II", 8, 8) + entries
    addresses = struct.pack("<IHBB", 4 + 4 * 8, 5, 8, 0)
    addresses += struct.pack("<4Q", TEXT, TEXT + 0x100, TEXT + 0x200, TEXT + 0x200)
    strings = b"\0unused\0_ZN7indexed\0"
    offsets = struct.pack("<IHHII", 12, 5, 0, 1, 8)
    info = Info()
    info.unit(
        root(
            Die(
                dw.DW_TAG_SUBPROGRAM,
                [(dw.DW_AT_RANGES, 0x23, 1), (dw.DW_AT_LINKAGE_NAME, 0x25, 1)],
            ),
            Die(
                dw.DW_TAG_SUBPROGRAM,
                [
                    (dw.DW_AT_LOW_PC, 0x1B, 0),
                    (dw.DW_AT_HIGH_PC, DATA1, 4),
                    (dw.DW_AT_LINKAGE_NAME, 0x1A, 0),
                ],
            ),
            extra=[
                (dw.DW_AT_STR_OFFSETS_BASE, SEC_OFFSET, 8),
                (dw.DW_AT_ADDR_BASE, SEC_OFFSET, 8),
                (dw.DW_AT_RNGLISTS_BASE, SEC_OFFSET, 12),
            ],
        ),
        version=5,
    )
    found = dwarf(
        info,
        Sec(".debug_rnglists", rnglists),
        Sec(".debug_addr", addresses),
        Sec(".debug_str", strings),
        Sec(".debug_str_offsets", offsets),
    )
    where = [
        offset
        for offset in range(0x500)
        if any(f.name_raw == "_ZN7indexed" for f in found.frames(TEXT + offset))
    ]
    assert where == [n + m for n in (0x10, 0x100, 0x200, 0x300, 0x400) for m in range(8)]
    assert found.frames(TEXT)[0].name_raw == "unused"


def test_a_skeleton_without_its_object_has_lines_and_asks_for_it() -> None:
    info = Info()
    info.unit(
        Die(0x4A, [(dw.DW_AT_DWO_NAME, STRING, "a.dwo"), (dw.DW_AT_STMT_LIST, SEC_OFFSET, 0)]),
        version=5,
        kind=4,
        dwo_id=1,
    )
    found = dwarf(info)
    assert found.frames(TEXT) == [RawFrame("", "", "src/main.rs", 10, False, 0, 0)]
    assert found.splits.take_wanted() == ["a.dwo"]
    assert found.splits.take_wanted() == []


def test_dead_functions_at_address_zero() -> None:
    info = Info()
    dead = Die(
        dw.DW_TAG_SUBPROGRAM,
        [(dw.DW_AT_LOW_PC, ADDR, 0), (dw.DW_AT_HIGH_PC, DATA4, 0x8000), *named("dead")],
    )
    info.unit(root(dead, function(0, 8, raw="alive")))
    assert [f.name_raw for f in dwarf(info).frames(TEXT)] == ["alive"]
    assert [f.name_raw for f in dwarf(info).frames(TEXT + 0x20)] == [""]


def test_a_type_unit_is_passed_over() -> None:
    info = Info()
    info.unit(root(function(0, 8, raw="f"), extra=pcs(0, 8)), version=5)
    data = bytearray(info.info)
    data[6] = dw.DW_UT_TYPE
    info.info = bytes(data)
    assert dwarf(info, ranges=False).frames(TEXT) == []


def test_a_damaged_unit_keeps_what_came_before() -> None:
    info = Info()
    info.unit(root(function(0, 8, raw="first"), function(8, 8, raw="second")))
    info.info = info.info[:-1] + b"\x7f"
    found = dwarf(info)
    assert [f.name_raw for f in found.frames(TEXT + 8)] == ["second"]
    assert found.notes == ["debug info of a unit is damaged: dwarf: no abbreviation 127"]


def test_a_damaged_line_table_costs_lines_only() -> None:
    info = Info()
    info.unit(root(function(0, 8, raw="f")))
    body = b.set_address(TEXT) + b.row(0, 0) + b.advance_pc((1 << 64) - 1) * 2 + b.row(1, 0)
    found = dwarf(info, line=b.line_program(body + b.END_SEQUENCE, files=FILES))
    assert found.frames(TEXT) == [RawFrame("f", "", "", 0, False, TEXT, 8)]
    assert len(found.notes) == 1
    assert found.notes[0].startswith("a line table of the debug info is damaged")


def test_a_range_beyond_the_address_space_is_dropped() -> None:
    info = Info()
    wild = Die(
        dw.DW_TAG_SUBPROGRAM,
        [(dw.DW_AT_LOW_PC, ADDR, TEXT), (dw.DW_AT_HIGH_PC, 0x07, (1 << 64) - 1), *named("wild")],
    )
    info.unit(root(wild, function(0, 8, raw="f")))
    assert [f.name_raw for f in dwarf(info).frames(TEXT)] == ["f"]


def test_too_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hud.symbols.dwarf.functions.MAX_INLINE_WORK", 20)
    info = Info()
    many = [inlined("a", 0x100, 2, 1) for _ in range(50)]
    info.unit(root(abstract("a", "a"), function(0, 0x80, *many, raw="f")))
    with pytest.raises(FormatError, match="too much work"):
        dwarf(info).frames(TEXT)


def seed() -> bytes:
    info = Info()
    info.unit(
        root(
            abstract("a", "_ZN1a"),
            Die(dw.DW_TAG_NAMESPACE, named(name="n"), [function(0x80, 8, name="g")]),
            function(0, 0x80, inlined("a", 0x20, 0x20, 1, inlined("a", 0x30, 4, 2)), raw="f"),
            Die(dw.DW_TAG_SUBPROGRAM, [(dw.DW_AT_RANGES, SEC_OFFSET, 0), *named("r")]),
            low=TEXT,
        )
    )
    info.unit(
        root(function(0x200, 8, inlined("a", 0x202, 2, 3, form=REF_ADDR)), extra=pcs(0x200, 8))
    )
    line = b.line_program(b.sequence(TEXT, [(0, 10), (0x20, 20)], 0x300), files=FILES)
    ranges = struct.pack("<4Q", 0x100, 0x120, 0, 0)
    return b.elf(
        [
            *info.sections(),
            Sec(".debug_line", line),
            Sec(".debug_ranges", ranges),
            Sec(".debug_aranges", b.aranges(0, [(TEXT, 0x180)])),
        ],
        text=bytes(0x300),
    )


SEED = seed()
DEBUG_AT = TEXT + 0x300
DEBUG_SIZE = len(SEED) - DEBUG_AT - 64 * 9


def test_the_seed_resolves() -> None:
    file = ElfFile(SEED)
    found = Dwarf(file, file.code_ranges())
    assert [f.name_raw or f.name for f in found.frames(TEXT + 0x31)] == ["_ZN1a", "_ZN1a", "f"]
    assert [f.name_raw or f.name for f in found.frames(TEXT + 0x81)] == ["n::g"]
    assert [f.name_raw or f.name for f in found.frames(TEXT + 0x101)] == ["r"]
    assert [f.name_raw for f in found.frames(TEXT + 0x202)] == ["_ZN1a", ""]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, DEBUG_SIZE - 1), st.integers(0, 255)), min_size=1, max_size=6)
)
def test_hostile_bytes_end_in_format_error_or_a_result(changes: list[tuple[int, int]]) -> None:
    data = bytearray(SEED)
    for at, value in changes:
        data[DEBUG_AT + at] = value
    try:
        file = ElfFile(bytes(data))
        found = Dwarf(file, file.code_ranges())
        found.versions()
    except FormatError:
        return
    for offset in (0, 0x31, 0x81, 0x101, 0x202, 0x2FF):
        with suppress(FormatError):
            assert len(found.frames(TEXT + offset)) <= 257
