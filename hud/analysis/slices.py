"""Blocked time over the run, in equal slices that grow with the span they cover.

A slice is 50 ms, doubled as often as it takes for the span to have no more than so many. Slices
count from the start of the run, so that they do not move while time does.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST_NS = 50_000_000


class Shown(NamedTuple):
    """The slices of a moment's span."""

    length_ns: int
    """Of each; the last one may not be over."""
    numbers: range


NOTHING_SHOWN = Shown(SHORTEST_NS, range(0))


class History(NamedTuple):
    """An amount of time in each of some slices: it stays true while time goes on."""

    length_ns: int
    first: int
    """Number of the first slice."""
    values: tuple[int, ...]

    def over(self, shown: Shown) -> tuple[int, ...]:
        """In each slice that is shown, oldest first; empty where these are shorter than its own."""
        if self.length_ns > shown.length_ns:
            return ()
        _, first, values = self.merged(shown.length_ns)
        numbers = shown.numbers
        lead = min(max(first - numbers.start, 0), len(numbers))
        inside = values[max(numbers.start - first, 0) : max(numbers.stop - first, 0)]
        return (0,) * lead + inside + (0,) * (len(numbers) - lead - len(inside))

    def merged(self, length_ns: int) -> History:
        """In slices that are this long, or longer already."""
        length, first, values = self
        while length < length_ns:
            padded = (0,) * (first % 2) + values + (0,)
            values = tuple(map(sum, zip(padded[::2], padded[1::2], strict=False)))
            length, first = 2 * length, first // 2
        return History(length, first, values)


NO_HISTORY = History(SHORTEST_NS, 0, ())


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

    def now(self) -> Shown:
        """Those of this moment."""
        return Shown(self.length_ns, self.shown)


class Amounts:
    """An amount of time in each slice. What was added can be taken away again."""

    __slots__ = ("_at", "_history", "_length_ns", "_slices")

    def __init__(self, slices: Slices) -> None:
        self._slices = slices
        self._length_ns = slices.length_ns
        self._at: dict[int, int] = {}
        self._history: History | None = None
        """None = something has changed since ``history`` was made."""

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
        self._history = None
        total = self._at.get(number, 0) + amount_ns
        if total > 0:
            self._at[number] = total
        else:
            self._at.pop(number, None)

    def history(self) -> History:
        """All that may still be shown; the same object while nothing changes."""
        if self._history is None:
            self._catch_up()
            first = max(min(self._at, default=0), self._slices.shown.start)
            numbers = range(first, max(self._at, default=-1) + 1)
            values = tuple(map(self._at.get, numbers, repeat(0)))
            self._history = History(self._length_ns, first, values)
        return self._history

    def values(self) -> tuple[int, ...]:
        """In each slice of the span, oldest first."""
        return self.history().over(self._slices.now())

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


def together(histories: Iterable[History]) -> History:
    """The sum of each slice, in the longest slices that one of them has."""
    found = [one for one in histories if one.values]
    longest = max((one.length_ns for one in found), default=SHORTEST_NS)
    merged = [one.merged(longest) for one in found]
    first = min((one.first for one in merged), default=0)
    stop = max((one.first + len(one.values) for one in merged), default=0)
    sums = [0] * (stop - first)
    for one in merged:
        for at, ns in enumerate(one.values, one.first - first):
            sums[at] += ns
    return History(longest, first, tuple(sums))


def _part(amount_ns: int, upto_ns: int, length_ns: int) -> int:
    """What of an amount lies in the first ``upto_ns`` of its stretch."""
    return amount_ns * min(max(upto_ns, 0), length_ns) // length_ns
