"""``park`` in a worker's Core, in the order of each compiler."""

from __future__ import annotations

import struct

import pytest

from hud.runtime.context import NONE
from hud.runtime.park import ParkOffset
from hud.runtime.schedulers import Scheduler

BASE, SIZE = 0x7000_0000, 0x2000
WORKER, HANDLE, REMOTES, UNPARK, QUEUE, CORE = (BASE + 0x400 * place for place in range(1, 7))
RAND = 0x9E3779B9_7F4A7C15
SCHEDULER = Scheduler(False, WORKER, 16, CORE)


class Memory:
    def __init__(self, *core: int) -> None:
        self.data = bytearray(SIZE)
        for arc in (HANDLE, UNPARK, QUEUE):
            self.words(arc, 2, 1)
        self.words(WORKER, 2, 1, HANDLE, 1)
        self.words(HANDLE + 16 + 96, REMOTES, 2)
        self.words(REMOTES + 16, QUEUE, UNPARK)
        self.words(CORE, *core)

    def words(self, address: int, *words: int) -> None:
        struct.pack_into(f"<{len(words)}Q", self.data, address - BASE, *words)

    def read(self, address: int, size: int) -> bytes:
        start = address - BASE
        return bytes(self.data[start : start + size]) if 0 <= start < SIZE else b""


@pytest.mark.parametrize("later", [0, UNPARK])
@pytest.mark.parametrize(
    ("core", "tick", "park", "early", "flags"),
    [
        ((0, UNPARK, RAND, QUEUE, 77), 32, 8, True, False),
        ((0, QUEUE, UNPARK, 77), 24, 16, True, False),
        ((0, UNPARK, RAND, QUEUE, *range(10), 77), 112, 8, False, True),
        ((0, QUEUE, UNPARK, RAND, 77), 32, 16, False, False),
    ],
    ids=["1.28", "1.28 of Rust 1.65", "1.54", "1.38 of Rust 1.63"],
)
def test_the_parker_of_a_worker_that_may_never_be_idle(
    core: tuple[int, ...], tick: int, park: int, early: bool, flags: bool, later: int
) -> None:
    memory = Memory(*core)
    found = ParkOffset()
    found.look(SCHEDULER, tick, memory.read, early=early, flags=flags)
    assert found.offset == NONE
    memory.words(CORE + park, later)
    found.look(SCHEDULER, tick, memory.read, early=early, flags=flags)
    assert found.offset == park


def test_one_look_at_a_parked_worker_is_enough() -> None:
    memory = Memory(0, 0, RAND, QUEUE, 77)
    found = ParkOffset()
    found.look(SCHEDULER, 32, memory.read, early=True, flags=False)
    assert found.offset == 8


@pytest.mark.parametrize("broken", [WORKER + 16, REMOTES + 24, CORE + 24])
def test_no_parker_without_the_remotes_of_its_runtime(broken: int) -> None:
    memory = Memory(0, 0, RAND, QUEUE, 77)
    memory.words(broken, 0)
    found = ParkOffset()
    found.look(SCHEDULER, 32, memory.read, early=True, flags=False)
    assert found.offset == NONE
