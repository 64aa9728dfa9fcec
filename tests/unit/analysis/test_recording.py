"""What a recording keeps, forgets and counts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis.recording import Recording
from hud.model import Batch, Kind, Losses, SampleFlag, Stack, TimeSplit, Where, Worker

if TYPE_CHECKING:
    from types import ModuleType

    from hud.model import ThreadState

WINDOW = 60


def test_window_forgets_old_samples_but_not_those_of_an_open_poll(build: ModuleType) -> None:
    recording = build.empty_recording(window_ns=WINDOW * build.SECOND)
    tid = build.TIDS[0]
    start = build.START_NS
    for second in range(300):
        recording.add_samples([build.cpu(tid, start + second * build.SECOND, 1)] * 100)
    now = start + 300 * build.SECOND
    stuck = build.state(
        tid, where=Where.POLL, running=True, poll_start_ns=start + 100 * build.SECOND
    )
    recording.set_states([stuck], now)
    oldest = next(iter(recording.samples.since(0))).time_ns
    assert start + 50 * build.SECOND < oldest <= start + 100 * build.SECOND
    recording.set_states([build.state(tid)], now)
    oldest = next(iter(recording.samples.since(0))).time_ns
    assert start + 190 * build.SECOND < oldest <= start + 240 * build.SECOND
    assert recording.losses.total() == 0


def test_limit_is_a_counted_loss(build: ModuleType) -> None:

    recording = Recording(build.info(), limit=160)
    recording.set_losses(Losses(ring_full=3, recording_full=2))
    recording.add_samples([build.cpu(1, build.START_NS + n, 1) for n in range(1000)])
    assert len(recording.samples) <= 160
    assert recording.losses == Losses(ring_full=3, recording_full=2 + 1000 - len(recording.samples))


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


def test_dead_workers_keep_their_split(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid = build.TIDS[2]
    split = TimeSplit(poll_cpu_ns=5 * build.MS)
    recording.set_states([build.state(tid, split=split)], build.START_NS + 1)
    recording.thread_died(tid)
    recording.set_states([], build.START_NS + 2)
    assert set(recording.dead) == {tid}
    assert recording.splits(0)[tid] == split
    recording.add_worker(Worker(4, tid, "again"))
    assert not recording.dead


def test_frames_arrive_later_and_are_shared(build: ModuleType) -> None:
    recording = build.empty_recording()
    before = recording.distinct.changes
    bare = Stack(addresses=(1, 2), complete=True)
    named = build.stack(build.user("a::b", "src/a.rs", 1))
    again = build.stack(build.user("a::b", "src/a.rs", 1), build.user("a::c"))
    recording.add_stack(77, bare)
    recording.add_stack(77, bare)
    recording.add_stack(77, named)
    recording.add_stack(78, again)
    assert recording.distinct.changed_since(before) == [77, 78]
    assert recording.distinct.changes == before + 3
    assert recording.stacks[77] == named
    assert recording.stacks[77].frames[0] is recording.stacks[78].frames[0]


def test_finish_closes_open_polls_with_the_run(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, other, quick = build.TIDS[:3]
    now = build.START_NS + 10 * build.SECOND
    begun = now - 4 * build.SECOND
    recording.set_states(
        [
            build.state(
                tid,
                where=Where.POLL,
                since_ns=now - 3 * build.SECOND,
                poll_start_ns=begun,
                task_id=9,
                asleep_stack=build.SAVE,
                syscall=build.FSYNC,
            ),
            build.state(other),
            build.state(quick, where=Where.POLL, running=True, poll_start_ns=now - build.MS),
        ],
        now,
    )
    recording.finish(now, "target exited (status 0)")
    recording.finish(now + 1, "again")
    sleep, poll = recording.samples.since(0)
    assert (sleep.kind, sleep.stack, sleep.info) == (Kind.SLEEP, build.SAVE, build.FSYNC)
    assert sleep.duration_ns == 3 * build.SECOND
    assert (poll.kind, poll.poll_start_ns, poll.duration_ns, poll.task_id) == (
        Kind.POLL,
        begun,
        4 * build.SECOND,
        9,
    )
    assert poll.flags == SampleFlag.IN_PROGRESS
    assert (recording.ended_ns, recording.ended) == (now, "target exited (status 0)")


def test_a_recording_that_begins_anew_counts_from_zero(build: ModuleType) -> None:
    def states(seconds: int) -> list[ThreadState]:
        split = TimeSplit(
            waiting_ns=seconds * build.SECOND, parked_ns=seconds * build.SECOND, allowed_ns=seconds
        )
        return [build.state(tid, split=split) for tid in build.TIDS]

    first = build.empty_recording()
    start = build.START_NS
    first.take(Batch(start + 9 * build.SECOND, states=states(9), cost=(900, 5)))
    known = first.handed_on()
    again = Recording(build.info(start_monotonic_ns=known.time_ns))
    known.workers = list(first.workers.values())
    again.take(known)
    assert again.stacks == first.stacks
    assert (again.cpu_ns, again.allowed_ns(0)) == (0, 0)
    assert {split.total_ns() for split in again.splits(0).values()} == {0}
    again.take(Batch(start + 11 * build.SECOND, states=states(11), cost=(950, 6)))
    assert {split.waiting_ns for split in again.splits(0).values()} == {2 * build.SECOND}
    assert again.allowed_ns(0) == 2 * len(build.TIDS)
    assert (again.cpu_ns, again.rss_bytes) == (50, 6)
    assert again.handed_on().cost == (950, 6), "and once more"


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


def test_the_sampling_rate_follows_the_threshold(build: ModuleType) -> None:
    recording = build.empty_recording()
    before = recording.info.sample_period_ns
    recording.take(Batch(threshold_ns=1_000_000))
    assert recording.info.sample_period_ns == before
    recording.take(Batch(sample_period_ns=before // 2))
    assert recording.info.sample_period_ns == before // 2
    assert recording.info.threshold_ns == 1_000_000


def test_tasks_of_another_program_are_others(build: ModuleType) -> None:
    recording = build.empty_recording()
    recording.take(Batch(build.START_NS, task_ids={7: 0x70, 8: 0x80}))
    target = replace(recording.info.target, name="next")
    recording.take(Batch(build.START_NS + 1, target=target, task_ids={8: 0x88}))
    assert recording.task_ids == {8: 0x88}
