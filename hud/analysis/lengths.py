"""Many lengths of time in little memory: their number, sum, longest one, and any one by its rank.

A length is *kept* as it is until it is *retired*: then it can not be taken away again, and only
its number, sum and maximum are exact. Its rank is known to a 64th of itself.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import repeat

from hud.model import BUCKETS

_PARTS = 64
"""Of each power of two, in the table of retired lengths: within a 64th."""


class Lengths:
    """Lengths of time, ns. Memory grows with those that are kept, and not with the others."""

    __slots__ = ("_buckets", "_retired", "_retired_max_ns", "count", "kept", "total_ns")

    def __init__(self) -> None:
        self.kept: list[int] = []
        """In order."""
        self.count = 0
        self.total_ns = 0
        self._buckets: dict[int, int] = {}
        self._retired: dict[int, int] = {}
        self._retired_max_ns = 0

    def put(self, length_ns: int) -> None:
        insort(self.kept, length_ns)
        self._count(length_ns, 1)

    def take(self, length_ns: int) -> None:
        """One that is kept goes, as if it had never come."""
        del self.kept[bisect_left(self.kept, length_ns)]
        self._count(length_ns, -1)

    def retire(self, length_ns: int) -> None:
        """One that is kept will never be taken away."""
        del self.kept[bisect_left(self.kept, length_ns)]
        part = _part_of(length_ns)
        self._retired[part] = self._retired.get(part, 0) + 1
        self._retired_max_ns = max(self._retired_max_ns, length_ns)

    def keeps(self, length_ns: int) -> bool:
        """Is there one of this length that can be taken away?"""
        at = bisect_left(self.kept, length_ns)
        return self.kept[at : at + 1] == [length_ns]

    def max_ns(self) -> int:
        return max(self._retired_max_ns, self.kept[-1] if self.kept else 0)

    def at(self, index: int) -> int:
        """The length with so many before it, in order."""
        passed = 0
        for part, number in sorted(self._retired.items()):
            smaller = bisect_left(self.kept, _floor_of(part))
            if index < smaller + passed:
                break
            passed += number
            if index < smaller + passed:
                return min(_floor_of(part) + _floor_of(part + 1) >> 1, self._retired_max_ns)
        return self.kept[index - passed]

    def below(self, length_ns: int) -> int:
        """How many are shorter."""
        end = _part_of(length_ns) if self._retired else 0
        retired = sum(number for part, number in self._retired.items() if part < end)
        return bisect_left(self.kept, length_ns) + retired

    def histogram(self) -> tuple[int, ...]:
        """How many there are in each bucket of ``bucket_floor_ns``, trailing zeros left out."""
        buckets = self._buckets
        return tuple(map(buckets.get, range(max(buckets, default=-1) + 1), repeat(0)))

    def _count(self, length_ns: int, times: int) -> None:
        self.count += times
        self.total_ns += times * length_ns
        bucket = bucket_of(length_ns)
        number = self._buckets.get(bucket, 0) + times
        if number:
            self._buckets[bucket] = number
        else:
            del self._buckets[bucket]


def bucket_of(duration_ns: int) -> int:
    """The inverse of ``bucket_floor_ns``: four buckets to each power of two."""
    return min(_part_of(duration_ns) * 4 // _PARTS, BUCKETS - 1)


def _part_of(length_ns: int) -> int:
    """The inverse of ``_floor_of``."""
    length_ns = max(1, length_ns)
    power = length_ns.bit_length() - 1
    return _PARTS * power + (length_ns * _PARTS >> power) % _PARTS


def _floor_of(part: int) -> int:
    power, rest = divmod(part, _PARTS)
    return (_PARTS + rest << power) // _PARTS
