"""The workers: what each does now and where its time went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.model import Rung, Snapshot, TimeSplit, Where, WorkerUse
from hud.tui.layout import Column, Table, block
from hud.tui.state import first_shown
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import clean, cut_left, duration, percent, sparkline, spoken
from hud.tui.verdict import is_stuck, place_of, poll_ns

if TYPE_CHECKING:
    from hud.tui.state import UiState

_MARGIN = 6
_FIXED = (
    Column("tid", "tid", 7, right=True, drop=4),
    Column("name", "thread", 15, drop=8),
    Column("state", "state now", 17),
    Column("place", "in", 20, drop=6, grow=1, widest=60),
)
_SPLIT = (
    Column("poll", "poll", 5, right=True),
    Column("asleep", "asleep", 6, right=True),
    Column("waiting", "waiting", 7, right=True, drop=2),
    Column("parked", "parked", 6, right=True, drop=1),
    Column("allowed", "allowed", 7, right=True, drop=3),
)
_BLIND_SPLIT = (
    Column("cpu", "on cpu", 6, right=True),
    Column("off", "asleep", 6, right=True),
    Column("waiting", "waiting", 7, right=True),
)
_END = (
    Column("longest", "longest", 7, right=True),
    Column("history", "last 60 s", 12, drop=7),
)
"""Without CONTEXT nobody knows which of the time was spent in polls."""


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """One row per worker."""
    mark = state.glyphs.ellipsis
    sees = snapshot.info.detection.rung is Rung.CONTEXT
    table = Table((*_FIXED, *(_SPLIT if sees else _BLIND_SPLIT), *_END), width, _MARGIN)
    lines = [table.head("", mark)]
    page = max(height - 1, 0)
    top = first_shown(state.worker_scroll, state.worker_cursor, page, len(snapshot.workers))
    for at, use in enumerate(snapshot.workers[top : top + page], start=top):
        lines.append(_row(table, use, at == state.worker_cursor, snapshot, state))
    if not snapshot.workers:
        lines += [(), (Span("   no worker so far", "dim"),)]
    return block(lines, width, height, mark)


def _row(table: Table, use: WorkerUse, chosen: bool, snapshot: Snapshot, state: UiState) -> Line:
    mark = state.glyphs.ellipsis
    doing, style = _doing(use, snapshot)
    values: dict[str, Line] = {
        "tid": (Span(str(use.worker.tid)),),
        "name": (Span(cut_left(clean(use.worker.name), table.widths.get("name", 0), mark)),),
        "state": (Span(doing, style),),
        "place": _place(use, snapshot, table.widths.get("place", 0), mark),
        "longest": (Span(duration(use.longest_ns) if use.longest_ns else "-"),),
        "history": (Span(sparkline(use.history[-12:], state.glyphs.ramp)),),
    }
    total = max(use.split.total_ns(), 1)
    values |= {name: (Span(percent(ns / total)),) for name, ns in _parts(use.split).items()}
    marker = Span(f" {'>' if chosen else ' '}W{use.worker.worker_id}", "bold" if chosen else "")
    return table.row(marker, values, mark)


def _parts(split: TimeSplit) -> dict[str, int]:
    return {
        "poll": split.poll_cpu_ns,
        "asleep": split.poll_asleep_ns,
        "waiting": split.waiting_ns,
        "parked": split.parked_ns,
        "allowed": split.allowed_ns,
        "cpu": split.poll_cpu_ns + split.runtime_ns + split.unknown_cpu_ns,
        "off": split.poll_asleep_ns + split.parked_ns + split.unknown_asleep_ns,
    }


def _doing(use: WorkerUse, snapshot: Snapshot) -> tuple[str, str]:
    state = use.state
    if not use.alive:
        return "gone", "dim"
    if state is None or not snapshot.live:
        return "", ""
    inside = poll_ns(use, snapshot.now_ns)
    if is_stuck(use, snapshot):
        return f"STUCK {spoken(inside)}", "warn"
    if state.where in (Where.POLL, Where.ROOT):
        kind = "in poll" if state.where is Where.POLL else "block_on"
        return (f"{kind} {spoken(inside)}" if inside else kind), "bold"
    if state.runnable and not state.running:
        return "waiting for a CPU", ""
    if state.where is Where.ALLOWED:
        return "allowed to block", "dim"
    if state.where is Where.RUNTIME:
        return ("between polls", "") if state.running else ("parked", "dim")
    return ("on CPU", "") if state.running else ("asleep", "dim")


def _place(use: WorkerUse, snapshot: Snapshot, width: int, mark: str) -> Line:
    if not width or use.state is None or not poll_ns(use, snapshot.now_ns) or not snapshot.live:
        return ()
    place = place_of(use.state.asleep_stack, snapshot)
    if place is None:
        return ()
    cause = f" {place.cause.value}" if place.cause else ""
    name = cut_left(clean(place.function), max(width - len(cause), 4), mark)
    style = cause_style(place.cause) if place.cause else ""
    return (Span(name), Span(cause, style))
