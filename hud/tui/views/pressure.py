"""The pressure: time that workers were ready to run but had no CPU, and who is to blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.cause import Cause
from hud.tui.layout import Column, Table, block
from hud.tui.state import Page, first_shown
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import clean, cut, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Pressure, Snapshot
    from hud.tui.state import UiState

_MARGIN = 3
_COLUMNS = (
    Column("culprit", "ran instead", 20, grow=2, widest=50),
    Column("pid", "pid", 8, right=True),
    Column("whose", "whose", 18, drop=2),
    Column("count", "count", 6, right=True),
    Column("total", "total", 6, right=True),
    Column("max", "max", 6, right=True),
    Column("share", "of it", 6, right=True, drop=1),
)
_BAR = 24


def listed(state: UiState, snapshot: Snapshot) -> Sequence[Pressure]:
    """The rows: those that the search finds, the largest total first."""
    if not state.search or state.view != "pressure":
        return snapshot.pressure
    wanted = state.search.casefold()
    return [one for one in snapshot.pressure if wanted in f"{one.culprit} {one.pid}".casefold()]


def page(snapshot: Snapshot, state: UiState, _: int, height: int) -> Page:
    """The rows between the sentences and the workers."""
    head = len(_said(snapshot)) + 2
    shown = max(height - head - _lower(snapshot, height), 0)
    return Page(shown, len(listed(state, snapshot)), head)


def _lower(snapshot: Snapshot, body: int) -> int:
    return min(len(snapshot.workers) + 3, body // 2) if body >= 12 and snapshot.workers else 0


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Sentences, who ran instead, and how long each worker waited."""
    mark = state.glyphs.ellipsis
    table = Table(_COLUMNS, width, _MARGIN)
    lines: list[Line] = [*((Span(f"   {said}"),) for said in _said(snapshot)), ()]
    lines.append(table.head("total", mark))
    rows = listed(state, snapshot)
    shown = page(snapshot, state, width, height).shown
    at = state.at("pressure")
    top = first_shown(at.scroll, at.cursor, shown, len(rows))
    whole = max(snapshot.latency_total_ns, 1)
    for number, one in enumerate(rows[top : top + shown], start=top):
        lines.append(_row(table, one, whole, number == at.cursor, mark))
    if not rows:
        said = "nothing matches the search" if snapshot.pressure else "nobody so far"
        lines.append((Span(f"   {said}", "dim"),))
    lower = _lower(snapshot, height)
    lines = block(lines, width, height - lower, mark)
    if lower:
        lines += block(_workers(snapshot, state, lower), width, lower, mark)
    return lines


def _said(snapshot: Snapshot) -> list[str]:
    time = max(snapshot.worker_time_ns, 1)
    waits = figures.count(snapshot.latencies, "wait")
    least = figures.long_duration(snapshot.info.threshold_ns)
    longest = (
        f"; the longest was {figures.long_duration(snapshot.latency_max_ns)}"
        if snapshot.latencies
        else ""
    )
    share = figures.percent(snapshot.waiting_ns / time)
    said = [
        f"{share} of worker time was ready to run but had no CPU.",
        f"{waits} of {least} or more{longest}.",
    ]
    host = snapshot.host
    if host.throttled_ns or host.throttled_periods or host.quota:
        quota = f" (quota: {clean(host.quota)})" if host.quota else ""
        said.append(
            f"Stopped by its CPU quota{quota}: {figures.long_duration(host.throttled_ns)} "
            f"in {figures.count(host.throttled_periods, 'period')}."
        )
    if host.stolen_ns:
        said.append(f"Taken by the hypervisor, all CPUs: {figures.long_duration(host.stolen_ns)}.")
    return said


def _row(table: Table, one: Pressure, whole: int, chosen: bool, mark: str) -> Line:
    style = "bold" if chosen else ""
    known = one.culprit or "(idle CPU, or not known)"
    values: dict[str, Line] = {
        "culprit": (Span(cut(clean(known), table.widths["culprit"], mark), style),),
        "pid": (Span(str(one.pid) if one.pid else "-"),),
        "whose": (Span(_whose(one), "dim"),),
        "count": (Span(figures.short_count(one.count)),),
        "total": (Span(figures.duration(one.total_ns)),),
        "max": (Span(figures.duration(one.max_ns)),),
        "share": (Span(figures.share(min(one.total_ns / whole, 1.0))),),
    }
    return table.row(Span(" >" if chosen else "  ", style), values, mark)


def _whose(one: Pressure) -> str:
    if one.same_process:
        return "the same process"
    if one.processes > 1:
        return f"{one.processes} processes"
    return "another process" if one.pid else ""


def _workers(snapshot: Snapshot, state: UiState, height: int) -> list[Line]:
    """The workers that waited longest, with bars of one scale."""
    glyph = "█" if state.glyphs.unicode else "#"
    ranked = sorted(snapshot.workers, key=lambda use: (-use.split.waiting_ns, use.worker.worker_id))
    shares = [use.split.waiting_ns / max(use.split.total_ns(), 1) for use in ranked]
    top = max(shares, default=0.0)
    lines: list[Line] = [(), (Span("   "), Span("worker", "head"), Span("  waiting", "head"))]
    for use, share in zip(ranked[: height - 3], shares, strict=False):
        cells = round(share / top * _BAR) if top else 0
        lines.append(
            (
                Span(f"   {pad(f'W{use.worker.worker_id}', 6)}  {figures.share(share):>7}  "),
                Span(glyph * cells, cause_style(Cause.WAITING)),
                Span(f"  {figures.duration(use.split.waiting_ns)}", "dim"),
            )
        )
    return lines
