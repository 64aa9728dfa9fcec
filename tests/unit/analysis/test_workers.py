"""Workers come, end and are retired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.workers import Workers
from hud.model import TimeSplit, Worker

if TYPE_CHECKING:
    from types import ModuleType

SECOND = 1_000_000_000


def test_dead_workers_keep_their_split(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid = build.TIDS[2]
    split = TimeSplit(poll_cpu_ns=5 * build.MS)
    recording.set_states([build.state(tid, split=split)], build.START_NS + 1)
    recording.thread_died(tid)
    recording.set_states([], build.START_NS + 2)
    assert set(recording.workers.died_ns) == {tid}
    assert recording.splits(0)[tid] == split
    recording.add_worker(Worker(4, tid, "again"))
    assert not recording.workers.died_ns


def workers(count: int) -> Workers:
    known = Workers()
    for tid in range(count):
        known.add(Worker(tid, tid, f"worker-{tid}", runtime="rt"), 0)
    return known


def test_who_ended_with_the_run_ended_last() -> None:
    known = workers(3)
    known.died(0, 1 * SECOND)
    known.died(1, 5 * SECOND)
    assert not known.died_last(1), "one is alive"
    known.died(2, 5 * SECOND + 1)
    assert [known.died_last(tid) for tid in known] == [False, True, True]


def test_a_retired_worker_counts_until_the_window_has_passed() -> None:
    known = workers(3)
    for tid in (0, 1):
        known.died(tid, (tid + 1) * SECOND)
    assert known.outdated(0) == []
    assert known.outdated(3 * SECOND) == [0, 1]
    for tid in known.outdated(3 * SECOND):
        known.retire(tid, TimeSplit(parked_ns=(tid + 1) * 10))
    assert list(known) == [2]
    assert known.retired == {"rt": TimeSplit(parked_ns=30)}
    known.forget_retired(2 * SECOND)
    assert known.retired == {"rt": TimeSplit(parked_ns=20)}


def test_of_the_dead_the_latest_few_are_known() -> None:
    known = workers(100)
    for tid in range(100):
        known.died(tid, SECOND)
    assert known.outdated(0) == list(range(36))
