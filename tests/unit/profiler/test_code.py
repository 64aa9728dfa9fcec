"""Code of spots: asked once, a few at a time, whole when both halves came."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from hud.model import Code, Spot, Target
from hud.profiler import code as module
from hud.profiler.code import MOST_OPEN, Codes
from hud.profiler.source import Quote, Wanted
from hud.resolver.client import CodeReply, FailedReply

TARGET = Target(42, "app", "/ws/target/release/app")
ROWS = [(0x1000, "call 0x2000", "bcrypt::hash")]


@dataclass
class World:
    """A resolver, an address space and a reader that write down what they are asked."""

    asked: list[tuple[int, int, bool]] = field(default_factory=list)
    quoted: list[Wanted] = field(default_factory=list)
    quotes: list[tuple[int, Quote]] = field(default_factory=list)

    def request_code(self, number: int, offset: int, *, caller: bool) -> int:
        self.asked.append((number, offset, caller))
        return len(self.asked)

    def locate(self, address: int) -> tuple[SimpleNamespace, int] | None:
        return (
            (SimpleNamespace(number=3, built_ns=77), address - 0x5000) if address < 0x9000 else None
        )

    def ask(self, wanted: Wanted) -> None:
        self.quoted.append(wanted)

    def answers(self) -> list[tuple[int, Quote]]:
        found, self.quotes = self.quotes, []
        return found


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def codes(world: World) -> Codes:
    return Codes(world, world, world)  # type: ignore[arg-type]


def spot(address: int = 0x6000, *, caller: bool = True, file: str = "/ws/src/a.rs") -> Spot:
    return Spot(address, caller, file, 9)


def test_both_halves_make_one_code(codes: Codes, world: World) -> None:
    assert codes.want([spot()], TARGET) == 1
    assert world.asked == [(3, 0xFFF, True)]
    (wanted,) = world.quoted
    assert wanted[1:] == (42, "/ws/src/a.rs", 9, "/ws/target/release/app", 77)
    assert codes.take([CodeReply(1, ROWS, 0x1000, "")]) == []
    world.quotes = [(wanted.key, Quote(((9, "hash()"),), "newer"))]
    assert codes.take([]) == [
        Code(0x6000, ((9, "hash()"),), "/ws/src/a.rs", 9, tuple(ROWS), 0x1000, "newer")
    ]
    assert codes.want([spot()], TARGET) == 0
    assert len(world.asked) == 1


def test_innermost_frame_without_a_file(codes: Codes, world: World) -> None:
    codes.want([spot(caller=False, file="")], TARGET)
    assert (world.asked, world.quoted) == ([(3, 0x1000, False)], [])
    (found,) = codes.take([CodeReply(1, ROWS, 0x1000, "some bytes")])
    assert found.note == "no source: no debug information for this address; some bytes"


def test_what_cannot_be_had_is_said(codes: Codes, world: World) -> None:
    codes.want([spot(0xA000, file=""), spot()], TARGET)
    assert world.quoted[0].built_ns == 77
    world.quotes = [(world.quoted[0].key, Quote((), "/ws/src/a.rs: not text"))]
    nowhere, refused = codes.take([FailedReply(1, "no disassembler for machine 9")])
    assert (
        nowhere.note == "no file behind this code; no source: no debug information for this address"
    )
    assert refused.note == "/ws/src/a.rs: not text; no machine code: no disassembler for machine 9"


def test_a_few_at_a_time(codes: Codes, world: World) -> None:
    wanted = [spot(0x6000 + 16 * number) for number in range(5)]
    assert codes.want(wanted, TARGET) == MOST_OPEN
    assert codes.want(wanted, TARGET) == MOST_OPEN
    assert len(world.asked) == MOST_OPEN
    world.quotes = [(one.key, Quote((), "")) for one in world.quoted]
    assert len(codes.take([CodeReply(1, ROWS, 0, ""), CodeReply(2, ROWS, 0, "")])) == MOST_OPEN
    codes.want(wanted, TARGET)
    assert len(world.asked) == 2 * MOST_OPEN
    # other names for the same address: another question
    codes.clear()
    assert codes.take([CodeReply(3, ROWS, 0, "")]) == []
    assert codes.want(wanted, TARGET) == MOST_OPEN


def test_file_system_that_does_not_answer(
    codes: Codes, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", -1.0)
    codes.want([spot()], TARGET)
    (found,) = codes.take([CodeReply(1, ROWS, 0x1000, "")])
    assert found.instructions == tuple(ROWS)
    assert found.note == "no source: its file system does not answer"
    world.quotes = [(world.quoted[0].key, Quote(((9, "late"),), ""))]
    assert codes.take([]) == []
