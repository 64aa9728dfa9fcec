"""Keep the books of the workers' waits for a CPU: every wait that is held, and who ran meanwhile.

Terms: a wait is *retired* when it counts, but is not held any more.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import TYPE_CHECKING

from hud.model import Pressure

if TYPE_CHECKING:
    from hud.model import Latency


class _Lengths:
    """Of waits, in order, and their sum."""

    __slots__ = ("total_ns", "values")

    def __init__(self) -> None:
        self.values: list[int] = []
        self.total_ns = 0

    def add(self, duration_ns: int) -> None:
        insort(self.values, duration_ns)
        self.total_ns += duration_ns

    def remove(self, duration_ns: int) -> None:
        del self.values[bisect_left(self.values, duration_ns)]
        self.total_ns -= duration_ns


class Waits:
    """Every wait that is held, and what they add up to."""

    def __init__(self) -> None:
        self.held: deque[Latency] = deque()
        """In the order of their ends."""
        self._all = _Lengths()
        self._by_culprit: dict[tuple[str, int], _Lengths] = {}
        """By the name and pid of what ran instead."""
        self._retired = 0
        self._forgotten = 0

    @property
    def count(self) -> int:
        return len(self._all.values)

    @property
    def total_ns(self) -> int:
        return self._all.total_ns

    @property
    def max_ns(self) -> int:
        return self._all.values[-1] if self._all.values else 0

    @property
    def not_held(self) -> int:
        """How many the bound has cost."""
        return self._retired + self._forgotten

    def add(self, latency: Latency) -> None:
        self.held.append(latency)
        self._count(latency)

    def forget_before(self, time_ns: int) -> None:
        """Those that ended earlier count no more, nor do the retired ones."""
        if self._retired:
            self._forgotten += self._retired
            self._retired = 0
            self._all = _Lengths()
            self._by_culprit.clear()
            for latency in self.held:
                self._count(latency)
        while self.held and self.held[0].start_ns + self.held[0].duration_ns < time_ns:
            self._forget()

    def bound(self, limit: int, *, retire: bool) -> None:
        """Hold the latest ones only; the others are retired, else forgotten."""
        while len(self.held) > limit:
            if retire:
                self.held.popleft()
                self._retired += 1
            else:
                self._forget()
                self._forgotten += 1

    def pressure(self, own_pid: int) -> tuple[Pressure, ...]:
        """By (-total, name, pid) of what ran instead; ``own_pid`` is that of the target."""
        rows = [
            Pressure(
                culprit=name,
                pid=pid,
                same_process=pid == own_pid,
                count=len(lengths.values),
                total_ns=lengths.total_ns,
                max_ns=lengths.values[-1],
            )
            for (name, pid), lengths in self._by_culprit.items()
        ]
        return tuple(sorted(rows, key=lambda row: (-row.total_ns, row.culprit, row.pid)))

    def _count(self, latency: Latency) -> None:
        self._all.add(latency.duration_ns)
        key = latency.culprit, latency.culprit_pid
        self._by_culprit.setdefault(key, _Lengths()).add(latency.duration_ns)

    def _forget(self) -> None:
        oldest = self.held.popleft()
        self._all.remove(oldest.duration_ns)
        key = oldest.culprit, oldest.culprit_pid
        self._by_culprit[key].remove(oldest.duration_ns)
        if not self._by_culprit[key].values:
            del self._by_culprit[key]
