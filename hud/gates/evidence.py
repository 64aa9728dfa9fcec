"""Whether a run has seen enough that nothing found means that nothing was there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.recording import BREAKS_OFF
from hud.model import Rung

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.analysis.results import Snapshot
    from hud.gates.grammar import Gate

SHORTEST_NS = 1_000_000_000
"""Of a run from which something is to follow."""
_LOSSES = {
    "ring_full": "events were lost",
    "threads_full": "threads were not watched",
    "context_unreadable": "Tokio's state could not always be read",
    "recording_full": "the oldest long polls are not held one by one any more",
}
"""Those of ``Losses`` behind which a long poll may be."""


def lacks(snapshot: Snapshot) -> list[str]:
    """Why a long poll may have been missed, in words; empty where none was."""
    return list(_lacks(snapshot))


def _lacks(snapshot: Snapshot) -> Iterator[str]:
    info = snapshot.info
    if info.detection.rung is not Rung.CONTEXT:
        yield "polls were not seen, only CPU samples or waits for a CPU"
    elif not snapshot.workers:
        yield "no worker was seen"
    elif not any(use.split.poll_cpu_ns + use.split.poll_asleep_ns for use in snapshot.workers):
        yield "no poll was seen: was there load?"
    elif info.sample_period_ns > info.threshold_ns:
        yield "CPU samples were rarer than the threshold"
    if snapshot.span_ns < SHORTEST_NS:
        seen = figures.long_duration(snapshot.span_ns)
        yield f"{seen} is too short; at least {figures.long_duration(SHORTEST_NS)} is needed"
    if snapshot.ended == BREAKS_OFF:
        yield BREAKS_OFF
    if snapshot.unseen_ns:
        yield f"hud was held up for {figures.long_duration(snapshot.unseen_ns)}"
    for name, says in _LOSSES.items():
        if getattr(snapshot.losses, name):
            yield says


def blind(gate: Gate, snapshot: Snapshot) -> str:
    """Why a gate asks for what the run did not look for; empty where it did."""
    threshold = snapshot.info.threshold_ns
    if gate.measure != "max" or gate.bound >= threshold:
        return ""
    return f"polls below {figures.long_duration(threshold)} were not looked for (--threshold)"
