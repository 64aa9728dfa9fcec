"""Where the time of each thread of the target went, since the attach or since any moment later."""

from __future__ import annotations

from itertools import repeat
from operator import add, sub
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.marks import Marks
from hud.model import TimeSplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Set

    from hud.model import ThreadState

_NOTHING = TimeSplit()


def added(one: TimeSplit, other: TimeSplit) -> TimeSplit:
    return TimeSplit(*map(add, one, other))


def since(now: TimeSplit, before: TimeSplit) -> TimeSplit:
    """What was added to ``before``; a thread id that was used again counts from zero."""
    earlier_ns = before.total_ns()
    if not earlier_ns or now.total_ns() < earlier_ns:
        return now
    return TimeSplit(*map(max, repeat(0), map(sub, now, before)))


class Gap(NamedTuple):
    """No event came through for ``part`` (0..1) of the time from ``since_ns`` to this reading."""

    since_ns: int
    part: float


NO_GAP = Gap(0, 0.0)


class Splits:
    """The latest time split of each thread, and those at earlier moments, so that a window can
    subtract them.
    """

    def __init__(self) -> None:
        self._now: dict[int, TimeSplit] = {}
        self._at_start: dict[int, TimeSplit] = {}
        """Where the recording does not start at the attach."""
        self._marks: dict[int, Marks[TimeSplit]] = {}
        self._marked_ns = 0
        self._unseen: dict[int, TimeSplit] = {}
        """What is taken out of each thread's split: its events of that time are not known."""
        self._allowed_ns = 0
        self._allowed_marks: Marks[int] = Marks()

    def start(self, states: Sequence[ThreadState]) -> None:
        """What these states say was before the recording."""
        self._now = {state.tid: state.split for state in states}
        self._at_start = dict(self._now)

    def update(self, states: Sequence[ThreadState], workers: Set[int], gap: Gap = NO_GAP) -> None:
        """Those of every living thread; of the others only ``workers`` stay known."""
        alive = {state.tid for state in states}
        for state in states:
            before = self._now.get(state.tid)
            split = self._seen(state, before, gap)
            allowed = split.allowed_ns
            # Less in all than before: another thread with the same id. Less allowed is none: the
            # part on a CPU is estimated by shares of samples, and may shrink.
            same = before is not None and before.total_ns() <= split.total_ns()
            known = before.allowed_ns if before is not None and same else 0
            self._allowed_ns += allowed - known
            self._now[state.tid] = split
        for tid in self._now.keys() - alive - workers:
            del self._now[tid]
            self._unseen.pop(tid, None)

    def _seen(self, state: ThreadState, before: TimeSplit | None, gap: Gap) -> TimeSplit:
        """A thread's split without the gap, unless one poll lasted throughout."""
        tid, split = state.tid, state.split
        if not gap.part and tid not in self._unseen:
            return split
        left_out = self._unseen.get(tid, TimeSplit())
        known = added(before, left_out) if before is not None else TimeSplit()
        if split.total_ns() < known.total_ns():  # another thread with the same id
            self._unseen.pop(tid, None)
            return split
        lasts = state.in_poll and state.poll_start_ns <= gap.since_ns
        if gap.part and not lasts:
            part = (int(gap.part * ns) for ns in since(split, known))
            left_out = self._unseen[tid] = added(left_out, TimeSplit(*part))
        return since(split, left_out)

    def mark(self, now_ns: int, often_ns: int, workers: Iterable[int]) -> None:
        """Remember those of now, unless it was done less than ``often_ns`` ago."""
        if now_ns - self._marked_ns < often_ns:
            return
        self._marked_ns = now_ns
        for tid in workers:
            marks = self._marks.setdefault(tid, Marks())
            marks.add(now_ns, self._now.get(tid, _NOTHING))
        self._allowed_marks.add(now_ns, self._allowed_ns)

    def of(self, tids: Iterable[int], since_ns: int) -> list[TimeSplit]:
        """``since`` of each of these threads, in their order."""
        if since_ns or self._at_start:
            return [self.since(tid, since_ns) for tid in tids]
        return list(map(self._now.get, tids, repeat(_NOTHING)))

    def since(self, tid: int, since_ns: int) -> TimeSplit:
        """Where the thread's time went after ``since_ns``, as exactly as the marks allow; 0 = all
        of it."""
        before = self._at_start.get(tid, _NOTHING)
        if since_ns and tid in self._marks:
            before = self._marks[tid].at(since_ns, before)
        now = self._now.get(tid, _NOTHING)
        return now if before is _NOTHING else since(now, before)

    def allowed_ns(self, since_ns: int) -> int:
        """Time in ``spawn_blocking`` and ``block_in_place`` after ``since_ns``, all threads."""
        return self._allowed_ns - self._allowed_marks.at(since_ns, 0)

    def forget(self, tid: int) -> None:
        self._now.pop(tid, None)
        self._at_start.pop(tid, None)
        self._unseen.pop(tid, None)
        self._marks.pop(tid, None)
