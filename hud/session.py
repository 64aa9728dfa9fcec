"""The event loop of a run: adds what the profiler has seen to a recording, until the run ends.

It ends when its duration is over, by a signal, by a key, or with the target.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from hud import __version__
from hud.analysis.recording import Recording
from hud.analysis.results import Snapshot
from hud.analysis.snapshot import Analyzer
from hud.analysis.spots import spots
from hud.ending import Ending
from hud.garbage import rare_collections
from hud.model import Batch, RunInfo
from hud.profiler import Profiler
from hud.tui.effects import Clear, Effect, Quit, Threshold, Window

STATES_S = 0.25
"""How often thread states are read, and the screen is drawn."""
SCREEN_SHARE, RAREST_S = 0.02, 1.0
"""Of a core for snapshots and drawing: an expensive one delays the next, by this at most."""
UNSEEN_STATES_S = 0.5
"""The same without a screen."""
EAGER_STATES_S = 0.004
"""The same while a runtime begins that hud does not know well."""
ABSORB_S = 1.0
"""How often a run without a screen derives what is new, so that its end has little left to do."""
UNWATCHED_ABSORB_S = 5.0
"""The same where nobody follows it: mostly the names are there by then, and nothing is derived
twice."""

FORGET_S, FORGET_SHARE = 10.0, 0.001
"""How often a run looks for what it needs no more, and of a core at most."""


class Screen(Protocol):
    """What the loop needs of a screen."""

    @property
    def wants_redraw(self) -> bool: ...
    def fileno(self) -> int: ...
    def on_input(self, snapshot: Snapshot) -> list[Effect]: ...
    def draw(self, snapshot: Snapshot) -> None: ...


class Writer(Protocol):
    """What writes the run to a file while it goes on, until that fails."""

    @property
    def trouble(self) -> Exception | None: ...
    def begin(self, info: RunInfo) -> None: ...
    def take(self, batch: Batch) -> None: ...
    def look(self, time_ns: int) -> None: ...
    def window(self, window_ns: int) -> None: ...
    def end(self, time_ns: int, reason: str) -> None: ...


class Observers(NamedTuple):
    """Who sees the run while it goes on."""

    screen: Screen | None = None
    progress: Callable[[Snapshot, float], None] | None = None
    """Called every ``ABSORB_S`` with a snapshot and the seconds left (0 = without end)."""
    writer: Writer | None = None
    stream: Callable[[Analyzer], None] | None = None
    """Called every ``ABSORB_S`` without a screen, when what is new is derived."""


class Outcome(NamedTuple):
    """A finished run."""

    analyzer: Analyzer
    snapshot: Snapshot


def record(
    profiler: Profiler,
    ending: Ending,
    observers: Observers,
    *,
    duration_s: float,
    window_ns: int,
) -> Outcome:
    """Run the loop on an attached profiler.

    ``duration_s`` 0 = until somebody ends it. With a screen the target's end does not end the loop:
    the screen stays until it asks to quit. Source and machine code, where the profiler's options
    want them, are read while a screen shows the run, else at its end.
    """
    loop = _Loop(profiler, ending, observers, duration_s, window_ns)
    with rare_collections():
        return loop.run()


class _Loop:
    def __init__(
        self,
        profiler: Profiler,
        ending: Ending,
        observers: Observers,
        duration_s: float,
        window_ns: int,
    ) -> None:
        self._profiler = profiler
        self._ending = ending
        self._duration_ns = int(duration_s * 1e9)
        self._window_ns = window_ns
        self._screen, self._progress, self._writer, self._stream = observers
        self._code = profiler.options.code
        self._ended = ""
        self._quit = False
        self._next_forget_ns = 0
        self._begin(profiler.start_ns, Batch())

    def _begin(self, start_ns: int, known: Batch) -> None:
        """``known``: what the profiler has said before, and will not say again."""
        profiler = self._profiler
        now = time.monotonic_ns()
        info = RunInfo(
            target=profiler.target,
            detection=profiler.detection,
            threshold_ns=profiler.threshold_ns,
            threshold_from=profiler.threshold_from,
            start_monotonic_ns=start_ns,
            start_unix_ns=time.time_ns() - (now - start_ns),
            sample_period_ns=profiler.period_ns,
            window_ns=self._window_ns,
            kernel=" ".join((os.uname().sysname, os.uname().release, os.uname().machine)),
            hud_version=__version__,
            clock_ticks=os.sysconf("SC_CLK_TCK"),
            notes=tuple(profiler.notes),
        )
        known.time_ns = start_ns
        known.names = dict(profiler.names)
        known.workers = list(profiler.workers)
        self._recording = Recording(info)
        if self._writer is not None:
            self._writer.begin(info)
        self._add(known)
        self._analyzer = Analyzer(self._recording)
        self._start_ns = start_ns

    # ------------------------------------------------------------------- the loop

    def run(self) -> Outcome:
        with selectors.DefaultSelector() as selector:
            selector.register(self._ending.fileno(), selectors.EVENT_READ)
            for fileno in self._profiler.filenos():
                selector.register(fileno, selectors.EVENT_READ)
            if self._screen is not None:
                selector.register(self._screen.fileno(), selectors.EVENT_READ, self._screen)
            self._turn(selector)
        return self._close()

    def _states_s(self) -> float:
        """Until the next reading of the threads."""
        if self._profiler.eager:
            return EAGER_STATES_S
        return STATES_S if self._screen is not None else UNSEEN_STATES_S

    def _turn(self, selector: selectors.BaseSelector) -> None:
        next_drain = next_states = next_absorb = 0.0
        snapshot = self._snapshot()
        while not self._over():
            now = time.monotonic()
            due = min(next_drain, next_states) if not self._ended else next_states
            ready = selector.select(max(0.0, min(due - now, self._left_s())))
            self._ending.drain()
            now = time.monotonic()
            keys = any(key.data is self._screen and self._screen for key, _ in ready)
            others = any(key.data is None for key, _ in ready)
            if not self._ended and (others or now >= due):
                self._take(self._profiler.pump())
                next_drain = now + self._profiler.patience_s
                if self._profiler.eager:
                    next_states = min(next_states, now + EAGER_STATES_S)
            if self._ended:
                # nothing but the screen is left to wait for
                for fileno in self._profiler.filenos():
                    if fileno in selector.get_map():
                        selector.unregister(fileno)
            if now >= next_states:
                self._watch_writer()
                if not self._ended:
                    self._take(self._profiler.states())
                next_states = now + self._states_s()
                began = time.thread_time()
                if self._screen is None and now >= next_absorb:
                    followers = (self._progress, self._writer, self._stream)
                    followed = any(one is not None for one in followers)
                    next_absorb = now + (ABSORB_S if followed else UNWATCHED_ABSORB_S)
                    if self._progress is not None:
                        left_s = self._left_s() if self._duration_ns else 0.0
                        self._progress(self._snapshot(), left_s)
                    else:
                        self._analyzer.absorb(self._look())
                    if self._stream is not None:
                        self._stream(self._analyzer)
                    self._forget()
                if self._screen is not None:
                    snapshot = self._snapshot()
                    self._forget()
                    self._screen.draw(snapshot)
                    pause = (time.thread_time() - began) / SCREEN_SHARE
                    next_states = max(next_states, now + min(pause, RAREST_S))
                    if self._code and not self._ended:
                        self._profiler.want_code(spots(snapshot))
            if keys and self._screen is not None:
                for effect in self._screen.on_input(snapshot):
                    self._obey(effect)
                if self._screen.wants_redraw:
                    self._screen.draw(snapshot)

    def _over(self) -> bool:
        if self._ended and self._screen is None:
            return True
        return self._quit or self._ending.signal is not None or self._left_s() <= 0

    def _left_s(self) -> float:
        if not self._duration_ns:
            return 3600.0
        return (self._start_ns + self._duration_ns - time.monotonic_ns()) / 1e9

    def _obey(self, effect: Effect) -> None:
        match effect:
            case Quit():
                self._quit = True
            case Clear() if not self._ended:
                self._restart(self._recording.info.threshold_ns)
            case Threshold(threshold_ns) if not self._ended:
                self._profiler.set_threshold(threshold_ns)
                self._add(Batch(time.monotonic_ns(), threshold_ns=threshold_ns))
            case Window(window_ns):
                self._window_ns = window_ns
                self._recording.set_window(window_ns)
                if self._writer is not None:
                    self._writer.window(window_ns)

    def _restart(self, threshold_ns: int) -> None:
        """From zero, but with all that the profiler says only once."""
        known = self._recording.handed_on()
        known.threshold_ns, known.threshold_from = threshold_ns, self._profiler.threshold_from
        self._begin(known.time_ns, known)

    # ------------------------------------------------------------------- what comes in

    def _add(self, batch: Batch) -> None:
        self._recording.take(batch)
        if self._writer is not None:
            self._writer.take(batch)

    def _take(self, batch: Batch) -> None:
        if batch.threshold_ns and batch.threshold_ns != self._recording.info.threshold_ns:
            # episodes found with another threshold do not compare
            self._restart(batch.threshold_ns)
        self._add(batch)
        if batch.ended and not self._ended:
            self._take_rest()
            self._finish(batch.ended)
            self._read_code()

    def _watch_writer(self) -> None:
        """A recording that stops hours before the end must be noticed at once."""
        if self._writer is None or self._writer.trouble is None:
            return
        self._profiler.notes.add(f"the recording has stopped: {self._writer.trouble}")

    def _take_rest(self) -> None:
        """It is over already: a new threshold restarts nothing."""
        for batch in self._profiler.finish():
            batch.ended = ""
            if batch.threshold_ns != self._recording.info.threshold_ns:
                batch.threshold_ns, batch.threshold_from = 0, ""
            self._take(batch)

    def _read_code(self) -> None:
        if self._code:
            self._take(self._profiler.read_code(spots(self._snapshot())))

    def _finish(self, reason: str) -> None:
        self._ended = reason
        self._recording.finish(self._profiler.end_ns, reason)
        if self._writer is not None:
            self._writer.end(self._profiler.end_ns, reason)

    def _snapshot(self) -> Snapshot:
        return self._analyzer.snapshot(self._look(), not self._ended, self._ended)

    def _look(self) -> int:
        """The moment of what is derived next, which the recording file keeps."""
        now = self._recording.ended_ns
        if not now:
            now = time.monotonic_ns()
            if self._writer is not None:
                self._writer.look(now)
        return now

    def _forget(self) -> None:
        """Samples at once, the rest now and then, right after all was looked at."""
        self._analyzer.forget_samples()
        now = time.monotonic_ns()
        if not self._ended and now >= self._next_forget_ns:
            began = time.thread_time()
            self._analyzer.forget(now)
            pause = (time.thread_time() - began) / FORGET_SHARE
            self._next_forget_ns = now + int(max(FORGET_S, pause) * 1e9)

    def _close(self) -> Outcome:
        if not self._ended:
            self._ended = reason = self._why()
            self._take_rest()
            self._finish(reason)
            if self._screen is None:
                self._read_code()
        return Outcome(self._analyzer, self._snapshot())

    def _why(self) -> str:
        if self._ending.signal is not None:
            return f"stopped by {self._ending.signal.name}"
        return "quit" if self._quit else "duration over"
