"""The summary's table of blockers: a numbered row for each, below it what must be known besides.

It keeps to its width: names are shortened, then the least important columns go. Colour marks
causes and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.shortnames import shorten
from hud.export import facts
from hud.export.wrap import wrapped
from hud.text import ELLIPSIS, printable, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hud.analysis.cause import Cause
    from hud.analysis.results import Blocker, Snapshot

MOST_ROWS = 20
_NARROWEST = 36
"""Columns for both names; with less a column goes."""
_WIDEST = 200
"""Of a name before it is shortened for its column."""
_BAR = 10
_INSET = " " * 6

COLOURS = {
    "red": "31",
    "orange": "33",
    "yellow": "33",
    "blue": "34",
    "indigo": "34",
    "cyan": "36",
    "teal": "36",
    "violet": "35",
    "mauve": "35",
    "pink": "35",
    "green": "32",
}
"""SGR parameters by a cause's hue, as the screen has it on 16 colours; others stay plain."""


class Style(NamedTuple):
    """What the page may be made of."""

    width: int
    color: bool = False
    ascii_only: bool = False


class _Row(NamedTuple):
    number: int
    blocker: Blocker
    share: float
    no_cpu: float
    function: str
    call: str
    bar: str


class _Column(NamedTuple):
    title: str
    cell: Callable[[_Row], str]
    right: bool = True
    goes: int = 0
    """Its turn to go where there is no room for the names; 0 = it stays."""


_NO_CPU = _Column("no CPU", lambda row: figures.share(row.no_cpu), goes=1)
_COLUMNS = (
    _Column("", lambda row: str(row.number)),
    _Column("share", lambda row: figures.share(row.share)),
    _Column("", lambda row: row.bar, right=False, goes=2),
    _NO_CPU,
    _Column("count", lambda row: figures.short_count(row.blocker.count), goes=3),
    _Column("typical", lambda row: figures.duration(row.blocker.p50_ns), goes=5),
    _Column("worst", lambda row: figures.duration(row.blocker.max_ns)),
    _Column("cause", lambda row: row.blocker.cause.value, right=False),
)
_FUNCTION = _Column("function", lambda row: row.function, right=False)
_CALL = _Column("blocks in", lambda row: row.call, right=False, goes=4)
_WHERE = _Column("where", lambda row: facts.place_of(row.blocker), right=False)
"""Where nothing has to be shortened for it; else below the row."""


def blocker_table(snapshot: Snapshot, style: Style, *, verbose: bool) -> list[str]:
    """Its lines, without an end. Never called without blockers."""
    columns, rows = _laid_out(snapshot, style)
    widths = _widths(columns, rows)
    lines = [_line([column.title for column in columns], columns, widths)]
    for row in rows:
        cells = [column.cell(row) for column in columns]
        lines.append(_line(cells, columns, widths, row.blocker.cause if style.color else None))
        said = "; ".join(facts.of(row.blocker, where=_WHERE not in columns))
        lines += wrapped(_INSET, said, style.width) if said else []
        if verbose:
            lines += _more(row.blocker, snapshot, style.width)
    hidden = snapshot.blockers[MOST_ROWS:]
    if hidden:
        share = figures.percent(min(sum(map(snapshot.share, hidden)), 1.0))
        lines.append(f"  and {figures.count(len(hidden))} more, together {share}")
    return lines


def _more(blocker: Blocker, snapshot: Snapshot, width: int) -> list[str]:
    room = width - len(_INSET)
    return [_INSET + shortened(line, room) for line in facts.more(blocker, snapshot)]


def _bar(share: float, most: float, ascii_only: bool) -> str:
    """Proportional to the share; the largest fills its column."""
    part = share / most if most else 0.0
    if ascii_only:
        return "#" * max(1, round(_BAR * part))
    whole, eighths = divmod(max(1, round(8 * _BAR * part)), 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[eighths] if eighths else "")


# --------------------------------------------------------------------------- where it all goes


def _laid_out(snapshot: Snapshot, style: Style) -> tuple[list[_Column], list[_Row]]:
    """The columns that there is room for, and the rows with names that fit."""
    columns = [*_COLUMNS, _FUNCTION, _CALL]
    if not any(blocker.waiting_ns for blocker in snapshot.blockers[:MOST_ROWS]):
        columns.remove(_NO_CPU)
    rows = _rows(snapshot, _WIDEST, _WIDEST, style)
    if not any(row.call for row in rows):
        columns.remove(_CALL)
    with_where = [*columns, _WHERE]
    if any(map(_WHERE.cell, rows)) and _spare(with_where, rows, style.width) >= _needed(rows):
        columns = with_where
    going = sorted((column for column in columns if column.goes), key=lambda one: one.goes)
    spare = _spare(columns, rows, style.width)
    while going and spare < min(_NARROWEST if _CALL in columns else _NARROWEST // 2, _needed(rows)):
        columns.remove(going.pop(0))
        spare = _spare(columns, rows, style.width)
    function, call = (max(len(cell) for cell in cells) for cells in zip(*_names(rows), strict=True))
    if _CALL not in columns:
        return columns, _rows(snapshot, spare, _WIDEST, style)
    room = min(function, max(spare - call, spare * 6 // 11))
    return columns, _rows(snapshot, room, spare - room, style)


def _names(rows: Sequence[_Row]) -> list[tuple[str, str]]:
    return [(row.function, row.call) for row in rows]


def _needed(rows: Sequence[_Row]) -> int:
    return max(len(row.function) for row in rows) + max(len(row.call) for row in rows)


def _rows(snapshot: Snapshot, room: int, call_room: int, style: Style) -> list[_Row]:
    shown = snapshot.blockers[:MOST_ROWS]
    ellipsis = "..." if style.ascii_only else ELLIPSIS
    names = [("~" if one.inferred else "") + printable(one.function) for one in shown]
    functions = shorten(names, room, ellipsis)
    calls = _calls([printable(one.operation) for one in shown], call_room, ellipsis)
    shares = [snapshot.share(one) for one in shown]
    drawn = [_bar(share, max(shares), style.ascii_only) for share in shares]
    waits = map(snapshot.no_cpu, shown)
    numbers = range(1, len(shown) + 1)
    cells = zip(numbers, shown, shares, waits, functions, calls, drawn, strict=True)
    return [_Row(*row) for row in cells]


def _calls(operations: list[str], room: int, ellipsis: str) -> list[str]:
    """Shortened; those that have none stay empty."""
    known = list(filter(None, operations))
    short = (
        dict(zip(known, shorten(known, room, ellipsis, keep_crate=True), strict=True))
        if known
        else {}
    )
    return [short.get(operation, "") for operation in operations]


def _spare(columns: Sequence[_Column], rows: Sequence[_Row], width: int) -> int:
    """What is left for names."""
    names = [column for column in columns if column in (_FUNCTION, _CALL)]
    others = [column for column in columns if column not in names]
    return width - sum(_widths(others, rows)) - 2 * (len(columns) - 1) - 2


def _widths(columns: Sequence[_Column], rows: Sequence[_Row]) -> list[int]:
    return [max(len(column.title), *(len(column.cell(row)) for row in rows)) for column in columns]


def _line(
    cells: Sequence[str],
    columns: Sequence[_Column],
    widths: Sequence[int],
    cause: Cause | None = None,
) -> str:
    parts = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        padded = f"{cell:>{width}}" if column.right else f"{cell:<{width}}"
        if cause and cause.hue in COLOURS and column.title == "cause":
            padded = padded.replace(cell, f"\x1b[{COLOURS[cause.hue]}m{cell}\x1b[0m", 1)
        parts.append(padded)
    return ("  " + "  ".join(parts)).rstrip()
