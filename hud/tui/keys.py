"""Which key does what where: one table that the dispatcher, the footer and the help print from.

Terms: a *key* is a name (``up``, ``enter``, ``esc``, ``space``, ``tab`` ...) or one character; a
*scope* is the place a key is pressed in. In a replay its keys join those of the view, and replace
those that only a live run has.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Scope(Enum):
    """Where the user is: a view, or something that lies over it."""

    BLOCKERS = "Blockers"
    WORKERS = "Workers"
    TIMELINE = "Timeline"
    TASKS = "Tasks"
    PRESSURE = "Pressure"
    STACKS = "Stacks"
    SEARCH = "Search"
    PROMPT = "Typing"
    HELP = "Help"
    REPLAY = "Replay"


TABS = (Scope.BLOCKERS, Scope.WORKERS, Scope.TIMELINE, Scope.TASKS, Scope.PRESSURE)


class Act(Enum):
    """What a key asks for."""

    UP = auto()
    DOWN = auto()
    WHEEL_UP = auto()
    WHEEL_DOWN = auto()
    PAGE_UP = auto()
    PAGE_DOWN = auto()
    HOME = auto()
    END = auto()
    LEFT = auto()
    RIGHT = auto()
    PAN_LEFT = auto()
    PAN_RIGHT = auto()
    ZOOM_IN = auto()
    ZOOM_OUT = auto()
    OPEN = auto()
    BACK = auto()
    NEXT_VIEW = auto()
    PREVIOUS_VIEW = auto()
    BLOCKERS = auto()
    WORKERS = auto()
    TIMELINE = auto()
    TASKS = auto()
    PRESSURE = auto()
    SORT = auto()
    GROUP = auto()
    FILTER_CAUSE = auto()
    FILTER_WORKER = auto()
    SEARCH = auto()
    NEXT_MATCH = auto()
    PREVIOUS_MATCH = auto()
    CLEAR = auto()
    ACCEPT = auto()
    CANCEL = auto()
    ERASE = auto()
    UNFOLD = auto()
    CODE = auto()
    THRESHOLD = auto()
    WINDOW = auto()
    YANK = auto()
    EXPORT = auto()
    CLICK = auto()
    PAUSE = auto()
    RESET = auto()
    HELP = auto()
    QUIT = auto()
    PLAY = auto()
    SEEK_BACK = auto()
    SEEK_ON = auto()
    LEAP_BACK = auto()
    LEAP_ON = auto()
    SLOWER = auto()
    FASTER = auto()


class Typed(NamedTuple):
    """A character typed into the search or another line."""

    text: str


class Click(NamedTuple):
    """The left button, at a cell; both zero-based."""

    x: int
    y: int


Action = Act | Typed | Click


class Binding(NamedTuple):
    """One row of the table."""

    keys: tuple[str, ...]
    act: Act
    scopes: tuple[Scope, ...]
    footer: str = ""
    """``s sort``: what the footer says; empty = not in the footer."""
    help: str = ""
    """A line of the help; empty = not listed (the key belongs to a row with another name)."""


_LISTS = TABS
_VIEWS = (*TABS, Scope.STACKS)
_ROWS = (Scope.BLOCKERS, Scope.WORKERS, Scope.TASKS, Scope.PRESSURE)
_SORTED = (Scope.BLOCKERS, Scope.WORKERS, Scope.TASKS)
_SCROLLING = (*_VIEWS, Scope.HELP)
_TEXTS = (Scope.STACKS, Scope.HELP)
_PAGES = (*_ROWS, *_TEXTS)
_TIMELINE = (Scope.TIMELINE,)
_STACKS = (Scope.STACKS,)
_REPLAY = (Scope.REPLAY,)

BINDINGS: tuple[Binding, ...] = (
    Binding(("up", "k"), Act.UP, _ROWS, "up/down select"),
    Binding(("up", "k"), Act.UP, _TEXTS, "up/down scroll"),
    Binding(("left", "h"), Act.LEFT, _TIMELINE, "left/right episode", "the episode before"),
    Binding(("right", "l"), Act.RIGHT, _TIMELINE, "", "the episode after"),
    Binding(("up", "k"), Act.UP, _SCROLLING, "", "up"),
    Binding(("down", "j"), Act.DOWN, _SCROLLING, "", "down"),
    Binding(("pgup", "ctrl-b"), Act.PAGE_UP, _PAGES, "", "one page up"),
    Binding(("pgdn", "ctrl-f"), Act.PAGE_DOWN, _PAGES, "", "one page down"),
    Binding(("home",), Act.HOME, _SCROLLING, "", "to the beginning"),
    Binding(("end", "G"), Act.END, _SCROLLING, "", "to the end; timeline: follow the present"),
    Binding(("enter",), Act.OPEN, (Scope.BLOCKERS,), "enter stacks", "the stacks of the blocker"),
    Binding(
        ("enter",), Act.OPEN, (Scope.WORKERS, Scope.TASKS), "enter blockers", "only its blockers"
    ),
    Binding(("enter",), Act.OPEN, _TIMELINE, "enter stacks", "the blocker of the episode"),
    Binding(("esc", "q", "Q"), Act.BACK, _STACKS, "esc back", "back to where it was opened"),
    Binding(("+", "="), Act.ZOOM_IN, _TIMELINE, "+ - zoom", "a shorter time, in more detail"),
    Binding(("-",), Act.ZOOM_OUT, _TIMELINE, "", "a longer time"),
    Binding(("pgup", "H"), Act.PAN_LEFT, _TIMELINE, "", "pan to the left"),
    Binding(("pgdn", "L"), Act.PAN_RIGHT, _TIMELINE, "", "pan to the right"),
    Binding(("f",), Act.UNFOLD, _STACKS, "f unfold", "unfold or fold runtime frames"),
    Binding(("d",), Act.CODE, _STACKS, "d code", "show or hide the machine code"),
    Binding(("n",), Act.NEXT_MATCH, _STACKS, "", "the next line that matches the search"),
    Binding(("N",), Act.PREVIOUS_MATCH, _STACKS, "", "the one before"),
    Binding(("tab",), Act.NEXT_VIEW, _VIEWS, "", "the next view"),
    Binding(("backtab",), Act.PREVIOUS_VIEW, _VIEWS, "", "the view before"),
    Binding(("1",), Act.BLOCKERS, _VIEWS, "1-5 view", "the blockers"),
    Binding(("2",), Act.WORKERS, _VIEWS, "", "the workers"),
    Binding(("3",), Act.TIMELINE, _VIEWS, "", "the timeline"),
    Binding(("4",), Act.TASKS, _VIEWS, "", "the tasks"),
    Binding(("5",), Act.PRESSURE, _VIEWS, "", "the pressure"),
    Binding(("s",), Act.SORT, _SORTED, "s sort", "sort by the next column"),
    Binding(
        ("g",), Act.GROUP, (Scope.BLOCKERS,), "g group", "group by function, file or task type"
    ),
    Binding(("f",), Act.FILTER_CAUSE, (Scope.BLOCKERS,), "f cause", "only the next cause"),
    Binding(("W",), Act.FILTER_WORKER, (Scope.BLOCKERS,), "", "only what the next worker has run"),
    Binding(("/",), Act.SEARCH, _VIEWS, "/ search", "show only what contains a text"),
    Binding(("c", "C"), Act.CLEAR, _VIEWS, "", "clear search and filters"),
    Binding(("esc",), Act.CLEAR, _LISTS),
    Binding(("t",), Act.THRESHOLD, _VIEWS, "t threshold", "change the threshold"),
    Binding(("w",), Act.WINDOW, _VIEWS, "", "change the window: the last so many seconds"),
    Binding(("y",), Act.YANK, _VIEWS, "y yank", "copy the blocker, or the page, as text"),
    Binding(("e",), Act.EXPORT, _VIEWS, "e export", "write the same text to a file"),
    Binding(("space",), Act.PAUSE, _VIEWS, "space pause", "freeze the screen, not the recording"),
    Binding(("r",), Act.RESET, _VIEWS, "r reset", "start all figures again from zero"),
    Binding(("?",), Act.HELP, _VIEWS, "? help", "all keys; any other key closes them"),
    Binding(("wheel-up",), Act.WHEEL_UP, _SCROLLING, "", "three lines up"),
    Binding(("wheel-down",), Act.WHEEL_DOWN, _SCROLLING, "", "three lines down"),
    Binding(
        ("click",), Act.CLICK, _SCROLLING, "", "select, or open; a view's name, a column to sort by"
    ),
    Binding(("esc",), Act.BACK, (Scope.HELP,), "any other key closes"),
    Binding(("q", "Q", "ctrl-c"), Act.QUIT, _LISTS, "q quit", "quit"),
    Binding(("ctrl-c",), Act.QUIT, (Scope.STACKS, Scope.SEARCH, Scope.PROMPT, Scope.HELP)),
    Binding(("enter",), Act.ACCEPT, (Scope.SEARCH,), "enter keep", "keep the search"),
    Binding(("enter",), Act.ACCEPT, (Scope.PROMPT,), "enter do it", "take what was typed"),
    Binding(("esc",), Act.CANCEL, (Scope.SEARCH, Scope.PROMPT), "esc cancel", "give it up"),
    Binding(
        ("backspace",),
        Act.ERASE,
        (Scope.SEARCH, Scope.PROMPT),
        "",
        "take the last character away",
    ),
    Binding(("space",), Act.PLAY, _REPLAY, "space play", "play or hold"),
    Binding(
        (",", "left"), Act.SEEK_BACK, _REPLAY, ", . seek", "5 s back (timeline: only the comma)"
    ),
    Binding((".", "right"), Act.SEEK_ON, _REPLAY, "", "5 s on"),
    Binding(("[",), Act.LEAP_BACK, _REPLAY, "", "a tenth of the recording back"),
    Binding(("]",), Act.LEAP_ON, _REPLAY, "", "a tenth on"),
    Binding(("<",), Act.SLOWER, _REPLAY, "< > speed", "half as fast"),
    Binding((">",), Act.FASTER, _REPLAY, "", "twice as fast"),
)
"""In the order in which the footer and the help list them."""

_BY_KEY = {
    (scope, key): binding.act
    for binding in BINDINGS
    for scope in binding.scopes
    for key in binding.keys
}


_LIVE_ONLY = frozenset((Act.PAUSE, Act.RESET, Act.THRESHOLD))
"""What a replay cannot do."""


def action(key: str, scope: Scope, replay: bool = False) -> Action | None:
    """What ``key`` means in ``scope``; None = nothing."""
    act = _BY_KEY.get((scope, key))
    if replay and scope in _VIEWS and (act is None or act in _LIVE_ONLY):
        return _BY_KEY.get((Scope.REPLAY, key))
    if act is not None:
        return act
    if scope in (Scope.SEARCH, Scope.PROMPT):
        typed = " " if key == "space" else key
        return Typed(typed) if len(typed) == 1 and typed.isprintable() else None
    return Act.BACK if scope is Scope.HELP and not key.startswith(("wheel", "click")) else None


_ALWAYS = frozenset((Act.HELP, Act.QUIT, Act.BACK, Act.OPEN, Act.ACCEPT, Act.CANCEL, Act.PLAY))


def footer(scope: Scope, replay: bool = False) -> list[tuple[str, bool]]:
    """The footer's entries in ``scope``, and whether they stay on a narrow terminal."""
    scopes = [Scope.REPLAY, scope] if replay and scope in _VIEWS else [scope]
    return [
        (row.footer, row.act in _ALWAYS)
        for one in scopes
        for row in BINDINGS
        if row.footer and one in row.scopes and not (replay and row.act in _LIVE_ONLY)
    ]


def help_rows() -> list[tuple[str, str, str]]:
    """(keys, what they do, where) of every listed binding: first what holds everywhere."""
    rows = [_told(row) for row in BINDINGS if row.help]
    places = list(dict.fromkeys(["", *(where for _, _, where in rows)]))
    return sorted(rows, key=lambda row: places.index(row[2]))


def help_rows_at(here: Scope, replay: bool) -> list[tuple[str, str, str]]:
    """The same without what this run cannot do: what only a replay has, what holds ``here``, what
    holds everywhere, and the rest.
    """

    def place(row: Binding) -> int:
        if row.scopes == _REPLAY:
            return 0
        return 2 if not _places(row.scopes) else 1 if here in row.scopes else 3

    rows = [row for row in BINDINGS if row.help and (replay or row.scopes != _REPLAY)]
    if replay:
        rows = [row for row in rows if row.act not in _LIVE_ONLY]
    return [_told(row) for row in sorted(rows, key=place)]


def _told(row: Binding) -> tuple[str, str, str]:
    return _shown(row.keys), row.help, _places(row.scopes)


def _shown(keys: tuple[str, ...]) -> str:
    """Capital letters only where the small one means something else."""
    return " ".join(key for key in keys if not key.isupper() or key.lower() not in keys)


def _places(scopes: tuple[Scope, ...]) -> str:
    views = [scope for scope in scopes if scope is not Scope.HELP]
    return "" if len(views) >= len(_LISTS) else ", ".join(s.value.lower() for s in views)
