"""What is said on top: figures by runtime, and what keeps a service from its work besides polls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hud.analysis.recording import Recording
from hud.analysis.results import Snapshot
from hud.analysis.snapshot import Analyzer
from hud.analysis.verdict import living, sentences
from hud.model import Batch, Child, HostPressure, TasksRead, TimeSplit, Where, Worker

if TYPE_CHECKING:
    from types import ModuleType

SECONDS = 8


def _run(build: ModuleType, workers: dict[str, int]) -> tuple[Recording, dict[str, list[int]]]:
    """A recording with so many workers of each runtime, and their tids."""
    recording = Recording(build.info())
    tids: dict[str, list[int]] = {}
    number = 0
    for runtime, count in workers.items():
        for _ in range(count):
            tids.setdefault(runtime, []).append(1000 + number)
            recording.add_worker(Worker(number, 1000 + number, runtime, runtime))
            number += 1
    for key, stack in build.STACKS.items():
        recording.add_stack(key, stack)
    return recording, tids


def _block(build: ModuleType, recording: Recording, tid: int, share: float) -> TimeSplit:
    """Naps of 20 ms, for that share of the time."""
    blocked = 0
    while blocked < share * SECONDS * build.SECOND:
        start = build.START_NS + 2 * blocked
        end = start + 20 * build.MS
        recording.add_samples(
            [
                build.asleep(tid, end, 20 * build.MS, build.NAP, start, build.CLOCK_NANOSLEEP),
                build.poll(tid, start, 20 * build.MS, asleep_ns=20 * build.MS),
            ]
        )
        blocked += 20 * build.MS
    return TimeSplit(poll_asleep_ns=blocked, parked_ns=SECONDS * build.SECOND - blocked)


def _snapshot(build: ModuleType, recording: Recording, splits: dict[int, TimeSplit]) -> Snapshot:
    now = build.START_NS + SECONDS * build.SECOND
    recording.set_states([build.state(tid, split=split) for tid, split in splits.items()], now)
    return Analyzer(recording).snapshot(now, True)


def test_the_worst_runtime_is_the_verdict(build: ModuleType) -> None:
    recording, tids = _run(build, {"idle": 64, "serving": 1, "never": 8})
    serving = tids["serving"][0]
    second = build.SECOND
    splits = {
        serving: _block(build, recording, serving, 0.48),
        tids["idle"][0]: TimeSplit(poll_cpu_ns=second // 100, parked_ns=SECONDS * second),
    }
    snapshot = _snapshot(build, recording, splits)
    assert sentences(snapshot) == [
        "48 % of the worker time of runtime serving was blocked, in 192 polls (W64: 48 %); "
        "of idle 0 %."
    ]
    names = {use.name: use.time_ns for use in snapshot.runtimes}
    assert names == {"serving": SECONDS * second, "idle": 64 * SECONDS * second}
    assert snapshot.worker_time_ns == sum(names.values()), "never did not run"
    (row,) = snapshot.blockers
    assert row.share == pytest.approx(0.48), "of its own runtime"


def test_workers_of_no_known_runtime_have_words(build: ModuleType) -> None:
    recording, tids = _run(build, {"": 1, "api": 1})
    splits = {
        tids[""][0]: _block(build, recording, tids[""][0], 0.01),
        tids["api"][0]: _block(build, recording, tids["api"][0], 0.48),
    }
    (said,) = sentences(_snapshot(build, recording, splits))
    assert said.endswith("; of the others 1.0 %.")
    splits[tids[""][0]] = _block(build, recording, tids[""][0], 0.6)
    (said,) = sentences(_snapshot(build, recording, splits))
    assert said.startswith("61 % of the worker time of a runtime without a name was blocked")


def test_workers_that_slept_all_the_time_count_and_are_parked(build: ModuleType) -> None:
    recording, tids = _run(build, {"api": 64})
    splits = {tid: _block(build, recording, tid, 0.4) for tid in tids["api"][:25]}
    snapshot = _snapshot(build, recording, splits)
    assert snapshot.worker_time_ns == 64 * SECONDS * build.SECOND
    assert sentences(snapshot) == ["16 % of worker time was blocked, in 4,000 polls (W0: 40 %)."]
    idle = snapshot.workers[63]
    assert idle.split == TimeSplit(parked_ns=SECONDS * build.SECOND)


def test_shares_stay_true_when_workers_die(build: ModuleType) -> None:
    """Runtimes of a hundred workers that come and go: the dead are forgotten, their time is not."""
    recording, tids = _run(build, {"api": 100, "jobs": 1})
    now = build.START_NS + SECONDS * build.SECOND
    splits = {tid: _block(build, recording, tid, 0.25) for tid in tids["api"]}
    splits[tids["jobs"][0]] = TimeSplit(poll_cpu_ns=build.MS, parked_ns=SECONDS * build.SECOND)
    analyzer = Analyzer(recording)
    recording.set_states([build.state(tid, split=split) for tid, split in splits.items()], now)
    before = analyzer.snapshot(now, True)
    recording.take(Batch(time_ns=now, died=tids["api"]))
    recording.set_states([build.state(tids["jobs"][0], split=splits[tids["jobs"][0]])], now)
    for _ in range(2):
        after = analyzer.snapshot(now, True)
        assert after.runtimes[0].share == pytest.approx(0.25)
        assert after.blockers[0].share == pytest.approx(before.blockers[0].share)
        assert [use.workers for use in after.runtimes] == [0, 1]
        assert living(after) == 1
        analyzer.forget(now)
    assert len(recording.workers) < 101


def test_who_drives_no_scheduler_is_no_worker(build: ModuleType) -> None:
    recording, _ = _run(build, {"api": 4, "block_on": 1})
    recording.set_states(
        [build.state(1000, where=Where.FOREIGN), build.state(1001, where=Where.ALLOWED)],
        build.START_NS,
    )
    now = build.START_NS + SECONDS * build.SECOND
    assert living(Analyzer(recording).snapshot(now, True)) == 2
    recording.take(Batch(time_ns=now, died=list(range(1000, 1005))))
    recording.finish(now, "target exited (status 0)")
    assert living(Analyzer(recording).snapshot(now, False)) == 4, "they ended with the target"


# --------------------------------------------------------------------------- what else it may be


def _quiet(build: ModuleType, *splits: TimeSplit, **changes: Any) -> list[str]:
    """Of two workers without a long poll."""
    recording, _ = _run(build, {"api": 2})
    known = dict(zip((1000, 1001), splits, strict=False))
    return sentences(replace(_snapshot(build, recording, known), **changes))


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
        "worker (pid 72) 50 % of a CPU; hud --pid 71 looks there."
    )
    busy = TimeSplit(poll_cpu_ns=second, parked_ns=7 * second)
    assert "children" not in _quiet(build, busy, host=host)[0]
