"""The whole screen as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.tui.state import HEADER_HEIGHT, SMALLEST, Size, UiState, footer_height
from hud.tui.views import footer, header, playback, small
from hud.tui.views import help as help_view
from hud.tui.views.table import VIEWS

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.tui.style import Line


def compose(snapshot: Snapshot, state: UiState, size: Size) -> list[Line]:
    """Exactly ``size.height`` lines of at most ``size.width`` cells.

    ``state`` must have been settled with this snapshot; a paused state shows its own one.
    """
    width, height = size
    seen = state.paused or snapshot
    if width < SMALLEST.width or height < SMALLEST.height:
        return small.view(seen, state, width, height)
    foot = footer.view(state, width)
    if state.help:
        return [*help_view.view(seen, state, width, height - 1), foot]
    above, below = HEADER_HEIGHT, footer_height(state)
    body = VIEWS[state.view].draw(seen, state, width, height - above - below)
    top = header.view(seen, state, width, above)
    bar = [playback.view(state, width)] if state.playback is not None else []
    return [*top, *body, *bar, foot]
