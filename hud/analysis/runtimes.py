"""The runtimes of a target, each with its own worker time: a share of all of them would hide one.

A worker's *time* is the part of the span in which it drove a scheduler, asleep or not; a
runtime *ran* when one of its workers was on a CPU in the span, or in a poll.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.results import RuntimeUse
from hud.analysis.shares import Shares
from hud.model import Rung, TimeSplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hud.analysis.results import WorkerUse
    from hud.analysis.tally import Durations

BLOCK_ON = "block_on"
"""Stands for the runtime of threads that poll a root future and drive no scheduler."""


class Retired(NamedTuple):
    """What is left of a runtime's workers that died and are forgotten."""

    split: TimeSplit = TimeSplit()
    blocked_ns: int = 0
    episodes: int = 0

    def and_also(self, durations: Durations) -> Retired:
        """With the episodes of one more of them."""
        blocked_ns = self.blocked_ns + durations.total_ns
        return self._replace(blocked_ns=blocked_ns, episodes=self.episodes + durations.count)


def time_of(split: TimeSplit, alive_ns: int, span_ns: int) -> int:
    """For how long a thread was a worker; ``alive_ns`` since it was first seen, 0 = it is dead."""
    if alive_ns < span_ns:
        alive_ns = max(split.total_ns(), alive_ns)
    watched = min(span_ns, alive_ns)
    return max(0, watched - split.allowed_ns - split.outside_ns)


def as_parked(split: TimeSplit, time_ns: int, rung: Rung) -> TimeSplit:
    """The split of a worker that did not run at all since the attach: it slept all the time."""
    return split if split.parked_ns or split.total_ns() else _asleep(time_ns, rung)


@lru_cache(maxsize=8)  # they slept as long as each other
def _asleep(time_ns: int, rung: Rung) -> TimeSplit:
    if rung is Rung.CONTEXT:
        return TimeSplit(parked_ns=time_ns)
    return TimeSplit(unknown_asleep_ns=time_ns)


def uses(workers: Sequence[WorkerUse], retired: Mapping[str, Retired]) -> tuple[RuntimeUse, ...]:
    """Those that ran, the one that was blocked for the largest share first; all where none ran."""
    members: dict[str, list[WorkerUse]] = {name: [] for name in retired}
    for use in workers:
        members.setdefault(use.worker.runtime, []).append(use)
    ran = {name for name in members if _ran(members[name], retired.get(name, Retired()))}
    rows = [
        _use(name, members[name], retired.get(name, Retired()))
        for name in members
        if name in ran or not ran
    ]
    return tuple(sorted(rows, key=lambda row: (-row.share, row.name)))


def shares(runtimes: Iterable[RuntimeUse], workers: Iterable[WorkerUse]) -> Shares:
    """What to measure blockers by."""
    return Shares(
        {use.name: use.time_ns for use in runtimes},
        {use.worker.worker_id: use.worker.runtime for use in workers},
    )


def _ran(workers: Iterable[WorkerUse], retired: Retired) -> bool:
    return _busy(retired.split) or any(use.episodes or _busy(use.split) for use in workers)


def _busy(split: TimeSplit) -> bool:
    polls = split.poll_cpu_ns or split.poll_asleep_ns
    return bool(polls or split.runtime_ns or split.unknown_cpu_ns or split.waiting_ns)


def _use(name: str, workers: list[WorkerUse], retired: Retired) -> RuntimeUse:
    of_dead = retired.split.total_ns() - retired.split.no_worker_ns()
    blocked_ns, time_ns = [use.blocked_ns for use in workers], [use.time_ns for use in workers]
    shares = [
        min(blocked / time, 1.0) if blocked and time else 0.0
        for blocked, time in zip(blocked_ns, time_ns, strict=True)
    ]
    worst = max(shares, default=0.0)
    return RuntimeUse(
        name=name,
        workers=sum([use.drives for use in workers]),
        time_ns=sum(time_ns) + max(0, of_dead),
        blocked_ns=sum(blocked_ns) + retired.blocked_ns,
        waiting_ns=sum([use.split.waiting_ns for use in workers]) + retired.split.waiting_ns,
        episodes=sum([use.episodes for use in workers]) + retired.episodes,
        worst=workers[shares.index(worst)].worker.worker_id if worst else -1,
        worst_share=worst,
    )
