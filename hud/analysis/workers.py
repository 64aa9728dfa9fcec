"""The workers of a run: who is one, since when, and what is left of those that have ended.

A worker is *retired* when it counts, but is not known by itself any more.
"""

from __future__ import annotations

from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING

from hud.analysis import splits
from hud.model import TimeSplit, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_DEAD = 64
_TOGETHER_NS = 1_000_000_000
"""So far apart are the ends of threads that end together."""


class Workers(dict[int, Worker]):
    """By tid; of the dead ones in the window the latest few. Changed by its own methods only."""

    def __init__(self) -> None:
        self.born_ns: dict[int, int] = {}
        """When each was first seen."""
        self.died_ns: dict[int, int] = {}
        """When each of the dead ones died, in that order."""
        self.retired: dict[str, TimeSplit] = {}
        """Where the time of those went that are retired, in the window; by runtime."""
        self._retired: deque[tuple[int, str, TimeSplit]] = deque()
        """What ``retired`` adds up, with a window: when the worker died, its runtime and time."""
        self._in_order: list[Worker] | None = None

    def in_order(self) -> Sequence[Worker]:
        """By their numbers; the same object while nobody comes or goes."""
        if self._in_order is None:
            self._in_order = sorted(self.values(), key=attrgetter("worker_id", "tid"))
        return self._in_order

    def add(self, worker: Worker, now_ns: int) -> None:
        """A worker, or the same one under its new name; a reused tid is alive again."""
        if worker.tid not in self:
            self.born_ns[worker.tid] = now_ns
        self[worker.tid] = worker
        self._in_order = None
        self.died_ns.pop(worker.tid, None)

    def remove(self, tid: int) -> None:
        """As if it had never been one."""
        self.pop(tid, None)
        self._in_order = None
        self.born_ns.pop(tid, None)
        self.died_ns.pop(tid, None)

    def died(self, tid: int, now_ns: int) -> None:
        """Any thread; not earlier than the one before."""
        if tid in self:
            self.died_ns.setdefault(tid, now_ns)

    def died_last(self, tid: int) -> bool:
        """All are dead, and it is one of those that died together at the end."""
        if len(self.died_ns) < len(self):
            return False
        last_ns = next(reversed(self.died_ns.values()))
        return self.died_ns[tid] >= last_ns - _TOGETHER_NS

    def outdated(self, before_ns: int) -> list[int]:
        """The dead ones to be retired: all but the latest few, and who died before that moment."""
        spare = len(self.died_ns) - _MOST_DEAD
        died = enumerate(self.died_ns.items())
        return [tid for at, (tid, died_ns) in died if at < spare or died_ns < before_ns]

    def retire(self, tid: int, split: TimeSplit) -> None:
        """A dead one, whose time went there."""
        runtime = self[tid].runtime
        self._retired.append((self.died_ns[tid], runtime, split))
        self.retired[runtime] = splits.added(self.retired.get(runtime, TimeSplit()), split)
        self.remove(tid)

    def forget_retired(self, before_ns: int) -> None:
        """Those that died before that moment count no more."""
        while self._retired and self._retired[0][0] < before_ns:
            _, runtime, split = self._retired.popleft()
            if runtime in self.retired:
                self.retired[runtime] = splits.since(self.retired[runtime], split)

    def keep_retired(self) -> None:
        """They count as long as the run lasts."""
        self._retired.clear()
