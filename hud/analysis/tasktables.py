"""What batches say of the runtime's tasks, in tables that forget."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis import bounded
from hud.model import RESEND_NS

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from hud.analysis.results import Episode
    from hud.model import Batch, PollStats, TaskKind, TasksRead, ThreadState

    Poll = tuple[int, int]
    """The worker's tid, and when the poll began."""

_MANY = 4_096
_MOST_READINGS = 16_384
"""Two hours, of two a second: 2 MB."""


class Reading(NamedTuple):
    """How many tasks were ready to run at a moment; -1 = not known."""

    time_ns: int
    shared: int
    """In the queue that all workers share."""
    own: int
    """In those of the workers, together."""


class TaskTables:
    """Which type each task is of, what is alive of each, and what waited behind polls."""

    def __init__(self) -> None:
        self.latest: TasksRead | None = None
        """What the runtime's lists and queues said last; None = they are not read."""
        self.kinds: dict[int, TaskKind] = {}
        """By vtable."""
        self.kinds_taken = 0
        """How many batches had some."""
        self.vtables: dict[int, int] = {}
        """By task id."""
        self.polls: dict[int, PollStats] = {}
        """By vtable; exact mode only."""
        self._named_ns: dict[int, int] = {}
        """When a batch named the task last."""
        self._queued: dict[Poll, tuple[int, int]] = {}
        """Ready tasks that were behind a poll, summed over so many readings of its worker's own
        queue."""
        self._ended: set[Poll] = set()
        """Those of ``_queued`` that had ended at the last ``forget``."""
        self.readings: deque[Reading] = deque(maxlen=_MOST_READINGS)
        """The latest ones, by time."""

    def take(self, batch: Batch, now_ns: int) -> None:
        if batch.target is not None:  # another program: its tasks are numbered from 1 again
            self.vtables.clear()
        bounded.update(self.kinds, {kind.vtable: kind for kind in batch.task_kinds})
        self.kinds_taken += bool(batch.task_kinds)
        bounded.update(self.vtables, batch.task_ids)
        bounded.update(self._named_ns, dict.fromkeys(batch.task_ids, now_ns))
        if batch.polls is not None:
            self.polls = {stats.vtable: stats for stats in batch.polls}
        self.latest = batch.tasks or self.latest

    def add_queues(self, read: TasksRead, states: Mapping[int, ThreadState]) -> None:
        """The queues were read right after the states."""
        own = sum(count for _, count in read.queued) if read.queued else -1
        self.readings.append(Reading(read.time_ns, read.injected, own))
        for tid, count in read.queued:
            state = states.get(tid)
            if state is not None and state.in_poll:
                key = tid, state.poll_start_ns
                total, readings = self._queued.get(key, (0, 0))
                bounded.update(self._queued, {key: (total + count, readings + 1)})

    def behind(self, tid: int, poll_start_ns: int) -> float:
        """Ready tasks in the worker's own queue during that poll, on average; -1 = not read."""
        total, readings = self._queued.get((tid, poll_start_ns), (0, 0))
        return total / readings if readings else -1.0

    def vtable_of(self, episode: Episode) -> int:
        """The type of its task, a key of ``kinds``; 0 = unknown."""
        return self.vtables.get(episode.task_id, episode.vtable)

    def forget_polls(self, used: Set[Poll]) -> None:
        """All but these, the second time: a poll's end may come later than its last state."""
        ended = self._queued.keys() - used
        for poll in ended & self._ended:
            del self._queued[poll]
        self._ended = ended

    def forget_tasks(self, used: Set[int], now_ns: int) -> None:
        """Those not in use that were named long ago, if there are many."""
        if len(self.vtables) <= _MANY:
            return
        before_ns = now_ns - 2 * RESEND_NS
        named = self._named_ns.items()
        for task in {task for task, named_ns in named if named_ns < before_ns} - used:
            del self._named_ns[task]
            self.vtables.pop(task, None)
