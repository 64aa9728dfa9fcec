"""What the user has chosen: everything that the screen depends on besides the snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from hud.tui.filters import NO_FILTER, Filter
from hud.tui.glyphs import UNICODE, Glyphs
from hud.tui.listing import DEFAULT_SORT, Group, Key, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from hud.analysis.results import Blocker, Snapshot
    from hud.tui.effects import Playback

PANELS = ("blockers", "detail", "latest", "graph", "workers")
"""Of the overview, in the order in which ``tab`` goes through them."""
LISTS_OF_BLOCKERS = ("overview", "blockers")
"""Views of the same rows."""
FILTERED = (*LISTS_OF_BLOCKERS, "timeline")
"""Where the filter by cause, worker and task type counts."""
SEARCH, PROMPT, HELP = "search", "typing", "help"
"""What lies over a view and takes its keys."""


class Size(NamedTuple):
    """Cells of the terminal."""

    width: int
    height: int


class At(NamedTuple):
    """A position in a list: the row of the cursor and the first row shown."""

    cursor: int = 0
    scroll: int = 0


TOP = At()


class Page(NamedTuple):
    """Of the rows of a view: how many are shown, how many there are, and the first one's line."""

    shown: int
    total: int
    top: int
    columns: int = 1
    """In which they stand, each from the top to the bottom."""


class Opened(NamedTuple):
    """What a row leads to: a blocker's stacks, or the blockers that a part of the filter leaves."""

    blocker: Blocker | None = None
    only: Mapping[str, Any] | None = None
    notice: str = ""
    """Why there is nothing."""
    view: str = ""
    """Another view, as it was left."""


class Line(Enum):
    """What can be typed into the last line, besides the search; with its question. SORT takes one
    letter of those in its text.
    """

    THRESHOLD = "report polls that last at least (ms): "
    WINDOW = "show the last seconds (0 = everything; older polls are forgotten): "
    EXPORT = "write to a new file: "
    SORT = "sort by "


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

    cell_ns: int = 0
    """One column; 0 = as long as it takes to show all of it."""
    end_ns: int = 0
    """0 = it follows the present."""
    episode: tuple[int, int] | None = None
    """(tid, start) of the episode under the cursor; None = the latest of the worker."""


LATEST = Span()


@dataclass(frozen=True, slots=True)
class UiState:
    """Everything the screen depends on besides the snapshot and the terminal's size."""

    view: str = "overview"
    """By its name in ``views.table.VIEWS``."""
    lists: Mapping[str, At] = field(default_factory=dict)
    """Where the cursor is, by view; not there = at the top."""
    sorts: Mapping[str, str] = field(default_factory=dict)
    """Columns that views are sorted by; not there = the first that they can be."""
    turned: frozenset[str] = frozenset()
    """Views that are sorted the other way round."""
    rows: Sequence[Blocker] = ()
    """The blockers as listed: filtered, grouped, in order; made by ``settle``."""
    grouped: object = None
    """By what ``rows`` were made."""
    selected: Key | None = None
    worker: int = 0
    """The thread of the worker under the cursor, as long as nobody moves it; 0 = any."""
    opened: Blocker | None = None
    """The drill-down's blocker, kept when the window forgets it."""
    opened_from: str = "overview"
    panel: str = PANELS[0]
    """Of the overview: what enter opens, and ``z`` makes larger."""
    zoomed: bool = False
    """That panel has the page to itself."""
    stack_scroll: int = 0
    unfold: bool = False
    code: bool = False
    span: Span = LATEST
    group: Group = Group.FUNCTION
    filter: Filter = NO_FILTER
    """Of the blockers; their search is a part of it."""
    searches: Mapping[str, str] = field(default_factory=dict)
    """What is searched for in the other views."""
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
    coloured: bool = True
    """The terminal shows hues: letters need not say the causes everywhere."""

    @property
    def scope(self) -> str:
        """Where keys go: the view, or what lies over it."""
        if self.help:
            return HELP
        if self.prompt is not None:
            return PROMPT
        return SEARCH if self.searching else self.view

    @property
    def search(self) -> str:
        """In what is shown: a search in one view leaves the others as they are."""
        if self.view in LISTS_OF_BLOCKERS:
            return self.filter.search
        return self.searches.get(self.view, "")

    def searching_for(self, text: str) -> UiState:
        """With another search in what is shown."""
        if self.view in LISTS_OF_BLOCKERS:
            return replace(self, filter=self.filter._replace(search=text))
        return replace(self, searches={**self.searches, self.view: text})

    @property
    def cursor(self) -> int:
        """The row of the selected blocker."""
        return self.at("blockers").cursor

    @property
    def sort(self) -> str:
        """Of the blockers."""
        return self.order("blockers", (DEFAULT_SORT,))

    def at(self, view: str) -> At:
        """The position in the list of a view."""
        return self.lists.get(view, TOP)

    def order(self, view: str, sorts: Iterable[str]) -> str:
        """The column that a view is sorted by, of those that it has."""
        return self.sorts.get(view) or next(iter(sorts))

    def put(self, view: str, at: At) -> UiState:
        """With another position in the list of a view."""
        return replace(self, lists={**self.lists, view: at})

    @property
    def wanted(self) -> Wanted:
        """What makes the rows of the blockers."""
        return Wanted(self.filter, self.group, self.sort, "blockers" in self.turned)

    def sort_by(self, view: str, column: str, *, turned: bool = False) -> UiState:
        others = self.turned - {view}
        sorts = {**self.sorts, view: column}
        return replace(self, sorts=sorts, turned=others | {view} if turned else others)


# --------------------------------------------------------------------------- the page


SMALLEST = Size(60, 15)
HEADER_HEIGHT = 3

# The shares depend on the terminal's size only, so that nothing jumps.


def footer_height(state: UiState) -> int:
    """Lines below a view: the keys, and in a replay its bar."""
    return 2 if state.playback is not None else 1


def body_height(size: Size, state: UiState) -> int:
    """Lines of a view: what header and footer leave."""
    return max(size.height - HEADER_HEIGHT - footer_height(state), 1)


def pane_height(body: int) -> int:
    """Lines of the lower pane in a view of ``body`` lines."""
    return 0 if body < 9 else min(max(4, (body - 1) * 2 // 5), 14)


def first_shown(scroll: int, cursor: int, page: int, total: int) -> int:
    """The first row to show so that the cursor is on the page and the page is full."""
    scroll = min(scroll, cursor, max(total - page, 0))
    return max(scroll, cursor - page + 1, 0)
