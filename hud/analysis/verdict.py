"""How bad it is, in a word and in sentences: the same wherever people read it.

A worker is *stuck* when its poll has lasted a second, and at least the threshold.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis import standoff
from hud.analysis.blame import blame_of
from hud.analysis.episodes.doubts import several
from hud.analysis.findings import findings, without_cpu
from hud.analysis.lasting import STUCK_NS
from hud.analysis.runtimes import BLOCK_ON
from hud.analysis.shortnames import shorten
from hud.model import Rung
from hud.text import printable

if TYPE_CHECKING:
    from hud.analysis.results import Blocker, Episode, RuntimeUse, Snapshot

_MOST_OTHERS = 2
"""Runtimes beside the worst one that are named."""
_SHORTEST_NAME = 12
"""Characters: less of a function's name says nothing."""
_STANDS_OUT = 1.5
"""A worker this many times as blocked as its runtime is named."""
_OK, _SLOW, _NO_CPU = 1, 10, 10
"""Percent of worker time: less is OK, less is slow, more without a CPU matters most."""
_LITTLE = 10
"""Percent of the blocked time: what makes up less is not what to begin with."""
_IN_WORDS = {"A third": range(30, 37), "Half": range(45, 56)}
_MOST = 60
_NAMED, _NAME_ROOMS = 20, (48, 24, 16)
"""Rows whose names are told apart, and the characters that one has in a sentence."""
_SHORT = 90
"""Characters: in fewer the figure leaves out that it is of what was blocked."""


class Badge(Enum):
    """How bad it is in a word, for the time that the figures cover."""

    OK = "OK"
    SLOW = "SLOW"
    BLOCKED = "BLOCKED"
    NO_CPU = "NO CPU"
    """The workers wait for a CPU, for more of their time than they are blocked."""
    STUCK = "STUCK"


def badge(snapshot: Snapshot) -> Badge | None:
    """Of the runtime that is worst off; None = what was seen is not enough for a word."""
    if stuck_episodes(snapshot):
        return Badge.STUCK
    if _starved(snapshot):
        return Badge.NO_CPU
    blocked_part = _blocked_part(snapshot)
    if blocked_part >= _OK:
        return Badge.SLOW if blocked_part < _SLOW else Badge.BLOCKED
    polls = snapshot.info.detection.rung is Rung.CONTEXT
    return Badge.OK if polls and snapshot.workers and not findings(snapshot) else None


def _starved(snapshot: Snapshot) -> bool:
    return _percent(_without_cpu(snapshot)) > max(_blocked_part(snapshot), _NO_CPU)


def _blocked_part(snapshot: Snapshot) -> float:
    return _percent(max((one.share for one in snapshot.runtimes), default=0.0))


def _percent(share: float) -> float:
    """With the digits that people see."""
    return round(100 * share, 1)


def _without_cpu(snapshot: Snapshot) -> float:
    """The largest part of a runtime's time for which its workers were ready, or the service
    stopped by a quota.
    """
    stopped = snapshot.host.throttled_ns / max(snapshot.elapsed_ns, 1)
    waiting = [one.waiting_ns / one.time_ns for one in snapshot.runtimes if one.time_ns]
    return max([min(stopped, 1.0), *waiting])


def sentences(snapshot: Snapshot, room: int = 0) -> list[str]:
    """The first says it all; then what else keeps the service from its work. ``room`` = characters
    for the first two: in few the figure is short, beside the badge, and so are names.
    """
    others, held = findings(snapshot), stuck(snapshot, room)
    first = without_cpu(snapshot) if not held and _starved(snapshot) else []
    form = _AFTER if first else _BADGED if room < _SHORT else _FIGURE
    figure = _figure(snapshot, form if room else _FIGURE)
    if not snapshot.episodes:  # that there is no long poll is not the news
        return [*others, figure]
    left = max(room - len(figure) - 1, 1) if room else 0
    largest = [] if held else concentration(snapshot, left)
    return [*held, *first, figure, *largest, *others[len(first) :]]


_FIGURE, _BADGED = " of worker time{seen} was blocked", " of worker time{seen}"
_AFTER = " was blocked"
"""How much of what: in full, beside the badge, and after what else the time went to."""


def _figure(snapshot: Snapshot, of: str) -> str:
    if snapshot.info.detection.rung is Rung.LATENCY:
        return _waits_only(snapshot)
    if not snapshot.workers:
        return "No worker was seen yet." if snapshot.live else "No worker was seen."
    return blocked(snapshot, of) if snapshot.episodes else _nothing(snapshot)


def living(snapshot: Snapshot) -> int:
    """How many workers there are now, or were when the run ended; threads that only poll a root
    future beside them are none.
    """
    runtimes = [use.worker.runtime for use in snapshot.workers if use.drives]
    return len(runtimes) - runtimes.count(BLOCK_ON) or len(runtimes)


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
        stuck_now = " are stuck" if snapshot.live else " were stuck"
        short = 0 < room < _SHORT
        who = f"{figures.count(len(found))} workers{'' if short else stuck_now}: {who}"
    time = figures.long_duration(worst.duration_ns)
    since = ", since before hud attached" if worst.began_before else ""
    said = f"has been in one poll for {time}{since}"
    if not snapshot.live:
        said = f"was in a poll that has not ended, {time} so far{since}"
    at = blame_of(worst.stack, snapshot.stacks)
    name = ("~" if at.inferred else "") + printable(at.function)
    head, tail = f"{who} {said}: ", f" ({worst.cause.value})"
    spare = room - len(head) - len(tail)
    if room and spare < min(len(name), _SHORTEST_NAME):
        return head.removesuffix(": ")
    if room and spare < len(name):
        name = "..." + name[len(name) - spare + 3 :]
    return f"{head}{name}{tail}"


# --------------------------------------------------------------------------- blocked


def blocked(snapshot: Snapshot, of: str = _FIGURE) -> str:
    """The part of its worker time for which the worst runtime was blocked; of that which was seen,
    where there was a time of which nothing is known, else at least where events were lost."""
    polls = snapshot.info.detection.rung is Rung.CONTEXT
    noun = "long poll" if polls else "stretch of CPU samples"
    many = "long polls" if polls else "stretches of CPU samples"

    def count(number: int) -> str:
        return f"{figures.count(number)} {noun if number == 1 else many}"

    doubt = several(snapshot)
    if not snapshot.runtimes or not snapshot.worker_time_ns:
        time = figures.long_duration(snapshot.blocked_ns)
        least = "at least " if _lost(snapshot) else ""
        return f"Workers were blocked for {least}{time}, in {count(snapshot.episodes)}{doubt}."
    worst, *others = snapshot.runtimes
    seen = " that was seen" if snapshot.unseen_ns else ""
    least = "At least " if _lost(snapshot) and not seen else ""
    share = least + figures.percent(worst.share)
    if not others:
        polls_of = f"{count(worst.episodes)}{doubt}{_most(worst)}"
        return f"{share}{of.format(seen=seen)}, in {polls_of}."
    said = f"{share} of the worker time{seen} of {_runtime(worst)} was blocked"
    return f"{said}, in {count(worst.episodes)}{_most(worst, named=True)}; {_others(others)}."


def _lost(snapshot: Snapshot) -> int:
    """Events of which nobody knows what they said, and threads that nobody watched."""
    return snapshot.losses.ring_full + snapshot.losses.threads_full


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
    what = "poll" if polls else "stretch of CPU samples in one function"
    threshold = figures.long_duration(snapshot.info.threshold_ns)
    said = f"No {what} of {threshold} or more in {figures.long_duration(snapshot.span_ns)}"
    if snapshot.longest_poll_ns:
        said += f"; the longest was {figures.long_duration(snapshot.longest_poll_ns)}"
    return f"{said}{', of those that were seen: events were lost' if _lost(snapshot) else ''}."


def _waits_only(snapshot: Snapshot) -> str:
    threshold = figures.long_duration(snapshot.info.threshold_ns)
    span = figures.long_duration(snapshot.span_ns)
    number = figures.count(snapshot.latencies)
    return (
        "No worker is known: only waits for a CPU were seen, "
        f"{number} of {threshold} or more in {span}."
    )


# --------------------------------------------------------------------------- what to begin with


def heaviest(snapshot: Snapshot) -> Blocker | None:
    """The row whose main call makes up the largest part of the blocked time; None = none makes up
    enough of it to begin with.
    """
    row = max(snapshot.blockers[:_NAMED], key=_main_ns, default=None)
    return row if row is not None and _part(row, snapshot) >= _LITTLE else None


def concentration(snapshot: Snapshot, room: int = 0) -> list[str]:
    """The call that makes up the largest part of the blocked time, and how large that is; with the
    longest form that has at most ``room`` characters, the shortest in any case.
    """
    if not snapshot.blockers or not snapshot.blocked_ns:
        return []
    of = "it" if len(snapshot.runtimes) < 2 else "the blocked time"
    row = heaviest(snapshot)
    if row is None:
        most = max(_part(one, snapshot) for one in snapshot.blockers[:_NAMED])
        return [f"No single call makes up more than {figures.percent(most / 100)} of {of}."]
    percent = _part(row, snapshot)
    what = "call" if row.operation else "function"
    part = _fraction(percent)
    said = [f"{part} of {of} is one {what}: {_call(row, snapshot, most)}." for most in _NAME_ROOMS]
    said.append(f"{part}: {_call(row, snapshot, _NAME_ROOMS[-1]).partition(' in ')[0]}.")
    return [next((one for one in said if not room or len(one) <= room), said[-1])]


def _part(row: Blocker, snapshot: Snapshot) -> float:
    """Percent of the blocked time."""
    return 100 * min(_main_ns(row) / max(snapshot.blocked_ns, 1), 1.0)


def _main_ns(row: Blocker) -> int:
    """Of its main case, where that is a call."""
    return row.cases[0].total_ns if row.operation and row.cases else row.total_ns


def _fraction(percent: float) -> str:
    """In words only where these are right."""
    whole = round(percent)
    if whole == 100:
        return "All"
    for words, right in _IN_WORDS.items():
        if whole in right:
            return words
    said = figures.percent(percent / 100)
    return f"Most ({said})" if percent > _MOST else said


def _call(row: Blocker, snapshot: Snapshot, most: int) -> str:
    """``bcrypt::hash in login::hash_password``, each name in at most so many characters."""
    names = [printable(one.function) for one in snapshot.blockers[:_NAMED]]
    at = snapshot.blockers[:_NAMED].index(row)
    name = ("~" if row.inferred else "") + shorten(names, most)[at]
    if not row.operation:
        return name
    operation, _ = shorten([printable(row.operation), names[at]], most)
    return f"{operation} in {name}"
