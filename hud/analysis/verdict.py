"""How bad it is, in sentences: the same for the summary, the screen and all that people read.

What keeps a service from its work without a single long poll has a sentence of its own, so that
"no poll of 5 ms" never stands alone above a service that hardly runs.

A worker is *stuck* when its poll has lasted a second, and at
least the threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis import standoff
from hud.analysis.blame import blame
from hud.analysis.episodes.doubts import several
from hud.analysis.lasting import STUCK_NS
from hud.analysis.runtimes import BLOCK_ON
from hud.model import Rung
from hud.text import printable

if TYPE_CHECKING:
    from hud.analysis.results import Episode, RuntimeUse, Snapshot, WorkerUse

_MOST_OTHERS = 2
"""Runtimes beside the worst one that are named."""
_MOST_NAMES = 3
_SHORTEST_NAME = 12
"""Characters: less of a function's name says nothing."""
_STANDS_OUT = 1.5
"""A worker this many times as blocked as its runtime is named."""
_MUCH_STOPPED = 0.01
_MUCH_WAITING = 0.1
_BUSY = 0.7
_IDLE = 0.05
_CHILDREN_BUSY = 0.2
"""Parts of the time, or of one CPU: beyond these it is worth a sentence."""


def sentences(snapshot: Snapshot, room: int = 0) -> list[str]:
    """The first says it all; then what else keeps the service from its work. ``room`` as of
    ``stuck``.
    """
    figure, others = _figure(snapshot), findings(snapshot)
    # without a long poll, that there is none is not the news
    rest = [figure, *others] if snapshot.episodes else [*others, figure]
    return [*stuck(snapshot, room), *rest]


def _figure(snapshot: Snapshot) -> str:
    if snapshot.info.detection.rung is Rung.LATENCY:
        return _waits_only(snapshot)
    if not snapshot.workers:
        return "No worker was seen yet." if snapshot.live else "No worker was seen."
    return blocked(snapshot) if snapshot.episodes else _nothing(snapshot)


def living(snapshot: Snapshot) -> int:
    """How many workers there are now, or were when the run ended; threads that only poll a root
    future beside them are none.
    """
    runtimes = [use for use in snapshot.workers if use.drives]
    workers = [use for use in runtimes if use.worker.runtime != BLOCK_ON]
    return len(workers or runtimes)


def nothing_else(snapshot: Snapshot) -> bool:
    """No long poll, and no other finding: a smaller threshold may be worth a try."""
    known = snapshot.info.detection.rung is not Rung.LATENCY and bool(snapshot.workers)
    return known and not snapshot.episodes and not findings(snapshot)


# --------------------------------------------------------------------------- stuck


def stuck_episodes(snapshot: Snapshot) -> list[Episode]:
    """The polls that workers are stuck in, or were when the run ended; the longest first."""
    least = max(STUCK_NS, snapshot.info.threshold_ns)
    return [one for one in snapshot.lasting if one.duration_ns >= least]


def stuck(snapshot: Snapshot, room: int = 0) -> list[str]:
    """Who is stuck, and where; ``room`` = characters, of which a long name leaves some out."""
    found = stuck_episodes(snapshot)
    if not found:
        return []
    said = [standoff.in_words(snapshot.standoff)] if snapshot.standoff else []
    return [*said, _longest(found, snapshot, room)]


def _longest(found: list[Episode], snapshot: Snapshot, room: int) -> str:
    worst = found[0]
    who = f"W{worst.worker_id}"
    if len(found) > 1:
        who = (
            f"{figures.count(len(found))} workers {'are' if snapshot.live else 'were'} stuck: {who}"
        )
    time = figures.long_duration(worst.duration_ns)
    since = ", since before hud attached" if worst.began_before else ""
    said = f"has been in one poll for {time}{since}"
    if not snapshot.live:
        said = f"was in a poll that has not ended, {time} so far{since}"
    at = blame(snapshot.stacks.get(worst.stack))
    name = ("~" if at.inferred else "") + printable(at.function)
    head, tail = f"{who} {said}: ", f" ({worst.cause.value})"
    spare = room - len(head) - len(tail)
    if room and spare < min(len(name), _SHORTEST_NAME):
        return head.removesuffix(": ")
    if room and spare < len(name):
        name = "..." + name[len(name) - spare + 3 :]
    return f"{head}{name}{tail}"


# --------------------------------------------------------------------------- blocked


def blocked(snapshot: Snapshot) -> str:
    """The part of its worker time for which the worst runtime was blocked."""
    polls = snapshot.info.detection.rung is Rung.CONTEXT
    noun = "poll" if polls else "stretch of CPU samples"
    many = "polls" if polls else "stretches of CPU samples"

    def count(number: int) -> str:
        return f"{figures.count(number)} {noun if number == 1 else many}"

    doubt = several(snapshot)
    if not snapshot.runtimes or not snapshot.worker_time_ns:
        time = figures.long_duration(snapshot.blocked_ns)
        return f"Workers were blocked for {time}, in {count(snapshot.episodes)}{doubt}."
    worst, *others = snapshot.runtimes
    share = figures.percent(worst.share)
    if not others:
        polls_of = f"{count(worst.episodes)}{doubt}{_most(worst)}"
        return f"{share} of worker time was blocked, in {polls_of}."
    said = f"{share} of the worker time of {_runtime(worst)} was blocked"
    return f"{said}, in {count(worst.episodes)}{_most(worst, named=True)}; {_others(others)}."


def _runtime(one: RuntimeUse) -> str:
    return f"runtime {printable(one.name)}" if one.name else "a runtime without a name"


def _most(runtime: RuntimeUse, *, named: bool = False) -> str:
    """The worker that stands out; ``named`` = in any case."""
    stands_out = runtime.workers > 1 and runtime.worst_share >= _STANDS_OUT * runtime.share
    if runtime.worst < 0 or not (stands_out or named):
        return ""
    return f" (W{runtime.worst}: {figures.percent(runtime.worst_share)})"


def _others(others: list[RuntimeUse]) -> str:
    named = [
        f"of {printable(one.name) or 'the others'} {figures.percent(one.share)}"
        for one in others[:_MOST_OTHERS]
    ]
    more = len(others) - len(named)
    return ", ".join(named) + (f", of {more} more at most as much" if more else "")


def _nothing(snapshot: Snapshot) -> str:
    polls = snapshot.info.detection.rung is Rung.CONTEXT
    what = "poll" if polls else "row of CPU samples in one function"
    threshold = figures.long_duration(snapshot.info.threshold_ns)
    said = f"No {what} of {threshold} or more in {figures.long_duration(snapshot.span_ns)}"
    if snapshot.longest_poll_ns:
        said += f"; the longest was {figures.long_duration(snapshot.longest_poll_ns)}"
    return f"{said}."


def _waits_only(snapshot: Snapshot) -> str:
    threshold = figures.long_duration(snapshot.info.threshold_ns)
    span = figures.long_duration(snapshot.span_ns)
    number = figures.count(snapshot.latencies)
    return (
        "No worker is known: only waits for a CPU were seen, "
        f"{number} of {threshold} or more in {span}."
    )


# --------------------------------------------------------------------------- what else it may be


def findings(snapshot: Snapshot) -> list[str]:
    """What keeps the service from its work besides long polls."""
    found = (_quota(snapshot), _waiting(snapshot), _pool(snapshot), _busy(snapshot))
    return [*filter(None, found), *filter(None, [_children(snapshot)])]


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
    shares = {use.worker.worker_id: _short_polls(use) for use in snapshot.workers}
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
    own_ns = sum(use.split.poll_cpu_ns + use.split.runtime_ns for use in snapshot.workers)
    elapsed = snapshot.elapsed_ns
    if not busy_ns or busy_ns < _CHILDREN_BUSY * elapsed or own_ns > _IDLE * elapsed:
        return ""
    named = [
        f"{printable(one.name)} (pid {one.pid}) {figures.percent(one.cpu_ns / elapsed)}"
        for one in children[:_MOST_NAMES]
    ]
    more = len(children) - len(named)
    also = f" and {more} more" if more else ""
    return (
        f"Its workers are idle, and its children do the work: {', '.join(named)} of a CPU{also}; "
        f"hud --pid {children[0].pid} looks there."
    )
