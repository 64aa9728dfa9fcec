"""Frames drawn for tests: after keys were pressed, as text, and with their styles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hud.analysis.results import Snapshot
from hud.tui.actions import Action
from hud.tui.frame import compose
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.style import Line
from hud.tui.update import update

SIZES = [Size(80, 24), Size(120, 32), Size(200, 50), Size(60, 15), Size(40, 10)]

GoldenCheck = Callable[[str, Sequence[Line]], None]
WHICH = pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s.width}x{s.height}")


def drawn(seen: Snapshot, size: Size, *actions: Action, **fields: Any) -> list[Line]:
    """From the blockers on, if ``fields`` of the state name no other view."""
    state = settle(UiState(**{"view": "blockers", **fields}), seen)
    for action in actions:
        state, _ = update(state, action, seen, size)
    return compose(seen, state, size)


def text_of(lines: Sequence[Line]) -> list[str]:
    return ["".join(span.text for span in line) for line in lines]


def style_of(lines: Sequence[Line], text: str) -> str:
    return next(span.style for line in lines for span in line if text in span.text)
