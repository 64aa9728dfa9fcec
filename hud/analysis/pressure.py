"""Keep the books of the workers' waits for a CPU: every wait that is held, and who ran meanwhile.

A wait is *retired* when it counts, but is not held any more.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from hud.analysis.lengths import Lengths
from hud.analysis.results import Pressure

if TYPE_CHECKING:
    from hud.analysis.results import Latency


_SHOWN = 64
_Key = tuple[str, str, int]
"""Of what ran instead: the name of the thread, that of its process, and its pid."""
_MOST_CULPRITS = 4096
_OTHERS: _Key = "others", "others", 0
"""Those beyond."""
_NUMBERED = re.compile(r"(?<=.)[-_ #./]?\d+$")


def _key(latency: Latency) -> _Key:
    return latency.culprit, latency.process, latency.culprit_pid


class CpuWaits:
    """Every wait that is held, and what they add up to."""

    def __init__(self) -> None:
        self.held: deque[Latency] = deque()
        """In the order of their ends."""
        self._keys: deque[_Key] = deque()
        """What each of them counts under."""
        self._all = Lengths()
        self._by_culprit: dict[_Key, Lengths] = {}
        self._retired = 0
        self._forgotten = 0

    @property
    def count(self) -> int:
        return self._all.count

    @property
    def total_ns(self) -> int:
        return self._all.total_ns

    @property
    def max_ns(self) -> int:
        return self._all.max_ns()

    @property
    def not_held(self) -> int:
        """How many the bound has cost."""
        return self._retired + self._forgotten

    def latest(self) -> tuple[Latency, ...]:
        """A few, the newest first."""
        return tuple(islice(reversed(self.held), _SHOWN))

    def add(self, latency: Latency) -> None:
        self.held.append(latency)
        self._count(latency)

    def forget_before(self, time_ns: int) -> None:
        """Those that ended earlier count no more, nor do the retired ones."""
        if self._retired:
            self._forgotten += self._retired
            self._retired = 0
            self._all = Lengths()
            self._by_culprit.clear()
            self._keys.clear()
            for latency in self.held:
                self._count(latency)
        while self.held and self.held[0].start_ns + self.held[0].duration_ns < time_ns:
            self._forget()

    def bound(self, limit: int, *, retire: bool) -> None:
        """Hold the latest ones only; the others are retired, else forgotten."""
        while len(self.held) > limit:
            if retire:
                self._retire()
                self._retired += 1
            else:
                self._forget()
                self._forgotten += 1

    def pressure(self, own_pid: int) -> tuple[Pressure, ...]:
        """By (-total, name) of what ran instead; ``own_pid`` is that of the target.

        Own threads go by their names without a number, other processes by theirs.
        """
        rows: dict[tuple[str, bool], Pressure] = {}
        pids: dict[tuple[str, bool], set[int]] = {}
        for (thread, process, pid), lengths in self._by_culprit.items():
            same = pid == own_pid
            name = process if process and not same else _NUMBERED.sub("", thread)
            key = name, same
            pids.setdefault(key, set()).add(pid)
            row = rows.get(key) or Pressure(name, pid, same, 0, 0, 0)
            rows[key] = replace(
                row,
                pid=pid if len(pids[key]) == 1 else 0,
                processes=len(pids[key]),
                count=row.count + lengths.count,
                total_ns=row.total_ns + lengths.total_ns,
                max_ns=max(row.max_ns, lengths.max_ns()),
            )
        return tuple(sorted(rows.values(), key=lambda row: (-row.total_ns, row.culprit)))

    def _count(self, latency: Latency) -> None:
        self._all.put(latency.duration_ns)
        key = _key(latency)
        if key not in self._by_culprit and len(self._by_culprit) >= _MOST_CULPRITS:
            key = _OTHERS
        self._keys.append(key)
        self._by_culprit.setdefault(key, Lengths()).put(latency.duration_ns)

    def _retire(self) -> None:
        oldest = self.held.popleft()
        self._all.retire(oldest.duration_ns)
        self._by_culprit[self._keys.popleft()].retire(oldest.duration_ns)

    def _forget(self) -> None:
        oldest = self.held.popleft()
        self._all.take(oldest.duration_ns)
        key = self._keys.popleft()
        self._by_culprit[key].take(oldest.duration_ns)
        if not self._by_culprit[key].count:
            del self._by_culprit[key]
