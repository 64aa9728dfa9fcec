"""How sure a difference between two samples is: intervals by Student's t, without equal variances.

The method is Welch's (Biometrika 34, 1947); the quantile of t is its expansion around the normal
one (Abramowitz and Stegun 26.7.5), within 5 % from 3 degrees of freedom on, at 99.9 %.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_FEWEST_DEGREES = 3.0


class Sample(NamedTuple):
    """A mean, and the variance of that mean."""

    mean: float
    variance: float
    degrees: float
    """Of freedom: one less than the values that it is made of."""


class Interval(NamedTuple):
    """Where a true value lies, with the confidence that was asked for."""

    low: float
    best: float
    high: float

    @property
    def above(self) -> bool:
        """It is more than nothing."""
        return self.low > 0

    @property
    def below(self) -> bool:
        return self.high < 0


def sample(values: Mapping[float, int]) -> Sample:
    """Of values, and how often each was there: twice in all at least."""
    count = sum(values.values())
    mean = sum(value * times for value, times in values.items()) / count
    squares = sum((value - mean) ** 2 * times for value, times in values.items())
    return Sample(mean, squares / (count - 1) / count, count - 1)


def difference(before: Sample, after: Sample, confidence: float) -> Interval:
    """Of ``after`` from ``before``; ``confidence`` is 0.95 or the like."""
    best, variance = after.mean - before.mean, before.variance + after.variance
    half = _quantile((1 + confidence) / 2, _degrees(before, after)) * sqrt(variance)
    return Interval(best - half, best, best + half)


def all_in_one(touched: int, blocks: int, others: int) -> float:
    """How likely it is that of ``blocks`` and ``others``, where any is as good as another, all
    that are touched are among ``blocks``: exactly, by counting the ways to draw them.
    """
    if touched > blocks:
        return 0.0
    likely = 1.0
    for drawn in range(touched):
        likely *= (blocks - drawn) / (blocks + others - drawn)
    return likely


def _degrees(one: Sample, other: Sample) -> float:
    """Welch and Satterthwaite's."""
    whole = (one.variance + other.variance) ** 2
    parts = one.variance**2 / one.degrees + other.variance**2 / other.degrees
    return max(_FEWEST_DEGREES, whole / parts if parts else 0.0)


def _quantile(share: float, degrees: float) -> float:
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees**power for power, term in enumerate(terms, 1))
