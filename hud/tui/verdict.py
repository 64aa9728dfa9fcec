"""The screen's answer in words: how bad it is, and what cannot be seen.

Terms: a worker is *stuck* when the poll it is in now has lasted at least a second (and at least
the threshold).
"""

from __future__ import annotations

from typing import NamedTuple

from hud.analysis.doubts import in_words, several
from hud.model import Cause, Origin, Rung, Snapshot, Where, WorkerUse
from hud.tui.text import clean, spoken, spoken_percent

STUCK_NS = 1_000_000_000
_POLLS = (Where.POLL, Where.ROOT)
_MOST = 0.9
"""Functions that make up this share of the blocked time are worth counting..."""
_FEW = 5
"""... if they are not more than these."""
_SCANNED = 1_000
"""Blockers searched for a stack; the rest hardly matters."""


class Place(NamedTuple):
    """Code that a worker is in now."""

    function: str
    cause: Cause | None


def poll_ns(use: WorkerUse, now_ns: int) -> int:
    """For how long the worker has been in its poll; 0 = it is in none."""
    state = use.state
    if state is None or not use.alive or state.where not in _POLLS or not state.poll_start_ns:
        return 0
    return max(now_ns - state.poll_start_ns, 0)


def is_stuck(use: WorkerUse, snapshot: Snapshot) -> bool:
    """See the module."""
    if not snapshot.live:
        return False
    return poll_ns(use, snapshot.now_ns) >= max(STUCK_NS, snapshot.info.threshold_ns)


def place_of(stack_key: int, snapshot: Snapshot) -> Place | None:
    """Whose code a stack is in; None = not known."""
    if not stack_key:
        return None
    for blocker in snapshot.blockers[:_SCANNED]:
        if any(known == stack_key for known, _ in blocker.stacks):
            return Place(blocker.function, blocker.cause)
    stack = snapshot.stacks.get(stack_key)
    frames = (stack.frames if stack else None) or ()
    named = [frame for frame in frames if frame.function]
    own = next((f for f in named if f.origin is Origin.USER), named[0] if named else None)
    return Place(own.function, None) if own else None


def verdict(snapshot: Snapshot) -> list[str]:
    """Sentences for the top of the screen, the first says it all; clean text."""
    stuck = [use for use in snapshot.workers if is_stuck(use, snapshot)]
    if stuck:
        return [_stuck(stuck, snapshot)]
    if not snapshot.workers and snapshot.info.detection.rung is not Rung.LATENCY:
        return ["No worker was seen yet."]
    if not snapshot.episodes:
        return _nothing(snapshot)
    share = snapshot.blocked_ns / max(snapshot.worker_time_ns, 1)
    said = f"{spoken_percent(share)} of worker time is blocked{_doubt(snapshot)}."
    return [said, *_concentration(snapshot)]


def _doubt(snapshot: Snapshot) -> str:
    words = several(snapshot)
    return f", in {snapshot.episodes:,} poll{'s' * (snapshot.episodes > 1)}{words}" if words else ""


def _stuck(stuck: list[WorkerUse], snapshot: Snapshot) -> str:
    worst = max(stuck, key=lambda use: poll_ns(use, snapshot.now_ns))
    lasted = spoken(poll_ns(worst, snapshot.now_ns))
    said = f"W{worst.worker.worker_id} has been in one poll "
    before = worst.state is not None and worst.state.began_before
    said += f"since before hud attached, {lasted} ago" if before else f"for {lasted}"
    place = place_of(worst.state.asleep_stack if worst.state else 0, snapshot)
    if place is not None:
        said += f": {clean(place.function)}"
        said += f" ({place.cause.value})" if place.cause else ""
    others = len(stuck) - 1
    return f"{said}, and {others} more stuck" if others else said


def _nothing(snapshot: Snapshot) -> list[str]:
    threshold = snapshot.info.threshold_ns
    least, time = spoken(threshold), spoken(snapshot.span_ns)
    rung = snapshot.info.detection.rung
    if rung is Rung.LATENCY:
        if not snapshot.latencies:
            return [f"No wait for a CPU of {least} or more in {time}."]
        waits = f"{snapshot.latencies} wait" + ("s" if snapshot.latencies > 1 else "")
        longest = spoken(snapshot.latency_max_ns)
        return [f"{waits} for a CPU of {least} or more in {time}; the longest was {longest}."]
    said = "t lowers the threshold." if snapshot.live else "--threshold 1 looks closer."
    closer = [said] if threshold > 1_000_000 else []
    if rung is not Rung.CONTEXT:
        return [f"No function ran for {least} or more in {time}.", *closer]
    longest_poll = snapshot.longest_poll_ns
    longest = f"; the longest was {spoken(longest_poll)}" if longest_poll else ""
    return [f"No poll of {least} or more in {time}{longest}.", *closer]


def _concentration(snapshot: Snapshot) -> list[str]:
    if len(snapshot.blockers) == 1:
        return ["One function makes up all of it."]
    total = max(snapshot.blocked_ns, 1)
    number = sum_ns = 0
    for blocker in snapshot.blockers[:_FEW]:
        number += 1
        sum_ns += blocker.total_ns
        if sum_ns >= _MOST * total:
            break
    if not number:
        return []
    share = spoken_percent(min(sum_ns / total, 1.0))
    if number == 1:
        return [f"One function makes up {share} of it."]
    if sum_ns < _MOST * total:
        return [f"The first {number} functions make up {share} of it."]
    return [f"{number} functions make up {share} of it."]


def caveats(snapshot: Snapshot) -> list[str]:
    """What the user must know about this run, the weightiest first; clean text."""
    detection = snapshot.info.detection
    said: list[str] = []
    if detection.rung is not Rung.CONTEXT:
        # What it means comes first: the rest is what a narrow terminal cuts off.
        why = f" Why: {clean(detection.reason)}." if detection.reason else ""
        said.append(f"Polls are not seen ({detection.rung.name}). {_RUNGS[detection.rung]}{why}")
    said += [f"{sentence}." for sentence in in_words(snapshot)]
    return said + [clean(note) for note in snapshot.info.notes]


_RUNGS = {
    Rung.STACKS: "Blockers are runs of CPU samples; a blocker that sleeps is missed.",
    Rung.NAMES: "Blockers are runs of CPU samples, sleep is missed; workers go by thread names.",
    Rung.LATENCY: "Only waits for a CPU are seen, of every thread.",
}
