"""Which async fn or block a function runs: the walk, dominance, and where nothing is sure."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hud.symbols.inference.coroutines import Coroutines
from hud.symbols.inference.definitions import Definitions
from hud.symbols.inference.locations import Location, Locations
from hud.symbols.inference.references import References

from .test_locations import MAIN, RESUMED, STATE, TEXT, TOKIO, call, lea, program, record

if TYPE_CHECKING:
    from hud.symbols.inference.definitions import Definition

SIZE, CALLEE, COLD = 0x600, TEXT + 0x900, TEXT + 0x500
TEST = bytes.fromhex("85c0")
BY_POINTER = bytes.fromhex("488b5f20 0fb64311")
"""mov rbx, [rdi + 0x20]; movzx eax, byte ptr [rbx + 0x11]"""
OUTER, INNER = (MAIN, 10, 40), (MAIN, 30, 40)


def near(at: int, target: int, opcode: int = 0x85) -> bytes:
    return bytes((0x0F, opcode)) + struct.pack("<i", target - at - 6)


def row(begin: int, *parts: bytes) -> dict[int, bytes]:
    return {begin: b"".join(parts)}


def calls(begin: int, count: int) -> bytes:
    return b"".join(call(begin + 5 * i, CALLEE) for i in range(count))


def panics(*places: int) -> dict[int, bytes]:
    """A resumed panic at each, of the first location and on."""
    return {at: lea(at, record(number)) + call(at + 7, RESUMED) for number, at in enumerate(places)}


def definition(
    pieces: dict[int, bytes], locations: list[tuple[str | bytes, int, int]]
) -> Definition | None:
    bounds = [(TEXT, SIZE), (CALLEE, 0x10)]
    elf = program({**pieces, CALLEE: b"\xc3"}, locations, bounds).elf
    known = Locations(elf)
    code = References(elf, known).code(TEXT, SIZE)
    return Definitions(Coroutines(elf, known)).of(TEXT, SIZE, code)


def test_a_body_is_its_own_panics() -> None:
    """The inner one is tested at a lower address; the walk leads to the outer one."""
    branch = TEXT + len(STATE + TEST)
    pieces = {
        TEXT: STATE + TEST + near(branch, COLD),
        TEXT + 0x40: BY_POINTER + TEST + near(TEXT + 0x4A, COLD + 0x20),
        **panics(COLD, COLD + 0x20),
    }
    found = definition(pieces, [OUTER, INNER])
    assert found is not None
    assert (found.location, found.state_loads) == (Location(*OUTER), ())


def poll(outer: bool) -> dict[int, bytes]:
    """A task's poll with a body inlined: a call, the state, much work, an inner future's state.

    Not ``outer``: the block never returns, so that its state has no panic.
    """
    load = TEXT + 0x10
    branch = load + len(BY_POINTER + TEST)
    inner = TEXT + 0x100
    after = inner + len(BY_POINTER + TEST)
    return {
        TEXT: call(TEXT, CALLEE),
        load: BY_POINTER + TEST + (near(branch, COLD) if outer else b""),
        TEXT + 0x40: calls(TEXT + 0x40, 20),
        inner: BY_POINTER + TEST + near(after, COLD + 0x20),
        inner + 0x20: calls(inner + 0x20, 3) + b"\xc3",
        **panics(*([COLD] if outer else []), COLD + 0x20),
    }


def test_what_is_passed_before_nearly_everything_is_the_functions_own() -> None:
    found = definition(poll(outer=True), [OUTER, INNER])
    assert found is not None
    assert found.location == Location(*OUTER)
    assert found.state_loads == (TEXT + 0x14,)


def test_an_inner_futures_panic_is_not_taken_for_that_of_a_block_that_never_returns() -> None:
    """``async { loop { work(); gap().await } }`` with panic=abort."""
    assert definition(poll(outer=False), [INNER]) is None


def test_the_load_of_the_state_counts_not_the_branch() -> None:
    """``test; je start; cmp 3; je resume; <panic>`` comes to the start before that branch."""
    load = TEXT + 0x10
    chain = BY_POINTER + TEST
    start = load + len(chain)
    third = start + 6
    pieces = {
        TEXT: call(TEXT, CALLEE),
        load: chain + near(start, TEXT + 0x80, 0x84),
        third: bytes.fromhex("83f803") + near(third + 3, TEXT + 0x100, 0x84),
        third + 9: lea(third + 9, record(0)) + call(third + 16, RESUMED),
        TEXT + 0x80: calls(TEXT + 0x80, 10) + b"\xc3",
        TEXT + 0x100: calls(TEXT + 0x100, 3) + b"\xc3",
    }
    found = definition(pieces, [OUTER])
    assert found is not None
    assert found.state_loads == (load + 4,)


def test_in_a_dependencys_body_it_is_the_users_that_is_polled_first() -> None:
    branch = TEXT + len(STATE + TEST)
    pieces = {
        TEXT: STATE + TEST + near(branch, COLD),
        TEXT + 0x40: BY_POINTER + TEST + near(TEXT + 0x4A, COLD + 0x20),
        **panics(COLD, COLD + 0x20),
    }
    found = definition(pieces, [(TOKIO, 88, 5), INNER])
    assert found is not None
    assert found.location == Location(*INNER)
    assert definition(pieces, [(TOKIO, 88, 5), (TOKIO, 99, 5)]) is None
