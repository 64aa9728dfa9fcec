"""What keeps a service from its work besides long polls, in sentences.

A service that hardly runs has no long poll either: "no poll of 5 ms" never stands alone above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.model import Rung
from hud.text import printable

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot, WorkerUse

_MOST_NAMES = 3
_MUCH_STOPPED = 0.01
_MUCH_WAITING = 0.1
_BUSY = 0.7
_IDLE = 0.05
_CHILDREN_BUSY = 0.2
"""Parts of the time, or of one CPU: beyond these it is worth a sentence."""
_LEAST_BUSY = _BUSY * _MUCH_WAITING
"""Who was in polls for less of all its time was not busy for most of the time that it had a CPU."""


def findings(snapshot: Snapshot) -> list[str]:
    """What keeps the service from its work besides long polls."""
    others = (_pool(snapshot), _busy(snapshot), _children(snapshot))
    return [*without_cpu(snapshot), *filter(None, others)]


def without_cpu(snapshot: Snapshot) -> list[str]:
    """Those of them that say that the workers had no CPU."""
    return [*filter(None, (_quota(snapshot), _waiting(snapshot)))]


def _quota(snapshot: Snapshot) -> str:
    host = snapshot.host
    if host.throttled_ns < _MUCH_STOPPED * snapshot.elapsed_ns:
        return ""
    quota = f" ({printable(host.quota)})" if host.quota else ""
    time = figures.long_duration(host.throttled_ns)
    whole = figures.long_duration(snapshot.elapsed_ns)
    # each CPU's run queue counts for itself
    of = f"of {whole}" if host.throttled_ns <= snapshot.elapsed_ns else f"in {whole}, CPUs added up"
    return f"A CPU quota{quota} stopped the service for {time} {of}."


def _waiting(snapshot: Snapshot) -> str:
    whole = snapshot.worker_time_ns
    if not whole or snapshot.waiting_ns < _MUCH_WAITING * whole:
        return ""
    share = figures.percent(snapshot.waiting_ns / whole)
    return f"Workers were ready to run but had no CPU for {share} of their time."


def _pool(snapshot: Snapshot) -> str:
    tasks = snapshot.tasks_read
    if tasks is None or not tasks.pool_full:
        return ""
    jobs = figures.count(tasks.pool_waited, "job")
    return (
        f"A blocking pool was full: all {figures.count(tasks.pool_full)} of its threads busy, "
        f"and up to {jobs} waiting for one."
    )


def _busy(snapshot: Snapshot) -> str:
    """Workers whose time went into polls that are each too short to count; of the time that they
    did not wait for a CPU.
    """
    if snapshot.info.detection.rung is not Rung.CONTEXT:
        return ""
    busy = (use for use in snapshot.workers if use.split.poll_cpu_ns >= _LEAST_BUSY * use.time_ns)
    shares = {use.worker.worker_id: _short_polls(use) for use in busy}
    found = sorted((number for number in shares if shares[number] >= _BUSY), key=shares.__getitem__)
    if not found:
        return ""
    names = [f"W{number}" for number in sorted(found[-_MOST_NAMES:])]
    more = len(found) - len(names)
    who = ", ".join(names) + (f" and {more} more" if more else "")
    verb = "was" if len(found) == 1 else "were"
    up_to = "" if len(found) == 1 else "up to "
    most = f"{up_to}{figures.percent(shares[found[-1]])}"
    had = "the time that it had a CPU" if len(found) == 1 else "the time that they had a CPU"
    of = had if _waiting(snapshot) else "the time"
    threshold = figures.long_duration(snapshot.info.threshold_ns)
    return f"{who} {verb} busy for {most} of {of}, with polls shorter than {threshold}."


def _short_polls(use: WorkerUse) -> float:
    time_ns = use.time_ns - use.split.waiting_ns
    short_ns = use.split.poll_cpu_ns - use.blocked_ns
    return min(1.0, short_ns / time_ns) if time_ns > _MUCH_WAITING * use.time_ns else 0.0


def _children(snapshot: Snapshot) -> str:
    """A parent that does nothing itself: its children are where to look."""
    children = snapshot.host.children
    busy_ns = sum(one.cpu_ns for one in children)
    elapsed = snapshot.elapsed_ns
    if not busy_ns or busy_ns < _CHILDREN_BUSY * elapsed:
        return ""
    own_ns = sum(use.split.poll_cpu_ns + use.split.runtime_ns for use in snapshot.workers)
    if own_ns > _IDLE * elapsed:
        return ""
    named = [
        f"{printable(one.name)} (pid {one.pid}) {figures.percent(one.cpu_ns / elapsed)}"
        for one in children[:_MOST_NAMES]
    ]
    more = len(children) - len(named)
    also = f" and {more} more" if more else ""
    return (
        f"Its workers are idle, and its children do the work: {', '.join(named)} of a CPU{also}; "
        f"attach there: hud --pid {children[0].pid}."
    )
