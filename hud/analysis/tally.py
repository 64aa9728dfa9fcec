"""Running totals of episodes: added one by one, taken away again when a window moves on."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from heapq import nlargest
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.lengths import Lengths
from hud.analysis.slices import Amounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence, Set
    from typing import TypeVar

    from hud.analysis.blame import Blame
    from hud.analysis.cause import Cause
    from hud.analysis.results import Episode
    from hud.analysis.slices import History, Slices

    _Key = TypeVar("_Key")

MOST_STACKS = 64
"""How many stacks of a blocker are listed."""
NO_WORKER = -1
"""Instead of a worker's id: it is not known, or not any more."""
_LATEST_TASKS = 8
_MOST_DETAILS = 4_096
"""Files and peers of a blocker of which the time is kept apart, where it has retired episodes."""


class Durations(Lengths):
    """Own times, and their sum in each slice of the run."""

    __slots__ = ("amounts",)

    def __init__(self, slices: Slices) -> None:
        super().__init__()
        self.amounts = Amounts(slices)

    def add(self, episode: Episode, run_start_ns: int) -> None:
        own_ns = episode.charged_ns
        self.put(own_ns)
        self.amounts.add(episode.start_ns - run_start_ns, episode.duration_ns, own_ns)

    def remove(self, episode: Episode, run_start_ns: int) -> None:
        own_ns = episode.charged_ns
        self.take(own_ns)
        self.amounts.add(episode.start_ns - run_start_ns, episode.duration_ns, own_ns, -1)


class Told(NamedTuple):
    """All of a worker's episodes."""

    longest_ns: int
    episodes: int
    history: History
    blocked_ns: int
    causes: tuple[tuple[Cause, int], ...]
    """Largest first."""


class Worked(Durations):
    """The own times of one worker, by cause too."""

    __slots__ = ("_told", "causes")

    def __init__(self, slices: Slices) -> None:
        super().__init__(slices)
        self.causes: dict[Cause, int] = {}
        self._told: Told | None = None

    def add(self, episode: Episode, run_start_ns: int) -> None:
        super().add(episode, run_start_ns)
        bump(self.causes, episode.cause, episode.charged_ns)
        self._told = None

    def remove(self, episode: Episode, run_start_ns: int) -> None:
        super().remove(episode, run_start_ns)
        bump(self.causes, episode.cause, -episode.charged_ns)
        self._told = None

    def told(self) -> Told:
        """What a row says of it; the same object while nothing changes."""
        if self._told is None:
            history, causes = self.amounts.history(), largest_first(self.causes)
            self._told = Told(self.max_ns(), self.count, history, self.total_ns, causes)
        return self._told


class Tally:
    """All episodes of one blocker."""

    __slots__ = (
        "behind",
        "behind_count",
        "cases",
        "details",
        "durations",
        "holders",
        "lasting",
        "on_cpu_ns",
        "pressed",
        "stacks",
        "tasks",
        "types",
        "waiting_ns",
        "workers",
    )

    def __init__(self, slices: Slices) -> None:
        self.durations = Durations(slices)
        self.cases: dict[tuple[Cause, Blame], int] = {}
        self.workers: dict[int, int] = {}
        self.stacks: dict[tuple[int, Cause], int] = {}
        self.details: dict[str, int] = {}
        self.holders: dict[tuple[int, str, str, bool], int] = {}
        """By the stack where they let go, thread name, role, and whether they held a lock."""
        self.tasks: deque[int] = deque(maxlen=4 * _LATEST_TASKS)
        self.types: dict[tuple[int, int], int] = {}
        """(vtable, stack) of tasks -> ns."""
        self.behind = 0.0
        self.behind_count = 0
        """Ready tasks behind it, summed over the episodes that this is known of."""
        self.waiting_ns = 0
        self.on_cpu_ns = 0
        self.pressed = 0
        self.lasting: list[tuple[int, int]] = []
        """Of those that have not ended, own time and length so far, in order."""

    def add(self, episode: Episode, at: Blame, run_start_ns: int) -> None:
        self.durations.add(episode, run_start_ns)
        self._count(episode, at, episode.charged_ns, 1)
        if episode.task_id:
            self.tasks.append(episode.task_id)

    def remove(self, episode: Episode, at: Blame, run_start_ns: int) -> None:
        self.durations.remove(episode, run_start_ns)
        self._count(episode, at, -episode.charged_ns, -1)
        if self.tasks and self.tasks[-1] == episode.task_id:
            self.tasks.pop()

    def retire(self, episode: Episode) -> None:
        """It counts for ever; of very many details only the heavier half stays known."""
        self.durations.retire(episode.charged_ns)
        if len(self.details) > _MOST_DETAILS:
            self.details = dict(largest_first(self.details)[: _MOST_DETAILS // 2])

    def retire_workers(self, living: Set[int]) -> bool:
        """Count the workers with other ids as NO_WORKER; False where there are none."""
        gone = self.workers.keys() - living - {NO_WORKER}
        lost_ns = sum(self.workers.pop(number) for number in gone)
        bump(self.workers, NO_WORKER, lost_ns)
        return bool(gone)

    def latest_tasks(self) -> tuple[int, ...]:
        """The latest few task ids, each once, newest first."""
        return tuple(dict.fromkeys(reversed(self.tasks)))[:_LATEST_TASKS]

    def mean_behind(self) -> float:
        """Ready tasks behind it, on average; -1 = unknown."""
        return max(0.0, self.behind / self.behind_count) if self.behind_count else -1.0

    def percentile(self, percent: int) -> int:
        """Of the episodes that have ended; of all only where none has."""
        durations = self.durations
        if len(self.lasting) == durations.count:
            return nearest_rank(durations.kept, percent)
        index = rank(durations.count - len(self.lasting), percent)
        for number, (own_ns, _) in enumerate(self.lasting):
            same = number - bisect_left(self.lasting, (own_ns, 0))
            index += durations.below(own_ns) + same <= index
        return durations.at(index)

    def _count(self, episode: Episode, at: Blame, duration_ns: int, times: int) -> None:
        self.waiting_ns += episode.waiting_ns * times
        self.on_cpu_ns += episode.on_cpu_ns * times
        self.pressed += episode.pressed * times
        if episode.in_progress and times > 0:
            insort(self.lasting, (episode.charged_ns, episode.duration_ns))
        elif episode.in_progress:
            self.lasting.remove((episode.charged_ns, episode.duration_ns))
        bump(self.cases, (episode.cause, at), duration_ns)
        gone = times < 0 and episode.worker_id not in self.workers
        bump(self.workers, NO_WORKER if gone else episode.worker_id, duration_ns)
        if episode.stack:
            bump(self.stacks, (episode.stack, episode.cause), duration_ns)
        if episode.detail:
            bump(self.details, episode.detail, duration_ns)
        if episode.holder:
            one = episode.holder
            bump(self.holders, (one.stack, one.name, one.role, one.held), duration_ns)
        if episode.task_id:
            bump(self.types, (episode.vtable, episode.stack), duration_ns)
        if episode.behind >= 0:
            self.behind += episode.behind * times
            self.behind_count += times


def nearest_rank(values: Sequence[int], percent: int) -> int:
    """Of ascending ``values``: the smallest that ``percent`` of all do not exceed; 0 of none."""
    return values[rank(len(values), percent)] if values else 0


def rank(count: int, percent: int) -> int:
    """The index of that value among ``count`` ascending ones."""
    return max(0, -(-percent * count // 100) - 1)


def added(pairs: Iterable[tuple[_Key, int]]) -> dict[_Key, int]:
    """The sum of what comes with each key."""
    totals: dict[_Key, int] = {}
    for key, amount in pairs:
        totals[key] = totals.get(key, 0) + amount
    return totals


def largest_first(weights: Mapping[_Key, int]) -> tuple[tuple[_Key, int], ...]:
    """(key, weight), the heaviest first, ties by key."""
    if len(weights) < 2:
        return tuple(weights.items())
    return tuple(sorted(weights.items(), key=lambda item: (-item[1], item[0])))


def heaviest(weights: Mapping[int, int], count: int = MOST_STACKS) -> tuple[tuple[int, int], ...]:
    """As ``largest_first``, but only the first ``count``."""
    items: Iterable[tuple[int, int]] = weights.items()
    return tuple(nlargest(count, items, key=lambda item: (item[1], -item[0])))


def bump(weights: dict[_Key, int], key: _Key, amount: int) -> None:
    """Add to one of them; what comes to nothing goes."""
    total = weights.get(key, 0) + amount
    if total > 0:
        weights[key] = total
    else:
        weights.pop(key, None)
