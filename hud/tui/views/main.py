"""The blockers: the ranked list, and below it the selected one explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.results import Blocker
from hud.tui import groups, panel
from hud.tui.cache import IdentityCache
from hud.tui.layout import Column, Table, block
from hud.tui.state import Opened, Page, first_shown, pane_height
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, clean, cut_left, name, pad, sparkline
from hud.tui.views import detail

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.tui.glyphs import Glyphs
    from hud.tui.state import UiState

COLUMNS = (
    Column("function", "function", 28, grow=3, widest=90),
    Column("where", "where", 18, drop=2, grow=1, widest=40),
    Column("cause", "cause", 7),
    Column("count", "count", 5, right=True, drop=1),
    Column("total", "total", 5, right=True),
    Column("max", "max", 5, right=True),
    Column("p99", "p99", 5, right=True, drop=4),
    Column("waiting", "no CPU", 6, right=True, drop=5),
    Column("share", "share", 5, right=True, drop=3),
    Column("history", "last 60 s", 12, drop=6),
)
_MARGIN = 7
"""Cursor, rank and two blanks."""
_LOOKED_AT = 200


def table(state: UiState, width: int) -> Table:
    """The columns there is room for, without those that would be empty."""
    seen = state.rows[:_LOOKED_AT]
    placed = any(blocker.where for blocker in seen) or not state.rows
    waited = any(blocker.waiting_ns for blocker in seen)
    left_out = [name for name, there in (("where", placed), ("waiting", waited)) if not there]
    first = COLUMNS[0]._replace(head=state.group.value)
    rest = [column for column in COLUMNS[1:] if column.name not in left_out]
    return Table((first, *rest), width, _MARGIN)


def page(_: Snapshot, state: UiState, __: int, height: int) -> Page:
    """The rows between the column heads and the lower pane."""
    return Page(max(height - 1 - pane_height(height), 0), len(state.rows), 1)


def opened(state: UiState, _: Snapshot) -> Opened:
    """The stacks of the chosen blocker."""
    return Opened(state.rows[state.cursor]) if state.rows else Opened()


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """List and lower pane, one above the other."""
    mark = state.glyphs.ellipsis
    pane = pane_height(height)
    shown = page(snapshot, state, width, height).shown
    columns = table(state, width)
    lines = [columns.head(state.sort, mark)]
    at = state.at("blockers")
    top = first_shown(at.scroll, at.cursor, shown, len(state.rows))
    for number, blocker in enumerate(state.rows[top : top + shown], start=top):
        lines.append(_kept_row(columns, blocker, number, state))
    if not state.rows:
        lines += [(), (Span(f"   {_empty(state)}", "dim"),)]
    lines = block(lines, width, height - pane, mark)
    return lines + _pane(snapshot, state, width, pane) if pane else lines


def _empty(state: UiState) -> str:
    if state.search:
        return "nothing matches the search (c clears it)"
    return (
        "nothing but what the filters leave out (c clears them)"
        if state.filter.words()
        else ("no blocker so far")
    )


_rows: IdentityCache[Blocker, Line] = IdentityCache(512)


def _kept_row(table: Table, blocker: Blocker, at: int, state: UiState) -> Line:
    """As ``_row``; what did not change since the last frame is not made again."""
    chosen, glyphs = at == state.cursor, state.glyphs
    row = _rows.get(
        blocker, (chosen, glyphs, table.key), lambda: _row(table, blocker, chosen, glyphs)
    )
    rank = str(at + 1) if at < 9_999 else figures.short_count(at + 1)
    marker = f" {'>' if chosen else ' '}{pad(rank, 3, right=True)}"
    return (Span(pad(marker, table.margin), "bold" if chosen else ""), *row)


def _row(table: Table, blocker: Blocker, chosen: bool, glyphs: Glyphs) -> Line:
    mark = glyphs.ellipsis
    room = table.widths["function"]
    values = {
        "where": (Span(cut_left(clean(blocker.where), table.widths.get("where", 0), mark)),),
        "function": _function(blocker, room, "where" not in table, chosen, mark),
        "cause": (Span(blocker.cause.value, cause_style(blocker.cause)),),
        "count": (Span(figures.short_count(blocker.count) if blocker.count else "-"),),
        "total": (Span(figures.duration(blocker.total_ns)),),
        "max": (Span(figures.duration(blocker.max_ns)),),
        "p99": (Span(figures.duration(blocker.p99_ns) if blocker.p99_ns else "-"),),
        "waiting": (Span(figures.duration(blocker.waiting_ns) if blocker.waiting_ns else ""),),
        "share": (Span(figures.share(blocker.share)),),
        "history": (Span(sparkline(blocker.history[-12:], glyphs.ramp)),),
    }
    return table.cells(values, mark)


def _function(blocker: Blocker, room: int, joined: bool, chosen: bool, mark: str) -> Line:
    function = name(blocker.function or "(no name)", blocker.inferred, room, mark)
    style = "bold" if chosen else ""
    where = clean(blocker.where)
    spare = room - cells(function) - 1
    if not joined or not where or spare < 6:
        return (Span(function, style),)
    return (Span(function, style), Span(f" {cut_left(where, spare, mark)}", "dim"))


# --------------------------------------------------------------------------- the lower pane


def _pane(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    glyphs = state.glyphs
    if not state.rows:
        return block([(Span(glyphs.rule * width, "rule"),)], width, height, glyphs.ellipsis)
    blocker = state.rows[state.cursor]
    function = name(blocker.function, blocker.inferred, max(width - 14, 8), glyphs.ellipsis)
    title = panel.rule([(f"{state.cursor + 1} {function}", width)], glyphs)
    return [title, *detail.view(snapshot, blocker, width, height - 1, glyphs)]


def part_lines(group: Blocker, mark: str) -> list[Line]:
    """The largest of a group, a line each."""
    whole = max(group.total_ns, 1)
    return [
        (
            Span(f"{figures.share(min(ns / whole, 1.0)):>6}  "),
            Span(pad(one.cause.value, 8), cause_style(one.cause)),
            Span(name(one.function, one.inferred, 90, mark)),
            Span(f"  {clean(one.where)}" if one.where else "", "dim"),
        )
        for one, ns in groups.members(group)
    ]
