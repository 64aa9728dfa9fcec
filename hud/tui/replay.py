"""What the keys and the bar of a replay ask for.

Each moves ``UiState.playback`` at once, so that several keys in a row add up; whoever drives the
screen sets what is true before the next draw.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.tui import effects
from hud.tui.actions import Act, Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.tui.state import UiState

_Result = tuple["UiState", "effects.Effect | None"]

_SEEK_NS = 5_000_000_000
_SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


def seek(state: UiState, position_ns: int) -> _Result:
    """To a position, as far as the recording reaches."""
    now = state.playback
    if now is None:
        return state, None
    position_ns = max(0, min(position_ns, now.length_ns))
    moved = now._replace(position_ns=position_ns)
    return replace(state, playback=moved), effects.Seek(position_ns)


def _seek_by(seconds: int, parts: int = 0) -> Callable[[UiState], _Result]:
    def act(state: UiState) -> _Result:
        now = state.playback
        if now is None:
            return state, None
        return seek(state, now.position_ns + seconds * _SEEK_NS + parts * now.length_ns // 10)

    return act


def _play(state: UiState) -> _Result:
    if state.playback is None:
        return state, None
    playing = not state.playback.playing
    return replace(state, playback=state.playback._replace(playing=playing)), effects.Play(playing)


def _speed(step: int) -> Callable[[UiState], _Result]:
    def change(state: UiState) -> _Result:
        if state.playback is None:
            return state, None
        nearest = min(_SPEEDS, key=lambda speed: abs(speed - state.playback.speed))  # type: ignore[union-attr]
        at = max(0, min(_SPEEDS.index(nearest) + step, len(_SPEEDS) - 1))
        changed = state.playback._replace(speed=_SPEEDS[at])
        return replace(state, playback=changed), effects.Speed(_SPEEDS[at])

    return change


REPLAY: dict[Action, Callable[[UiState], _Result]] = {
    Act.PLAY: _play,
    Act.SEEK_BACK: _seek_by(-1),
    Act.SEEK_ON: _seek_by(1),
    Act.LEAP_BACK: _seek_by(0, -1),
    Act.LEAP_ON: _seek_by(0, 1),
    Act.SLOWER: _speed(-1),
    Act.FASTER: _speed(1),
}
