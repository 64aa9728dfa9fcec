"""Schedulers that are looked at again, in the memory of the test itself."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator

import pytest

from hud.model import Detection, Rung
from hud.probe.probe import Threads
from hud.profiler.detection.context import Context, Copy
from hud.profiler.detection.copies import Copies
from hud.profiler.detection.turns import EAGER_LOOKS, STILL, Turns
from hud.profiler.notes import Notes
from hud.runtime.context import NONE, ContextLayout
from hud.runtime.cores import unproven

LAYOUT = ContextLayout(
    tokio="1.54", size=80, tls_offset=0, task_tag=NONE, task_id=48, budget_tag=68, runtime=70,
    scheduler=40, core=24, tick_multi=104, tick_current=NONE, why="",
)  # fmt: skip
TICK = 96


class Worker:
    """A scheduler's Context, and far behind it the Core."""

    def __init__(self) -> None:
        self._memory = ctypes.create_string_buffer(4096)
        self.context = -(-ctypes.addressof(self._memory) // 64) * 64
        self.core = self.context + 1024
        self._put(self.context, struct.pack("<4Q", 1, self.context + 512, 0, 0))
        self._put(self.context + 512, struct.pack("<2Q", 1, 1))
        self._put(self.core + TICK, struct.pack("<II4B", 5, 61, 1, 0, 0, 1))

    def _put(self, address: int, data: bytes) -> None:
        ctypes.memmove(address, data, len(data))

    def takes_its_core(self) -> None:
        self._put(self.context + 24, struct.pack("<Q", self.core))


@pytest.fixture
def worker() -> Iterator[Worker]:
    yield Worker()


def known(worker: Worker) -> Copies:
    copies = Copies()
    copy = Copy(unproven(LAYOUT), "", "", {1: worker.context}, guess=LAYOUT)
    copies.learn(Context((copy,), Detection(Rung.CONTEXT, ""), incomplete=False))
    return copies


def reading(worker: Worker, turns: dict[int, tuple[int, int]] | None = None) -> Threads:
    return Threads([], {1: worker.context}, [], {1: 0}, turns or {}, moved=True)


def test_a_core_that_was_not_at_hand_is_looked_at_again(worker: Worker) -> None:
    copies, turns = known(worker), Turns(os.getpid())
    assert turns.look(copies, reading(worker), Notes())  # there is a Context
    assert (copies.known[0].layout.core, copies.known[0].layout.tick_multi) == (24, NONE)
    worker.takes_its_core()
    assert turns.look(copies, reading(worker), Notes())
    assert copies.known[0].layout.tick_multi == TICK  # not the 104 of the table
    assert not turns.look(copies, reading(worker), Notes())
    assert copies.layouts[0].tick_multi == TICK


def test_a_tick_that_stands_still_while_tasks_change_is_none(worker: Worker) -> None:
    copies, turns = known(worker), Turns(os.getpid())
    worker.takes_its_core()
    for task in range(STILL):  # as in the LIFO slot
        turns.look(copies, reading(worker, {1: (task, 7)}), Notes())
    turns.look(copies, reading(worker, {1: (STILL, 8)}), Notes())
    for _ in range(2 * STILL):  # stuck
        turns.look(copies, reading(worker, {1: (STILL, 8)}), Notes())
    assert copies.known[0].layout.tick_multi == TICK
    for task in range(STILL + 1):
        turns.look(copies, reading(worker, {1: (task, 9)}), Notes())
    assert copies.known[0].layout.tick_multi == NONE


def test_what_cannot_be_found_is_told_once(worker: Worker) -> None:
    copies, turns = known(worker), Turns(os.getpid())
    notes = Notes()
    for _ in range(EAGER_LOOKS):
        turns.look(copies, reading(worker), notes)
    assert not list(notes)  # no Core was ever seen
    worker.takes_its_core()
    for _ in range(2 * EAGER_LOOKS):
        turns.look(copies, reading(worker), notes)
    (note,) = notes  # its runtime has no list of workers here
    assert note.startswith("tokio 1.54: task::unconstrained looks like a parked worker")
