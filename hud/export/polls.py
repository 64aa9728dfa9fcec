"""Exact mode's figures: how long the polls of each type of task take, as a table and as data.

Where polls were timed in bursts only, the counts are of those *seen*, a sample of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.tasks import kind_name
from hud.model import quantile_ns
from hud.text import printable

if TYPE_CHECKING:
    from typing import Any

    from hud.analysis.results import Snapshot, TaskUse

MOST_ROWS = 12
EVERY = "every poll"
"""How the state begins while nothing was left out."""

_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


def is_whole(snapshot: Snapshot) -> bool:
    """Whether the counts are of every poll since the attach."""
    return snapshot.exact.startswith(EVERY)


def poll_table(snapshot: Snapshot, *, width: int | None = None) -> list[str]:
    """A row for each type of task, those first that kept workers busy longest; empty without."""
    timed = _timed(snapshot)
    if not timed:
        return []
    count = "polls" if is_whole(snapshot) else "polls seen"
    head = [count, "busy", *(title for title, _ in _QUANTILES), "max", "task"]
    rows = [head, *(_cells(use) for use in timed[:MOST_ROWS])]
    widths = [max(len(row[at]) for row in rows) for at in range(len(head) - 1)]
    lines = []
    for row in rows:
        cells = [f"{cell:>{room}}" for cell, room in zip(row, widths, strict=False)]
        line = "   " + "  ".join([*cells, row[-1]])
        lines.append(line if width is None else line[: max(width, 40)])
    hidden = timed[MOST_ROWS:]
    if hidden:
        rest = sum(use.polls.busy_ns for use in hidden if use.polls)
        lines.append(f"   and {len(hidden)} more types, busy {figures.duration(rest)}")
    return lines


def _timed(snapshot: Snapshot) -> list[TaskUse]:
    timed = [use for use in snapshot.tasks if use.polls is not None and use.polls.polls]
    return sorted(timed, key=lambda use: -use.polls.busy_ns if use.polls else 0)


def _cells(use: TaskUse) -> list[str]:
    stats = use.polls
    assert stats is not None
    name = printable(kind_name(use.kind))
    where = f"  {printable(use.kind.where)}" if use.kind.where else ""
    return [
        figures.count(stats.polls),
        figures.duration(stats.busy_ns),
        *(figures.duration(quantile_ns(stats, share)) for _, share in _QUANTILES),
        figures.duration(stats.max_ns),
        name + where,
    ]


def poll_data(snapshot: Snapshot) -> list[dict[str, Any]]:
    """The same for scripts, all types; ``buckets`` as hud.model.bucket_floor_ns, from 1 ns."""
    found = []
    for use in _timed(snapshot):
        stats = use.polls
        assert stats is not None
        last = max(at for at, count in enumerate(stats.buckets) if count) + 1
        found.append(
            {
                "vtable": f"{use.kind.vtable:#x}",
                "type": printable(use.kind.name),
                "where": printable(use.kind.where),
                "polls": stats.polls,
                "busy_us": stats.busy_ns / 1000,
                **{f"{name}_us": quantile_ns(stats, share) / 1000 for name, share in _QUANTILES},
                "max_us": stats.max_ns / 1000,
                "buckets": list(stats.buckets[:last]),
            }
        )
    return found
