"""Frames as lines in columns: name, location, and what is special about each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis import blame
from hud.analysis.shortnames import shorten
from hud.analysis.tails import remark
from hud.model import Frame, Origin
from hud.tui.style import Line, Span
from hud.tui.text import cells, clean, cut_left, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.tui import folding
    from hud.tui.glyphs import Glyphs

_STYLES = {Origin.USER: "own", Origin.DEPENDENCY: ""}
"""Of names; those of runtime, std and libc are labels."""


def lines(rows: Sequence[folding.Row], width: int, glyphs: Glyphs) -> list[Line]:
    """Rows as lines in columns, the two of names and locations as wide as these rows need."""
    name_width, location_width = column_widths(rows, width, glyphs)
    drawn: list[Line] = []
    for row in rows:
        frame = row.frame
        if frame is None:
            drawn.append((Span(f"{row.indent}{clean(row.text)}", "label"),))
            continue
        room = name_width - cells(row.indent)
        called = _name(frame, room, glyphs.ellipsis)
        at = cut_left(location(frame), location_width, glyphs.ellipsis)
        drawn.append(
            (
                Span(row.indent, "rule"),
                Span(pad(called, room), _STYLES.get(frame.origin, "label")),
                Span(f"  {pad(at, location_width)}", "label"),
                Span(f"  {_remark(row, width, glyphs)}", "own" if row.blocking else "label"),
            )
        )
    return drawn


def _name(frame: Frame, room: int, ellipsis: str) -> str:
    called = ("~" if frame.inferred else "") + clean(blame.frame_name(frame))
    if cells(called) <= room:
        return called
    return cut_left(shorten([called], room, ellipsis, keep_crate=True)[0], room, ellipsis)


def column_widths(rows: Sequence[folding.Row], width: int, glyphs: Glyphs) -> tuple[int, int]:
    """Cells for names and for locations, by their need, so that the remarks fit too."""
    frames = [row.frame for row in rows if row.frame is not None]
    remarks = max((cells(_remark(row, width, glyphs)) for row in rows if row.frame), default=0)
    room = max(width - remarks - 4, 8)
    locations = max((cells(location(frame)) for frame in frames), default=0)
    names = max((_need(row) for row in rows if row.frame), default=0)
    locations = min(locations, max(room // 3, room - names))
    return min(names, room - locations), locations


def _need(row: folding.Row) -> int:
    frame = row.frame
    own = cells(clean(blame.frame_name(frame))) + frame.inferred if frame else 0
    return cells(row.indent) + own


_WIDE, _WIDER = 64, 76


def _remark(row: folding.Row, width: int, glyphs: Glyphs) -> str:
    remarks = [clean(row.text)] if row.text else []
    if row.blocking:
        own = row.frame is not None and row.frame.origin is Origin.USER
        said = "your code blocks here" if own else "blocked here"
        if width < _WIDER:
            said = "" if width < _WIDE else "your code" if own else "blocked here"
        remarks.append(f"{glyphs.here} {said}".rstrip())
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
