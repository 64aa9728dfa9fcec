"""The upper part of the overview: how much was blocked over time, where all time went, and what
each worker does. In boxes of several lines, or a line each on a small terminal.
"""

from __future__ import annotations

from dataclasses import fields, replace
from heapq import nlargest
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.results import Graph, Snapshot, WorkerUse
from hud.analysis.verdict import stuck_episodes
from hud.model import TasksRead, TimeSplit
from hud.tui import bars, usage
from hud.tui.cache import IdentityCache
from hud.tui.layout import clip, width_of
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, pad, worker
from hud.tui.usage import now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.tui.glyphs import Glyphs

_SCALES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""What may fill a bar or the height of a graph: parts of the time."""
_AXIS = 5
"""Cells left of a graph: ``100% ``."""
_SCALE = 8
"""Left of one that is a line: `` 0-100% ``."""
_WORDS = 3
"""Lines below it: its ends, where the time went, what was allowed."""
_METER, _SHORT_METER = 9, 6
_LEAST_NOW = 12


def scale(largest: float) -> float:
    """The round figure that is not below it."""
    return next((top for top in _SCALES if largest <= top), 1.0)


def _percent(top: float) -> str:
    return f"{top * 100:.0f}%"


# --------------------------------------------------------------------------- the graph

_drawn: IdentityCache[Graph, tuple[list[Line], float]] = IdentityCache(8)


def graph(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """The graph with its axes, and below it where the time went, in ``height`` lines."""
    lines, top = _columns(snapshot, width - _AXIS - 1, max(height - _WORDS, 1), glyphs)
    names = [f"{_percent(top):>4} ", *[" " * _AXIS] * (len(lines) - 2), "  0% "]
    found = [(Span(name, "label"), *line) for name, line in zip(names, lines, strict=False)]
    ends = _ends(snapshot, max(map(width_of, lines), default=0))
    return [*found, ends, _split(snapshot, width, glyphs), _allowed(snapshot)][:height]


def graph_line(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """The graph alone, its scale before it."""
    lines, top = _columns(snapshot, width - _SCALE - 1, height, glyphs)
    named = pad(f" 0-{_percent(top)}", _SCALE)
    return [
        (Span(named if at + 1 == len(lines) else " " * _SCALE, "label"), *line)
        for at, line in enumerate(lines)
    ]


def _columns(
    snapshot: Snapshot, width: int, height: int, glyphs: Glyphs
) -> tuple[list[Line], float]:
    """The lines of the graph, and the part of worker time that fills its height."""

    def made() -> tuple[list[Line], float]:
        values = _values(snapshot.graph, width)
        top = scale(max((value for value, _ in values), default=0.0))
        return bars.columns(values, height, top, glyphs), top

    return _drawn.get(snapshot.graph, (width, height, glyphs), made)


def _values(of: Graph, width: int) -> list[tuple[float, str]]:
    """In each cell the part of the worker time that was blocked, with the style of its cause."""
    number = len(of.causes)
    cells = max(min(number, width), 1)
    sums: list[dict[str, float]] = [{} for _ in range(cells)]
    for cause in dict.fromkeys(cause for row in of.causes for cause, _ in row):
        blocked = [next((ns for one, ns in row if one is cause), 0) for row in of.causes]
        for at, ns in enumerate(bars.resampled(blocked, cells)):
            if ns:
                sums[at][cause_style(cause)] = ns
    cell_ns = of.slice_ns * number / cells
    values = []
    for at, row in enumerate(sums):
        time_ns = of.workers * min(cell_ns, of.end_ns - of.start_ns - at * cell_ns)
        share = min(sum(row.values()) / time_ns, 1.0) if time_ns > 0 else 0.0
        values.append((share, max(row, key=row.__getitem__, default="")))
    return values


def _ends(snapshot: Snapshot, width: int) -> Line:
    """When the graph begins and ends, below it."""
    begin = f"{figures.long_duration(snapshot.now_ns - snapshot.graph.start_ns)} ago"
    end = "now" if snapshot.live else "the end"
    if width < len(begin) + len(end) + 2:
        return (Span(f"{' ' * _AXIS}{begin}", "label"),)
    return (Span(f"{' ' * _AXIS}{begin}{end.rjust(width - len(begin))}", "label"),)


# --------------------------------------------------------------------------- where the time went

_everyone: IdentityCache[tuple[WorkerUse, ...], WorkerUse] = IdentityCache(4)


def _split(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Line:
    """``█ blocked 14 %  ▒ no CPU 9 %  · parked 73 %``: as many parts as fit, the largest first."""
    found = _shares(snapshot, glyphs)
    drawn = [
        (
            Span(part.glyph, part.style),
            Span(f" {part.name} ", "label"),
            Span(figures.percent(share)),
        )
        for part, share in found
    ]
    by_size = sorted(range(len(found)), key=lambda at: (at > 1, -found[at][1]))
    room = width + 1
    kept = set()
    for at in by_size:
        room -= width_of(drawn[at]) + 2
        if room < 0:
            break
        if found[at][1] or at < 2:
            kept.add(at)
    return (Span(" "), *[s for at in sorted(kept) for s in (*drawn[at], Span("  "))][:-1])


def _shares(snapshot: Snapshot, glyphs: Glyphs) -> list[tuple[usage.Part, float]]:
    """The parts of all workers' time. What is blocked and without a CPU as everywhere; the others
    share what is left in the proportion in which they were read.
    """
    whole = snapshot.worker_time_ns
    if not snapshot.workers or not whole:
        return []
    every = _everyone.get(snapshot.workers, (), lambda: _together(snapshot.workers))
    known = {"blocked": snapshot.blocked_ns / whole, "no CPU": snapshot.waiting_ns / whole}
    found = usage.parts(every, usage.sees_polls(snapshot), glyphs)
    known = {part.name: min(known[part.name], 1.0) for part in found if part.name in known}
    left = max(1 - sum(known.values()), 0)
    others = max(sum(part.ns for part in found if part.name not in known), 1)
    return [(part, known.get(part.name, part.ns / others * left)) for part in found]


def _together(uses: Sequence[WorkerUse]) -> WorkerUse:
    """One worker that has the time of all."""
    sums = map(sum, zip(*[_parts_of(use.split) for use in uses], strict=True))
    return replace(uses[0], split=TimeSplit(*sums), blocked_ns=sum(use.blocked_ns for use in uses))


_parts_of = attrgetter(*(field.name for field in fields(TimeSplit)))


def _allowed(snapshot: Snapshot) -> Line:
    if not snapshot.allowed_ns:
        return ()
    time = figures.long_duration(snapshot.allowed_ns)
    said = f"{time} in spawn_blocking and block_in_place, which may block"
    return (Span(f"  {said}", "label"),)


# --------------------------------------------------------------------------- the workers


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
        room = self.width - self.name - _METER - 20
        return room if room >= _LEAST_NOW else 0


def workers(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """A row each with meters and what it does now; of many the most blocked ones."""
    shown = _shown(snapshot, max(height - 2, 1))
    columns = _columns_of(shown, width)
    last = "  now" if snapshot.live and columns.now else ""
    scaled = f"0-{_percent(columns.top)}"
    head = f" {'':{columns.name}}{'blocked':>8}  {scaled:<{_METER}}{'no CPU':>8}{last}"
    rows = [_worker(use, snapshot, columns, glyphs) for use in shown]
    facts = _in_lines(_facts(snapshot, shown), width, height - 1 - len(rows))
    return [(Span(head, "label"),), *rows, *facts][:height]


def _shown(snapshot: Snapshot, room: int) -> Sequence[WorkerUse]:
    """All of them, or the most blocked ones."""
    uses = snapshot.workers
    return uses if len(uses) <= room else nlargest(room, uses, key=usage.blocked)


def _columns_of(shown: Sequence[WorkerUse], width: int) -> _Columns:
    names = (cells(worker(use.worker.worker_id)) for use in shown)
    top = scale(max(map(usage.blocked, shown), default=0.0))
    return _Columns(max(names, default=2), top, width)


def _worker(use: WorkerUse, snapshot: Snapshot, columns: _Columns, glyphs: Glyphs) -> Line:
    blocked, waiting = usage.blocked(use), usage.waiting(use)
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
        least = figures.percent(min(map(usage.blocked, shown)))
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


def worker_line(snapshot: Snapshot, width: int, glyphs: Glyphs) -> Line:
    """As many workers as fit, the most blocked ones of many; and the time without a CPU."""
    whole = snapshot.worker_time_ns
    waiting = f"no CPU {figures.percent(snapshot.waiting_ns / whole)} " if whole else ""
    names = _columns_of(snapshot.workers[-1:], width).name
    shown = _shown(snapshot, max((width - len(waiting) - 1) // (names + 14), 1))
    columns = _columns_of(shown, width)
    spans: list[Span] = []
    for use in shown:
        meter = _meter(use, columns.top, _SHORT_METER, glyphs)
        share = figures.share(usage.blocked(use))
        blanks = " " * (_SHORT_METER - width_of(meter))
        name = f" {pad(worker(use.worker.worker_id), columns.name)} "
        spans += [Span(name), *meter, Span(f"{blanks}{share:>5} ")]
    spare = width - width_of(spans) - len(waiting)
    return (*spans, Span(" " * max(spare, 0)), Span(waiting, "wait"))
