"""All of a run on one page: how much is blocked, by whom, and what to do about the worst of it.

Five panels. As the terminal gets smaller, this goes first:

    below 110 columns  the latest long polls are below the selected blocker, no longer beside it
    below 100 columns
    or 30 lines        graph and workers have no boxes: a line for the graph, one for the workers
    below 26 lines     the latest long polls, as the list needs their lines
    below 22 lines     the graph
    below 20 lines     the note on what to know of this run (``?`` lists all of them)
    below 18 lines     the workers

The list has as many rows as there are blockers, as far as the selected one keeps six lines (two, on
the smallest terminal). Lines to spare go to the selected blocker, up to twenty of them, then to the
graph. ``tab`` goes from panel to panel, and ``z`` makes one as large as the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.model import Rung
from hud.tui import panel
from hud.tui.filters import whole
from hud.tui.layout import block
from hud.tui.state import PANELS, Opened, Page, first_shown
from hud.tui.style import Line, Span
from hud.tui.text import cells, clean, cut
from hud.tui.verdict import caveats
from hud.tui.views import blockerlist, detail, graph, latest, meters

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.tui.state import UiState

_BOXES_FROM = 100
"""Columns."""
_BOXES_LINES, _GRAPH_LINES, _NOTE_LINES, _WORKERS_LINES = 26, 18, 16, 14
"""Of the page, from which on there are boxes, a graph, a note, the workers."""
_BOX = 6
_ENOUGH_DETAIL = 20

_TITLES = {
    "graph": "blocked, all workers",
    "workers": "workers",
    "latest": "latest long polls",
}


class Plan(NamedTuple):
    """Lines of the page's parts, without their rules."""

    boxed: bool
    """Graph and workers side by side, each in a box."""
    graph: int
    workers: int
    rows: int
    """Of the list, without column heads and the line that counts what is below."""
    below: bool
    detail: int
    latest: int
    """Beside the detail if the page is split."""
    split: bool

    @property
    def top(self) -> int:
        """The line of the first row."""
        band = self.graph + 1 if self.boxed else self.graph + self.workers
        return band + self.boxed + 1


def plan(width: int, height: int, total: int) -> Plan:
    """For a page of that size with so many blockers."""
    boxed = width >= _BOXES_FROM and height >= _BOXES_LINES
    split = width >= panel.BESIDE_FROM
    if boxed:
        made = Plan(True, _BOX, _BOX, 0, False, 0, 0, split)
    else:
        graph = 0 if height < _GRAPH_LINES else 3 if height >= _BOXES_LINES else 1
        made = Plan(False, graph, int(height >= _WORKERS_LINES), 0, False, 0, 0, split)
    spare = _filled(made, height, total).detail - _ENOUGH_DETAIL
    if spare > 0 and boxed:
        more = min(spare, height // 4)
        made = made._replace(graph=_BOX + more, workers=_BOX + more)
    return _filled(made, height, total)


def _filled(made: Plan, height: int, total: int) -> Plan:
    """With the list as long as it may be, and the rest for what is below it."""
    least = min(max(height - 9, 2), 6)
    room = max(height - made.top - 1 - least, 1)
    rows = min(total, room)
    below = total > room > 1
    rest = height - made.top - rows - 1
    made = made._replace(rows=rows - below, below=below)
    if made.split:
        return made._replace(detail=rest, latest=rest)
    few = min(max(rest - 1 - _ENOUGH_DETAIL, 3), rest - 6)
    return (
        made._replace(detail=rest - few - 1, latest=few) if few > 1 else made._replace(detail=rest)
    )


# --------------------------------------------------------------------------- the view


def page(snapshot: Snapshot, state: UiState, width: int, height: int) -> Page:
    """The rows of the list; none where another panel has the page."""
    total = len(state.rows)
    if not state.zoomed:
        noted = len(_note(snapshot, state, width, height))
        made = plan(width, height - noted, total)
        return Page(made.rows, total, made.top + noted)
    return Page(height - 2, total, 2) if state.panel == "blockers" else Page(0, total, height)


def opened(state: UiState, _: Snapshot) -> Opened:
    """The view that the chosen panel is a part of, or the stacks of the chosen blocker."""
    views = {"graph": "timeline", "workers": "workers", "latest": "timeline"}
    if state.panel in views:
        return Opened(view=views[state.panel])
    return Opened(whole(state.rows[state.cursor])) if state.rows else Opened()


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """The panels, or the one that has the page."""
    sheet = _Sheet(snapshot, state, width)
    if state.zoomed:
        lines = [sheet.rule((state.panel, width)), *sheet.draw(state.panel, width, height - 1)]
        return block(lines, width, height, state.glyphs.ellipsis)
    lines = _note(snapshot, state, width, height)
    made = plan(width, height - len(lines), len(state.rows))
    lines += sheet.boxes(made) if made.boxed else sheet.lines(made)
    if state.rows:
        lines += [*sheet.blockers(made.rows, made.below), *sheet.lower(made)]
    else:
        lines += sheet.empty(height - len(lines))
    return block(lines, width, height, state.glyphs.ellipsis)


def _note(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """What to know about this run first, where there is room for it."""
    said = caveats(snapshot)
    if not said or height < _NOTE_LINES:
        return []
    # What cannot be seen at all weighs most, then what was noticed last.
    first = said[0] if snapshot.info.detection.rung is not Rung.CONTEXT else said[-1]
    more = f"  ({len(said) - 1} more: ?)" if len(said) > 1 else ""
    mark = state.glyphs.ellipsis
    room = max(width - 2 - len(more), 8)
    return [(Span(" "), Span(cut(first, room, mark)), Span(more, "label"))]


class _Sheet(NamedTuple):
    """What all panels are drawn from."""

    snapshot: Snapshot
    state: UiState
    width: int

    def rule(self, *parts: tuple[str, int], joint: int = panel.OPENS) -> Line:
        """With the titles of these panels, each of so many cells."""
        return panel.rule(
            [(self.title(name), cells) for name, cells in parts], self.state.glyphs, joint
        )

    def title(self, name: str) -> str:
        """Of a panel; the chosen one is marked, where the list is not."""
        said = _TITLES.get(name, "")
        if name == "blockers":
            said = f"blockers, by {self.state.sort}"
        elif name == "detail":
            said = blockerlist.title(self.state, panel.left_of(self.width) - 12)
        marked = name == self.state.panel != PANELS[0]
        return f"{self.state.glyphs.cursor} {said}" if marked else said

    def draw(self, name: str, width: int, height: int) -> list[Line]:
        """A panel, in at most ``height`` lines."""
        snapshot, state = self.snapshot, self.state
        if name == "graph":
            return graph.view(snapshot, width, height, state.glyphs)
        if name == "workers":
            return meters.view(snapshot, width, height, state.glyphs)
        if name == "latest":
            return latest.view(snapshot, state, width, height)
        if not state.rows:
            return self.empty(height)
        if name == "detail":
            blocker = state.rows[state.cursor]
            return detail.view(snapshot, blocker, width, height, state.glyphs)
        return self.blockers(height - 1, below=False)

    # ------------------------------------------------------------------- the parts of the page

    def boxes(self, made: Plan) -> list[Line]:
        """Graph and workers side by side, and the rule below them."""
        left = panel.left_of(self.width)
        right = self.width - left - 1
        drawn = self.draw("graph", left, made.graph)
        uses = self.draw("workers", right, made.workers)
        return [
            self.rule(("graph", left), ("workers", right)),
            *panel.beside(drawn, uses, left, self.state.glyphs),
            self.rule(("blockers", left), ("", right), joint=panel.CLOSES),
        ]

    def lines(self, made: Plan) -> list[Line]:
        """Workers in a line, and the graph in one or some."""
        snapshot, glyphs = self.snapshot, self.state.glyphs
        drawn = [meters.line(snapshot, self.width, glyphs)] if made.workers else []
        if made.graph:
            drawn += graph.line(snapshot, self.width, made.graph, glyphs)
        return drawn

    def blockers(self, rows: int, below: bool) -> list[Line]:
        """Column heads, so many rows, and what is below them."""
        snapshot, state = self.snapshot, self.state
        columns = blockerlist.table(snapshot, state, self.width)
        at = state.at("blockers")
        top = first_shown(at.scroll, at.cursor, rows, len(state.rows))
        drawn = [columns.head(state.sort, state.glyphs.ellipsis)]
        drawn += blockerlist.lines(snapshot, state, columns, top, rows, self.width)
        if below:
            said = blockerlist.below(snapshot, state, top, rows)
            drawn.append((Span(f"    {said}", "label"),))
        return drawn

    def lower(self, made: Plan) -> list[Line]:
        """The selected blocker, and the latest long polls beside or below it."""
        if made.split:
            left = panel.left_of(self.width)
            right = self.width - left - 1
            drawn = self.draw("detail", left, made.detail)
            news = self.draw("latest", right, made.latest)
            rule = self.rule(("detail", left), ("latest", right))
            return [rule, *panel.beside(drawn, news, left, self.state.glyphs)]
        drawn = [self.rule(("detail", self.width)), *self.draw("detail", self.width, made.detail)]
        if made.latest:
            drawn.append(self.rule(("latest", self.width)))
            drawn += self.draw("latest", self.width, made.latest)
        return drawn

    def empty(self, height: int) -> list[Line]:
        """Why there is no blocker, in the middle."""
        said = clean(blockerlist.empty(self.snapshot, self.state))
        left = " " * max((self.width - cells(said)) // 2, 1)
        return [*[()] * max((height - 1) // 2, 0), (Span(f"{left}{said}"),)]
