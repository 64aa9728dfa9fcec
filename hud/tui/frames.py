"""Frames as lines in columns: name, location, and what is special about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis import blame
from hud.analysis.tails import remark
from hud.model import Frame, Origin
from hud.tui.style import Line, Span
from hud.tui.text import cells, clean, cut_left, name, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.tui import folding


def lines(
    rows: Sequence[folding.Row], width: int, mark: str, widths: tuple[int, int] | None = None
) -> list[Line]:
    """Rows as lines in columns: name, location, and what is special about the frame.

    ``widths`` are those of the two columns; by default as ``column_widths`` of these rows.
    """
    name_width, location_width = widths or column_widths(rows, width)
    drawn: list[Line] = []
    for row in rows:
        frame = row.frame
        if frame is None:
            drawn.append((Span(f"{row.indent}{clean(row.text)}", "dim"),))
            continue
        own = frame.origin is Origin.USER
        room = name_width - cells(row.indent)
        called = name(blame.frame_name(frame), frame.inferred, room, mark)
        at = cut_left(location(frame), location_width, mark)
        drawn.append(
            (
                Span(row.indent, "dim"),
                Span(pad(called, room), "user" if own else "dim"),
                Span(f"  {pad(at, location_width)}", "dim"),
                Span(f"  {_remark(row, width)}", "bold" if row.blocking else "dim"),
            )
        )
    return drawn


def column_widths(rows: Sequence[folding.Row], width: int) -> tuple[int, int]:
    """Cells for names and for locations, by their need, so that the remarks fit too."""
    frames = [row.frame for row in rows if row.frame is not None]
    remarks = max((cells(_remark(row, width)) for row in rows if row.frame), default=0)
    room = max(width - remarks - 4, 8)
    locations = max((cells(location(frame)) for frame in frames), default=0)
    names = max((_need(row) for row in rows if row.frame), default=0)
    locations = min(locations, max(room // 3, room - names))
    return min(names, room - locations), locations


def _need(row: folding.Row) -> int:
    frame = row.frame
    own = cells(clean(blame.frame_name(frame))) + frame.inferred if frame else 0
    return cells(row.indent) + own


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
    if row.frame is not None and row.frame.recovered:
        remarks.append(remark(row.frame))
    return " ".join(remarks)


def location(frame: Frame) -> str:
    """Where a frame's code is: file and line of own code, else the crate; clean text."""
    at = blame.short_place(frame.file, frame.line, frame.precision)
    if frame.origin is Origin.USER:
        return clean(at or frame.crate)
    return clean(frame.crate or at or frame.module.rpartition("/")[2])
