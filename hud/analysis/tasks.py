"""Types of tasks: what is alive of each, how long its polls take, how long it blocked.

A kind is one vtable of Tokio's; the types of two vtables may have the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.results import TaskUse
from hud.model import TaskKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hud.analysis.recording import Recording
    from hud.analysis.results import Episode

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
    blocked = dict(retired)
    ids: dict[int, dict[int, None]] = {}
    for episode in episodes:
        vtable = tables.vtable_of(episode)
        if vtable and episode.cause.blames_code:
            blocked[vtable] = blocked.get(vtable, TaskTime()).and_also(episode)
            latest = ids.setdefault(vtable, {})
            latest.pop(episode.task_id, None)
            latest[episode.task_id] = None
    rows = [
        TaskUse(
            kind=tables.kinds.get(vtable) or TaskKind(vtable, ""),
            count=counts.get(vtable),
            polls=tables.polls.get(vtable),
            **blocked.get(vtable, TaskTime())._asdict(),
            task_ids=tuple(reversed(ids.get(vtable, {})))[:LATEST],
        )
        for vtable in {*counts, *tables.polls, *blocked}
    ]
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
