"""How a blocker's time is spread: over the lengths of its polls, and over what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.model import bucket_floor_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Blocker

P99_FROM = 100
"""Polls from which a 99th percentile says more than the maximum."""
NO_CPU = "no CPU"
_ROWS = 12
"""Of the histogram, at most."""


def histogram(durations: Sequence[int], most: int = _ROWS) -> list[tuple[int, int, int]]:
    """(from, to, how many): the buckets that hold any, joined until there are at most so many."""
    first = next((at for at, number in enumerate(durations) if number), None)
    if first is None:
        return []
    step = 1
    while -(-(len(durations) - first // step * step) // step) > most:
        step *= 2
    start = first // step * step
    return [
        (bucket_floor_ns(at), bucket_floor_ns(at + step), sum(durations[at : at + step]))
        for at in range(start, len(durations), step)
    ]


def between(low: int, high: int) -> str:
    """``45-53ms``, ``900us-1.1ms``."""
    first, last = figures.duration(low), figures.duration(high)
    unit = first.lstrip("0123456789.")
    same = last.lstrip("0123456789.") == unit
    return f"{first.removesuffix(unit) if same else first}-{last}"


def marks(blocker: Blocker) -> list[tuple[str, int]]:
    """What stands out: typical is the median, the worst the maximum; of its own time."""
    found = [("typical", blocker.p50_ns), ("worst", blocker.max_ns)]
    if blocker.count >= P99_FROM:
        found.insert(1, ("p99", blocker.p99_ns))
    return found if blocker.count > 1 else []


def parts(blocker: Blocker) -> list[tuple[str, int]]:
    """(what, ns); own time first. That of a part is not known in more detail."""
    if blocker.on_cpu_ns < 0 or not blocker.count:
        return [("own time", blocker.total_ns)]
    asleep = max(blocker.total_ns - blocker.on_cpu_ns, 0)
    return [
        ("on the CPU", blocker.on_cpu_ns),
        ("asleep", asleep),
        (NO_CPU, blocker.waiting_ns),
    ]
