"""Where the time of threads went, since any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.snapshot import Analyzer
from hud.model import Batch, TimeSplit, Where

if TYPE_CHECKING:
    from types import ModuleType

WINDOW = 60


def test_splits_are_those_of_the_window(build: ModuleType) -> None:
    recording = build.empty_recording(window_ns=WINDOW * build.SECOND)
    tid = build.TIDS[1]
    now = build.START_NS
    for second in range(1, 201):
        now = build.START_NS + second * build.SECOND
        busy = TimeSplit(poll_cpu_ns=second * 250 * build.MS, parked_ns=second * 750 * build.MS)
        recording.set_states([build.state(tid, split=busy)], now)
    split = recording.splits(now - WINDOW * build.SECOND)[tid]
    assert split == TimeSplit(
        poll_cpu_ns=WINDOW * 250 * build.MS, parked_ns=WINDOW * 750 * build.MS
    )
    assert recording.splits(0)[build.TIDS[0]] == TimeSplit()


def test_allowed_time_outlives_its_threads(build: ModuleType) -> None:
    recording = build.empty_recording()
    now = build.START_NS
    for second, tid in enumerate((501, 502, 503, 501), start=1):
        now = build.START_NS + second * build.SECOND
        split = TimeSplit(allowed_ns=100 * build.MS)
        recording.set_states([build.state(tid, where=Where.ALLOWED, split=split)], now)
    assert recording.allowed_ns(0) == 400 * build.MS


def test_an_estimate_that_shrinks_is_not_counted_twice(build: ModuleType) -> None:
    """The part on a CPU goes by shares of samples: it may be less at the next reading."""
    recording = build.empty_recording()
    for second, allowed in enumerate((100, 90, 110), start=1):
        split = TimeSplit(allowed_ns=allowed * build.MS, parked_ns=second * build.SECOND)
        state = build.state(501, where=Where.ALLOWED, split=split)
        recording.set_states([state], build.START_NS + second * build.SECOND)
    assert recording.allowed_ns(0) == 110 * build.MS


def test_what_nothing_is_known_of_is_left_out(build: ModuleType) -> None:
    """Of nine seconds four; but not of a thread that one poll held throughout."""
    recording = build.empty_recording()
    tid, held, newer = build.TIDS[:3]
    second = build.SECOND

    def read(at: int, newer_ns: int) -> None:
        asleep = TimeSplit(poll_asleep_ns=at * 250 * build.MS, parked_ns=at * 750 * build.MS)
        begun = build.START_NS + 2 * second
        states = [build.state(tid, split=asleep), build.state(newer, split=TimeSplit(newer_ns))]
        lasting = TimeSplit(poll_cpu_ns=at * second)
        states.append(
            build.state(held, where=Where.POLL, poll_start_ns=begun, running=True, split=lasting)
        )
        recording.set_states(states, build.START_NS + at * second)

    read(3, 3 * second)
    recording.take(Batch(build.START_NS + 8 * second, unseen_ns=4 * second))
    read(8, second)  # another thread with the same id
    read(9, 2 * second)
    assert recording.unseen_ns(0) == 4 * second
    assert recording.unseen_ns(build.START_NS + 8 * second) == 0
    splits = recording.splits(0)
    assert splits[tid] == TimeSplit(poll_asleep_ns=1_250 * build.MS, parked_ns=3_750 * build.MS)
    assert splits[held] == TimeSplit(poll_cpu_ns=9 * second)
    assert splits[newer] == TimeSplit(2 * second)
    snapshot = Analyzer(recording).snapshot(build.START_NS + 9 * second, True)
    assert snapshot.unseen_ns == 4 * second
    assert {use.worker.tid: use.time_ns for use in snapshot.workers}[tid] == 5 * second


def test_a_window_that_is_asked_for_late(build: ModuleType) -> None:
    """The split is known of the time before the wish too, and of hours, with fewer moments."""
    recording = build.empty_recording()
    tid = build.TIDS[0]
    hour = 3_600
    for second in range(1, 4 * hour + 1):
        split = TimeSplit(poll_cpu_ns=second * 400 * build.MS, parked_ns=second * 600 * build.MS)
        recording.set_states(
            [build.state(tid, split=split)], build.START_NS + second * build.SECOND
        )
    now = build.START_NS + 4 * hour * build.SECOND
    recording.set_window(WINDOW * build.SECOND)
    split = recording.splits(now - WINDOW * build.SECOND)[tid]
    assert (split.poll_cpu_ns, split.parked_ns) == (
        WINDOW * 400 * build.MS,
        WINDOW * 600 * build.MS,
    )
    split = recording.splits(now - hour * build.SECOND)[tid]
    assert hour <= split.total_ns() / build.SECOND <= 1.25 * hour, "marks are sparse by then"
