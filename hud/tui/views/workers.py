"""The workers: what each does now and where its time went, in figures and as a bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.cause import Cause
from hud.analysis.results import Snapshot, WorkerUse
from hud.model import Rung, TimeSplit, Where
from hud.tui.layout import Column, Table, block
from hud.tui.state import Opened, Page, first_shown
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import clean, cut_left, sparkline
from hud.tui.verdict import CurrentCode, current_code, is_stuck, poll_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.tui.state import UiState

_MARGIN = 6
_WHO = (
    Column("tid", "tid", 7, right=True, drop=7),
    Column("name", "thread", 15, drop=8),
)
_NOW = (
    Column("state", "state now", 17),
    Column("place", "in", 20, drop=3, grow=3, widest=60),
)
_SPLIT = (
    Column("poll", "poll", 5, right=True),
    Column("asleep", "asleep", 6, right=True),
    Column("waiting", "waiting", 7, right=True, drop=4),
    Column("parked", "parked", 6, right=True, drop=2),
    Column("allowed", "allowed", 7, right=True, drop=5),
)
_BLIND_SPLIT = (
    Column("cpu", "on cpu", 6, right=True),
    Column("off", "asleep", 6, right=True),
    Column("waiting", "waiting", 7, right=True),
)
"""Without CONTEXT nobody knows which of the time was spent in polls."""
_BAR_PARTS = (
    ("poll", "poll on CPU", cause_style(Cause.CPU)),
    ("asleep", "poll asleep", "bold"),
    ("waiting", "no CPU", cause_style(Cause.WAITING)),
    ("allowed", "allowed", ""),
    ("runtime", "Tokio", ""),
    ("parked", "parked", "dim"),
)
_BAR = "█▓▒░-·"
_ASCII_BAR = "#=w+-."
_END = (
    Column("bar", "time", 10, drop=6, grow=1, widest=40),
    Column("longest", "longest", 7, right=True),
    Column("history", "last 60 s", 12, drop=9),
)


SORTS = {
    "id": lambda use: (use.worker.worker_id, use.worker.tid),
    "longest": lambda use: (-use.longest_ns, use.worker.worker_id),
    "poll": lambda use: (-use.split.poll_cpu_ns, use.worker.worker_id),
    "asleep": lambda use: (-use.split.poll_asleep_ns, use.worker.worker_id),
    "waiting": lambda use: (-use.split.waiting_ns, use.worker.worker_id),
    "parked": lambda use: (-use.split.parked_ns - use.split.outside_ns, use.worker.worker_id),
    "name": lambda use: (use.worker.name, use.worker.worker_id),
}
"""By column name; ``id`` is the margin."""


def listed(state: UiState, snapshot: Snapshot) -> Sequence[WorkerUse]:
    """The rows: those that the search finds, in the chosen order."""
    uses: Sequence[WorkerUse] = snapshot.workers
    if state.search and state.view == "workers":
        wanted = state.search.casefold()
        uses = [use for use in uses if wanted in _text(use, snapshot)]
    order = state.order("workers", SORTS)
    uses = uses if order == "id" else sorted(uses, key=SORTS[order])
    return uses[::-1] if "workers" in state.turned else uses


def opened(state: UiState, snapshot: Snapshot) -> Opened:
    """The blockers of the chosen worker."""
    uses = listed(state, snapshot)
    at = state.at("workers").cursor
    return Opened(only={"worker": uses[at].worker.worker_id}) if at < len(uses) else Opened()


def _text(use: WorkerUse, snapshot: Snapshot) -> str:
    code = _code(use, snapshot)
    said = f"W{use.worker.worker_id} {use.worker.tid} {use.worker.name} {_doing(use, snapshot)[0]}"
    return f"{said} {code.function if code else ''}".casefold()


def table(snapshot: Snapshot, width: int) -> Table:
    """The columns there is room for; once the run is over there is no now."""
    sees = snapshot.info.detection.rung is Rung.CONTEXT
    end = _END if sees else [column for column in _END if column.name != "bar"]
    now = _NOW if snapshot.live else ()
    split = _SPLIT if sees else _BLIND_SPLIT
    return Table((*_WHO, *now, *split, *end), width, _MARGIN)


def page(snapshot: Snapshot, state: UiState, _: int, height: int) -> Page:
    """The rows between the column heads and what the bars mean."""
    return Page(max(height - 1 - len(_below(True)), 0), len(listed(state, snapshot)), 1)


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """One row per worker, and what the bars mean."""
    mark = state.glyphs.ellipsis
    columns = table(snapshot, width)
    lines = [columns.head(state.order("workers", SORTS), mark)]
    uses = listed(state, snapshot)
    at = state.at("workers")
    shown = page(snapshot, state, width, height).shown
    top = first_shown(at.scroll, at.cursor, shown, len(uses))
    for number, use in enumerate(uses[top : top + shown], start=top):
        lines.append(_row(columns, use, number == at.cursor, snapshot, state))
    if not uses:
        said = "no worker matches the search" if snapshot.workers else "no worker so far"
        lines += [(), (Span(f"   {said}", "dim"),)]
    below = _below(state.glyphs.unicode) if "bar" in columns else []
    above = block(lines, width, max(height - len(below), 0), mark)
    return block([*above, *below], width, height, mark)


def _below(unicode: bool) -> list[Line]:
    glyphs = _BAR if unicode else _ASCII_BAR
    parts = zip(_BAR_PARTS, glyphs, strict=True)
    spans = [Span("   ")]
    for (_, says, style), glyph in parts:
        spans += [Span(glyph, style), Span(f" {says}   ", "dim")]
    return [tuple(spans)]


def _row(table: Table, use: WorkerUse, chosen: bool, snapshot: Snapshot, state: UiState) -> Line:
    mark = state.glyphs.ellipsis
    doing, style = _doing(use, snapshot)
    values: dict[str, Line] = {
        "tid": (Span(str(use.worker.tid)),),
        "name": (Span(cut_left(clean(use.worker.name), table.widths.get("name", 0), mark)),),
        "state": (Span(doing, style),),
        "place": _place(use, snapshot, table.widths.get("place", 0), mark),
        "longest": (Span(figures.duration(use.longest_ns) if use.longest_ns else "-"),),
        "history": (Span(sparkline(use.history[-12:], state.glyphs.ramp)),),
    }
    total = max(use.split.total_ns(), 1)
    parts = _parts(use.split)
    values |= {name: (Span(figures.share(ns / total)),) for name, ns in parts.items()}
    values["bar"] = _bar(parts, total, table.widths.get("bar", 0), state.glyphs.unicode)
    marker = Span(f" {'>' if chosen else ' '}W{use.worker.worker_id}", "bold" if chosen else "")
    return table.row(marker, values, mark)


def _parts(split: TimeSplit) -> dict[str, int]:
    return {
        "poll": split.poll_cpu_ns,
        "asleep": split.poll_asleep_ns,
        "waiting": split.waiting_ns,
        "parked": split.parked_ns + split.outside_ns,
        "runtime": split.runtime_ns,
        "allowed": split.allowed_ns,
        "cpu": split.poll_cpu_ns + split.runtime_ns + split.unknown_cpu_ns,
        "off": split.poll_asleep_ns + split.parked_ns + split.outside_ns + split.unknown_asleep_ns,
    }


def _bar(parts: dict[str, int], total: int, width: int, unicode: bool) -> Line:
    """Where the time went, to scale; the last part takes what rounding leaves."""
    spans: list[Span] = []
    done = before = 0
    for (name, _, style), glyph in zip(_BAR_PARTS, _BAR if unicode else _ASCII_BAR, strict=True):
        done += parts[name]
        end = width if name == "parked" else min(round(done / total * width), width)
        if end > before:
            spans.append(Span(glyph * (end - before), style))
        before = max(before, end)
    return tuple(spans)


def _doing(use: WorkerUse, snapshot: Snapshot) -> tuple[str, str]:
    state = use.state
    if not use.alive:
        return "gone", "dim"
    if state is None or not snapshot.live:
        return "", ""
    inside = poll_ns(use, snapshot.now_ns)
    if is_stuck(use, snapshot):
        return f"STUCK {figures.long_duration(inside)}{'+' * state.began_before}", "warn"
    if state.where in (Where.POLL, Where.ROOT):
        kind = "in poll" if state.where is Where.POLL else "block_on"
        return (f"{kind} {figures.long_duration(inside)}" if inside else kind), "bold"
    if state.runnable and not state.running:
        return "waiting for a CPU", ""
    if state.where is Where.ALLOWED:
        return "allowed to block", "dim"
    if state.where is Where.RUNTIME:
        return ("between polls", "") if state.running else ("parked", "dim")
    return ("on CPU", "") if state.running else ("asleep", "dim")


def _code(use: WorkerUse, snapshot: Snapshot) -> CurrentCode | None:
    if use.state is None or not poll_ns(use, snapshot.now_ns) or not snapshot.live:
        return None
    return current_code(use, snapshot)


def _task(use: WorkerUse, snapshot: Snapshot) -> str:
    """The type of the task it polls, as far as the tasks that blocked show it; else its number."""
    if use.state is None or not use.state.task_id or not poll_ns(use, snapshot.now_ns):
        return ""
    for one in snapshot.tasks:
        if use.state.task_id in one.task_ids and one.kind.name:
            return one.kind.name
    return f"task {use.state.task_id}"


def _place(use: WorkerUse, snapshot: Snapshot, width: int, mark: str) -> Line:
    code = _code(use, snapshot)
    if not width or not snapshot.live:
        return ()
    if code is None:
        return (Span(cut_left(clean(_task(use, snapshot)), width, mark), "dim"),)
    cause = f" {code.cause.value}" if code.cause else ""
    name = cut_left(clean(code.function), max(width - len(cause), 4), mark)
    style = cause_style(code.cause) if code.cause else ""
    return (Span(name), Span(cause, style))
