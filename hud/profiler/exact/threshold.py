"""``--threshold auto``: three times what 99 of 100 polls of this runtime need, at least 1 ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hud import figures
from hud.model import PollStats, quantile_ns

FACTOR = 3
FLOOR_NS = 1_000_000
DEFAULT_NS = 5_000_000
"""Until it is known, and where it cannot be."""

LEAST_POLLS = 300
"""Fewer have no p99."""
LOOK_NS = 2_000_000_000
"""How long to look at the least."""
PATIENCE_NS = 10_000_000_000
"""And at the most, for a target with few polls."""


class Choice(NamedTuple):
    threshold_ns: int
    source: str
    """In words; shown behind ``auto``."""


def choose(polls: Sequence[PollStats]) -> Choice | None:
    """From every poll that was seen; None = too few."""
    whole = together(polls)
    if whole.polls < LEAST_POLLS:
        return None
    p99 = quantile_ns(whole, 0.99)
    threshold = max(FLOOR_NS, FACTOR * p99)
    words = f"{FACTOR} x p99 {figures.long_duration(p99)}"
    return Choice(threshold, words if threshold > FLOOR_NS else f"{words}, at least 1 ms")


def fallback(reason: str) -> Choice:
    """The default, and why it is in use."""
    return Choice(DEFAULT_NS, f"the default, because {reason}")


def together(polls: Sequence[PollStats]) -> PollStats:
    """All kinds of tasks as one."""
    columns = zip(*(stats.buckets for stats in polls), strict=True) if polls else ()
    return PollStats(
        vtable=0,
        polls=sum(stats.polls for stats in polls),
        busy_ns=sum(stats.busy_ns for stats in polls),
        max_ns=max((stats.max_ns for stats in polls), default=0),
        buckets=tuple(map(sum, columns)),
    )
