"""The blockers: the ranked list, and below it the selected one explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.tui import panel
from hud.tui.filters import whole
from hud.tui.layout import block
from hud.tui.state import Opened, Page, first_shown, pane_height
from hud.tui.style import Line, Span
from hud.tui.text import cells
from hud.tui.views import blockerlist, detail, episode

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.tui.state import UiState

_HEAD = 1


class _Heights(NamedTuple):
    """Lines of the page's parts, the column heads left out."""

    rows: int
    below: int
    """The line about rows that are not shown, and polls that were not seen."""
    pane: int


def _heights(state: UiState, height: int) -> _Heights:
    """The list takes what it needs, as far as a pane is left; the pane has the rest."""
    total, said = len(state.rows), bool(blockerlist.since(state))
    pane = max(pane_height(height), height - _HEAD - total - said) if pane_height(height) else 0
    room = max(height - _HEAD - pane, 0)
    more = (room < total or said) and room > 1
    return _Heights(min(room - more, total), int(more), pane)


def page(_: Snapshot, state: UiState, __: int, height: int) -> Page:
    """The rows between the column heads and the lower pane."""
    return Page(_heights(state, height).rows, len(state.rows), _HEAD)


def opened(state: UiState, _: Snapshot) -> Opened:
    """The stacks of the chosen blocker."""
    return Opened(whole(state.rows[state.cursor])) if state.rows else Opened()


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """List and lower pane, one above the other."""
    mark = state.glyphs.ellipsis
    columns = blockerlist.table(snapshot, state, width)
    head = columns.head(state.sort, mark)
    if not state.rows:
        centred = _centred(blockerlist.empty(snapshot, state), width, height)
        return block([head, *centred], width, height, mark)
    parts = _heights(state, height)
    at = state.at("blockers")
    top = first_shown(at.scroll, at.cursor, parts.rows, len(state.rows))
    lines = [head, *blockerlist.lines(snapshot, state, columns, top, parts.rows, width)]
    if parts.below:
        others = blockerlist.below(snapshot, state, top, parts.rows)
        said = "   ".join(filter(None, (others, blockerlist.since(state))))
        lines.append((Span(f"   {said}", "label"),))
    lines = block(lines, width, height - parts.pane, mark)
    return [*lines, *_pane(snapshot, state, width, parts.pane)] if parts.pane else lines


def _centred(text: str, width: int, height: int) -> list[Line]:
    left = " " * max((width - cells(text)) // 2, 1)
    return [*[()] * (height // 3), (Span(f"{left}{text}"),)]


def _pane(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """The selected one explained, and beside it its latest long polls."""
    glyphs = state.glyphs
    blocker = state.rows[state.cursor]
    left = panel.left_of(width) if width >= panel.BESIDE_FROM else width
    title = blockerlist.title(state, max(left - 14, 8)), left
    about = detail.view(snapshot, blocker, left, height - 1, glyphs)
    if left == width:
        return [panel.rule([title], glyphs), *about]
    right = width - left - 1
    polls = episode.of_blocker(whole(blocker), snapshot, height - 1)
    drawn = episode.rows(polls, snapshot, right, glyphs, code=False)
    rule = panel.rule([title, ("its latest long polls", right)], glyphs)
    return block([rule, *panel.beside(about, drawn, left, glyphs)], width, height, glyphs.ellipsis)
