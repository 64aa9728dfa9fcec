"""A blocker's figures are of the time that its code took."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hud.analysis import lasting
from hud.analysis.cause import Cause
from hud.analysis.lengths import bucket_of
from hud.analysis.snapshot import Analyzer

if TYPE_CHECKING:
    from types import ModuleType


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
    assert snapshot.blocked_ns == sum(snapshot.history(row)) == row.total_ns
    assert len(row.durations) == bucket_of(56 * ms) + 1
    for parts in (row.workers, row.stacks, row.causes):
        assert sum(ns for _, ns in parts) == row.total_ns
    assert snapshot.share(row) == row.total_ns / snapshot.worker_time_ns
    assert snapshot.no_cpu(row) == pytest.approx(876 * ms / snapshot.worker_time_ns), (
        "in a column of its own"
    )
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
    said = "1 of 1 was long only because it waited for a CPU"
    assert lasting.in_words(row) == ([said] if pressed else [])
