"""The drill-down: one blocker's figures, advice, and every distinct stack it was caught at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis import blame
from hud.analysis.advice import advise
from hud.model import Blocker, Frame, Origin, Snapshot, Stack
from hud.tui import folding
from hud.tui.layout import block
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, clean, count, cut_left, duration, name, pad, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hud.tui.state import UiState

_MEASURED = 200
"""Rows that decide the columns' widths, so that scrolling does not move them."""
_ROOMY = 14
"""Lines from which the example and the reason are shown below the fix."""


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Figures and advice above, stacks below, scrolled; a blocker must be open."""
    blocker = state.opened
    mark = state.glyphs.ellipsis
    if blocker is None:
        return block([], width, height, mark)
    lines = head(blocker, snapshot.stacks, width, height, mark)
    page = max(height - len(lines), 0)
    rows = folding.all_rows(blocker, snapshot.stacks, state.unfold)
    top = max(min(state.stack_scroll, len(rows) - page), 0)
    shown = rows[top : top + page]
    widths = column_widths(rows[:_MEASURED], width - 3)
    drawn = frame_lines(shown, width - 3, mark, widths)
    lines += [
        (Span(" " if row.heading else "   "), *line) for row, line in zip(shown, drawn, strict=True)
    ]
    return block(lines, width, height, mark)


def head(
    blocker: Blocker, stacks: Mapping[int, Stack], width: int, height: int, mark: str
) -> list[Line]:
    """The lines of the drill-down that do not scroll; ``height`` is that of the whole view."""
    title = name(blocker.function, blocker.inferred, max(width - 34, 20), mark)
    lines: list[Line] = [
        (Span(f" {title}", "user"), Span(f"  {cut_left(clean(blocker.where), 30, mark)}")),
        _figures(blocker),
        _split(blocker),
    ]
    advice = advise(blocker, stacks)
    said = (("fix", advice.text, ""), ("", advice.code, "dim"), ("why", advice.reason, "dim"))
    shown = [one for one in said if one[1]][: None if height >= _ROOMY else 1]
    lines += [
        (Span(f" {label:<5}", "dim"), Span(clean(text), style)) for label, text, style in shown
    ]
    return [*lines, ()] if height >= _ROOMY or not shown else lines


def _figures(blocker: Blocker) -> Line:
    parts = (
        f"  {count(blocker.count)} times",
        f"total {duration(blocker.total_ns)}",
        f"max {duration(blocker.max_ns)}",
        f"p99 {duration(blocker.p99_ns)}",
        f"p50 {duration(blocker.p50_ns)}",
        f"{percent(blocker.share)} of worker time",
    )
    below = f"   in {clean(blocker.operation)}" if blocker.operation else ""
    cause = Span(f" {blocker.cause.value}", cause_style(blocker.cause))
    return (cause, Span("  ".join(parts)), Span(below, "dim"))


def _split(blocker: Blocker) -> Line:
    spans = [Span(" on")]
    total = max(sum(ns for _, ns in blocker.workers), 1)
    spans += [Span(f"  W{worker} {percent(ns / total)}") for worker, ns in blocker.workers[:16]]
    if len(blocker.causes) > 1:
        spans.append(Span("   causes"))
        whole = max(sum(ns for _, ns in blocker.causes), 1)
        for cause, ns in blocker.causes:
            spans.append(Span(f"  {cause.value} {percent(ns / whole)}", cause_style(cause)))
    return tuple(spans)


def frame_lines(
    rows: Sequence[folding.Row], width: int, mark: str, widths: tuple[int, int] | None = None
) -> list[Line]:
    """Rows as lines in columns: name, place, and what is special about the frame.

    ``widths`` are those of the two columns; by default as ``column_widths`` of these rows.
    """
    name_width, place_width = widths or column_widths(rows, width)
    lines: list[Line] = []
    for row in rows:
        frame = row.frame
        if frame is None:
            text = row.text if row.heading else f"  {row.text}"
            lines.append((Span(clean(text), "title" if row.heading else "dim"),))
            continue
        own = frame.origin is Origin.USER
        called = name(blame.frame_name(frame), frame.inferred, name_width, mark)
        at = cut_left(place(frame), place_width, mark)
        lines.append(
            (
                Span(pad(called, name_width), "user" if own else "dim"),
                Span(f"  {pad(at, place_width)}", "dim"),
                Span(f"  {_remark(row, width)}", "bold" if row.blocking else "dim"),
            )
        )
    return lines


def column_widths(rows: Sequence[folding.Row], width: int) -> tuple[int, int]:
    """Cells for names and for places, by their need, so that the remarks fit too."""
    frames = [row.frame for row in rows if row.frame is not None]
    remarks = max((cells(_remark(row, width)) for row in rows if row.frame), default=0)
    room = max(width - remarks - 4, 8)
    places = max((cells(place(frame)) for frame in frames), default=0)
    names = max((cells(clean(blame.frame_name(f))) + f.inferred for f in frames), default=0)
    places = min(places, max(room // 3, room - names))
    return min(names, room - places), places


_WIDE = 64


def _remark(row: folding.Row, width: int) -> str:
    remarks = [clean(row.text)] if row.text else []
    if row.blocking and width < _WIDE:
        remarks.append("<")
    elif row.blocking:
        own = row.frame is not None and row.frame.origin is Origin.USER
        remarks.append("< your code blocks here" if own else "< blocked here")
    if row.frame is not None and row.frame.inlined:
        remarks.append("(inlined)")
    return " ".join(remarks)


def place(frame: Frame) -> str:
    """Where a frame's code is: file and line of own code, else the crate; clean text."""
    at = blame.short_place(frame.file, frame.line)
    if frame.origin is Origin.USER:
        return clean(at or frame.crate)
    return clean(frame.crate or at or frame.module.rpartition("/")[2])
