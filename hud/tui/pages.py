"""How much of a view fits on the screen: what scrolling, paging and clicking go by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.tui.state import HEADER_HEIGHT, At, Page, Size, UiState, body_height
from hud.tui.views import code, stack
from hud.tui.views import help as help_view
from hud.tui.views.table import VIEWS

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.tui.actions import Click


def page_of(state: UiState, seen: Snapshot, size: Size) -> Page:
    """Of what the user is looking at."""
    if state.help:
        return Page(max(size.height - 1, 1), len(help_view.content(seen, state, size.width)), 0)
    found = VIEWS[state.view].page(seen, state, size.width, body_height(size, state))
    return found._replace(shown=max(found.shown, 1), top=HEADER_HEIGHT + found.top)


def cursor_of(state: UiState) -> str:
    """The view under which ``UiState.lists`` holds the cursor."""
    return VIEWS[state.view].cursor_of or state.view


def at(state: UiState) -> At:
    """The position in the view's list."""
    return state.at(cursor_of(state))


def row_at(page: Page, click: Click, size: Size) -> int:
    """The row of the page at a cell; -1 = the heads, beyond the last = nothing."""
    row, lines = click.y - page.top, -(-page.shown // page.columns)
    if not 0 <= row < lines:
        return row if row < 0 else page.total
    return row + lines * min(click.x * page.columns // size.width, page.columns - 1)


def column_at(state: UiState, seen: Snapshot, size: Size, x: int) -> str:
    """The column of the view's list that lies at ``x``; empty = none."""
    columns = VIEWS[state.view].columns
    if columns is None:
        return ""
    apart = size.width // page_of(state, seen, size).columns
    return columns(seen, state, size.width).at(x % apart)


def to_match(state: UiState, seen: Snapshot, step: int) -> UiState:
    """The drill-down scrolled to the next line that holds the searched text (``step`` 1 or -1; 0 =
    the first from here on)."""
    if not state.search:
        return state
    lines = stack.document(seen, state, stack.ANY_WIDTH)
    wanted = state.search.casefold()
    found = [
        at
        for at, line in enumerate(lines)
        if wanted in "".join(span.text for span in line).casefold()
    ]
    if not found:
        return replace(state, notice="not found here")
    here = state.stack_scroll
    if step < 0:
        there = [at for at in found if at < here]
        return replace(state, stack_scroll=there[-1] if there else found[-1])
    there = [at for at in found if at >= here + step]
    return replace(state, stack_scroll=there[0] if there else found[0])


def to_code(state: UiState, seen: Snapshot, width: int) -> UiState:
    """The drill-down scrolled to the machine code, where it has just been asked for."""
    if not state.code:
        return replace(state, stack_scroll=0)
    lines = stack.document(seen, state, width)
    titles = [
        at for at, line in enumerate(lines) if any(span.text == code.MACHINE_CODE for span in line)
    ]
    return replace(state, stack_scroll=titles[0] if titles else state.stack_scroll)
