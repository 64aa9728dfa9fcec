"""Orders of a list, by the columns that are shown: the next one, or the one of a letter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.tui.state import LISTS_OF_BLOCKERS
from hud.tui.views.table import VIEWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Snapshot
    from hud.tui.state import UiState


def list_of(state: UiState) -> str:
    """Under which name the order of the view's list is kept."""
    return "blockers" if state.view in LISTS_OF_BLOCKERS else state.view


def columns(state: UiState, seen: Snapshot, width: int) -> list[str]:
    """The view's own order, and those of the columns that are shown."""
    view = VIEWS[state.view]
    sorts = list(view.sorts)
    if view.columns is None or not sorts:
        return sorts
    shown = view.columns(seen, state, width)
    return [column for column in sorts if column in shown or column == sorts[0]]


def following(state: UiState, names: Sequence[str]) -> str:
    """The one after that in force."""
    now = state.order(list_of(state), VIEWS[state.view].sorts)
    return names[(names.index(now) + 1) % len(names)] if now in names else names[0]


def letters(names: Sequence[str]) -> dict[str, str]:
    """A letter for each name: the first of its own that none before it has."""
    found: dict[str, str] = {}
    for name in names:
        letter = next((one for one in name if one.isalpha() and one not in found), "")
        if letter:
            found[letter] = name
    return found


def asked(names: Sequence[str]) -> str:
    """``[s]hare [c]ount``: the choice in a line."""
    marked = (name.replace(letter, f"[{letter}]", 1) for letter, name in letters(names).items())
    return " ".join(marked)


def by(state: UiState, column: str) -> UiState:
    """By that column; where it is that already, the other way round."""
    name = list_of(state)
    same = column == state.order(name, VIEWS[state.view].sorts)
    return state.sort_by(name, column, turned=same and name not in state.turned)
