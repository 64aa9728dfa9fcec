"""The screen's answer in words: how bad it is, and what cannot be seen."""

from __future__ import annotations

from typing import NamedTuple

from hud import figures
from hud.analysis.blame import blame
from hud.analysis.cause import Cause
from hud.analysis.episodes.doubts import in_words
from hud.analysis.lasting import STUCK_NS
from hud.analysis.quality import sees_every_poll
from hud.analysis.results import Snapshot, WorkerUse
from hud.analysis.verdict import nothing_else, sentences
from hud.model import Origin, Rung, Where
from hud.tui.cache import kept
from hud.tui.layout import Item
from hud.tui.style import Span
from hud.tui.text import clean

_POLLS = (Where.POLL, Where.ROOT)


class CurrentCode(NamedTuple):
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
    """Its poll has lasted at least a second, and at least the threshold."""
    if not snapshot.live:
        return False
    return poll_ns(use, snapshot.now_ns) >= max(STUCK_NS, snapshot.info.threshold_ns)


def current_code(use: WorkerUse, snapshot: Snapshot) -> CurrentCode | None:
    """Whose code a worker is in now; None = not known."""
    if use.doing is not None and use.doing.stack:
        at = blame(snapshot.stacks.get(use.doing.stack))
        return CurrentCode(("~" if at.inferred else "") + at.function, use.doing.cause)
    key = use.state.asleep_stack if use.state else 0
    stack = snapshot.stacks.get(key) if key else None
    frames = (stack.frames if stack else None) or ()
    named = [frame for frame in frames if frame.function]
    own = next((f for f in named if f.origin is Origin.USER), named[0] if named else None)
    return CurrentCode(own.function, None) if own else None


def verdict(snapshot: Snapshot, width: int = 0) -> list[str]:
    """Sentences for the top of the screen, the first says it all; clean text. With ``width`` they
    are as long as fits.
    """
    said = sentences(snapshot, width)
    if nothing_else(snapshot) and snapshot.info.threshold_ns > 1_000_000:
        lower = "t lowers the threshold." if snapshot.live else "Try --threshold 1."
        said = [*said, lower]
    return [clean(sentence) for sentence in said]


@kept(2)
def how_sure(snapshot: Snapshot) -> list[Item]:
    """What the figures rest on, in the order in which it is read; what may go first has the highest
    ``drop``.
    """
    losses = snapshot.losses
    lost = losses.total() - losses.stacks_skipped
    said = [_seen(snapshot)]
    said.append(
        Item(Span(f"{figures.count(lost)} lost", "alarm"), 0)
        if lost
        else Item(Span("nothing lost", "label"), 1)
    )
    if snapshot.exact:
        said.append(Item(Span("exact", "label"), 7))
    if losses.stacks_skipped:
        left_out = figures.count(losses.stacks_skipped, "stack")
        said.append(Item(Span(f"{left_out} left out", "label"), 4))
    if snapshot.stacks_complete < snapshot.stacks_total:
        whole = figures.percent(snapshot.stacks_complete / snapshot.stacks_total)
        said.append(Item(Span(f"{whole} of stacks complete", "label"), 5))
    own = figures.percent(snapshot.hud_cpu_ns / max(snapshot.elapsed_ns, 1))
    said.append(Item(Span(f"hud uses {own} of a core", "label"), 6))
    notes = len(caveats(snapshot))
    if notes:
        said.append(Item(Span(f"{figures.count(notes, 'note')}: ?", "own"), 3))
    return said


def _seen(snapshot: Snapshot) -> Item:
    rung = snapshot.info.detection.rung
    if rung is not Rung.CONTEXT:
        return Item(Span(f"polls not seen ({rung.name})", "own"), 0)
    every = sees_every_poll(snapshot)
    return Item(Span(f"{'every long poll' if every else 'long polls'} seen", "label"), 2)


@kept(2)
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
