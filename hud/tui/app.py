"""The live screen as the session sees it: a descriptor to wait for, input, draw.

Use::

    with LiveScreen(clock) as screen:
        # when screen.fileno() is readable:
        effect = screen.on_input(snapshot)
        # a few times a second, and whenever screen.wants_redraw:
        screen.draw(snapshot)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.tui import keys
from hud.tui.frame import compose
from hud.tui.state import HELD_NS, Effect, Size, UiState, settle, update
from hud.tui.terminal import Screen
from hud.tui.text import ASCII, UNICODE

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.model import Snapshot


class LiveScreen:
    """State, screen and the last snapshot drawn. ``clock`` gives monotonic nanoseconds; it says
    only how long ago a key was pressed. ``theme``: ``dark``, ``light``, ``none`` or empty for the
    environment's.
    """

    def __init__(self, clock: Callable[[], int], theme: str = "") -> None:
        self._clock = clock
        self._screen = Screen(theme)
        self._state = UiState(glyphs=UNICODE if self._screen.unicode else ASCII)
        self._settled: Snapshot | None = None
        self._touched_ns = -HELD_NS
        self.wants_redraw = True
        """Something but the snapshot has changed since the last ``draw``."""

    def __enter__(self) -> LiveScreen:
        self._screen.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._screen.__exit__(*exc)

    def fileno(self) -> int:
        """Readable = call ``on_input``. It stays the same while the screen is entered."""
        return self._screen.fileno()

    def on_input(self, snapshot: Snapshot) -> Effect | None:
        """Takes all keys pressed; QUIT wins over everything. A terminal that is gone quits."""
        pressed, again = self._screen.read_keys()
        self.wants_redraw |= again or bool(pressed)
        self._settle(snapshot)
        size = self._screen.size()
        wanted = Effect.QUIT if self._screen.gone else None
        for key in pressed:
            action = keys.action(key, self._state.scope)
            if action is None:
                continue
            self._touched_ns = self._clock()
            self._state, effect = update(self._state, action, snapshot, size)
            wanted = wanted if wanted is Effect.QUIT else effect or wanted
        return wanted

    def draw(self, snapshot: Snapshot) -> None:
        """Shows the snapshot, or the kept one while paused."""
        self._settle(snapshot)
        size: Size = self._screen.size()
        self._screen.draw(compose(snapshot, self._state, size), size)
        self.wants_redraw = False

    def _settle(self, snapshot: Snapshot) -> None:
        if self._state.paused is not None or snapshot is self._settled:
            return
        held = self._state.cursor > 0 or self._clock() - self._touched_ns < HELD_NS
        self._state = settle(self._state, snapshot, held)
        self._settled = snapshot
