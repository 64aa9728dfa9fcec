"""A row for each worker: what it does now, and where its time went in the span.

All are made for each snapshot, for time goes on for all: hundreds must cost next to nothing.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis import runtimes
from hud.analysis.results import WorkerUse
from hud.analysis.tally import Worked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    doing = {episode.tid: episode for episode in lasting}
    splits, there_ns = recording.splits(span.since_ns), _there_ns(recording, span.now_ns)
    dead, states, rung = recording.workers.died_ns, recording.states, recording.info.detection.rung
    idle = Worked(ledger.history).told()
    rows = []
    for tid, worker in recording.workers.items():
        split, worked = splits[tid], ledger.by_tid.get(tid)
        longest_ns, episodes, history, blocked_ns, causes = worked.told() if worked else idle
        time_ns = runtimes.time_of(split, there_ns[tid], span.seen_ns)
        use = WorkerUse(
            worker,
            tid not in dead,
            states.get(tid),
            runtimes.as_parked(split, time_ns, rung),
            longest_ns,
            episodes,
            history,
            time_ns,
            blocked_ns,
            causes,
            doing.get(tid),
            recording.drives(tid),
        )
        rows.append(use)
    return tuple(sorted(rows, key=attrgetter("worker.worker_id", "worker.tid")))


def _there_ns(recording: Recording, now_ns: int) -> Mapping[int, int]:
    """How long each has been seen, 0 where it is dead; many were first seen at one moment."""
    born_ns = recording.workers.born_ns
    ages = {born: now_ns - born - recording.unseen_ns(born) for born in set(born_ns.values())}
    there_ns = {tid: ages[born] for tid, born in born_ns.items()}
    return there_ns | dict.fromkeys(recording.workers.died_ns, 0)
