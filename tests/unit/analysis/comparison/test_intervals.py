"""Intervals are as wide as tables of Student's t say, and hold what they promise."""

from __future__ import annotations

import random
from collections import Counter
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.analysis.comparison.intervals import Sample, all_in_one, difference, sample

TABLE = [(4, 0.95, 2.776), (10, 0.95, 2.228), (24, 0.95, 2.064), (10, 0.99, 3.169)]
"""Two-sided quantiles of t: degrees of freedom, confidence, value."""


@pytest.mark.parametrize(("degrees", "confidence", "quantile"), TABLE)
def test_width(degrees: float, confidence: float, quantile: float) -> None:
    known = Sample(0.0, 0.0, 1)
    interval = difference(known, Sample(3.0, 4.0, degrees), confidence)
    assert interval.best == 3
    assert interval.high - 3 == pytest.approx(2 * quantile, rel=0.001)
    assert 3 - interval.low == pytest.approx(interval.high - 3)


def test_a_sample_is_its_values() -> None:
    assert sample({1.0: 1, 2.0: 2, 3.0: 1}) == Sample(2.0, 2 / 3 / 4, 3)


def test_which_side_of_nothing() -> None:
    surely = difference(sample({1.0: 5, 1.1: 5}), sample({2.0: 5, 2.1: 5}), 0.95)
    assert surely.above
    assert not surely.below
    perhaps = difference(sample({1.0: 5, 9.0: 5}), sample({2.0: 5, 9.0: 5}), 0.95)
    assert not perhaps.above
    assert not perhaps.below


def test_nineteen_of_twenty_hold_the_true_difference() -> None:
    chance, held = random.Random(1), 0
    for _ in range(1000):
        one = sample(Counter(chance.expovariate(1.0) for _ in range(12)))
        other = sample(Counter(chance.expovariate(0.5) for _ in range(20)))
        interval = difference(one, other, 0.95)
        held += interval.low <= 1.0 <= interval.high
    assert 920 <= held <= 970


@given(st.integers(0, 8), st.integers(1, 12), st.integers(1, 12))
def test_chance_that_all_are_on_one_side(touched: int, blocks: int, others: int) -> None:
    ways = comb(blocks, touched) / comb(blocks + others, min(touched, blocks + others))
    expected = ways if touched <= blocks else 0.0
    assert all_in_one(touched, blocks, others) == pytest.approx(expected)
