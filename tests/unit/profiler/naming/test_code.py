"""Code of spots: asked once, a few at a time, whole when both halves came."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from hud.model import Batch, Code, Spot, Target
from hud.profiler.naming import code as module
from hud.profiler.naming.code import MOST_OPEN, Codes
from hud.profiler.naming.source import Quote, Wanted
from hud.resolver.messages import AskCode, Failed
from hud.resolver.messages import Code as Decoded
from tests.builders.asked import Asked

TARGET = Target(42, "app", "/ws/target/release/app")
ROWS = [(0x1000, "call 0x2000", "bcrypt::hash")]


@dataclass
class World:
    """An address space and a reader that write down what they are asked."""

    quoted: list[Wanted] = field(default_factory=list)
    quotes: list[tuple[int, Quote]] = field(default_factory=list)

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
def asked() -> Asked:
    return Asked()


@pytest.fixture
def codes(world: World, asked: Asked) -> Codes:
    return Codes(asked, world, world)  # type: ignore[arg-type]


def filled(codes: Codes) -> list[Code]:
    batch = Batch()
    codes.fill(batch)
    return batch.code


def spot(address: int = 0x6000, *, caller: bool = True, file: str = "/ws/src/a.rs") -> Spot:
    return Spot(address, caller, file, 9)


def test_both_halves_make_one_code(codes: Codes, world: World, asked: Asked) -> None:
    assert codes.want([spot()], TARGET) == 1
    assert asked.all(AskCode) == [AskCode(3, 0xFFF, True)]
    (wanted,) = world.quoted
    assert wanted[1:] == (42, "/ws/src/a.rs", 9, "/ws/target/release/app", 77)
    asked.answer(AskCode, Decoded(ROWS, 0x1000, ""))
    assert filled(codes) == []
    world.quotes = [(wanted.key, Quote(((9, "hash()"),), "newer"))]
    assert filled(codes) == [
        Code(0x6000, ((9, "hash()"),), "/ws/src/a.rs", 9, tuple(ROWS), 0x1000, "newer")
    ]
    assert codes.want([spot()], TARGET) == 0
    assert asked.all(AskCode) == []


def test_innermost_frame_without_a_file(codes: Codes, world: World, asked: Asked) -> None:
    codes.want([spot(caller=False, file="")], TARGET)
    assert asked.all(AskCode) == [AskCode(3, 0x1000, False)]
    assert world.quoted == []
    asked.answer(AskCode, Decoded(ROWS, 0x1000, "some bytes"))
    (found,) = filled(codes)
    assert found.note == "no source: no debug information for this address; some bytes"


def test_what_cannot_be_had_is_said(codes: Codes, world: World, asked: Asked) -> None:
    codes.want([spot(0xA000, file=""), spot()], TARGET)
    assert world.quoted[0].built_ns == 77
    world.quotes = [(world.quoted[0].key, Quote((), "/ws/src/a.rs: not text"))]
    asked.answer(AskCode, Failed("no disassembler for machine 9"))
    nowhere, refused = filled(codes)
    assert (
        nowhere.note == "no file behind this code; no source: no debug information for this address"
    )
    assert refused.note == "/ws/src/a.rs: not text; no machine code: no disassembler for machine 9"


def test_a_few_at_a_time(codes: Codes, world: World, asked: Asked) -> None:
    wanted = [spot(0x6000 + 16 * number) for number in range(5)]
    assert codes.want(wanted, TARGET) == MOST_OPEN
    assert codes.want(wanted, TARGET) == MOST_OPEN
    assert len(asked.all(AskCode)) == MOST_OPEN
    world.quotes = [(one.key, Quote((), "")) for one in world.quoted]
    asked.answer_all(AskCode, lambda _: Decoded(ROWS, 0, ""))
    assert len(filled(codes)) == MOST_OPEN
    codes.want(wanted, TARGET)
    assert len(asked.all(AskCode)) == MOST_OPEN
    # other names for the same address: another question
    codes.clear()
    asked.answer_all(AskCode, lambda _: Decoded(ROWS, 0, ""))
    assert filled(codes) == []
    assert codes.want(wanted, TARGET) == MOST_OPEN


def test_file_system_that_does_not_answer(
    codes: Codes, world: World, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", -1.0)
    codes.want([spot()], TARGET)
    asked.answer(AskCode, Decoded(ROWS, 0x1000, ""))
    (found,) = filled(codes)
    assert found.instructions == tuple(ROWS)
    assert found.note == "no source: its file system does not answer"
    world.quotes = [(world.quoted[0].key, Quote(((9, "late"),), ""))]
    assert filled(codes) == []
