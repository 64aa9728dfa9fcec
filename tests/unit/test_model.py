"""What the values of a recording add up to."""

from __future__ import annotations

from dataclasses import fields, replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.model import (
    BUCKETS,
    Losses,
    PollStats,
    ThreadState,
    TimeSplit,
    Where,
    bucket_floor_ns,
    quantile_ns,
)


def test_a_split_has_every_part_once() -> None:
    names = TimeSplit._fields
    parts = {name: 1 << place for place, name in enumerate(names)}
    assert TimeSplit(**parts).total_ns() == sum(parts.values())
    assert TimeSplit(**parts).no_worker_ns() == parts["allowed_ns"] + parts["outside_ns"]


def test_losses_are_counted_together() -> None:
    names = [field.name for field in fields(Losses)]
    assert Losses(**dict.fromkeys(names, 2)).total() == 2 * len(names)


@pytest.mark.parametrize("where", Where)
def test_a_thread_is_in_a_poll_where_one_has_begun(where: Where) -> None:
    state = ThreadState(1, where, True, False, 5, 5, 0, TimeSplit())
    assert state.in_poll == (where in (Where.POLL, Where.ROOT))
    assert not replace(state, poll_start_ns=0).in_poll


def test_buckets_are_four_to_each_power_of_two() -> None:
    floors = [bucket_floor_ns(bucket) for bucket in range(BUCKETS)]
    assert floors == sorted(floors)
    assert floors[40:45] == [1024, 1280, 1536, 1792, 2048]
    assert floors[-1] > 1e9 * 60


@given(st.lists(st.integers(8, 1 << 38), min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_right_within_a_bucket(durations: list[int], share: float) -> None:
    buckets = [0] * BUCKETS
    for duration in durations:
        bucket = max(at for at in range(BUCKETS) if bucket_floor_ns(at) <= duration)
        buckets[bucket] += 1
    stats = PollStats(0, len(durations), sum(durations), max(durations), tuple(buckets))
    found = quantile_ns(stats, share)
    true = sorted(durations)[max(0, ceil(share * len(durations)) - 1)]
    assert true / 1.26 - 1 <= found <= true * 1.26 + 1


def test_no_polls_have_no_quantile() -> None:
    stats = PollStats(0, 0, 0, 0, (0,) * BUCKETS)
    assert quantile_ns(stats, 0.5) == 0
