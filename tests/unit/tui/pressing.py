"""Keys pressed one after the other, as tests of the screen's state need them."""

from __future__ import annotations

from hud.analysis.results import Snapshot
from hud.tui import keys
from hud.tui.effects import (
    Effect,
)
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.update import Yank, update

SIZE = Size(120, 32)


def press(state: UiState, seen: Snapshot, *names: str) -> tuple[UiState, list[Effect | Yank]]:
    effects: list[Effect | Yank] = []
    for name in names:
        action = keys.action(name, state.scope, state.playback is not None)
        if action is not None:
            state, effect = update(state, action, seen, SIZE)
            effects += [effect] if effect else []
    return state, effects


def start(seen: Snapshot) -> UiState:
    """On the page of the blockers."""
    return settle(UiState(view="blockers", opened_from="blockers"), seen)


def functions(state: UiState) -> list[str]:
    return [b.function for b in state.rows]


def typed(seen: Snapshot, *names: str) -> tuple[UiState, list[Effect | Yank]]:
    return press(start(seen), seen, *names)
