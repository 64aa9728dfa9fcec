"""Can two runs be compared at all? Where they were not seen alike, a difference says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.analysis.results import Snapshot

SHORTEST_NS = 2_000_000_000
_PRESSURE = 0.1
"""Of worker time: by so much more one run may have waited for a CPU."""
_LOAD = 3.0
"""The ratio of the work done beside the blockers, per worker."""
_IDLE = 0.05
"""Of worker time: work below that is not compared."""


def why_not(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Sentences; none = they can be compared."""
    return (*_seen(before, after), *_done(before, after))


def _seen(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """How hud looked."""
    runs = (("before", before), ("after", after))
    for name, run in runs:
        if run.span_ns < SHORTEST_NS:
            yield f"{name}: {figures.long_duration(run.span_ns)} is too short"
        lost = run.losses.ring_full + run.losses.threads_full
        if lost:
            yield f"{name}: {figures.count(lost, 'event')} or threads were lost"
    rungs = [run.info.detection.rung for _, run in runs]
    if rungs[0] is not rungs[1]:
        yield "workers and polls were seen in different ways: see `hud info` of both"
    thresholds = [run.info.threshold_ns for _, run in runs]
    if thresholds[0] != thresholds[1]:
        said = [figures.long_duration(threshold) for threshold in thresholds]
        yield f"the thresholds differ: {said[0]} and {said[1]}"


def _done(before: Snapshot, after: Snapshot) -> Iterator[str]:
    """What the service and its machine were doing."""
    waits = [run.waiting_ns / max(1, run.worker_time_ns) for run in (before, after)]
    if abs(waits[1] - waits[0]) > _PRESSURE:
        said = [figures.percent(wait) for wait in waits]
        yield f"the workers waited for a CPU {said[0]} of the time, then {said[1]}"
    loads = [_work(run) for run in (before, after)]
    if max(loads) > _IDLE and max(loads) > _LOAD * min(loads):
        said = [figures.percent(load) for load in loads]
        yield f"the load differs: besides the blockers the workers worked {said[0]}, then {said[1]}"


def _work(run: Snapshot) -> float:
    """On a CPU outside of blockers, of worker time."""
    on_cpu = sum(
        use.split.poll_cpu_ns + use.split.runtime_ns + use.split.unknown_cpu_ns
        for use in run.workers
    )
    blocked = sum(row.on_cpu_ns for row in run.blockers)
    return max(0, on_cpu - blocked) / max(1, run.worker_time_ns)
