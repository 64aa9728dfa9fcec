"""Remember how a total grew, so that what was added since any moment is known.

A *mark* is a moment and the total then. Old marks are thinned out: how far apart two of them
are grows with their age, so that a few hundred do for days.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Generic, TypeVar

_T = TypeVar("_T")

MOST = 384
RECENT = 128
"""The latest ones, which are all kept."""
PART = 8
"""Two older ones are at most this part of their age apart."""


class Marks(Generic[_T]):
    """The marks of one total."""

    __slots__ = ("_times", "_totals")

    def __init__(self) -> None:
        self._times: list[int] = []
        self._totals: list[_T] = []

    def add(self, time_ns: int, total: _T) -> None:
        """Not before the mark that was added last."""
        self._times.append(time_ns)
        self._totals.append(total)
        if len(self._times) > MOST:
            self._thin_out()

    def at(self, time_ns: int, initial: _T) -> _T:
        """The total at the last mark that is not later; ``initial`` where there is none."""
        index = bisect_right(self._times, time_ns)
        return self._totals[index - 1] if index else initial

    def _thin_out(self) -> None:
        times = self._times
        kept = [0]
        for index in range(1, len(times) - RECENT):
            before = times[kept[-1]]
            if times[index + 1] - before > (times[-1] - before) // PART:
                kept.append(index)
        kept += range(len(times) - RECENT, len(times))
        self._times = [times[index] for index in kept]
        self._totals = [self._totals[index] for index in kept]
