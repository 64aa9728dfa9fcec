"""Rows kept from one snapshot to the next say what rows made anew would say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from hud.analysis.lengths import bucket_of
from hud.analysis.snapshot import Analyzer
from hud.model import BUCKETS, bucket_floor_ns

if TYPE_CHECKING:
    from types import ModuleType


def test_kept_rows_are_those_of_a_fresh_analyzer(build: ModuleType) -> None:
    recording = build.empty_recording(window_ns=3 * build.SECOND)
    kept = Analyzer(recording)
    samples = build.demo_samples(12)
    at = 0
    for tick in range(1, 49):
        now = build.START_NS + tick * build.SECOND // 4
        new = [one for one in samples[at:] if one.time_ns <= now]
        at += len(new)
        recording.add_samples(new)
        recording.set_states(build.demo_states(samples[:at], now), now)
        rows = kept.snapshot(now, live=True).blockers
        totals = [row.total_ns for row in rows]
        assert totals == sorted(totals, reverse=True)
    fresh = Analyzer(recording).snapshot(now, live=False).blockers
    assert len(fresh) >= 4
    last = kept.snapshot(now, live=False).blockers
    # the newest task is the same; which older ones are remembered depends on what was forgotten
    assert [replace(row, task_ids=()) for row in last] == [
        replace(row, task_ids=()) for row in fresh
    ]


def test_histograms_count_every_episode(build: ModuleType) -> None:
    now = build.START_NS + 30 * build.SECOND
    seen = Analyzer(build.demo_recording()).snapshot(now, live=False)
    for row in seen.blockers:
        assert sum(row.durations) == row.count
        assert row.durations[-1] > 0
        assert bucket_of(row.max_ns) == len(row.durations) - 1


@given(st.integers(4, 1 << 39))
def test_a_bucket_holds_what_lies_between_its_floors(duration_ns: int) -> None:
    bucket = bucket_of(duration_ns)
    assert bucket_floor_ns(bucket) <= duration_ns
    assert bucket + 1 >= BUCKETS or duration_ns < bucket_floor_ns(bucket + 1)
