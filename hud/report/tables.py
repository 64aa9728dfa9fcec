"""The page's plain tables: causes, workers, tasks, who ran instead, and what changed since another
run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.tally import added, largest_first
from hud.analysis.tasks import kind_name
from hud.export.diff import cells
from hud.model import quantile_ns
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from hud.analysis.comparison.compare import Comparison
    from hud.analysis.results import Pressure, Snapshot, TaskUse, WorkerUse

_MOST, _FEW = 200, 12
"""Rows of a table; of one that is only read at its top, and workers that are all shown."""
_UNKNOWN = "-"


class Table(NamedTuple):
    """Titles, and rows of as many cells. A title that begins with ``>`` is of numbers."""

    id: str
    titles: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    rest: str = ""
    """What is not there, in words."""


def tables(snapshot: Snapshot) -> list[Table]:
    """Those with something in them."""
    found = (_causes(snapshot), _workers(snapshot), _tasks(snapshot), _pressure(snapshot))
    return [one for one in found if one.rows]


def _told(
    name: str, titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], most: int = _MOST
) -> Table:
    """Without the columns that say nothing in any row."""
    told = [at for at in range(len(titles)) if any(row[at] not in ("", _UNKNOWN) for row in rows)]
    shown = [tuple(row[at] for at in told) for row in rows[:most]]
    left = len(rows) - len(shown)
    rest = f"and {figures.count(left)} more" if left else ""
    return Table(name, tuple(titles[at] for at in told), shown, rest)


def _causes(snapshot: Snapshot) -> Table:
    sums = added((cause, ns) for one in snapshot.blockers for cause, ns in one.causes)
    whole = snapshot.worker_time_ns
    rows = [
        (
            cause.value,
            figures.share(min(1.0, ns / whole)) if whole else _UNKNOWN,
            figures.long_duration(ns),
            cause.meaning,
        )
        for cause, ns in largest_first(sums)
    ]
    return _told("causes", ("cause", ">of worker time", ">blocked", "what it was"), rows)


# --------------------------------------------------------------------------- workers


def _workers(snapshot: Snapshot) -> Table:
    """The most blocked first; of many those that never blocked are only counted."""
    uses = sorted(snapshot.workers, key=lambda use: (-use.blocked_ns, use.worker.worker_id))
    awake = sum(bool(use.episodes) for use in uses)
    shown = uses if len(uses) <= _FEW else uses[:awake]
    titles = (
        *("worker", "thread", "runtime", ">blocked", ">no CPU"),
        *(">long polls", ">worst", "mostly"),
    )
    table = _told("workers", titles, [_worker(use) for use in shown])
    idle = figures.count(len(uses) - len(shown))
    return table._replace(rest=f"{idle} more never blocked") if len(shown) < len(uses) else table


def _worker(use: WorkerUse) -> tuple[str, ...]:
    time_ns = max(use.time_ns, 1)
    return (
        f"W{use.worker.worker_id}",
        printable(use.worker.name),
        printable(use.worker.runtime),
        figures.share(min(1.0, use.blocked_ns / time_ns)),
        figures.share(min(1.0, use.split.waiting_ns / time_ns)),
        figures.count(use.episodes),
        figures.duration(use.longest_ns) if use.longest_ns else _UNKNOWN,
        use.causes[0][0].value if use.causes else _UNKNOWN,
    )


# --------------------------------------------------------------------------- tasks


def _tasks(snapshot: Snapshot) -> Table:
    """By type, those first that blocked most."""
    titles = (
        *("task type", "declared at", ">alive", ">ready", ">stuck", ">polls", ">busy", ">p99"),
        *(">long polls", ">blocked", ">worst"),
    )
    return _told("tasks", titles, [_task(use) for use in snapshot.tasks])


def _task(use: TaskUse) -> tuple[str, ...]:
    count, polls = use.count, use.polls
    alive = (count.idle + count.ready + count.running, count.ready, count.stuck) if count else ()
    timed = (
        (
            figures.short_count(polls.polls),
            figures.duration(polls.busy_ns),
            figures.duration(quantile_ns(polls, 0.99)),
        )
        if polls
        else (_UNKNOWN,) * 3
    )
    worst_ns = max(use.max_ns, polls.max_ns if polls else 0)
    return (
        printable(kind_name(use.kind)),
        printable(use.kind.where),
        *(map(figures.short_count, alive) if count else (_UNKNOWN,) * 3),
        *timed,
        figures.short_count(use.episodes),
        figures.duration(use.blocked_ns),
        figures.duration(worst_ns) if worst_ns else _UNKNOWN,
    )


# --------------------------------------------------------------------------- no CPU


def _pressure(snapshot: Snapshot) -> Table:
    titles = ("ran instead", "of", ">waits", ">total", ">longest")
    return _told("pressure", titles, [_culprit(row) for row in snapshot.pressure], _FEW)


def _culprit(row: Pressure) -> tuple[str, ...]:
    whose = f"{row.processes} processes" if row.processes > 1 else f"pid {row.pid}"
    return (
        printable(row.culprit) or "nobody known",
        "own thread" if row.same_process else whose if row.culprit else _UNKNOWN,
        figures.count(row.count),
        figures.duration(row.total_ns),
        figures.duration(row.max_ns),
    )


# --------------------------------------------------------------------------- another run


def compared(comparison: Comparison) -> dict[str, Any]:
    """What changed, in the words of `hud diff`."""
    titles, *rows = _code_first(cells.table(comparison)) or [()]
    return {
        "said": [*map(printable, cells.told(comparison))],
        "runs": [
            ("before", cells.about(comparison.before)),
            ("after", cells.about(comparison.after)),
        ],
        "table": Table("changes", tuple(map(_marked, titles)), rows) if rows else None,
        "left": cells.left_out(comparison),
    }


def _code_first(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The function right after the verdict: a narrow window shows the left of a table."""
    first = ("", "function", "blocks in")
    columns = sorted(zip(*rows, strict=True), key=lambda column: column[0] not in first)
    return list(zip(*columns, strict=True))


def _marked(title: str) -> str:
    return f">{title}" if title in ("before", "after", "change") else title
