"""The live screen as the session sees it: a descriptor to wait for, input, draw.

Use::

    with LiveScreen(clock) as screen:
        # when screen.fileno() is readable:
        effects = screen.on_input(snapshot)
        # a few times a second, and whenever screen.wants_redraw:
        screen.draw(snapshot)

In a replay ``playback`` is given, and set again before each draw.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.errors import ExportError
from hud.tui import keys
from hud.tui.actions import Click
from hud.tui.effects import Effect, Quit
from hud.tui.frame import compose
from hud.tui.glyphs import ASCII, UNICODE
from hud.tui.settle import HELD_NS, settle
from hud.tui.state import Size, UiState
from hud.tui.terminal import Screen
from hud.tui.update import Yank, update
from hud.tui.yank import YankFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.analysis.results import Snapshot
    from hud.tui.effects import Playback

_NOTICE_NS = 6_000_000_000
"""How long a notice stays, unless a key comes."""


class LiveScreen:
    """State, screen and the last snapshot drawn. ``clock`` gives monotonic nanoseconds; it says
    only how long ago a key was pressed. ``theme``: ``dark``, ``light``, ``none`` or empty for what
    environment and terminal say.
    """

    def __init__(
        self, clock: Callable[[], int], theme: str = "", playback: Playback | None = None
    ) -> None:
        self._clock = clock
        self._screen = Screen(theme)
        glyphs = UNICODE if self._screen.unicode else ASCII
        self._state = UiState(glyphs=glyphs, playback=playback)
        self._settled: Snapshot | None = None
        self._touched_ns = -HELD_NS
        self._notified_ns = 0
        self._yanked = YankFile()
        self.wants_redraw = True
        """Something but the snapshot has changed since the last ``draw``."""

    def __enter__(self) -> LiveScreen:
        self._screen.__enter__()
        self._state = replace(self._state, coloured=self._screen.coloured)
        return self

    def __exit__(self, *exc: object) -> None:
        self._screen.__exit__(*exc)

    @property
    def playback(self) -> Playback | None:
        """Where the replay is; None = the run is live."""
        return self._state.playback

    @playback.setter
    def playback(self, now: Playback | None) -> None:
        self._state = replace(self._state, playback=now)

    def fileno(self) -> int:
        """Readable = call ``on_input``. It stays the same while the screen is entered."""
        return self._screen.fileno()

    def notify(self, sentence: str) -> None:
        """Show a sentence in the last line for some seconds."""
        self._state = replace(self._state, notice=sentence)
        self._notified_ns = self._clock()
        self.wants_redraw = True

    def on_input(self, snapshot: Snapshot) -> list[Effect]:
        """Takes all keys pressed; what they ask for, oldest first. A terminal gone quits."""
        pressed, again = self._screen.read_keys()
        self.wants_redraw |= again or bool(pressed)
        self._settle(snapshot)
        size = self._screen.size()
        effects: list[Effect] = [Quit()] if self._screen.gone else []
        for key in pressed:
            replay = self._state.playback is not None
            action = key if isinstance(key, Click) else keys.action(key, self._state.scope, replay)
            if action is None:
                continue
            self._touched_ns = self._clock()
            self._state, wanted = update(self._state, action, snapshot, size)
            if self._state.notice:
                self._notified_ns = self._touched_ns
            if isinstance(wanted, Yank):
                self._yank(wanted.text)
            elif wanted is not None:
                effects.append(wanted)
        return effects

    def draw(self, snapshot: Snapshot) -> None:
        """Shows the snapshot, or the kept one while paused."""
        self._settle(snapshot)
        if self._state.notice and self._clock() - self._notified_ns > _NOTICE_NS:
            self._state = replace(self._state, notice="")
        size: Size = self._screen.size()
        self._screen.draw(compose(snapshot, self._state, size), size)
        self.wants_redraw = False

    def _yank(self, text: str) -> None:
        sent = self._screen.copy(text)
        try:
            path = self._yanked.put(text)
        except ExportError as error:
            self.notify(str(error))
            return
        clipboard = "sent to the terminal's clipboard (if it allows that) and " if sent else ""
        self.notify(f"{clipboard}kept in {path}")

    def _settle(self, snapshot: Snapshot) -> None:
        if self._state.paused is not None or snapshot is self._settled:
            return
        held = self._state.cursor > 0 or self._clock() - self._touched_ns < HELD_NS
        self._state = settle(self._state, snapshot, held)
        self._settled = snapshot
