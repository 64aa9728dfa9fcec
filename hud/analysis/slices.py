"""Blocked time over the run, in equal slices that grow with the span they cover.

A slice is 50 ms, doubled as often as it takes for the span to have no more than so many. Slices
count from the start of the run, so that they do not move while time does.
"""

from __future__ import annotations

from itertools import repeat, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST_NS = 50_000_000


class Slices:
    """The slices of all ``Amounts`` that share it: how long one is, and which are shown."""

    __slots__ = ("length_ns", "most", "shown")

    def __init__(self, most: int) -> None:
        self.most = most
        self.length_ns = SHORTEST_NS
        self.shown = range(1)
        """Numbers of the slices in the span: the first begins in it, the last may not be over."""

    def fit(self, begin_ns: int, end_ns: int) -> bool:
        """To a span of the run; True = they are shorter than before: all has to be added again."""
        before, length_ns = self.length_ns, SHORTEST_NS
        while (self.most - 1) * length_ns < end_ns - begin_ns:
            length_ns *= 2
        self.length_ns = length_ns
        first = -(-begin_ns // length_ns)
        self.shown = range(first, max(first, (end_ns - 1) // length_ns) + 1)
        return length_ns < before


class Amounts:
    """An amount of time in each slice. What was added can be taken away again."""

    __slots__ = ("_at", "_length_ns", "_seen", "_slices", "_values")

    def __init__(self, slices: Slices) -> None:
        self._slices = slices
        self._length_ns = slices.length_ns
        self._at: dict[int, int] = {}
        self._values: tuple[int, ...] = ()
        """What ``values`` gave last, for ``_seen``; empty = something has changed."""
        self._seen = (0, range(0))

    def add(self, start_ns: int, length_ns: int, amount_ns: int, times: int = 1) -> None:
        """Spread it evenly over this stretch of the run; ``times`` -1 takes it away again."""
        self._catch_up()
        each, shown, length_ns = self._length_ns, self._slices.shown, max(1, length_ns)
        begin = max(start_ns // each, shown.start - 1)
        latest = shown.stop + self._slices.most
        last = min((start_ns + length_ns - 1) // each, latest)
        done = _part(amount_ns, begin * each - start_ns, length_ns)
        for number in range(begin, last + 1):
            # what seems to end long after now is no reason to fill the memory
            end_ns = (number + 1) * each - start_ns if number < latest else length_ns
            upto = _part(amount_ns, end_ns, length_ns)
            self._put(number, times * (upto - done))
            done = upto

    def _put(self, number: int, amount_ns: int) -> None:
        self._values = ()
        total = self._at.get(number, 0) + amount_ns
        if total > 0:
            self._at[number] = total
        else:
            self._at.pop(number, None)

    def values(self) -> tuple[int, ...]:
        """In each slice of the span, oldest first."""
        slices = self._slices
        wanted = slices.length_ns, slices.shown
        if not self._values or self._seen != wanted:
            self._catch_up()
            self._values = tuple(map(self._at.get, slices.shown, repeat(0)))
            self._seen = wanted
        return self._values

    def _catch_up(self) -> None:
        """Merge pairs until they are as long as the others; forget what lies before the span."""
        while self._length_ns < self._slices.length_ns:
            self._length_ns *= 2
            merged: dict[int, int] = {}
            for number, amount in self._at.items():
                merged[number // 2] = merged.get(number // 2, 0) + amount
            self._at = merged
        if len(self._at) > 3 * self._slices.most:
            begin = self._slices.shown.start
            self._at = {at: ns for at, ns in self._at.items() if at >= begin}


def together(histories: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """The sum of each slice, where all end with the same one."""
    columns = zip_longest(*(reversed(history) for history in histories), fillvalue=0)
    return tuple(sum(column) for column in columns)[::-1]


def _part(amount_ns: int, upto_ns: int, length_ns: int) -> int:
    """What of an amount lies in the first ``upto_ns`` of its stretch."""
    return amount_ns * min(max(upto_ns, 0), length_ns) // length_ns
