"""How blocked each worker is, by which causes, and what it does now: a panel of the overview, or
the meters alone in a line.
"""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.results import Snapshot, WorkerUse
from hud.analysis.verdict import stuck_episodes
from hud.model import TasksRead
from hud.tui import bars, workertime
from hud.tui.doing import now
from hud.tui.layout import clip, width_of
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, pad, worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.tui.glyphs import Glyphs

_METER, _SHORT_METER = 9, 6
_LEAST_NOW = 12


class _Columns(NamedTuple):
    """Of the rows of workers."""

    name: int
    """Cells of the widest name."""
    top: float
    """What fills a meter."""
    width: int

    @property
    def now(self) -> int:
        """Cells left for what it does now; 0 = too few."""
        room = self.width - self.name - _METER - 21
        return room if room >= _LEAST_NOW else 0


def view(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """A row each with meters and what it does now; of many the most blocked ones."""
    shown = _shown(snapshot, max(height - 2, 1))
    columns = _columns_of(shown, width)
    last = "  now" if snapshot.live and columns.now else ""
    scaled = f"0-{bars.percent(columns.top)}"
    head = f" {'':{columns.name}}{'blocked':>8}  {scaled:<{_METER}}{'no CPU':>8}{last}"
    rows = [_worker(use, snapshot, columns, glyphs) for use in shown]
    facts = _in_lines(_facts(snapshot, shown), width, height - 1 - len(rows))
    return [(Span(head, "label"),), *rows, *facts][:height]


def _shown(snapshot: Snapshot, room: int) -> Sequence[WorkerUse]:
    """All of them, or the most blocked ones."""
    uses = snapshot.workers
    return uses if len(uses) <= room else nlargest(room, uses, key=workertime.blocked)


def _columns_of(shown: Sequence[WorkerUse], width: int) -> _Columns:
    names = (cells(worker(use.worker.worker_id)) for use in shown)
    top = bars.scale(max(map(workertime.blocked, shown), default=0.0))
    return _Columns(max(names, default=2), top, width)


def _worker(use: WorkerUse, snapshot: Snapshot, columns: _Columns, glyphs: Glyphs) -> Line:
    blocked, waiting = workertime.blocked(use), workertime.waiting(use)
    meter = _meter(use, columns.top, _METER, glyphs)
    spans = [
        Span(f" {pad(worker(use.worker.worker_id), columns.name)}"),
        Span(f"{figures.percent(blocked):>8}  "),
        *meter,
        Span(" " * (_METER - width_of(meter))),
        Span(f" {glyphs.pattern if waiting else ' '}", "wait"),
        Span(f"{figures.percent(waiting):>6}"),
    ]
    if columns.now:
        said, style = now(use, snapshot, columns.now, glyphs.ellipsis)
        spans += [Span("  "), Span(said, style)]
    return clip(spans, columns.width, glyphs.ellipsis)


def _meter(use: WorkerUse, top: float, width: int, glyphs: Glyphs) -> Line:
    """Its blocked time by cause, the largest first."""
    whole = use.time_ns * top
    if not whole:
        return ()
    parts = [(ns / whole, cause_style(cause)) for cause, ns in use.causes]
    return bars.segments(parts, width, glyphs)


def _facts(snapshot: Snapshot, shown: Sequence[WorkerUse]) -> list[str]:
    """The others, and what the rows do not say."""
    said = []
    more = len(snapshot.workers) - len(shown)
    if more:
        least = figures.percent(min(map(workertime.blocked, shown)))
        said.append(f"{figures.count(more)} more, at most {least}")
    if snapshot.longest_poll_ns:
        said.append(f"longest poll {figures.long_duration(snapshot.longest_poll_ns)}")
    stuck = len(stuck_episodes(snapshot))
    if stuck:
        said.append(f"{figures.count(stuck)} stuck")
    tasks = snapshot.tasks_read
    if tasks is not None and snapshot.live:
        said += _tasks(tasks)
    return said


def _tasks(tasks: TasksRead) -> list[str]:
    said = []
    ready = max(tasks.injected, 0) + sum(number for _, number in tasks.queued)
    said.append(figures.count(ready, "task") + " ready")
    alive = sum(one.idle + one.ready + one.running for one in tasks.counts)
    if tasks.whole:
        said.append(figures.count(alive, "task") + " alive")
    if tasks.pool_threads >= 0:
        busy = tasks.pool_threads - max(tasks.pool_idle, 0)
        said.append(f"{busy} of {figures.count(tasks.pool_threads, 'blocking thread')} busy")
    return said


def _in_lines(said: Sequence[str], width: int, lines: int) -> list[Line]:
    """A line each, or those that fit into one line."""
    if lines >= len(said):
        return [(Span(f" {one}", "label"),) for one in said]
    kept = ""
    for one in said:
        if cells(kept) + 3 + cells(one) <= width:
            kept = f"{kept}   {one}" if kept else f" {one}"
    return [(Span(kept, "label"),)]


def line(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Line:
    """As many workers as fit, the most blocked ones of many; and the time without a CPU."""
    whole = snapshot.worker_time_ns
    waiting = f"no CPU {figures.percent(snapshot.waiting_ns / whole)} " if whole else ""
    names = _columns_of(snapshot.workers[-1:], width).name
    shown = _shown(snapshot, max((width - len(waiting) - 1) // (names + 14), 1))
    columns = _columns_of(shown, width)
    spans: list[Span] = []
    for use in shown:
        meter = _meter(use, columns.top, _SHORT_METER, glyphs)
        share = figures.share(workertime.blocked(use))
        blanks = " " * (_SHORT_METER - width_of(meter))
        name = f" {pad(worker(use.worker.worker_id), columns.name)} "
        spans += [Span(name), *meter, Span(f"{blanks}{share:>5} ")]
    spare = width - width_of(spans) - len(waiting)
    return (*spans, Span(" " * max(spare, 0)), Span(waiting, "wait"))
