"""CONTEXT in the memory of a thread that sleeps: compared with what the kernel saw of it."""

from __future__ import annotations

import struct

import pytest

from hud.model import ThreadState, TimeSplit, Where
from hud.profiler.detection.context import Copy
from hud.profiler.detection.stillness import LOOKED_AT, STRIKES, Stillness
from hud.runtime.blocks import Block
from hud.runtime.context import LAYOUTS, layout_of

LAYOUT = next(layout_of(row, Block(0, 0, 80), 0, "") for row in LAYOUTS if row.first == (1, 45))
SINCE = 77


def context(task: int = 0, budget: int = 0, runtime: int = 1) -> bytes:
    data = bytearray(80)
    struct.pack_into("<QQ", data, 40, 8, task)
    data[68], data[70] = budget, runtime
    return bytes(data)


def state(
    where: Where = Where.POLL, task: int = 5, tid: int = 1, *, runs: bool = False
) -> ThreadState:
    return ThreadState(tid, where, runs, False, SINCE, 1, task, TimeSplit())


def looked(data: bytes, *states: ThreadState, times: int = STRIKES, since: int = SINCE) -> str:
    copy = Copy(LAYOUT, "", "", {}, dict.fromkeys(range(100), 0))
    stillness = Stillness(lambda _: since)
    for _ in range(times):
        stillness.look(copy, states, lambda at, size: data[at : at + size])
    return stillness.broken


CHANGED = f"{STRIKES} of {STRIKES} times CONTEXT changed while its thread slept"


@pytest.mark.parametrize(
    ("data", "seen", "said"),
    [
        (context(5, 1), state(), ""),
        (context(5, 0), state(), ""),  # without a budget
        (context(6, 1), state(), CHANGED),
        (context(5, 1, runtime=2), state(), CHANGED),
        (context(5, 1, runtime=9), state(), CHANGED),
        (context(7, 0), state(Where.RUNTIME), ""),
        (context(7, 1), state(Where.RUNTIME), CHANGED),
        (context(6, 1), state(Where.ALLOWED), ""),
        (context(6, 1), state(runs=True), ""),
        (context(6, 1), state(tid=100), ""),  # where its CONTEXT is is not known
        (b"", state(), ""),  # the memory is gone
    ],
)
def test_what_changed(data: bytes, seen: ThreadState, said: str) -> None:
    assert looked(data, seen) == said


def test_a_thread_that_ran_meanwhile_does_not_count() -> None:
    assert looked(context(6, 1), state(), since=SINCE + 1) == ""


def test_a_few_are_no_proof() -> None:
    assert looked(context(6, 1), state(), times=STRIKES - 1) == ""
    as_seen = [state(task=6, tid=2 + n) for n in range(4)]
    assert looked(context(6, 1), state(), *as_seen[:3]) != ""
    assert looked(context(6, 1), state(), *as_seen) == ""


def test_only_some_are_looked_at() -> None:
    states = [state(tid=tid) for tid in range(LOOKED_AT + 5)]
    assert f" of {LOOKED_AT} times" in looked(context(6, 1), *states, times=1)
