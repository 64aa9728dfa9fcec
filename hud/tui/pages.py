"""How much of a view fits on the screen: what scrolling, paging and clicking go by."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hud.tui.keys import Scope
from hud.tui.state import At, Size, UiState, body_height, header_height
from hud.tui.views import code, main, pressure, stack, tasks, timeline, workers
from hud.tui.views import help as help_view

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot


class Page(NamedTuple):
    """Of the rows of a view: how many are shown, how many there are, and the first one's line."""

    shown: int
    total: int
    top: int


_LISTS = {Scope.WORKERS: workers, Scope.TASKS: tasks, Scope.PRESSURE: pressure}


def page_of(state: UiState, seen: Snapshot, size: Size) -> Page:
    """Of what the user is looking at."""
    body, above = body_height(size, state), header_height(size)
    if state.help:
        return Page(max(size.height - 1, 1), len(help_view.content(seen, state, size.width)), 0)
    if state.view is Scope.STACKS and state.opened is not None:
        total = len(stack.document(seen, state, size.width))
        return Page(max(body - stack.HEAD, 1), total, above + stack.HEAD)
    if state.view is Scope.TIMELINE:
        shown, _ = timeline.shape(len(seen.workers), body)
        return Page(shown, len(seen.workers), above + 1)
    if state.view in _LISTS:
        view = _LISTS[state.view]
        head, shown = view.shape(seen, body)
        return Page(max(shown, 1), len(view.listed(state, seen)), above + head)
    return Page(max(main.shape(body), 1), len(state.rows), above + 1)


def at(state: UiState) -> At:
    """The place in the view's list."""
    match state.view:
        case Scope.WORKERS | Scope.TIMELINE:
            return state.workers
        case Scope.TASKS:
            return state.tasks
        case Scope.PRESSURE:
            return state.pressure
        case _:
            return At(state.cursor, state.scroll)


def column_at(state: UiState, seen: Snapshot, size: Size, x: int) -> str:
    """The column of the view's list that lies at ``x``; empty = none."""
    match state.view:
        case Scope.WORKERS:
            return workers.table(seen, size.width).at(x)
        case Scope.TASKS:
            return tasks.table(seen, size.width).at(x)
        case Scope.BLOCKERS:
            return main.table(state, size.width).at(x)
        case _:
            return ""


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


def to_code(state: UiState, seen: Snapshot) -> UiState:
    """The drill-down scrolled to the machine code, where it has just been asked for."""
    if not state.code:
        return replace(state, stack_scroll=0)
    lines = stack.document(seen, state, stack.ANY_WIDTH)
    titles = [at for at, line in enumerate(lines) if line and line[-1].text == code.MACHINE_CODE]
    return replace(state, stack_scroll=titles[0] if titles else state.stack_scroll)
