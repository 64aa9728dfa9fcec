"""Stacks of sleeps that the kernel has none of: which are read, and what their events then say."""

from __future__ import annotations

import os
from typing import Any

import pytest

import hud.profiler.stuck as module
from hud.model import Kind, Sample, ThreadState, TimeSplit, Where
from hud.probe.probe import RawStack
from hud.process.threads import Call
from hud.profiler.stuck import LONG_NS, Stuck

NOW = 10_000_000_000
BEGIN = NOW - 2 * LONG_NS
MS = 1_000_000


class Kernel:
    """Says since when thread 7 sleeps."""

    unwind = None

    def __init__(self) -> None:
        self.since_ns = BEGIN + MS

    def asleep_since(self, _tid: int) -> int:
        return self.since_ns


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    def memory(_pid: int) -> tuple[int, object]:
        return os.open("/dev/null", os.O_RDONLY), lambda _address, _size: b""

    monkeypatch.setattr(module, "memory_reader", memory)
    monkeypatch.setattr(module, "read_call", lambda _pid, _tid: Call(35, (), 0x7F00, 0x1234))
    monkeypatch.setattr(module, "walk", lambda pc, _sp, _rules, _read: RawStack((pc,), ""))
    return Kernel()


def asleep(**more: Any) -> ThreadState:
    fields: dict[str, Any] = {
        "tid": 7,
        "where": Where.POLL,
        "running": False,
        "runnable": False,
        "since_ns": BEGIN + MS,
        "poll_start_ns": BEGIN,
        "task_id": 3,
        "split": TimeSplit(),
    }
    return ThreadState(**{**fields, **more})


def sample(kind: Kind, end_ns: int, duration_ns: int, **more: Any) -> Sample:
    blank = Sample(end_ns, duration_ns, 0, BEGIN, 3, 0, 7, 0, 0, kind, Where.POLL, 0)
    return blank._replace(**more)


def test_a_stuck_thread_gets_a_stack_once(kernel: Kernel) -> None:
    stuck = Stuck(1, kernel)  # type: ignore[arg-type]
    (state,) = stuck.see([asleep()], NOW)
    assert stuck.stacks == {state.asleep_stack: RawStack((0x1234,), "")}
    kernel.since_ns = 0  # not asked again
    assert stuck.see([asleep()], NOW + MS) == [state]


@pytest.mark.parametrize(
    "state",
    [
        asleep(asleep_stack=9),
        asleep(running=True),
        asleep(runnable=True),
        asleep(poll_start_ns=0),
        asleep(poll_start_ns=NOW - LONG_NS + 1, since_ns=NOW - LONG_NS + 1),
        asleep(since_ns=NOW - MS),
    ],
)
def test_others_are_left_alone(kernel: Kernel, state: ThreadState) -> None:
    stuck = Stuck(1, kernel)  # type: ignore[arg-type]
    assert stuck.see([state], NOW) == [state]
    assert not stuck.stacks


def test_a_sleep_that_has_ended_meanwhile_tells_nothing(kernel: Kernel) -> None:
    stuck = Stuck(1, kernel)  # type: ignore[arg-type]
    kernel.since_ns += 1
    assert stuck.see([asleep()], NOW) == [asleep()]
    assert not stuck.stacks


def test_the_event_of_its_end_gets_the_stack(kernel: Kernel) -> None:
    stuck = Stuck(1, kernel)  # type: ignore[arg-type]
    (state,) = stuck.see([asleep()], NOW)
    told = sample(Kind.SLEEP, NOW + MS, NOW - BEGIN)
    assert stuck.take([told, told]) == [told._replace(stack=state.asleep_stack), told]


@pytest.mark.parametrize(
    "told",
    [
        sample(Kind.SLEEP, NOW + MS, 2 * MS),  # a later sleep of the same poll
        sample(Kind.SLEEP, NOW + MS, NOW - BEGIN, poll_start_ns=NOW),
        sample(Kind.SLEEP, NOW + MS, NOW - BEGIN, stack=5),
        sample(Kind.SLEEP, NOW + MS, NOW - BEGIN, tid=8),
        sample(Kind.CPU, NOW + MS, NOW - BEGIN),
    ],
)
def test_other_events_are_what_they_were(kernel: Kernel, told: Sample) -> None:
    stuck = Stuck(1, kernel)  # type: ignore[arg-type]
    stuck.see([asleep()], NOW)
    assert stuck.take([told]) == [told]


def test_polls_without_any_stack_are_counted(kernel: Kernel) -> None:
    stuck = Stuck(1, kernel)  # type: ignore[arg-type]
    poll = sample(Kind.POLL, NOW, 60 * MS)
    stuck.count_without_stack([sample(Kind.SLEEP, NOW, 50 * MS), poll], 5 * MS)
    assert stuck.without_stack == 1
    stuck.count_without_stack([sample(Kind.CPU, NOW, MS, stack=4), poll], 5 * MS)
    stuck.count_without_stack([poll._replace(value=58 * MS)], 5 * MS)  # it waited for a CPU
    assert stuck.without_stack == 1
    later = poll._replace(poll_start_ns=NOW)
    stuck.count_without_stack([sample(Kind.CPU, NOW, MS, stack=4), later], 5 * MS)
    assert stuck.without_stack == 2
