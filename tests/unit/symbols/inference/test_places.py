"""What is told of an address in a function with a symbol and without debug info."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.model import Frame, Origin, Precision
from hud.symbols.elf.file import ElfFile
from hud.symbols.inference.coroutines import Coroutines
from hud.symbols.inference.locations import Locations
from hud.symbols.inference.places import Places
from hud.symbols.inference.references import References
from hud.symbols.owncrates import NOT_KNOWN, OwnCrates

from .test_definitions import BY_POINTER, COLD, SIZE, near, panics
from .test_definitions import TEST as TESTED
from .test_locations import DATA, RELRO, STATE, TEXT, TOKIO, call, lea, program, record
from .test_sources import legacy

DB, MAIN = "src/db.rs", "src/main.rs"
GET = legacy("app", "db", "get")
BODY = legacy("app", "db", "get", "_$u7b$$u7b$closure$u7d$$u7d$")
POLL = legacy("tokio", "runtime", "task", "raw", "poll")
PARK, WRITE = TEXT + 0x900, TEXT + 0x940
SYMBOLS = {
    PARK: legacy("tokio", "runtime", "park", "park"),
    WRITE: legacy("std", "fs", "write"),
}


def told(
    pieces: dict[int, bytes],
    locations: list[tuple[str | bytes, int, int]],
    vaddr: int,
    raw: str = GET,
    origin: Origin = Origin.USER,
) -> tuple[Frame, ...]:
    return placed(made(pieces, locations), vaddr, raw, origin)


def made(pieces: dict[int, bytes], locations: list[tuple[str | bytes, int, int]]) -> ElfFile:
    bounds = [(TEXT, SIZE), (PARK, 0x20), (WRITE, 0x20)]
    return program({PARK: b"\xc3", WRITE: b"\xc3", **pieces}, locations, bounds).elf


def placed(
    elf: ElfFile, vaddr: int, raw: str, origin: Origin, own_crates: OwnCrates = NOT_KNOWN
) -> tuple[Frame, ...]:
    known = Locations(elf)

    def symbol_at(vaddr: int) -> tuple[str, int, int] | None:
        return (SYMBOLS[vaddr], vaddr, 0x20) if vaddr in SYMBOLS else None

    places = Places(known, References(elf, known), Coroutines(elf, known), symbol_at, own_crates)
    frame = Frame(0, "its name", raw, origin=origin, module="app", offset=vaddr)
    return places.placed(frame, vaddr, (raw, TEXT, SIZE))


def place(frame: Frame) -> tuple[str, int, Precision]:
    return frame.file, frame.line, frame.precision


def checked(at: int, block: int, number: int) -> dict[int, bytes]:
    """A conditional jump to a panic of the location with this number."""
    return {
        at: near(at, block),
        block: lea(block, record(number)) + call(block + 7, TEXT + 0xA00),
    }


AT = TEXT + 0x40
BEFORE = checked(AT - 0x10, COLD, 0)
AFTER = checked(AT + 0x10, COLD + 0x20, 1)
LINES: list[tuple[str | bytes, int, int]] = [(DB, 20, 9), (DB, 22, 9)]


@pytest.mark.parametrize(
    ("pieces", "want"),
    [
        ({**BEFORE, **AFTER}, (DB, 22, Precision.NEAR)),
        (BEFORE, (DB, 20, Precision.NEAR)),
        # another call lies between
        ({**AFTER, AT + 8: call(AT + 8, WRITE)}, (DB, 0, Precision.FILE)),
        ({**BEFORE, AT - 0xA: call(AT - 0xA, WRITE)}, (DB, 0, Precision.FILE)),
        # the code behind it is not reached from there
        ({**BEFORE, **AFTER, AT + 8: b"\xc3"}, (DB, 20, Precision.NEAR)),
        ({}, (DB, 0, Precision.FILE)),
    ],
)
def test_a_line_is_told_if_no_other_call_lies_between(
    pieces: dict[int, bytes], want: tuple[str, int, Precision]
) -> None:
    (frame,) = told({AT: call(AT, WRITE), **pieces}, LINES, AT)
    assert place(frame) == want
    assert (frame.function, frame.inferred) == ("its name", False)


def test_what_the_call_itself_is_given_is_its_line() -> None:
    """``tokio::spawn``, ``sleep`` and the like are ``#[track_caller]``."""
    pieces = {AT - 7: lea(AT - 7, record(0)) + call(AT, WRITE), **AFTER}
    (frame,) = told(pieces, LINES, AT)
    assert place(frame) == (DB, 20, Precision.NEAR)


def test_what_cargo_installed_is_the_users_own() -> None:
    path = "/c/registry/src/index-0123456789abcdef/app-1.2.0/src/db.rs"
    elf = made({AT: call(AT, WRITE), **BEFORE, **AFTER}, [(path, 20, 9), (path, 22, 9)])
    (frame,) = placed(elf, AT, GET, Origin.USER, OwnCrates("app"))
    assert place(frame) == (path, 22, Precision.NEAR)
    (frame,) = placed(elf, AT, GET, Origin.USER)
    assert place(frame) == ("", 0, Precision.EXACT)
    inner, _ = placed(elf, AT, POLL, Origin.RUNTIME, OwnCrates("app"))
    assert (inner.function, inner.origin) == ("app/src/db.rs:22", Origin.USER)


def test_another_modules_location_is_somebody_elses_inlined() -> None:
    pieces = {AT: call(AT, WRITE), **BEFORE, **AFTER}
    (frame,) = told(pieces, [(MAIN, 20, 9), (DB, 22, 9)], AT)
    assert place(frame) == (DB, 22, Precision.NEAR)
    (frame,) = told(pieces, [(MAIN, 20, 9), (MAIN, 22, 9)], AT)
    assert place(frame) == ("", 0, Precision.EXACT)


def body(*more: dict[int, bytes]) -> dict[int, bytes]:
    pieces = {TEXT: STATE + TESTED + near(TEXT + 6, COLD + 0x80), AT: call(AT, WRITE)}
    for one in (panics(COLD + 0x80), *more):
        pieces |= one
    return pieces


def test_an_async_body_is_told_by_its_definition() -> None:
    (frame,) = told(body(), [(DB, 15, 30)], AT, BODY)
    assert place(frame) == (DB, 15, Precision.DEFINITION)
    after = checked(AT + 0x10, COLD + 0x20, 1)
    (frame,) = told(body(after), [(DB, 15, 30), (DB, 22, 9)], AT, BODY)
    assert place(frame) == (DB, 22, Precision.NEAR)
    # a line above it is another function's
    (frame,) = told(body(after), [(DB, 15, 30), (DB, 12, 9)], AT, BODY)
    assert place(frame) == (DB, 15, Precision.DEFINITION)


def test_a_plain_function_is_not_told_by_what_it_polls() -> None:
    """``Timed::poll`` of the user's, with an async block inlined."""
    (frame,) = told(body(), [(DB, 15, 30)], AT)
    assert place(frame) == (DB, 0, Precision.FILE)


def inlined(callee: int) -> dict[int, bytes]:
    """The poll of a task with a body in it, and a call before its state and one behind it."""
    load = TEXT + 0x10
    branch = load + len(BY_POINTER + TESTED)
    return {
        TEXT: call(TEXT, WRITE),
        load: BY_POINTER + TESTED + near(branch, COLD + 0x80),
        AT: call(AT, callee),
        AT + 5: call(AT + 5, WRITE),
        AT + 10: b"\xc3",
        **panics(COLD + 0x80),
    }


def test_the_users_code_inside_a_dependencys_is_a_frame_of_its_own() -> None:
    inner, outer = told(inlined(WRITE), [(DB, 15, 30)], AT, POLL, Origin.RUNTIME)
    assert place(inner) == (DB, 15, Precision.DEFINITION)
    assert (inner.function, inner.origin) == ("src/db.rs:15", Origin.USER)
    assert (inner.inlined, inner.inferred, inner.module, inner.offset) == (True, True, "app", AT)
    assert place(outer) == ("", 0, Precision.EXACT)
    assert (outer.function, outer.raw) == ("its name", POLL)


@pytest.mark.parametrize(
    ("callee", "vaddr"),
    [(WRITE, TEXT), (PARK, AT)],
    ids=["before the body begins", "a call of the runtime's own"],
)
def test_what_a_dependency_does_itself_is_not_the_users(callee: int, vaddr: int) -> None:
    frames = told(inlined(callee), [(DB, 15, 30)], vaddr, POLL, Origin.RUNTIME)
    assert [frame.function for frame in frames] == ["its name"]


def test_a_dependency_without_the_users_code_is_left_as_it_is() -> None:
    pieces = {AT: call(AT, WRITE), **BEFORE, **AFTER}
    (frame,) = told(pieces, [(TOKIO, 20, 9), (TOKIO, 22, 9)], AT, POLL, Origin.RUNTIME)
    assert place(frame) == ("", 0, Precision.EXACT)
    (frame,) = told({AT: call(AT, WRITE), **BEFORE}, LINES, AT, "memcpy", Origin.C)
    assert place(frame) == ("", 0, Precision.EXACT)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_hostile_bytes_end_in_frames(data: st.DataObject) -> None:
    image = bytearray(made({**inlined(WRITE), **AFTER}, [(DB, 15, 30), *LINES]).data)
    for _ in range(data.draw(st.integers(1, 12))):
        at = data.draw(st.sampled_from((64, TEXT, AT, COLD, DATA, RELRO)))
        image[at + data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    for raw, origin in ((GET, Origin.USER), (BODY, Origin.USER), (POLL, Origin.RUNTIME)):
        frames = placed(ElfFile(bytes(image), "app"), AT, raw, origin)
        assert frames[-1].function == "its name"
        assert len(frames) <= 2
