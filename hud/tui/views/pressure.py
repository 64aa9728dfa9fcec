"""The pressure: time that workers were ready to run but had no CPU, and who is to blame.

Side by side from 110 columns on; below that the workers go first where there is no room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.cause import Cause
from hud.tui import panel
from hud.tui.layout import Column, Table, block, selected
from hud.tui.state import Page, first_shown
from hud.tui.style import Line, Span
from hud.tui.text import clean, cut, pieces
from hud.tui.views import episode, waited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Pressure, Snapshot
    from hud.tui.glyphs import Glyphs
    from hud.tui.state import UiState

_MARGIN = 2
_COLUMNS = (
    Column("culprit", "thread or process", 24, grow=2, widest=50),
    Column("whose", "of", 12, drop=3),
    Column("count", "waits", 5, right=True),
    Column("total", "total", 6, right=True),
    Column("bar", "", 6, drop=4, grow=1, widest=20),
    Column("max", "longest", 7, right=True, drop=1),
)
_LOW = 14
"""Lines of a view from which workers are below the table."""


def listed(state: UiState, snapshot: Snapshot) -> Sequence[Pressure]:
    """The rows: those that the search finds, the largest total first."""
    if not state.search or state.view != "pressure":
        return snapshot.pressure
    wanted = state.search.casefold()
    return [one for one in snapshot.pressure if wanted in f"{one.culprit} {one.pid}".casefold()]


def page(snapshot: Snapshot, state: UiState, width: int, height: int) -> Page:
    """The rows between the sentences and the workers."""
    total = len(listed(state, snapshot))
    head = len(_sentences(snapshot, width)) + 2
    room = height - head
    if width < panel.BESIDE_FROM and height >= _LOW:
        room = max(room - min(len(waited.ranked(snapshot)) + 1, room // 2), 1)
    return Page(max(min(total, room), 0), total, head)


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Sentences, who ran instead, and how long each worker waited."""
    glyphs = state.glyphs
    said = _sentences(snapshot, width)
    shown = page(snapshot, state, width, height).shown
    if width >= panel.BESIDE_FROM:
        left = panel.left_of(width)
        right = width - left - 1
        room = height - len(said) - 1
        table = _table(snapshot, state, left, shown)
        table += _latest(snapshot, left, room - len(table), glyphs)
        table = block(table, left, room, glyphs.ellipsis)
        rule = panel.rule([(_INSTEAD, left), (_WAITED, right)], glyphs)
        others = _without(snapshot, right, room, glyphs)
        lines = [rule, *panel.beside(table, others, left, glyphs)]
        return block([*said, *lines], width, height, glyphs.ellipsis)
    lines = [*said, panel.rule([(_INSTEAD, width)], glyphs), *_table(snapshot, state, width, shown)]
    if height >= _LOW and waited.ranked(snapshot):
        lines.append(panel.rule([(_WAITED, width)], glyphs))
        lines += _without(snapshot, width, height - len(lines), glyphs)
        lines += _latest(snapshot, width, height - len(lines), glyphs)
    return block(lines, width, height, glyphs.ellipsis)


_INSTEAD = "who ran instead, in these waits"
_WAITED = "workers without a CPU, of their time"
_BLOCKERS = "code whose long polls waited for a CPU"


def _without(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Workers; where there is room the code that was about to run, and polls."""
    lines = waited.workers(snapshot, width, height, glyphs)
    code = waited.blockers(snapshot, width, height - len(lines) - 1, glyphs)
    lines += _titled(_BLOCKERS, code, width, glyphs)
    return lines + _polls(snapshot, width, height - len(lines), glyphs)


def _latest(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    return _titled(
        "the latest waits", waited.latest(snapshot, width, height - 1, glyphs), width, glyphs
    )


def _titled(title: str, lines: list[Line], width: int, glyphs: Glyphs) -> list[Line]:
    """Nothing without lines."""
    return [panel.rule([(title, width)], glyphs), *lines] if lines else []


# --------------------------------------------------------------------------- sentences


def _sentences(snapshot: Snapshot, width: int) -> list[Line]:
    room = max(width - 2, 20)
    return [(Span(f" {part}"),) for said in _said(snapshot) for part in pieces(said, room)]


def _said(snapshot: Snapshot) -> list[str]:
    share = figures.percent(snapshot.waiting_ns / max(snapshot.worker_time_ns, 1))
    time = figures.long_duration(snapshot.waiting_ns)
    said = [f"Workers were ready to run but had no CPU for {share} of their time ({time})."]
    least = figures.long_duration(snapshot.info.threshold_ns)
    if snapshot.latencies:
        waits = figures.count(snapshot.latencies, "wait")
        together = figures.long_duration(snapshot.latency_total_ns)
        longest = figures.long_duration(snapshot.latency_max_ns)
        said.append(f"{waits} of {least} or more, {together} in all; the longest was {longest}.")
    elif snapshot.waiting_ns:
        said.append(f"No wait was as long as {least}.")
    host = snapshot.host
    if host.throttled_ns or host.throttled_periods or host.quota:
        quota = f" (quota: {clean(host.quota)})" if host.quota else ""
        stopped = figures.long_duration(host.throttled_ns)
        periods = figures.count(host.throttled_periods, "period")
        said.append(f"Stopped by its CPU quota{quota}: {stopped} in {periods}.")
    if host.stolen_ns:
        said.append(f"Taken by the hypervisor, all CPUs: {figures.long_duration(host.stolen_ns)}.")
    return said


# --------------------------------------------------------------------------- who ran


def _table(snapshot: Snapshot, state: UiState, width: int, shown: int) -> list[Line]:
    glyphs, at = state.glyphs, state.at("pressure")
    rows = listed(state, snapshot)
    if not rows:
        said = "nothing matches the search" if snapshot.pressure else "nobody so far"
        return [(Span(f"   {said}", "label"),)]
    table = Table(_COLUMNS, width, _MARGIN)
    top = first_shown(at.scroll, at.cursor, shown, len(rows))
    whole = max(rows[0].total_ns, 1)
    lines = [table.head("total", glyphs.ellipsis)]
    for number, one in enumerate(rows[top : top + shown], start=top):
        chosen = number == at.cursor
        marker = Span(glyphs.cursor if chosen else " ")
        line = table.row(marker, _values(table, one, whole, glyphs), glyphs.ellipsis)
        lines.append(selected(line, width) if chosen else line)
    return lines


def _values(table: Table, one: Pressure, whole: int, glyphs: Glyphs) -> dict[str, Line]:
    known = one.culprit or waited.NOT_KNOWN
    bar = waited.pattern(one.total_ns / whole, table.widths.get("bar", 0), glyphs)
    return {
        "culprit": (Span(cut(clean(known), table.widths["culprit"], glyphs.ellipsis)),),
        "whose": (Span(_whose(one), "label"),),
        "count": (Span(figures.short_count(one.count)),),
        "total": (Span(figures.duration(one.total_ns)),),
        "bar": (Span(bar, "wait"),),
        "max": (Span(figures.duration(one.max_ns)),),
    }


def _whose(one: Pressure) -> str:
    if one.same_process:
        return "this process"
    if one.processes > 1:
        return f"{one.processes} processes"
    return f"pid {one.pid}" if one.pid else ""


def _polls(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """The latest polls that were long for this alone, where there is room for some."""
    found = episode.latest(snapshot, height - 1, lambda one: one.cause is Cause.WAITING)
    drawn = episode.rows(found, snapshot, width, glyphs, code=False) if found else []
    return _titled("polls long only for lack of a CPU", drawn, width, glyphs)
