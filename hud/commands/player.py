"""A recording on the screen: played, paused, and searched."""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING

from hud.commands.deliver import write_selection
from hud.tui.app import LiveScreen
from hud.tui.effects import Export, Play, Playback, Quit, Seek, Speed, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.record.seekable import SeekableReplay
    from hud.tui.effects import Effect

DRAW_S = 0.25


class Player:
    """Where a replay is, as time passes. ``clock`` gives monotonic nanoseconds."""

    def __init__(self, run: SeekableReplay, speed: float, clock: Callable[[], int]) -> None:
        self._run = run
        self._clock = clock
        self._position_ns = run.length_ns
        self._since_ns = clock()
        self.speed = speed
        self.playing = False

    @property
    def playback(self) -> Playback:
        return Playback(self._position_ns, self._run.length_ns, self.speed, self.playing)

    def move(self) -> None:
        """As far as the time that has passed, and to where it was sent."""
        self._pass_time()
        self._run.seek(self._position_ns)

    def _pass_time(self) -> None:
        now = self._clock()
        if self.playing:
            passed = int((now - self._since_ns) * self.speed)
            self._position_ns = min(self._run.length_ns, self._position_ns + passed)
            self.playing = self._position_ns < self._run.length_ns
        self._since_ns = now

    def obey(self, effect: Effect) -> None:
        """The replay follows at the next ``move``: of several seeks only the last is worth it."""
        self._pass_time()
        if isinstance(effect, Play):
            if effect.playing and self._position_ns >= self._run.length_ns:
                self._position_ns = 0
            self.playing = effect.playing
        elif isinstance(effect, Seek):
            self._position_ns = max(0, min(effect.position_ns, self._run.length_ns))
        elif isinstance(effect, Speed):
            self.speed = effect.speed
        elif isinstance(effect, Window):
            self._run.set_window(effect.window_ns)


def play(
    run: SeekableReplay, speed: float, at_s: float | None, theme: str = "", lacks: str = ""
) -> None:
    """Until somebody leaves. It opens at the end, paused; with ``at_s`` it plays from there.

    ``lacks``: what the recording lacks, empty = it is whole.
    """
    player = Player(run, speed, time.monotonic_ns)
    if at_s is not None:
        player.obey(Seek(round(at_s * 1e9)))
        player.obey(Play(True))
    with (
        LiveScreen(time.monotonic_ns, theme, player.playback) as screen,
        selectors.DefaultSelector() as selector,
    ):
        selector.register(screen.fileno(), selectors.EVENT_READ)
        if lacks:
            screen.notify(f"the recording is incomplete: {lacks}")
        while True:
            player.move()
            screen.playback = player.playback
            snapshot = run.snapshot()
            screen.draw(snapshot)
            if not selector.select(DRAW_S):
                continue
            for effect in screen.on_input(snapshot):
                if isinstance(effect, Quit):
                    return
                if isinstance(effect, Export):
                    screen.notify(write_selection(effect))
                else:
                    player.obey(effect)
