"""Types of tasks: what is alive of each, how long its polls take, how long it blocked.

A kind is one vtable of Tokio's; the types of two vtables may have the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.cause import Cause
from hud.analysis.results import TaskUse
from hud.model import TaskKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hud.analysis.recording import Recording
    from hud.analysis.results import Episode
    from hud.analysis.tasktables import TaskTables

LATEST = 8
"""Ids of blocking tasks that are kept for each kind."""


class TaskTime(NamedTuple):
    """How often the tasks of a kind blocked, and for how long."""

    episodes: int = 0
    blocked_ns: int = 0
    max_ns: int = 0

    def and_also(self, episode: Episode) -> TaskTime:
        own_ns = episode.charged_ns
        return TaskTime(self.episodes + 1, self.blocked_ns + own_ns, max(self.max_ns, own_ns))


def task_uses(
    recording: Recording, episodes: Iterable[Episode], retired: Mapping[int, TaskTime]
) -> tuple[TaskUse, ...]:
    """A row for each kind that is alive, was polled (exact mode) or blocked, by (-blocked, -busy,
    -alive, name). Episodes that only waited for a CPU, or of tasks of unknown kind, do not count.
    ``retired``: by vtable, what they did in episodes that are not held any more.
    """
    tables = recording.tasks
    counts = {count.vtable: count for count in tables.latest.counts} if tables.latest else {}
    blocked = _by_type(tables, episodes)
    rows = [
        TaskUse(
            kind=tables.kinds.get(vtable) or TaskKind(vtable, ""),
            count=counts.get(vtable),
            polls=tables.polls.get(vtable),
            **_time_of(blocked.get(vtable, []), retired.get(vtable, TaskTime()))._asdict(),
            task_ids=_latest(blocked.get(vtable, [])),
        )
        for vtable in {*counts, *tables.polls, *blocked, *retired}
    ]
    return tuple(sorted(rows, key=_order))


def _by_type(tables: TaskTables, episodes: Iterable[Episode]) -> dict[int, list[Episode]]:
    """By vtable; there may be tens of thousands."""
    found: dict[int, list[Episode]] = {}
    known, blaming = tables.vtables.get, {cause for cause in Cause if cause.blames_code}
    for episode in episodes:
        vtable = known(episode.task_id, episode.vtable)
        if vtable and episode.cause in blaming:
            found.setdefault(vtable, []).append(episode)
    return found


def _time_of(episodes: Sequence[Episode], retired: TaskTime) -> TaskTime:
    lengths = [episode.charged_ns for episode in episodes]
    return TaskTime(
        retired.episodes + len(lengths),
        retired.blocked_ns + sum(lengths),
        max([retired.max_ns, *lengths]),
    )


def _latest(episodes: Sequence[Episode]) -> tuple[int, ...]:
    """The ids of their tasks, the latest few."""
    ids: dict[int, None] = {}
    for episode in reversed(episodes):
        ids[episode.task_id] = None
        if len(ids) == LATEST:
            break
    return tuple(ids)


def _order(use: TaskUse) -> tuple[int, int, int, str, int]:
    busy = use.polls.busy_ns if use.polls else 0
    alive = use.count.idle + use.count.ready + use.count.running if use.count else 0
    return -use.blocked_ns, -busy, -alive, use.kind.name, use.kind.vtable


def kind_name(kind: TaskKind) -> str:
    """Its type, marked where it is inferred; the vtable's address where it is not known."""
    if not kind.name:
        return f"type at {kind.vtable:#x}"
    return ("~" if kind.inferred else "") + kind.name
