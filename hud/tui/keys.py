"""Which key does what where: one table that the dispatcher, the footer and the help print from.

A key is a name (``up``, ``enter``, ``esc``, ``space``, ``tab`` ...) or one character; where it is
pressed is a view by its name, or a mode that lies over it. In a replay its keys join those of the
view, and replace those that only a live run has.
"""

from __future__ import annotations

from typing import NamedTuple

from hud.tui.actions import Act, Action, Show, Typed
from hud.tui.state import HELP, PROMPT, SEARCH
from hud.tui.views.table import TABS, VIEWS


class Binding(NamedTuple):
    """One row of the table."""

    keys: tuple[str, ...]
    act: Act | Show
    scopes: tuple[str, ...]
    footer: str = ""
    """``s sort``: what the footer says; empty = not in the footer."""
    help: str = ""
    """A line of the help; empty = not listed (the key belongs to a row with another name)."""


REPLAY = "replay"
_LISTS = tuple(view.name for view in TABS)
_VIEWS = tuple(VIEWS)
_TIMELINE = ("timeline",)
_STACKS = ("stacks",)
_ROWS = tuple(name for name in _LISTS if name not in _TIMELINE)
_SORTED = tuple(view.name for view in TABS if view.sorts)
_SCROLLING = (*_VIEWS, HELP)
_TEXTS = (*_STACKS, HELP)
_PAGES = (*_ROWS, *_TEXTS)
_OVERVIEW = ("overview",)
_PAGED = tuple(name for name in _VIEWS if name not in _OVERVIEW)
_BLOCKERS = (*_OVERVIEW, "blockers")
_REPLAY = (REPLAY,)


def _enter() -> list[Binding]:
    """What enter opens, views that open the same together."""
    texts = dict.fromkeys(view.enter for view in TABS if any(view.enter))
    return [
        Binding(("enter",), Act.OPEN, tuple(v.name for v in TABS if v.enter == text), *text)
        for text in texts
    ]


def _digits() -> list[Binding]:
    """One per view; footer and help have all in one."""
    return [
        Binding(
            (str(number),),
            Show(view.name),
            _VIEWS,
            f"1-{len(TABS)} view" if number == 1 else "",
            "go to a view" if number == 1 else "",
        )
        for number, view in enumerate(TABS, 1)
    ]


BINDINGS: tuple[Binding, ...] = (
    Binding(("up", "k"), Act.UP, _ROWS, "up/down select"),
    Binding(("up", "k"), Act.UP, _TEXTS, "up/down scroll"),
    Binding(("left", "h"), Act.LEFT, _TIMELINE, "left/right poll", "previous long poll"),
    Binding(("right", "l"), Act.RIGHT, _TIMELINE, "", "next long poll"),
    Binding(("up", "k"), Act.UP, _SCROLLING, "", "up"),
    Binding(("down", "j"), Act.DOWN, _SCROLLING, "", "down"),
    Binding(("pgup", "ctrl-b"), Act.PAGE_UP, _PAGES, "", "page up"),
    Binding(("pgdn", "ctrl-f"), Act.PAGE_DOWN, _PAGES, "", "page down"),
    Binding(("home",), Act.HOME, _SCROLLING, "", "go to the start"),
    Binding(("end", "G"), Act.END, _SCROLLING, "", "go to the end; timeline: follow live"),
    *_enter(),
    Binding(("esc", "q", "Q"), Act.BACK, _STACKS, "esc back", "back"),
    Binding(("+", "="), Act.ZOOM_IN, _TIMELINE, "+ - zoom", "zoom in"),
    Binding(("-",), Act.ZOOM_OUT, _TIMELINE, "", "zoom out"),
    Binding(("pgup", "H"), Act.PAN_LEFT, _TIMELINE, "", "pan to the left"),
    Binding(("pgdn", "L"), Act.PAN_RIGHT, _TIMELINE, "", "pan to the right"),
    Binding(("f",), Act.UNFOLD, _STACKS, "f unfold", "unfold or fold runtime frames"),
    Binding(("d",), Act.CODE, _STACKS, "d code", "show or hide the machine code"),
    Binding(("n",), Act.NEXT_MATCH, _STACKS, "", "next match"),
    Binding(("N",), Act.PREVIOUS_MATCH, _STACKS, "", "previous match"),
    Binding(("tab",), Act.NEXT_VIEW, _PAGED, "", "next view"),
    Binding(("backtab",), Act.PREVIOUS_VIEW, _PAGED, "", "previous view"),
    Binding(("tab",), Act.NEXT_PANEL, _OVERVIEW, "tab next panel", "next panel"),
    Binding(("backtab",), Act.PREVIOUS_PANEL, _OVERVIEW, "", "previous panel"),
    Binding(("z",), Act.ZOOM_PANEL, _OVERVIEW, "z zoom", "zoom the panel to the page, and back"),
    *_digits(),
    Binding(("s",), Act.SORT, _SORTED, "s sort", "sort by the next column"),
    Binding(("S",), Act.SORT_BY, _SORTED, "", "sort by a column's letter; again: reverse"),
    Binding(("g",), Act.GROUP, _BLOCKERS, "g group", "group by function, handler, file or type"),
    Binding(("f",), Act.FILTER_CAUSE, _BLOCKERS, "f cause", "show only the next cause"),
    Binding(("W",), Act.FILTER_WORKER, _BLOCKERS, "", "show only what the next worker ran"),
    Binding(("/",), Act.SEARCH, _VIEWS, "/ search", "show only rows that contain a text"),
    Binding(("c", "C"), Act.CLEAR, _VIEWS, "", "clear search and filters"),
    Binding(("esc",), Act.CLEAR, _LISTS),
    Binding(("t",), Act.THRESHOLD, _VIEWS, "t threshold", "change the threshold"),
    Binding(("w",), Act.WINDOW, _VIEWS, "", "change the window: the last N seconds"),
    Binding(("y",), Act.YANK, _VIEWS, "y copy", "copy the blocker, or the page, as text"),
    Binding(("e",), Act.EXPORT, _VIEWS, "e write", "write the same text to a file"),
    Binding(("space",), Act.PAUSE, _VIEWS, "space freeze", "freeze the screen, not the recording"),
    Binding(("r",), Act.RESET, _VIEWS, "r reset", "reset all figures"),
    Binding(("?",), Act.HELP, _VIEWS, "? help", "all keys; any other key closes them"),
    Binding(("wheel-up",), Act.WHEEL_UP, _SCROLLING, "", "three lines up"),
    Binding(("wheel-down",), Act.WHEEL_DOWN, _SCROLLING, "", "three lines down"),
    Binding(("click",), Act.CLICK, _SCROLLING, "", "select or open; a view; sort by a column"),
    Binding(("esc",), Act.BACK, (HELP,), "any other key closes"),
    Binding(("q", "Q", "ctrl-c"), Act.QUIT, _LISTS, "q quit", "quit"),
    Binding(("ctrl-c",), Act.QUIT, (*_STACKS, SEARCH, PROMPT, HELP)),
    Binding(("enter",), Act.ACCEPT, (SEARCH,), "enter keep", "keep the search"),
    Binding(("enter",), Act.ACCEPT, (PROMPT,), "enter accept", "accept"),
    Binding(("esc",), Act.CANCEL, (SEARCH, PROMPT), "esc cancel", "cancel"),
    Binding(
        ("backspace",),
        Act.ERASE,
        (SEARCH, PROMPT),
        "",
        "delete the last character",
    ),
    Binding(("space",), Act.PLAY, _REPLAY, "space play", "play or pause"),
    Binding((",", "left"), Act.SEEK_BACK, _REPLAY, ", . seek", "back 5 s (timeline: comma only)"),
    Binding((".", "right"), Act.SEEK_ON, _REPLAY, "", "forward 5 s"),
    Binding(("[",), Act.LEAP_BACK, _REPLAY, "", "back a tenth of the recording"),
    Binding(("]",), Act.LEAP_ON, _REPLAY, "", "forward a tenth"),
    Binding(("<",), Act.SLOWER, _REPLAY, "< > speed", "half the speed"),
    Binding((">",), Act.FASTER, _REPLAY, "", "twice the speed"),
)
"""In the order in which the footer and the help list them."""

_BY_KEY = {
    (scope, key): binding.act
    for binding in BINDINGS
    for scope in binding.scopes
    for key in binding.keys
}


_LIVE_ONLY = frozenset((Act.PAUSE, Act.RESET, Act.THRESHOLD))
"""What a replay cannot do: it says why, or has something else on that key."""


def action(key: str, scope: str, replay: bool = False) -> Action | None:
    """What ``key`` means in ``scope``; None = nothing."""
    act = _BY_KEY.get((scope, key))
    if replay and scope in _VIEWS and (act is None or act in _LIVE_ONLY):
        return _BY_KEY.get((REPLAY, key), act)
    if act is not None:
        return act
    if scope in (SEARCH, PROMPT):
        typed = " " if key == "space" else key
        return Typed(typed) if len(typed) == 1 and typed.isprintable() else None
    return Act.BACK if scope == HELP and not key.startswith(("wheel", "click")) else None


_ALWAYS = frozenset(
    (Act.HELP, Act.QUIT, Act.BACK, Act.OPEN, Act.SEARCH, Act.ACCEPT, Act.CANCEL, Act.PLAY)
)


def footer(scope: str, replay: bool = False) -> list[tuple[str, bool]]:
    """The footer's entries in ``scope``, and whether they stay on a narrow terminal."""
    scopes = [REPLAY, scope] if replay and scope in _VIEWS else [scope]
    return [
        (row.footer, row.act in _ALWAYS or isinstance(row.act, Show))
        for one in scopes
        for row in BINDINGS
        if row.footer and one in row.scopes and not (replay and row.act in _LIVE_ONLY)
    ]


def help_rows() -> list[tuple[str, str, str]]:
    """(keys, what they do, where) of every listed binding: first what holds everywhere."""
    rows = [_help_row(row) for row in BINDINGS if row.help]
    order = list(dict.fromkeys(["", *(where for _, _, where in rows)]))
    return sorted(rows, key=lambda row: order.index(row[2]))


def help_rows_at(here: str, replay: bool) -> list[tuple[str, str, str]]:
    """The same without what this run cannot do: what only a replay has, what holds ``here``, what
    holds everywhere, and the rest.
    """

    def rank(row: Binding) -> int:
        if row.scopes == _REPLAY:
            return 0
        return 2 if not _where(row.scopes) else 1 if here in row.scopes else 3

    rows = [row for row in BINDINGS if row.help and (replay or row.scopes != _REPLAY)]
    if replay:
        rows = [row for row in rows if row.act not in _LIVE_ONLY]
    return [_help_row(row) for row in sorted(rows, key=rank)]


def _help_row(row: Binding) -> tuple[str, str, str]:
    keys = f"1-{len(TABS)}" if isinstance(row.act, Show) else _shown(row.keys)
    return keys, row.help, _where(row.scopes)


def _shown(keys: tuple[str, ...]) -> str:
    """Capital letters only where the small one means something else."""
    return " ".join(key for key in keys if not key.isupper() or key.lower() not in keys)


def _where(scopes: tuple[str, ...]) -> str:
    views = [scope for scope in scopes if scope != HELP]
    return "" if len(views) >= len(_LISTS) else ", ".join(views)
