"""Which key does what where: one table that the dispatcher, the footer and the help print from.

Terms: a *key* is a name (``up``, ``enter``, ``esc``, ``space``, ``tab`` ...) or one character; a
*scope* is the place a key is pressed in.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


class Scope(Enum):
    """Where the user is: a view, or something that lies over it."""

    BLOCKERS = "Blockers"
    WORKERS = "Workers"
    STACKS = "Stacks"
    SEARCH = "Search"
    HELP = "Help"


class Act(Enum):
    """What a key asks for."""

    UP = auto()
    DOWN = auto()
    PAGE_UP = auto()
    PAGE_DOWN = auto()
    HOME = auto()
    END = auto()
    OPEN = auto()
    BACK = auto()
    NEXT_VIEW = auto()
    BLOCKERS = auto()
    WORKERS = auto()
    SORT = auto()
    SEARCH = auto()
    CLEAR_SEARCH = auto()
    ACCEPT = auto()
    CANCEL = auto()
    ERASE = auto()
    UNFOLD = auto()
    PAUSE = auto()
    RESET = auto()
    HELP = auto()
    QUIT = auto()


class Typed(NamedTuple):
    """A character typed into the search."""

    text: str


Action = Act | Typed


class Binding(NamedTuple):
    """One row of the table."""

    keys: tuple[str, ...]
    act: Act
    scopes: tuple[Scope, ...]
    footer: str = ""
    """``s sort``: what the footer says; empty = not in the footer."""
    help: str = ""
    """A line of the help; empty = not listed (the key belongs to a row with another name)."""


_LISTS = (Scope.BLOCKERS, Scope.WORKERS)
_VIEWS = (*_LISTS, Scope.STACKS)
_SCROLLING = (*_VIEWS, Scope.HELP)
_TEXTS = (Scope.STACKS, Scope.HELP)

BINDINGS: tuple[Binding, ...] = (
    Binding(("up", "k"), Act.UP, _LISTS, "up/down select"),
    Binding(("up", "k"), Act.UP, _TEXTS, "up/down scroll"),
    Binding(("up", "k"), Act.UP, _SCROLLING, "", "up, or scroll up"),
    Binding(("down", "j"), Act.DOWN, _SCROLLING, "", "down, or scroll down"),
    Binding(("pgup",), Act.PAGE_UP, _SCROLLING, "", "one page up"),
    Binding(("pgdn",), Act.PAGE_DOWN, _SCROLLING, "", "one page down"),
    Binding(("home",), Act.HOME, _SCROLLING, "", "to the beginning"),
    Binding(("end",), Act.END, _SCROLLING, "", "to the end"),
    Binding(("enter",), Act.OPEN, (Scope.BLOCKERS,), "enter stacks", "the stacks of the blocker"),
    Binding(("esc", "q", "Q"), Act.BACK, (Scope.STACKS,), "esc back", "back to the list"),
    Binding(("f",), Act.UNFOLD, (Scope.STACKS,), "f unfold", "unfold or fold runtime frames"),
    Binding(("tab",), Act.NEXT_VIEW, _LISTS, "tab view", "the next view"),
    Binding(("1",), Act.BLOCKERS, _VIEWS, "", "the blockers"),
    Binding(("2",), Act.WORKERS, _VIEWS, "", "the workers"),
    Binding(("s",), Act.SORT, (Scope.BLOCKERS,), "s sort", "sort by the next column"),
    Binding(("/",), Act.SEARCH, (Scope.BLOCKERS,), "/ search", "show only what contains a text"),
    Binding(("c", "C"), Act.CLEAR_SEARCH, (Scope.BLOCKERS,), "c clear", "clear the search"),
    Binding(("esc",), Act.CLEAR_SEARCH, (Scope.BLOCKERS,)),
    Binding(("space",), Act.PAUSE, _VIEWS, "space pause", "freeze the screen, not the recording"),
    Binding(("r",), Act.RESET, _VIEWS, "r reset", "start all figures again from zero"),
    Binding(("?", "h"), Act.HELP, _VIEWS, "? help", "this page; any other key closes it"),
    Binding(("esc",), Act.BACK, (Scope.HELP,), "any other key closes"),
    Binding(("q", "Q", "ctrl-c"), Act.QUIT, _LISTS, "q quit", "quit"),
    Binding(("ctrl-c",), Act.QUIT, (Scope.STACKS, Scope.SEARCH, Scope.HELP)),
    Binding(("enter",), Act.ACCEPT, (Scope.SEARCH,), "enter keep", "keep the search"),
    Binding(("esc",), Act.CANCEL, (Scope.SEARCH,), "esc cancel", "leave and clear the search"),
    Binding(("backspace",), Act.ERASE, (Scope.SEARCH,), "", "erase a character"),
    Binding(("up",), Act.UP, (Scope.SEARCH,)),
    Binding(("down",), Act.DOWN, (Scope.SEARCH,)),
)

_BY_KEY: dict[tuple[Scope, str], Act] = {
    (scope, key): binding.act
    for binding in BINDINGS
    for scope in binding.scopes
    for key in binding.keys
}


def action(key: str, scope: Scope) -> Action | None:
    """What ``key`` means in ``scope``; None = nothing."""
    act = _BY_KEY.get((scope, key))
    if act is not None:
        return act
    if scope is Scope.SEARCH:
        typed = " " if key == "space" else key
        return Typed(typed) if len(typed) == 1 and typed.isprintable() else None
    return Act.BACK if scope is Scope.HELP else None


_ALWAYS = frozenset((Act.HELP, Act.QUIT, Act.BACK, Act.OPEN, Act.ACCEPT, Act.CANCEL))


def footer(scope: Scope) -> list[tuple[str, bool]]:
    """The footer's entries in ``scope``, and whether they stay on a narrow terminal."""
    return [
        (row.footer, row.act in _ALWAYS) for row in BINDINGS if row.footer and scope in row.scopes
    ]


def help_rows() -> list[tuple[str, str, str]]:
    """(keys, what they do, where) of every listed binding, in the table's order."""
    return [(_shown(row.keys), row.help, _places(row.scopes)) for row in BINDINGS if row.help]


def _shown(keys: tuple[str, ...]) -> str:
    return " ".join(key for key in keys if not key.isupper())


def _places(scopes: tuple[Scope, ...]) -> str:
    views = [scope for scope in scopes if scope is not Scope.HELP]
    return "" if len(views) == len(_VIEWS) else ", ".join(s.value.lower() for s in views)
