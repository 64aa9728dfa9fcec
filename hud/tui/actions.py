"""What a user can ask of the screen, whichever key or click asks for it."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple


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
    NEXT_PANEL = auto()
    PREVIOUS_PANEL = auto()
    ZOOM_PANEL = auto()
    NEXT_VIEW = auto()
    PREVIOUS_VIEW = auto()
    SORT = auto()
    SORT_BY = auto()
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


class Show(NamedTuple):
    """A view, by its key."""

    view: str


Action = Act | Typed | Click | Show
