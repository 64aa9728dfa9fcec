"""A row for each worker: what it does now, and where its time went in the span.

All are made for each snapshot, for time goes on for all: hundreds must cost next to nothing. So
they are made by columns, a list each, that become rows all at once.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis import runtimes
from hud.analysis.results import WorkerUse
from hud.analysis.tally import Worked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hud.analysis.ledger import Ledger
    from hud.analysis.recording import Recording
    from hud.analysis.results import Episode


class Span(NamedTuple):
    """Which part of the run the rows are of."""

    now_ns: int
    since_ns: int
    """0 = all of it."""
    seen_ns: int
    """How long it is, without the time for which no event came through."""


def worker_uses(
    recording: Recording, ledger: Ledger, span: Span, lasting: Iterable[Episode]
) -> tuple[WorkerUse, ...]:
    """In the order of their numbers."""
    workers = recording.workers.in_order()
    if not workers:
        return ()
    tids = [worker.tid for worker in workers]
    splits = recording.splits_of(tids, span.since_ns)
    there_ns = _there_ns(recording, tids, span.now_ns)
    time_ns = list(map(runtimes.time_of, splits, there_ns, repeat(span.seen_ns)))
    rung, idle = recording.info.detection.rung, Worked(ledger.history).told()
    worked = [one.told() if one else idle for one in map(ledger.by_tid.get, tids)]
    longest_ns, episodes, histories, blocked_ns, causes = zip(*worked, strict=True)
    dead, gone = recording.workers.died_ns, recording.no_workers()
    rows = zip(
        workers,
        [tid not in dead for tid in tids],
        map(recording.states.get, tids),
        map(runtimes.as_parked, splits, time_ns, repeat(rung)),
        longest_ns,
        episodes,
        histories,
        time_ns,
        blocked_ns,
        causes,
        map({episode.tid: episode for episode in lasting}.get, tids),
        [tid not in gone for tid in tids],
        strict=False,
    )
    return tuple(map(tuple.__new__, repeat(WorkerUse), rows))


def _there_ns(recording: Recording, tids: Iterable[int], now_ns: int) -> Sequence[int]:
    """How long each has been seen, 0 where it is dead; many were first seen at one moment."""
    born_ns, dead = recording.workers.born_ns, recording.workers.died_ns
    ages = {born: now_ns - born - recording.unseen_ns(born) for born in set(born_ns.values())}
    return [0 if tid in dead else ages[born_ns[tid]] for tid in tids]
