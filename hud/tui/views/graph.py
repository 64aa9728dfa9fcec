"""How much was blocked over time, by cause, and where all time went: a panel of the overview, or
the graph alone in a line or some.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.results import Graph, Snapshot, WorkerUse
from hud.model import TimeSplit
from hud.tui import bars, workertime
from hud.tui.cache import kept
from hud.tui.layout import width_of
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.tui.glyphs import Glyphs

_AXIS = 5
"""Cells left of a graph: ``100% ``."""
_SCALE = 8
"""Left of one that is a line: `` 0-100% ``."""
_WORDS = 3
"""Lines below it: its ends, where the time went, what was allowed."""


def view(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """The graph with its axes, and below it where the time went, in ``height`` lines."""
    lines, top = _columns(snapshot.graph, width - _AXIS - 1, max(height - _WORDS, 1), glyphs)
    names = [f"{bars.percent(top):>4} ", *[" " * _AXIS] * (len(lines) - 2), "  0% "]
    found = [(Span(name, "label"), *line) for name, line in zip(names, lines, strict=False)]
    ends = _ends(snapshot, max(map(width_of, lines), default=0))
    return [*found, ends, _split(snapshot, width, glyphs), _allowed(snapshot)][:height]


def line(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """The graph alone, its scale before it."""
    lines, top = _columns(snapshot.graph, width - _SCALE - 1, height, glyphs)
    named = pad(f" 0-{bars.percent(top)}", _SCALE)
    return [
        (Span(named if at + 1 == len(lines) else " " * _SCALE, "label"), *line)
        for at, line in enumerate(lines)
    ]


@kept(8)
def _columns(of: Graph, width: int, height: int, glyphs: Glyphs) -> tuple[list[Line], float]:
    """The lines of the graph, and the part of worker time that fills its height."""
    values = _values(of, width)
    top = bars.scale(max((value for value, _ in values), default=0.0))
    return bars.columns(values, height, top, glyphs), top


def _values(of: Graph, width: int) -> list[tuple[float, str]]:
    """In each cell the part of the worker time that was blocked, with the style of its cause."""
    cells = max(min(of.slices, width), 1)
    cell_ns = of.slice_ns * of.slices / cells
    sums, styles, most = [0.0] * cells, [""] * cells, [0.0] * cells
    for cause, blocked in of.causes:
        style = cause_style(cause)
        for at, ns in enumerate(bars.resampled(blocked, cells)):
            sums[at] += ns
            if ns > most[at]:
                most[at], styles[at] = ns, style
    known_ns = of.end_ns - of.start_ns
    times = (of.workers * min(cell_ns, known_ns - at * cell_ns) for at in range(cells))
    return [
        (min(ns / time, 1.0) if time > 0 else 0.0, style)
        for ns, time, style in zip(sums, times, styles, strict=True)
    ]


def _ends(snapshot: Snapshot, width: int) -> Line:
    """When the graph begins and ends, below it."""
    begin = f"{figures.long_duration(snapshot.now_ns - snapshot.graph.start_ns)} ago"
    end = "now" if snapshot.live else "the end"
    if width < len(begin) + len(end) + 2:
        return (Span(f"{' ' * _AXIS}{begin}", "label"),)
    return (Span(f"{' ' * _AXIS}{begin}{end.rjust(width - len(begin))}", "label"),)


# --------------------------------------------------------------------------- where the time went


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


def _shares(snapshot: Snapshot, glyphs: Glyphs) -> list[tuple[workertime.Part, float]]:
    """The parts of all workers' time. What is blocked and without a CPU as everywhere; the others
    share what is left in the proportion in which they were read.
    """
    whole = snapshot.worker_time_ns
    if not snapshot.workers or not whole:
        return []
    every = _together(snapshot.workers)
    known = {"blocked": snapshot.blocked_ns / whole, "no CPU": snapshot.waiting_ns / whole}
    found = workertime.parts(every, workertime.sees_polls(snapshot), glyphs)
    known = {part.name: min(known[part.name], 1.0) for part in found if part.name in known}
    left = max(1 - sum(known.values()), 0)
    others = max(sum(part.ns for part in found if part.name not in known), 1)
    return [(part, known.get(part.name, part.ns / others * left)) for part in found]


@kept(4)
def _together(uses: Sequence[WorkerUse]) -> WorkerUse:
    """One worker that has the time of all."""
    sums = map(sum, zip(*[use.split for use in uses], strict=True))
    return uses[0]._replace(split=TimeSplit(*sums), blocked_ns=sum(use.blocked_ns for use in uses))


def _allowed(snapshot: Snapshot) -> Line:
    if not snapshot.allowed_ns:
        return ()
    time = figures.long_duration(snapshot.allowed_ns)
    said = f"{time} in spawn_blocking and block_in_place, where code may block"
    return (Span(f"  {said}", "label"),)
