"""How new snapshots change what the user has chosen; pure.

While the cursor is not on the first row, and for two seconds after any key, the rows around the
cursor (more than a page) keep their order, and new ones come after them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.tui import listing, workerlist
from hud.tui.filters import whole
from hud.tui.listing import Key, key_of
from hud.tui.state import LISTS_OF_BLOCKERS, TOP, At, UiState
from hud.tui.views.table import VIEWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Blocker, Snapshot

HELD_NS = 2_000_000_000


def settle(state: UiState, snapshot: Snapshot, held: bool = False) -> UiState:
    """``state`` with its rows, cursor and selection made to agree with ``snapshot``.

    ``held`` keeps the order of the rows there are, as long as nothing else is wanted of them;
    otherwise they are sorted again. A selection
    that is still listed keeps the cursor, unless the cursor is on the first row of a new order.
    """
    grouped = (state.wanted, snapshot.info.threshold_ns, snapshot.info.window_ns)
    rows = listing.listed(snapshot, state.wanted, state.rows)
    cursor = state.cursor
    held = held and grouped == state.grouped
    if held:
        rows = listing.in_places(rows, state.rows, cursor)
    if held or cursor > 0 or state.view not in LISTS_OF_BLOCKERS:
        cursor = _found(rows, state.selected, cursor)
    cursor = max(min(cursor, len(rows) - 1), 0)
    selected = key_of(rows[cursor]) if rows else None
    opened = state.opened
    if opened is not None:
        wanted = key_of(opened)
        if selected == wanted:
            opened = whole(rows[cursor])
        else:
            found = (b for b in (*rows, *snapshot.blockers) if key_of(b) == wanted)
            opened = whole(next(found, opened))
    scroll = min(state.at("blockers").scroll, max(len(rows) - 1, 0))
    settled = replace(
        state.put("blockers", At(cursor, scroll)),
        rows=rows,
        grouped=grouped,
        selected=selected,
        opened=opened,
        threshold=_threshold(state.threshold, snapshot),
    )
    return _within(settled.put("workers", _followed(settled, snapshot)), snapshot)


def _followed(state: UiState, snapshot: Snapshot) -> At:
    """Where the chosen worker is now; at the first row the cursor stays there."""
    at = state.at("workers")
    if not at.cursor or not state.worker:
        return at
    threads = [use.worker.tid for use in workerlist.listed(state, snapshot)]
    return At(threads.index(state.worker) if state.worker in threads else at.cursor, at.scroll)


def _within(state: UiState, snapshot: Snapshot) -> UiState:
    """No cursor is beyond the last row of its list."""
    lists = dict(state.lists)
    for view in VIEWS.values():
        at = lists.get(view.name, TOP)
        if view.listed is not None and at.cursor:
            last = max(len(view.listed(state, snapshot)) - 1, 0)
            lists[view.name] = At(min(at.cursor, last), at.scroll)
    return replace(state, lists=lists)


def _threshold(known: tuple[int, int, int], snapshot: Snapshot) -> tuple[int, int, int]:
    now = snapshot.info.threshold_ns
    if now != known[0]:
        return (now, known[0], snapshot.elapsed_ns)
    # Nothing that the one before found is shown any more: started again, or out of the window.
    started_ns = snapshot.elapsed_ns - snapshot.span_ns
    return known if started_ns <= known[2] <= snapshot.elapsed_ns else (now, 0, 0)


def _found(rows: Sequence[Blocker], selected: Key | None, cursor: int) -> int:
    if cursor < len(rows) and key_of(rows[cursor]) == selected:
        return cursor
    if selected is None:
        return cursor
    function = selected[0]
    for at, blocker in enumerate(rows):
        if blocker.function == function and key_of(blocker) == selected:
            return at
    return cursor
