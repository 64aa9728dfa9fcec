"""What the user has chosen, and how new snapshots change it; all of it pure.

Terms: *rows* are the blockers as listed: filtered, grouped, in the sort order, or in the order held
from before. The order is *held* while the cursor is not on the first row, and for two seconds after
any key: the rows around the cursor (more than a page) keep their order, new ones come after them.
Pause keeps a snapshot; the recording goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from hud.tui import listing
from hud.tui.keys import Scope
from hud.tui.listing import DEFAULT_SORT, NO_FILTER, Filter, Group, Key, key_of
from hud.tui.text import UNICODE, Glyphs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Blocker, Snapshot
    from hud.wish import Playback

HELD_NS = 2_000_000_000
_MANY = 1_000
_PATIENCE_NS = 5_000_000_000


class Size(NamedTuple):
    """Cells of the terminal."""

    width: int
    height: int


class At(NamedTuple):
    """A place in a list: the row of the cursor and the first row shown."""

    cursor: int = 0
    scroll: int = 0


TOP = At()


class Line(Enum):
    """What can be typed into the last line, besides the search; with its question."""

    THRESHOLD = "report polls of at least (ms): "
    WINDOW = "show the last (s; 0 = everything; older episodes are forgotten): "
    EXPORT = "write to the new file: "


class Prompt(NamedTuple):
    """A line being typed."""

    line: Line
    text: str
    payload: str = ""
    """EXPORT: what to write, as it was when the key was pressed."""
    touched: bool = False
    """Until then a number is what is in force, and the first key replaces it."""


class Span(NamedTuple):
    """What part of the run the timeline shows."""

    cell_ns: int = 500_000_000
    """One column."""
    end_ns: int = 0
    """0 = it follows the present."""
    episode: tuple[int, int] | None = None
    """(tid, start) of the episode under the cursor; None = the latest of the worker."""


LATEST = Span()


@dataclass(frozen=True, slots=True)
class UiState:
    """Everything the screen depends on besides the snapshot and the terminal's size."""

    view: Scope = Scope.BLOCKERS
    rows: Sequence[Blocker] = ()
    """See the module; made by ``settle``."""
    grouped: object = None
    grouped_ns: int = 0
    """By what, and from the snapshot of which time, ``rows`` were made."""
    cursor: int = 0
    scroll: int = 0
    """First row shown."""
    selected: Key | None = None
    opened: Blocker | None = None
    """The drill-down's blocker, kept when the window forgets it."""
    opened_from: Scope = Scope.BLOCKERS
    stack_scroll: int = 0
    unfold: bool = False
    code: bool = False
    workers: At = TOP
    tasks: At = TOP
    pressure: At = TOP
    span: Span = LATEST
    sort: str = DEFAULT_SORT
    worker_sort: str = "id"
    task_sort: str = "blocked"
    group: Group = Group.FUNCTION
    filter: Filter = NO_FILTER
    """The search is a part of it."""
    searching: bool = False
    prompt: Prompt | None = None
    notice: str = ""
    """A sentence for the last line, for some seconds."""
    threshold: tuple[int, int, int] = (0, 0, 0)
    """In force, the one before (0 = none), and at which time of the run it changed."""
    playback: Playback | None = None
    """Given in a replay."""
    paused: Snapshot | None = None
    help: bool = False
    help_scroll: int = 0
    glyphs: Glyphs = UNICODE

    @property
    def scope(self) -> Scope:
        """Where keys go."""
        if self.help:
            return Scope.HELP
        if self.prompt is not None:
            return Scope.PROMPT
        return Scope.SEARCH if self.searching else self.view

    @property
    def search(self) -> str:
        return self.filter.search


# --------------------------------------------------------------------------- new snapshots


def settle(state: UiState, snapshot: Snapshot, held: bool = False) -> UiState:
    """``state`` with its rows, cursor and selection made to agree with ``snapshot``.

    ``held`` keeps the order of the rows there are; otherwise they are sorted anew. A selection
    that is still listed keeps the cursor, unless the cursor is on the first row of a new order.
    """
    grouped = (state.filter, state.group, state.sort)
    if _fresh_enough(state, snapshot, grouped):
        rows, grouped_ns = state.rows, state.grouped_ns
    else:
        rows, grouped_ns = listing.listed(snapshot, *grouped), snapshot.now_ns
    cursor = state.cursor
    if held:
        rows = listing.in_places(rows, state.rows, cursor)
    if held or cursor > 0 or state.view is not Scope.BLOCKERS:
        cursor = _found(rows, state.selected, cursor)
    cursor = max(min(cursor, len(rows) - 1), 0)
    selected = key_of(rows[cursor]) if rows else None
    opened = state.opened
    if opened is not None:
        wanted = key_of(opened)
        if selected == wanted:
            opened = rows[cursor]
        else:
            opened = next((b for b in (*rows, *snapshot.blockers) if key_of(b) == wanted), opened)
    return replace(
        state,
        rows=rows,
        grouped=grouped,
        grouped_ns=grouped_ns,
        cursor=cursor,
        scroll=min(state.scroll, max(len(rows) - 1, 0)),
        selected=selected,
        opened=opened,
        workers=_within(state.workers, len(snapshot.workers)),
        tasks=_within(state.tasks, len(snapshot.tasks)),
        pressure=_within(state.pressure, len(snapshot.pressure)),
        threshold=_threshold(state.threshold, snapshot),
    )


def _fresh_enough(state: UiState, snapshot: Snapshot, grouped: object) -> bool:
    """Searching or adding up many blockers takes its time: it need not be done each time."""
    easy = state.group is Group.FUNCTION and not state.filter.search
    if easy or len(snapshot.blockers) < _MANY:
        return False
    return state.grouped == grouped and 0 <= snapshot.now_ns - state.grouped_ns < _PATIENCE_NS


def _within(at: At, total: int) -> At:
    return at if at.cursor < total else At(max(total - 1, 0), at.scroll)


def _threshold(known: tuple[int, int, int], snapshot: Snapshot) -> tuple[int, int, int]:
    now = snapshot.info.threshold_ns
    if now != known[0]:
        return (now, known[0], snapshot.elapsed_ns)
    # Nothing that the one before found is shown any more: begun anew, or out of the window.
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


# --------------------------------------------------------------------------- the page


SMALLEST = Size(60, 15)
_NOTE_FROM = 20
"""Lines a terminal must have before one is spent on a caveat."""

# The shares depend on the terminal's size only, so that nothing jumps.


def header_height(size: Size) -> int:
    """Lines of the header."""
    return 4 if size.height >= _NOTE_FROM else 3


def footer_height(state: UiState) -> int:
    """Lines below a view: the keys, and in a replay its bar."""
    return 2 if state.playback is not None else 1


def body_height(size: Size, state: UiState) -> int:
    """Lines of a view: what header and footer leave."""
    return max(size.height - header_height(size) - footer_height(state), 1)


def pane_height(body: int) -> int:
    """Lines of the lower pane in a view of ``body`` lines."""
    return 0 if body < 9 else min(max(4, (body - 1) * 2 // 5), 14)


def first_shown(scroll: int, cursor: int, page: int, total: int) -> int:
    """The first row to show so that the cursor is on the page and the page is full."""
    scroll = min(scroll, cursor, max(total - page, 0))
    return max(scroll, cursor - page + 1, 0)
