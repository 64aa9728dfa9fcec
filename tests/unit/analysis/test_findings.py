"""What keeps a service from its work besides long polls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hud.analysis.recording import Recording
from hud.analysis.snapshot import Analyzer
from hud.analysis.verdict import sentences
from hud.model import Child, HostPressure, TasksRead, TimeSplit, Worker

if TYPE_CHECKING:
    from types import ModuleType

SECONDS = 8


def _quiet(build: ModuleType, *splits: TimeSplit, **changes: Any) -> list[str]:
    """Of two workers without a long poll."""
    recording = Recording(build.info())
    for number in range(2):
        recording.add_worker(Worker(number, 1000 + number, "api", "api"))
    now = build.START_NS + SECONDS * build.SECOND
    states = [build.state(1000 + at, split=split) for at, split in enumerate(splits)]
    recording.set_states(states, now)
    return sentences(replace(Analyzer(recording).snapshot(now, True), **changes))


def test_no_long_poll_is_not_the_news_of_a_service_that_hardly_runs(build: ModuleType) -> None:
    second = build.SECOND
    none = "No poll of 5 ms or more in 8 s."
    idle = TimeSplit(poll_cpu_ns=second // 100, parked_ns=SECONDS * second)
    assert _quiet(build, idle) == [none]
    assert _quiet(build, idle, host=HostPressure(3 * second, 40, 0, "0.5 CPUs in /x")) == [
        "A CPU quota (0.5 CPUs in /x) stopped the service for 3 s of 8 s.",
        none,
    ]
    busy = TimeSplit(poll_cpu_ns=784 * second // 100, parked_ns=16 * second // 100)
    assert _quiet(build, busy, idle) == [
        "W0 was busy for 98 % of the time, with polls shorter than 5 ms.",
        none,
    ]
    pressed = TimeSplit(poll_cpu_ns=4 * second, waiting_ns=4 * second)
    assert _quiet(build, pressed, pressed) == [
        "Workers were ready to run but had no CPU for 50 % of their time.",
        "W0, W1 were busy for up to 100 % of the time that they had a CPU, "
        "with polls shorter than 5 ms.",
        none,
    ]
    full = TasksRead(0, (), True, pool_full=4, pool_waited=36)
    assert _quiet(build, idle, tasks_read=full) == [
        "A blocking pool was full: all 4 of its threads busy, and up to 36 jobs waiting for one.",
        none,
    ]


def test_a_parent_whose_children_do_the_work(build: ModuleType) -> None:
    second = build.SECOND
    idle = TimeSplit(poll_cpu_ns=second // 100, parked_ns=SECONDS * second)
    children = (Child(71, "worker", 8 * second), Child(72, "worker", 4 * second))
    host = HostPressure(children=children)
    assert _quiet(build, idle, host=host)[0] == (
        "Its workers are idle, and its children do the work: worker (pid 71) 100 %, "
        "worker (pid 72) 50 % of a CPU; attach there: hud --pid 71."
    )
    busy = TimeSplit(poll_cpu_ns=second, parked_ns=7 * second)
    assert "children" not in _quiet(build, busy, host=host)[0]
