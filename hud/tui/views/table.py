"""The views, a row each: to add one is a file beside this one and a row here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.verdict import living
from hud.tui import workerlist
from hud.tui.listing import SORTS
from hud.tui.views import blockerlist, blockers, overview, pressure, stack, tasks, timeline, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hud.analysis.results import Snapshot
    from hud.tui.layout import Table
    from hud.tui.state import Opened, Page, UiState
    from hud.tui.style import Line


def _nothing(_: Snapshot) -> str:
    return ""


def _number(rows: Sequence[object]) -> str:
    return figures.short_count(len(rows)) if rows else ""


def _waiting(snapshot: Snapshot) -> str:
    whole = snapshot.worker_time_ns
    return figures.percent(snapshot.waiting_ns / whole) if snapshot.waiting_ns and whole else ""


class View(NamedTuple):
    """What keys, tabs, pages, clicks and the frame know about a view."""

    name: str
    """Its key in ``VIEWS``, in ``UiState.view``, and in the list of keys."""
    draw: Callable[[Snapshot, UiState, int, int], list[Line]]
    """Exactly as many lines as the last number, each of at most as many cells as the other."""
    page: Callable[[Snapshot, UiState, int, int], Page]
    """How much of it fits into that width and height."""
    short: str = ""
    """Its name among the tabs of a narrow terminal."""
    many: Callable[[Snapshot], str] = _nothing
    """What stands behind its name there."""
    listed: Callable[[UiState, Snapshot], Sequence[object]] | None = None
    """Its rows; None = a text that scrolls."""
    cursor_of: str = ""
    """The view whose cursor in ``UiState.lists`` it shares; empty = it has its own."""
    sorts: Iterable[str] = ()
    """Orders of its rows, by column; the first is the default."""
    columns: Callable[[Snapshot, UiState, int], Table] | None = None
    """In that width; a click on one sorts by it."""
    open: Callable[[UiState, Snapshot], Opened] | None = None
    """What enter, and a second click on a row, lead to."""
    enter: tuple[str, str] = ("", "")
    """The same in words, for the footer and for the help."""
    tab: bool = True
    """It is among the tabs, and has a number."""

    @property
    def title(self) -> str:
        return self.name.capitalize()


_ROWS = (
    View(
        "overview",
        overview.view,
        overview.page,
        short="Over",
        listed=lambda state, _: state.rows,
        cursor_of="blockers",
        open=overview.opened,
        enter=("enter open", "open its stacks, or the panel's view"),
    ),
    View(
        "blockers",
        blockers.view,
        blockers.page,
        short="Block",
        many=lambda snapshot: _number(snapshot.blockers),
        listed=lambda state, _: state.rows,
        sorts=SORTS,
        columns=blockerlist.table,
        open=blockers.opened,
        enter=("enter stacks", "open its stacks"),
    ),
    View(
        "workers",
        workers.view,
        workers.page,
        short="Work",
        many=lambda snapshot: figures.short_count(living(snapshot)),
        listed=workerlist.listed,
        sorts=workerlist.SORTS,
        columns=lambda snapshot, _, width: workers.table(snapshot, width),
        open=workers.opened,
        enter=("enter blockers", "show only its blockers"),
    ),
    View(
        "timeline",
        timeline.view,
        timeline.page,
        short="Time",
        listed=workerlist.listed,
        cursor_of="workers",
        open=timeline.opened,
        enter=("enter stacks", "open the blocker's stacks"),
    ),
    View(
        "tasks",
        tasks.view,
        tasks.page,
        short="Task",
        many=lambda snapshot: _number(snapshot.tasks),
        listed=tasks.listed,
        sorts=tasks.SORTS,
        columns=lambda snapshot, _, width: tasks.table(snapshot, width),
        open=tasks.opened,
        enter=("enter blockers", "show only its blockers"),
    ),
    View(
        "pressure",
        pressure.view,
        pressure.page,
        short="Press",
        many=_waiting,
        listed=pressure.listed,
    ),
    View("stacks", stack.view, stack.page, tab=False),
)
VIEWS = {view.name: view for view in _ROWS}
TABS = tuple(view for view in _ROWS if view.tab)
"""In their order on the screen."""
