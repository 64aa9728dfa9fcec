"""Lengths that are retired count exactly and keep their rank to a 64th."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.analysis.lengths import Lengths, bucket_of
from hud.model import BUCKETS, bucket_floor_ns

ONE = st.one_of(st.integers(0, 200), st.integers(0, 10**12))


@given(st.lists(st.tuples(ONE, st.booleans()), min_size=1, max_size=60))
def test_what_is_retired_still_counts(rows: list[tuple[int, bool]]) -> None:
    lengths, values = Lengths(), sorted(value for value, _ in rows)
    for value, _ in rows:
        lengths.put(value)
    before = lengths.histogram()
    for value, retired in rows:
        if retired:
            lengths.retire(value)
    assert lengths.kept == sorted(value for value, retired in rows if not retired)
    assert (lengths.count, lengths.total_ns) == (len(values), sum(values))
    assert lengths.max_ns() == values[-1]
    assert lengths.histogram() == before
    found = [lengths.at(index) for index in range(len(values))]
    assert found == pytest.approx(values, rel=1 / 64, abs=1)
    if not any(retired for _, retired in rows):
        assert found == values


@given(st.lists(st.tuples(ONE, st.booleans()), max_size=60), ONE)
def test_how_many_are_below(rows: list[tuple[int, bool]], limit: int) -> None:
    lengths, values = Lengths(), sorted(value for value, _ in rows)
    for value, retired in rows:
        lengths.put(value)
        if retired:
            lengths.retire(value)
    low, high = limit * 63 // 64 - 1, limit
    assert bisect_left(values, low) <= lengths.below(limit) <= bisect_left(values, high)


def test_taken_away_is_as_if_it_had_never_come() -> None:
    lengths = Lengths()
    for value in (5, 9, 7):
        lengths.put(value)
    assert lengths.keeps(9)
    assert not lengths.keeps(8)
    lengths.take(9)
    assert (lengths.kept, lengths.count, lengths.total_ns, lengths.max_ns()) == ([5, 7], 2, 12, 7)
    lengths.retire(7)
    assert not lengths.keeps(7)
    assert (lengths.kept, lengths.count, lengths.total_ns, lengths.max_ns()) == ([5], 2, 12, 7)


@given(st.integers(0, 1 << 70))
def test_a_bucket_is_that_of_its_floor(length: int) -> None:
    bucket = bucket_of(length)
    assert 0 <= bucket < BUCKETS
    if 8 <= bucket < BUCKETS - 1:
        assert bucket_floor_ns(bucket) <= length < bucket_floor_ns(bucket + 1)
