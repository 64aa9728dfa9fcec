"""What a screen asks of whoever drives it, after a key: values that import nothing of hud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Playback(NamedTuple):
    """How far a recording that is shown again has been played, from its beginning."""

    position_ns: int
    length_ns: int
    speed: float
    """1 = as it was."""
    playing: bool


@dataclass(frozen=True, slots=True)
class Quit:
    """Leave."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget what was recorded so far; the figures start again from zero."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Report polls of at least this from now on."""

    threshold_ns: int


@dataclass(frozen=True, slots=True)
class Window:
    """Show only the last part of the run; 0 = everything there still is."""

    window_ns: int


@dataclass(frozen=True, slots=True)
class Export:
    """Write ``text`` to a new file; one that is there is never replaced."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Play:
    """Replay only: go on or hold."""

    playing: bool


@dataclass(frozen=True, slots=True)
class Seek:
    """Replay only: 0 to ``Playback.length_ns``."""

    position_ns: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Replay only: the new ``Playback.speed``."""

    speed: float


Effect = Quit | Clear | Threshold | Window | Export | Play | Seek | Speed
