"""Whether an episode is one poll, or several of one task that the kernel saw as one.

Two polls of one task that follow each other look like one if the tick of their scheduler is not
known. With it there is one case left: a task that is woken from a worker's LIFO slot is polled a
second time in the same turn, maybe with nothing seen in between. The first poll of a turn and those
from the slot are called from two places in ``run_task``, so that their stacks tell them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.model import SampleFlag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hud.analysis.results import Snapshot
    from hud.model import Stack

DOUBTS = SampleFlag.TICK_UNKNOWN | SampleFlag.AWAITED
REASONS = {
    SampleFlag.TICK_UNKNOWN: "scheduler's tick unknown",
    SampleFlag.AWAITED: "awaited in a worker's turn",
}
"""Why an episode may be several polls, in an export."""


def doubts_of(flags: int, duration_ns: int, longest_sleep_ns: int, threshold_ns: int) -> int:
    """The bits of ``flags`` that matter: a poll cannot end in a sleep, and if what lies around its
    longest is no episode of its own, this one is hardly longer than shown."""
    return flags & DOUBTS if duration_ns - longest_sleep_ns >= threshold_ns else 0


def one_turn(keys: Iterable[int], stacks: Mapping[int, Stack]) -> bool:
    """Whether the stacks of an episode show that all were in one poll of a turn."""
    callers = [_caller(stacks.get(key)) for key in keys]
    return bool(callers) and min(callers) > 0 and len(set(callers)) == 1


def _caller(stack: Stack | None) -> int:
    """Where in ``run_task`` the innermost task is polled; 0 = not known."""
    frames = (stack.frames if stack else None) or ()
    for frame in frames:
        if "::run_task" in frame.function and "multi_thread" in frame.function:
            return frame.address
    return 0


def several(snapshot: Snapshot) -> str:
    """``, 3 of which may be several shorter ones``; empty where all are one poll each."""
    number = snapshot.tick_unknown + snapshot.awaited
    if not number:
        return ""
    which = "which" if snapshot.episodes == number == 1 else f"{figures.count(number)} of which"
    return f", {which} may be several shorter ones"


def in_words(snapshot: Snapshot) -> list[str]:
    """How many episodes it concerns, and why."""
    found = []
    if snapshot.tick_unknown:
        found.append(
            f"{figures.count(snapshot.tick_unknown, 'poll')} may be several of one task in a row, "
            "because the scheduler's tick is not known"
        )
    if snapshot.awaited:
        found.append(
            f"{figures.count(snapshot.awaited, 'poll')} may be two of one task, which awaited "
            "something in between"
        )
    return found
