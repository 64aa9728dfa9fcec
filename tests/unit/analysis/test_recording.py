"""What a recording keeps, forgets and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.recording import Recording
from hud.model import Batch, Kind, Losses, SampleFlag, Stack, TimeSplit, Where

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


def test_the_sampling_rate_follows_the_threshold(build: ModuleType) -> None:
    recording = build.empty_recording()
    before = recording.info.sample_period_ns
    recording.take(Batch(threshold_ns=1_000_000))
    assert recording.info.sample_period_ns == before
    recording.take(Batch(sample_period_ns=before // 2))
    assert recording.info.sample_period_ns == before // 2
    assert recording.info.threshold_ns == 1_000_000
