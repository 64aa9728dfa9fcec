"""Types of tasks: what is alive of each, how long its polls take, how long it blocked.

A kind is one vtable of Tokio's; the types of two vtables may have the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.results import TaskUse
from hud.model import TaskKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hud.analysis.recording import Recording
    from hud.analysis.results import Episode

LATEST = 8
"""Ids of blocking tasks that are kept for each kind."""


def task_uses(recording: Recording, episodes: Iterable[Episode]) -> tuple[TaskUse, ...]:
    """A row for each kind that is alive, was polled (exact mode) or blocked, by (-blocked, -busy,
    -alive, name). Episodes that only waited for a CPU, or of tasks of unknown kind, do not count.
    """
    tables = recording.tasks
    counts = {count.vtable: count for count in tables.latest.counts} if tables.latest else {}
    blocked: dict[int, list[Episode]] = {}
    for episode in episodes:
        vtable = tables.vtables.get(episode.task_id)
        if vtable is not None and episode.cause.blames_code:
            blocked.setdefault(vtable, []).append(episode)
    rows = []
    for vtable in {*counts, *tables.polls, *blocked}:
        mine = blocked.get(vtable, [])
        ids = dict.fromkeys(episode.task_id for episode in reversed(mine))
        rows.append(
            TaskUse(
                kind=tables.kinds.get(vtable) or TaskKind(vtable, ""),
                count=counts.get(vtable),
                polls=tables.polls.get(vtable),
                episodes=len(mine),
                blocked_ns=sum(episode.charged_ns for episode in mine),
                max_ns=max((episode.charged_ns for episode in mine), default=0),
                task_ids=tuple(ids)[:LATEST],
            )
        )
    return tuple(sorted(rows, key=_order))


def _order(use: TaskUse) -> tuple[int, int, int, str, int]:
    busy = use.polls.busy_ns if use.polls else 0
    alive = use.count.idle + use.count.ready + use.count.running if use.count else 0
    return -use.blocked_ns, -busy, -alive, use.kind.name, use.kind.vtable


def kind_name(kind: TaskKind) -> str:
    """Its type, marked where it is inferred; the vtable's address where it is not known."""
    if not kind.name:
        return f"type at {kind.vtable:#x}"
    return ("~" if kind.inferred else "") + kind.name
