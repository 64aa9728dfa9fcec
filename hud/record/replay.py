"""Tell a recording again: to the same analysis, at the same moments, with the same result.

Terms: a *position* counts nanoseconds from the begin of the run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis.recording import Recording
from hud.analysis.snapshot import Analyzer
from hud.errors import FormatError
from hud.model import Batch, RunInfo
from hud.record.format import End, Look, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hud.model import Snapshot
    from hud.record.format import Tale


class Replay:
    """What a run knew at one moment; it only moves forward."""

    def __init__(self, tales: Iterable[Tale], window_ns: int | None = None) -> None:
        """``window_ns``: see the run through this window, whatever it was recorded with.

        Raises FormatError where not even a run's begin is told.
        """
        self._tales = iter(tales)
        self._window_ns = window_ns
        first = next(self._tales, None)
        if not isinstance(first, RunInfo):
            raise FormatError("recording: no run in it", "it was cut off before anything was told")
        self.analyzer = self._begun(first)
        self.start_ns = first.start_monotonic_ns
        self.now_ns = self.start_ns
        """The moment that was reached."""
        self._next: Tale | None = next(self._tales, None)

    @property
    def recording(self) -> Recording:
        return self.analyzer.recording

    @property
    def over(self) -> bool:
        """All is told."""
        return self._next is None

    def advance(self, position_ns: int | None = None) -> None:
        """Take what was told up to there; None = all."""
        until = None if position_ns is None else self.start_ns + position_ns
        while self._next is not None:
            time_ns = _moment(self._next)
            if until is not None and time_ns > until:
                break
            self.now_ns = max(self.now_ns, time_ns)
            self._take(self._next)
            self._next = next(self._tales, None)
        if until is not None and self._next is not None:
            self.now_ns = max(self.now_ns, until)

    def snapshot(self) -> Snapshot:
        """What a screen showed then, and what was exported if it is over.

        A run that was cut off ends where its tale breaks off.
        """
        if self.over and not self.recording.ended_ns:
            self.recording.finish(self.now_ns, "the recording breaks off here")
        ended = self.recording.ended_ns
        return self.analyzer.snapshot(ended or self.now_ns, not ended)

    def _take(self, tale: Tale) -> None:
        if isinstance(tale, Batch):
            self.recording.take(tale)
        elif isinstance(tale, Look):
            self.analyzer.absorb(tale.time_ns)
        elif isinstance(tale, End):
            self.recording.finish(tale.time_ns, tale.reason)
        elif isinstance(tale, RunInfo):
            self.analyzer = self._begun(tale)
        elif self._window_ns is None:
            self.recording.set_window(tale.window_ns)

    def _begun(self, info: RunInfo) -> Analyzer:
        if self._window_ns is not None:
            info = replace(info, window_ns=self._window_ns)
        return Analyzer(Recording(info))


def _moment(tale: Tale) -> int:
    if isinstance(tale, RunInfo):
        return tale.start_monotonic_ns
    return 0 if isinstance(tale, Window) else tale.time_ns


class Film:
    """A recording in which one can go back and forth. ``tell`` tells it from the begin."""

    def __init__(self, tell: Callable[[], Iterator[Tale]]) -> None:
        """It is at its end at first."""
        self._tell = tell
        self._window_ns: int | None = None
        self._replay = Replay(tell())
        self._replay.advance()
        self.length_ns = self._replay.now_ns - self._replay.start_ns
        self._position_ns = self.length_ns
        self._snapshot: Snapshot | None = None

    def seek(self, position_ns: int) -> None:
        """Be there; the end is where all is told."""
        if position_ns == self._position_ns:
            return
        if position_ns < self._position_ns:
            self._replay = Replay(self._tell(), self._window_ns)
        self._go_to(position_ns)

    def look_through(self, window_ns: int) -> None:
        """Through another window than it was recorded with, at the same position."""
        self._window_ns = window_ns
        self._replay = Replay(self._tell(), window_ns)
        self._go_to(self._position_ns)

    def snapshot(self) -> Snapshot:
        """What there was to see at the position."""
        if self._snapshot is None:
            self._snapshot = self._replay.snapshot()
        return self._snapshot

    def _go_to(self, position_ns: int) -> None:
        self._replay.advance(None if position_ns >= self.length_ns else position_ns)
        self._position_ns = position_ns
        self._snapshot = None
