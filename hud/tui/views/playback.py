"""The bar of a replay: where it is, how fast it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.tui.style import Line, Span

if TYPE_CHECKING:
    from hud.tui.state import UiState


def view(state: UiState, width: int) -> Line:
    """One line; empty without a replay."""
    now = state.playback
    if now is None:
        return ()
    before, after = _around(state)
    room = _room(state, width)
    done = min(round(now.position_ns / max(now.length_ns, 1) * room), room)
    full, empty, knob = ("━", "─", "●") if state.glyphs.unicode else ("=", "-", "O")
    return (
        Span(before, "bold"),
        Span(full * done),
        Span(knob, "bold"),
        Span(empty * (room - done), "label"),
        Span(after),
    )


def share_at(state: UiState, width: int, x: int) -> float | None:
    """How far along the bar a click at ``x`` is; None = beside it."""
    left, room = len(_around(state)[0]), _room(state, width)
    if state.playback is None or not left <= x <= left + room:
        return None
    return (x - left) / max(room, 1)


def _around(state: UiState) -> tuple[str, str]:
    now = state.playback
    if now is None:
        return "", ""
    doing = "play" if now.playing else "hold"
    speed = f"x{now.speed:g}"
    return (
        f" {doing}  {figures.clock(now.position_ns)}  ",
        f"  {figures.clock(now.length_ns)}  {speed:<6}",
    )


def _room(state: UiState, width: int) -> int:
    return max(width - sum(len(text) for text in _around(state)) - 1, 1)
