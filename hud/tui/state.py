"""What the user has chosen, and how keys and new snapshots change it; all of it pure.

Terms: *rows* are the blockers as listed: filtered by the search, in the sort order, or in the order
held from before. The order is *held* while the cursor is not on the first row, and for two seconds
after any key: the rows around the cursor (more than a page) keep their order, new ones come after
them. Pause keeps a snapshot; the recording goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from hud.model import Cause
from hud.tui import folding
from hud.tui.keys import Act, Action, Scope, Typed
from hud.tui.text import UNICODE, Glyphs
from hud.tui.views import help as help_view
from hud.tui.views import stack as stack_view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hud.model import Blocker, Snapshot

Key = tuple[str, str, str]
"""Function, where, operation: what makes a blocker the same in the next snapshot."""

HELD_NS = 2_000_000_000
_HELD_AROUND = 200
"""Rows on either side of the cursor that keep their places: more than a screen has."""
_LONGEST_SEARCH = 200


class Effect(Enum):
    """What the session has to do after a key."""

    QUIT = auto()
    CLEAR = auto()
    """Forget what was recorded so far; the figures start again from zero."""


class Size(NamedTuple):
    """Cells of the terminal."""

    width: int
    height: int


SORTS: dict[str, Callable[[Blocker], Any]] = {
    "total": lambda b: (-b.total_ns, b.function),
    "count": lambda b: (-b.count, b.function),
    "max": lambda b: (-b.max_ns, b.function),
    "p99": lambda b: (-b.p99_ns, b.function),
    "cause": lambda b: (b.cause.value, -b.total_ns, b.function),
    "function": lambda b: (b.function, -b.total_ns),
    "where": lambda b: (b.file, b.line, -b.total_ns),
}
"""By column name; a snapshot comes sorted by the first."""

_DEFAULT_SORT = next(iter(SORTS))


@dataclass(frozen=True, slots=True)
class UiState:
    """Everything the screen depends on besides the snapshot and the terminal's size."""

    view: Scope = Scope.BLOCKERS
    rows: Sequence[Blocker] = ()
    """See the module; made by ``settle``."""
    cursor: int = 0
    scroll: int = 0
    """First row shown."""
    selected: Key | None = None
    opened: Blocker | None = None
    """The drill-down's blocker, kept when the window forgets it."""
    stack_scroll: int = 0
    unfold: bool = False
    worker_cursor: int = 0
    worker_scroll: int = 0
    sort: str = _DEFAULT_SORT
    search: str = ""
    searching: bool = False
    paused: Snapshot | None = None
    help: bool = False
    help_scroll: int = 0
    glyphs: Glyphs = UNICODE

    @property
    def scope(self) -> Scope:
        """Where keys go."""
        if self.help:
            return Scope.HELP
        return Scope.SEARCH if self.searching else self.view


def key_of(blocker: Blocker) -> Key:
    return (blocker.function, blocker.where, blocker.operation)


# --------------------------------------------------------------------------- new snapshots


def settle(state: UiState, snapshot: Snapshot, held: bool = False) -> UiState:
    """``state`` with its rows, cursor and selection made to agree with ``snapshot``.

    ``held`` keeps the order of the rows there are; otherwise they are sorted anew. A selection
    that is still listed keeps the cursor, unless the cursor is on the first row of a new order.
    """
    rows = _listed(state, snapshot)
    if held:
        rows = _in_places(rows, state.rows, state.cursor)
    cursor = state.cursor
    if held or cursor > 0 or state.view is Scope.STACKS:
        cursor = _found(rows, state.selected, cursor)
    cursor = max(min(cursor, len(rows) - 1), 0)
    selected = key_of(rows[cursor]) if rows else None
    opened = state.opened
    if opened is not None:
        wanted = key_of(opened)
        if selected == wanted:
            opened = rows[cursor]
        else:
            opened = next((b for b in snapshot.blockers if key_of(b) == wanted), opened)
    return replace(
        state,
        rows=rows,
        cursor=cursor,
        scroll=min(state.scroll, max(len(rows) - 1, 0)),
        selected=selected,
        opened=opened,
        worker_cursor=max(min(state.worker_cursor, len(snapshot.workers) - 1), 0),
    )


def _listed(state: UiState, snapshot: Snapshot) -> Sequence[Blocker]:
    rows: Sequence[Blocker] = snapshot.blockers
    if state.search:
        wanted = state.search.casefold()
        causes = {cause for cause in Cause if wanted in cause.value}
        rows = [
            b
            for b in rows
            if wanted in b.function.casefold() or wanted in b.where.casefold() or b.cause in causes
        ]
    if state.sort != _DEFAULT_SORT:
        rows = sorted(rows, key=SORTS[state.sort])
    return rows


def _in_places(
    rows: Sequence[Blocker], before: Sequence[Blocker], cursor: int
) -> Sequence[Blocker]:
    start = max(cursor - _HELD_AROUND, 0)
    near = before[start : cursor + _HELD_AROUND]
    places = {key_of(blocker): place for place, blocker in enumerate(near)}
    known: list[tuple[int, int]] = []
    rest: list[Blocker] = []
    for at, blocker in enumerate(rows):
        place = places.get((blocker.function, blocker.where, blocker.operation))
        if place is None:
            rest.append(blocker)
        else:
            known.append((place, at))
    known.sort()
    return [*rest[:start], *(rows[at] for _, at in known), *rest[start:]]


def _found(rows: Sequence[Blocker], selected: Key | None, cursor: int) -> int:
    if cursor < len(rows) and key_of(rows[cursor]) == selected:
        return cursor
    return next((at for at, b in enumerate(rows) if key_of(b) == selected), cursor)


# --------------------------------------------------------------------------- the page


SMALLEST = Size(60, 15)
_NOTE_FROM = 20
"""Lines a terminal must have before one is spent on a caveat."""

# The shares depend on the terminal's size only, so that nothing jumps.


def header_height(size: Size) -> int:
    """Lines of the header."""
    return 4 if size.height >= _NOTE_FROM else 3


def body_height(size: Size) -> int:
    """Lines of a view: what header and footer leave."""
    return max(size.height - header_height(size) - 1, 1)


def pane_height(body: int) -> int:
    """Lines of the lower pane in a main view of ``body`` lines."""
    return 0 if body < 9 else min(max(4, (body - 1) * 2 // 5), 14)


def list_page(size: Size) -> int:
    """Rows of the list, without the line of column heads."""
    body = body_height(size)
    return max(body - 1 - pane_height(body), 1)


def first_shown(scroll: int, cursor: int, page: int, total: int) -> int:
    """The first row to show so that the cursor is on the page and the page is full."""
    scroll = min(scroll, cursor, max(total - page, 0))
    return max(scroll, cursor - page + 1, 0)


# --------------------------------------------------------------------------- keys

_Result = tuple[UiState, Effect | None]


def update(state: UiState, action: Action, snapshot: Snapshot, size: Size) -> _Result:
    """The state after ``action``, and what the session has to do.

    ``snapshot`` is the live one; where the screen is paused, the kept one counts.
    """
    seen = state.paused or snapshot
    if isinstance(action, Typed):
        search = (state.search + action.text)[:_LONGEST_SEARCH]
        return _anew(state, seen, search=search), None
    if action in _MOVES:
        return _move(state, _MOVES[action], seen, size), None
    if action is Act.QUIT:
        return state, Effect.QUIT
    if action is Act.RESET:
        return replace(state, paused=None), Effect.CLEAR
    return _change(state, action, seen, snapshot), None


def _anew(state: UiState, seen: Snapshot, **changes: Any) -> UiState:
    """Rows in a new order: the view starts at its first row again."""
    return settle(replace(state, cursor=0, scroll=0, **changes), seen)


def _change(state: UiState, act: Act, seen: Snapshot, live: Snapshot) -> UiState:
    match act:
        case Act.OPEN:
            if not state.rows:
                return state
            opened = state.rows[state.cursor]
            return replace(state, view=Scope.STACKS, opened=opened, stack_scroll=0)
        case Act.BACK:
            if state.help:
                return replace(state, help=False)
            return replace(state, view=Scope.BLOCKERS, opened=None)
        case Act.NEXT_VIEW:
            other = Scope.WORKERS if state.view is Scope.BLOCKERS else Scope.BLOCKERS
            return replace(state, view=other, opened=None)
        case Act.BLOCKERS:
            return replace(state, view=Scope.BLOCKERS, opened=None)
        case Act.WORKERS:
            return replace(state, view=Scope.WORKERS, opened=None)
        case Act.SORT:
            names = list(SORTS)
            following = names[(names.index(state.sort) + 1) % len(names)]
            return _anew(state, seen, sort=following)
        case Act.SEARCH:
            return _anew(state, seen, search="", searching=True)
        case Act.ACCEPT:
            return replace(state, searching=False)
        case Act.CANCEL | Act.CLEAR_SEARCH:
            if not state.search:
                return replace(state, searching=False)
            return _anew(state, seen, search="", searching=False)
        case Act.ERASE:
            return _anew(state, seen, search=state.search[:-1])
        case Act.UNFOLD:
            return replace(state, unfold=not state.unfold, stack_scroll=0)
        case Act.PAUSE:
            if state.paused is None:
                return replace(state, paused=live)
            return settle(replace(state, paused=None), live, held=True)
        case Act.HELP:
            return replace(state, help=True, help_scroll=0)
        case _:
            return state


class _Step(NamedTuple):
    rows: int
    pages: int = 0

    def moved(self, position: int, page: int, last: int) -> int:
        return max(min(position + self.rows + self.pages * page, last), 0)


_FAR = 1 << 30
_MOVES: dict[Action, _Step] = {
    Act.UP: _Step(-1),
    Act.DOWN: _Step(1),
    Act.PAGE_UP: _Step(0, -1),
    Act.PAGE_DOWN: _Step(0, 1),
    Act.HOME: _Step(-_FAR),
    Act.END: _Step(_FAR),
}


def _move(state: UiState, step: _Step, seen: Snapshot, size: Size) -> UiState:
    body = body_height(size)
    if state.help:
        page = size.height - 1
        total = len(help_view.content(seen, size.width))
        return replace(state, help_scroll=step.moved(state.help_scroll, page, total - page))
    if state.view is Scope.STACKS and state.opened is not None:
        head = stack_view.head(state.opened, seen.stacks, size.width, body, "")
        page = max(body - len(head), 1)
        total = len(folding.all_rows(state.opened, seen.stacks, state.unfold))
        return replace(state, stack_scroll=step.moved(state.stack_scroll, page, total - page))
    if state.view is Scope.WORKERS:
        page = max(body - 1, 1)
        cursor = step.moved(state.worker_cursor, page, len(seen.workers) - 1)
        scroll = first_shown(state.worker_scroll, cursor, page, len(seen.workers))
        return replace(state, worker_cursor=cursor, worker_scroll=scroll)
    page = list_page(size)
    cursor = step.moved(state.cursor, page, len(state.rows) - 1)
    scroll = first_shown(state.scroll, cursor, page, len(state.rows))
    selected = key_of(state.rows[cursor]) if state.rows else None
    return replace(state, cursor=cursor, scroll=scroll, selected=selected)
