"""Own time: what is charged to code where the worker also waited for a CPU, or has not ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis import lasting, standoff
from hud.analysis.advice.advise import advise
from hud.analysis.cause import Cause
from hud.analysis.snapshot import Analyzer
from hud.analysis.tally import bucket_of
from hud.model import BEGAN_BEFORE, Kind, Sample, SampleFlag, Where

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.results import Snapshot


def test_every_figure_of_a_blocker_is_of_own_time(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start, ms = build.TIDS[0], build.START_NS, build.MS
    for number in range(3):  # bcrypt of 56 ms that took 348 beside a build
        at = start + number * build.SECOND
        recording.add_samples(
            [
                build.cpu(tid, at + 10 * ms, build.HASH, at),
                build.poll(tid, at, 348 * ms, waiting_ns=292 * ms),
            ]
        )
    snapshot = Analyzer(recording).snapshot(start + 4 * build.SECOND, False)
    (row,) = snapshot.blockers
    assert {row.max_ns, row.p50_ns, row.p99_ns} == {56 * ms}
    assert (row.total_ns, row.waiting_ns, row.pressed) == (168 * ms, 876 * ms, 0)
    assert snapshot.blocked_ns == sum(row.history) == row.total_ns
    assert len(row.durations) == bucket_of(56 * ms) + 1
    for parts in (row.workers, row.stacks, row.causes):
        assert sum(ns for _, ns in parts) == row.total_ns
    assert row.share == row.total_ns / snapshot.worker_time_ns
    assert "costs a worker 56 ms" in advise(row, snapshot.stacks).text
    assert [use.longest_ns for use in snapshot.workers] == [56 * ms, 0, 0, 0]


@pytest.mark.parametrize(
    ("computing", "asleep", "waiting", "cause", "pressed"),
    [
        (0, 4, 4, Cause.SYNC, True),  # the call is why it had to wait
        (1, 3, 3, Cause.SYNC, True),
        (0, 3, 4, Cause.WAITING, False),
        (4, 0, 4, Cause.WAITING, False),  # preempted
        (3, 2, 2, Cause.FILE, False),  # long by itself
        (1, 5, 9, Cause.SYNC, False),
    ],
)
def test_a_wait_after_a_sleep_belongs_to_the_call(
    build: ModuleType, computing: int, asleep: int, waiting: int, cause: Cause, pressed: bool
) -> None:
    recording = build.empty_recording()
    tid, start, ms = build.TIDS[0], build.START_NS, build.MS
    length = (computing + asleep + waiting) * ms
    recording.add_samples(
        [
            build.asleep(tid, start + asleep * ms, asleep * ms, build.SAVE, start, build.FSYNC),
            build.poll(tid, start, length, asleep_ns=asleep * ms, waiting_ns=waiting * ms),
        ]
    )
    analyzer = Analyzer(recording, machine="x86_64")
    snapshot = analyzer.snapshot(start + build.SECOND, False)
    (episode,) = analyzer.episodes()
    assert (episode.cause, episode.pressed) == (cause, pressed)
    assert episode.charged_ns == (computing + asleep) * ms
    if cause is Cause.WAITING:
        assert not snapshot.blockers
        return
    (row,) = snapshot.blockers
    assert (row.total_ns, row.pressed) == ((computing + asleep) * ms, int(pressed))
    said = "1 of 1 below the threshold without the wait for a CPU that followed the call"
    assert lasting.in_words(row) == ([said] if pressed else [])


# --------------------------------------------------------------------------- not ended


def _poll_so_far(build: ModuleType, tid: int, start: int, length: int, asleep: int = 0) -> Sample:
    poll: Sample = build.poll(tid, start, length, asleep_ns=asleep, flags=SampleFlag.IN_PROGRESS)
    return poll


def test_what_has_not_ended_has_no_cost_yet(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start, ms = build.TIDS[0], build.START_NS, build.MS
    length = 7_200 * ms
    recording.add_samples(
        [build.cpu(tid, start + ms, build.HASH, start), _poll_so_far(build, tid, start, length)]
    )
    (row,) = Analyzer(recording).snapshot(start + length, False).blockers
    assert (row.count, row.lasting, row.lasting_ns) == (1, 1, length)
    assert lasting.in_words(row) == ["has not ended, 7.2 s so far"]
    text = advise(row, recording.stacks).text
    assert text.endswith("(has not ended, 7.2 s so far)")
    assert "costs" not in text


def test_typical_is_what_has_ended(build: ModuleType) -> None:
    recording = build.empty_recording()
    start, ms = build.START_NS, build.MS
    for number, length in enumerate((10, 30, 20, 30)):
        at = start + number * 100 * ms
        recording.add_samples(
            [
                build.cpu(build.TIDS[0], at + ms, build.HASH, at),
                build.poll(build.TIDS[0], at, length * ms),
            ]
        )
    for tid, length in ((build.TIDS[1], 30), (build.TIDS[2], 5_000)):
        recording.add_samples(
            [
                build.cpu(tid, start + ms, build.HASH, start),
                _poll_so_far(build, tid, start, length * ms),
            ]
        )
    snapshot = Analyzer(recording).snapshot(start + 5 * build.SECOND, False)
    (row,) = snapshot.blockers
    assert (row.count, row.lasting, row.max_ns) == (6, 2, 5_000 * ms)
    assert (row.p50_ns, row.p99_ns) == (20 * ms, 30 * ms)
    said = ["2 of 6 have not ended, the longest 5 s so far"]
    assert lasting.in_words(row) == said
    assert "costs a worker 20 ms" in advise(row, snapshot.stacks).text


def _waiting_for(build: ModuleType, locks: tuple[int, ...]) -> Snapshot:
    """A worker each, asleep for 7 s on the lock at that address."""
    recording = build.empty_recording()
    start, now = build.START_NS, build.START_NS + 7 * build.SECOND
    states = []
    for tid, lock in zip(build.TIDS, locks, strict=False):
        state = build.state(
            tid,
            where=Where.POLL,
            since_ns=start,
            poll_start_ns=start,
            asleep_stack=build.CACHE,
            syscall=build.FUTEX,
        )
        states.append(replace(state, argument=lock))
    recording.set_states(states, now)
    return Analyzer(recording, machine="x86_64").snapshot(now, True)


def test_two_that_wait_for_each_other_are_told_so(build: ModuleType) -> None:
    snapshot = _waiting_for(build, (0x1000, 0x2000))
    assert snapshot.standoff is not None
    assert standoff.in_words(snapshot.standoff) == (
        "W0 and W1 seem to wait for each other: asleep on 2 locks for 7 s, and nobody lets go."
    )
    (row,) = snapshot.blockers
    assert row.cause is Cause.LOCK
    text = advise(row, snapshot.stacks).text
    assert "one order" in text
    assert "do less" not in text


def test_each_of_them_is_told_what_to_do(build: ModuleType) -> None:
    snapshot = _waiting_for(build, (0x1000, 0x2000))
    for episode in snapshot.lasting:
        stack = snapshot.stacks[episode.stack]
        assert standoff.fix_of(episode, snapshot.standoff, stack) == standoff.FIX
        assert standoff.fix_of(episode, None, stack).startswith("find who keeps this lock")
        ended = replace(episode, in_progress=False)
        assert standoff.fix_of(ended, snapshot.standoff, stack) == ""


def test_two_in_one_queue_are_no_standoff(build: ModuleType) -> None:
    snapshot = _waiting_for(build, (0x1000, 0x1000))
    assert snapshot.standoff is None
    (row,) = snapshot.blockers
    text = advise(row, snapshot.stacks).text
    assert text == "find who keeps this lock: nobody has let go of it for 7 s so far"


def test_what_began_before_the_attach_lasts_too(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[0], build.START_NS
    poll = _poll_so_far(build, tid, start, build.SECOND)._replace(info=BEGAN_BEFORE)
    assert poll.kind == Kind.POLL
    recording.add_samples([poll])
    recording.finish(start + build.SECOND, "duration reached")
    snapshot = Analyzer(recording).snapshot(start + build.SECOND, False)
    assert [one.began_before for one in snapshot.lasting] == [True]
