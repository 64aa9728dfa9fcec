"""Panic locations, their references and what is guessed from them, in programs made by hand."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.model import Origin, Precision
from hud.symbols.elf.file import EHDR, PHDR, ElfFile
from hud.symbols.elf.relocations import relative_relocations
from hud.symbols.inference.inferred import Inferred, short_path
from hud.symbols.inference.locations import Location, Locations
from hud.symbols.machine.flow import Flow
from hud.symbols.names import Owner
from hud.symbols.owncrates import OwnCrates
from hud.symbols.unwind.bounds import Bounds

TEXT, DATA, RELRO, FRAMES = 0x1000, 0x3000, 0x4000, 0x5000
CALLEE = TEXT + 0x780
RESUMED = TEXT + 0x800
"""Where the stand-in for panic_const_async_fn_resumed is."""
MAIN = "src/main.rs"
TOKIO = "/c/registry/src/index-0123456789abcdef/tokio-1.54.1/src/task.rs"
H2 = TOKIO.replace("tokio-1.54.1", "h2-0.4.1")


class Program(NamedTuple):
    elf: ElfFile
    records: list[int]
    """Vaddrs of the locations."""


def lea(at: int, target: int, register: int = 0x3D) -> bytes:
    return bytes((0x48, 0x8D, register)) + struct.pack("<i", target - at - 7)


def call(at: int, target: int) -> bytes:
    return b"\xe8" + struct.pack("<i", target - at - 5)


def jne(at: int, target: int) -> bytes:
    return b"\x0f\x85" + struct.pack("<i", target - at - 6)


def code(pieces: dict[int, bytes], size: int = 0x1000) -> bytes:
    """``pieces`` by vaddr, NOPs between."""
    text = bytearray(b"\x90" * size)
    for at, piece in pieces.items():
        text[at - TEXT : at - TEXT + len(piece)] = piece
    return bytes(text)


def relr(places: list[int]) -> bytes:
    """DT_RELR of places that are near each other: the first, and bits for those behind it."""
    bits = sum(1 << ((place - places[0]) // 8) for place in places[1:])
    return struct.pack("<QQ", places[0], bits | 1) if places else b""


def program(
    pieces: dict[int, bytes],
    locations: list[tuple[str | bytes, int, int]],
    functions: list[tuple[int, int]],
    *,
    relocations: str = "rela",
    machine: int = 62,
) -> Program:
    """A file without section headers: code, strings, locations, ``.eh_frame`` and its table."""
    message = b"`async fn` resumed after completion"
    strings = bytearray(message)
    rows = bytearray()
    places = []
    rela = b""
    kind = {62: 8, 183: 1027}[machine]
    for path, line, column in locations:
        raw = path.encode() if isinstance(path, str) else path
        pointer = DATA + len(strings)
        strings += raw
        places.append(RELRO + len(rows))
        rela += struct.pack("<QQQ", places[-1], kind, pointer)
        inside = 0 if relocations == "rela" else pointer
        rows += struct.pack("<QQII", inside, len(raw), line, column)
    dynamic_at = RELRO + len(rows)
    rela_at = dynamic_at + 64
    dynamic = struct.pack("<8Q", 7, rela_at, 8, len(rela), 9, 24, 0, 0)
    if relocations == "relr":
        rela = relr(places)
        dynamic = struct.pack("<8Q", 35, len(rela), 36, rela_at, 37, 8, 0, 0)
    elif relocations != "rela":
        dynamic, rela = bytes(64), b""
    pieces = {RESUMED: lea(RESUMED, DATA) + b"\x0f\x0b", **pieces}
    functions = sorted([*functions, (RESUMED, 16)])
    frame_at = FRAMES + 12 + 8 * len(functions)
    cie = struct.pack("<II", 16, 0) + b"\x01zR\0\x01\x78\x10\x01\x1b" + bytes(3)
    if machine == 183:
        cie = cie.replace(b"\x01\x78\x10\x01", b"\x01\x78\x1e\x01")
    frames = bytearray(cie)
    table = b""
    for start, size in functions:
        at = frame_at + len(frames)
        frames += struct.pack("<IIiI", 16, at + 4 - frame_at, start - at - 8, size) + bytes(4)
        table += struct.pack("<ii", start - FRAMES, at - FRAMES)
    header = struct.pack("<4Bii", 1, 0x1B, 3, 0x3B, frame_at - FRAMES - 4, len(functions))
    eh = header + table + bytes(frames)
    segments = [
        (1, 5, TEXT, code(pieces)),
        (1, 4, DATA, bytes(strings)),
        (1, 6, RELRO, bytes(rows) + dynamic + rela),
        (1, 4, FRAMES, eh),
        (0x6474E550, 4, FRAMES, eh[: len(header + table)]),
        (2, 6, dynamic_at, dynamic),
    ]
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    type_ = 2 if relocations == "fixed" else 3
    head = EHDR.pack(ident, type_, machine, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    image = bytearray(0x6000)
    for kind_, flags, vaddr, data in segments:
        head += PHDR.pack(kind_, flags, vaddr, vaddr, vaddr, len(data), len(data), 8)
        image[vaddr : vaddr + len(data)] = data
    image[: len(head)] = head
    return Program(ElfFile(bytes(image), "app"), places)


RECORD = RELRO
STATE = bytes.fromhex("0fb64711")
"""movzx eax, byte ptr [rdi + 0x11]"""


def record(index: int) -> int:
    return RECORD + 24 * index


# --------------------------------------------------------------------------- locations


@pytest.mark.parametrize("relocations", ["rela", "in place"])
def test_a_location_is_read_wherever_its_pointer_comes_from(relocations: str) -> None:
    made = program({}, [(MAIN, 7, 9), (TOKIO, 88, 5)], [], relocations=relocations)
    found = Locations(made.elf)
    assert found.at(made.records[0]) == Location(MAIN, 7, 9)
    assert found.at(made.records[1]) == Location(TOKIO, 88, 5)
    assert found.at(made.records[0] + 8) is None
    assert found.at(made.records[0] + 1) is None
    assert found.at(0xDEAD_0000) is None


@pytest.mark.parametrize("relocations", ["rela", "relr", "fixed"])
def test_all_locations_are_those_whose_pointers_the_file_has(relocations: str) -> None:
    """Where the file is not position independent there is no relocation: any word may be one."""
    given_ = [(MAIN, 7, 9), (b"not a path", 1, 1), (TOKIO, 88, 5)]
    made = program({}, given_, [], relocations=relocations)
    first, _, third = made.records
    found = Locations(made.elf)
    assert [place for place, _ in found.all()] == [first, third]
    assert found.paths() == {MAIN, TOKIO}
    pointers = dict(zip(*relative_relocations(made.elf), strict=True))
    assert pointers.keys() >= set(made.records)
    assert pointers[made.records[0]] == DATA + len(b"`async fn` resumed after completion")


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ("src/main.c", 7, 9),
        (MAIN, 0, 9),
        (MAIN, 7, 0),
        (MAIN, 1 << 25, 9),
        (MAIN, 7, 1 << 17),
        (".rs", 7, 9),
        ("x" * 2000 + ".rs", 7, 9),
        (b"src/\xff.rs", 7, 9),
        ("src/\x1b[31m.rs", 7, 9),
    ],
)
def test_what_cannot_be_a_location_is_none(path: str | bytes, line: int, column: int) -> None:
    made = program({}, [(path, line, column)], [])
    assert Locations(made.elf).at(made.records[0]) is None


# --------------------------------------------------------------------------- bounds, flow


def test_bounds_are_those_of_the_fde() -> None:
    made = program({}, [], [(TEXT, 0x40), (TEXT + 0x100, 0x20)])
    bounds = Bounds(made.elf)
    assert list(bounds) == [(TEXT, 0x40), (TEXT + 0x100, 0x20), (RESUMED, 16)]
    assert bounds.of(TEXT) == bounds.of(TEXT + 0x3F) == (TEXT, 0x40)
    assert bounds.of(TEXT + 0x40) is None
    assert bounds.of(TEXT - 1) is None
    assert bounds.of(TEXT + 0x11F) == (TEXT + 0x100, 0x20)


def test_the_nearest_place_is_the_one_that_the_code_leads_to() -> None:
    flow = Flow([(10, 500), (300, 700)], [110, 200])
    assert flow.nearest(520, [10, 150, 498], ahead=False) == (22, 498)
    assert flow.nearest(520, [10, 150], ahead=False) == (24, 10)
    assert flow.nearest(105, [150], ahead=True) is None
    assert flow.nearest(250, [150], ahead=False) is None
    assert flow.nearest(250, [150, 710], ahead=True) == (64, 710)


# --------------------------------------------------------------------------- guesses


def handlers() -> Program:
    """One poll function: ``connection`` (line 10) with ``hash`` (30) and ``parse`` (50) inlined.

    The calls at 0x600 and 0x680 are checked for an error in lines 33 and 53, that at 0x640 is not.
    """
    cold, lines = TEXT + 0x400, (10, 30, 50)
    pieces = {TEXT: STATE}
    for index, at in enumerate((TEXT + 8, TEXT + 0x100, TEXT + 0x200)):
        block = cold + 0x20 * index
        pieces[at] = jne(at, block)
        pieces[block] = lea(block, record(index)) + call(block + 7, RESUMED)
    for at, target in ((TEXT + 0x110, TEXT + 0x5F0), (TEXT + 0x210, TEXT + 0x670)):
        pieces[at] = b"\xe9" + struct.pack("<i", target - at - 5)
    for index, pc in enumerate((TEXT + 0x600, TEXT + 0x680)):
        block = cold + 0x80 + 0x20 * index
        pieces[pc] = call(pc, CALLEE)
        pieces[pc + 0x10] = jne(pc + 0x10, block)
        pieces[block] = lea(block, record(3 + index)) + call(block + 7, TEXT + 0x900)
    pieces[TEXT + 0x638] = pieces[TEXT + 0x640] = pieces[TEXT + 0x648] = call(0, 0)
    for at in (TEXT + 0x460, TEXT + 0x660, TEXT + 0x6A0):
        pieces[at] = b"\x0f\x0b"
    return program(
        {**pieces, CALLEE: b"\xc3"},
        [*((MAIN, line, 40) for line in lines), (MAIN, 33, 9), (MAIN, 53, 9)],
        [(TEXT, 0x700), (CALLEE, 0x10)],
    )


def test_an_inlined_async_fn_is_a_frame_of_its_own() -> None:
    inferred = Inferred(handlers().elf)
    for pc, line in ((TEXT + 0x600, 30), (TEXT + 0x680, 50)):
        inner, outer = inferred.frames(pc)
        assert (inner.function, inner.file, inner.line) == (f"{MAIN}:{line}", MAIN, line + 3)
        assert (outer.function, outer.line) == (f"{MAIN}:10", 10)
        assert (inner.precision, outer.precision) == (Precision.NEAR, Precision.DEFINITION)
        assert (inner.inlined, outer.inlined) == (True, False)
        assert inner.inferred
        assert outer.inferred
        assert inner.origin is Origin.USER
        assert (inner.module, inner.offset) == ("app", pc)
    for pc in (TEXT + 0x20, TEXT + 0x640):
        (only,) = inferred.frames(pc)
        assert (only.function, only.line) == (f"{MAIN}:10", 10)
        assert only.precision is Precision.DEFINITION


def test_a_dependencys_function_has_its_crate_and_one_name() -> None:
    pieces = {
        TEXT + 0x10: lea(TEXT + 0x10, record(0)) + call(TEXT + 0x17, TEXT),
        TEXT + 0x80: lea(TEXT + 0x80, record(1)) + call(TEXT + 0x87, TEXT),
    }
    locations: list[tuple[str | bytes, int, int]] = [(TOKIO, 40, 3), (TOKIO, 77, 3)]
    inferred = Inferred(program(pieces, locations, [(TEXT, 0x100)]).elf)
    (near,) = inferred.frames(TEXT + 0x17)
    (far,) = inferred.frames(TEXT + 0x87)
    assert near.function == far.function == "tokio/src/task.rs:40"
    assert (near.line, far.line) == (40, 77)
    assert (near.origin, near.crate) == (Origin.RUNTIME, "tokio 1.54.1")


def test_the_users_own_file_decides_whose_function_it_is() -> None:
    pieces = {TEXT + 16 * i: lea(TEXT + 16 * i, record(i)) for i in range(3)}
    locations: list[tuple[str | bytes, int, int]] = [(TOKIO, 1, 1), (TOKIO, 2, 1), (MAIN, 3, 1)]
    (frame,) = Inferred(program(pieces, locations, [(TEXT, 0x100)]).elf).frames(TEXT + 4)
    assert (frame.function, frame.origin) == (f"{MAIN}:3", Origin.USER)


def test_what_cargo_installed_is_the_users_own_file() -> None:
    own = TOKIO.replace("tokio-", "app-")
    pieces = {TEXT + 16 * i: lea(TEXT + 16 * i, record(i)) for i in range(3)}
    locations: list[tuple[str | bytes, int, int]] = [(H2, 1, 1), (H2, 2, 1), (own, 3, 1)]
    elf = program(pieces, locations, [(TEXT, 0x100)]).elf
    (frame,) = Inferred(elf, OwnCrates("app")).frames(TEXT + 4)
    assert (frame.function, frame.origin) == ("app/src/task.rs:3", Origin.USER)
    (frame,) = Inferred(elf).frames(TEXT + 4)
    assert (frame.function, frame.origin) == ("h2/src/task.rs:1", Origin.DEPENDENCY)


def test_a_function_without_a_location_is_one_place_without_a_name() -> None:
    inferred = Inferred(program({}, [], [(TEXT + 0x40, 0x40)]).elf)
    (frame,) = inferred.frames(TEXT + 0x5A)
    assert (frame.function, frame.inferred, frame.offset) == ("", False, TEXT + 0x40)
    assert inferred.frames(TEXT) == ()


@pytest.mark.parametrize(
    ("path", "owner", "want"),
    [
        ("src/a/b.rs", Owner(Origin.USER), "src/a/b.rs"),
        ("crates/api/src/b.rs", Owner(Origin.USER), "crates/api/src/b.rs"),
        ("/home/me/api/src/b.rs", Owner(Origin.USER), "src/b.rs"),
        (TOKIO, Owner(Origin.RUNTIME, "tokio", "1.54.1"), "tokio/src/task.rs"),
        ("/rustc/0a/library/std/src/fs.rs", Owner(Origin.STD, "std"), "std/src/fs.rs"),
        ("/generated.rs", Owner(Origin.USER), "generated.rs"),
    ],
)
def test_short_paths(path: str, owner: Owner, want: str) -> None:
    assert short_path(path, owner) == want


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_end_in_a_result(data: st.DataObject) -> None:
    image = bytearray(handlers().elf.data)
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.sampled_from((64, TEXT, DATA, RELRO, FRAMES)))
        at += data.draw(st.integers(0, 400))
        image[at] = data.draw(st.integers(0, 255))
    inferred = Inferred(ElfFile(bytes(image), "app"))
    for pc in (TEXT + 0x20, TEXT + 0x600, RESUMED, FRAMES):
        for frame in inferred.frames(pc):
            assert frame.function == "" or frame.inferred
