"""Replay a recording: to the same analysis, at the same moments, with the same result.

A *position* counts nanoseconds from the start of the run.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis.recording import BREAKS_OFF, Recording
from hud.analysis.snapshot import Analyzer
from hud.errors import FormatError
from hud.model import Batch, RunInfo
from hud.record.format import End, Looked, WindowSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hud.analysis.results import Snapshot
    from hud.record.format import Entry


class Replay:
    """What a run knew at one moment; it only moves forward."""

    def __init__(self, entries: Iterable[Entry], window_ns: int | None = None) -> None:
        """``window_ns``: see the run through this window, whatever it was recorded with.

        Raises FormatError where not even the start of a run is in it.
        """
        self._entries = iter(entries)
        self._window_ns = window_ns
        self.before_entry: Callable[[], None] | None = None
        """Called by ``advance`` before each entry that it takes."""
        first = next(self._entries, None)
        if not isinstance(first, RunInfo):
            raise FormatError("recording: no run in it", "it was cut off before anything was in it")
        self.analyzer = self._begun(first)
        self.start_ns = first.start_monotonic_ns
        self.now_ns = self.start_ns
        """The moment that was reached."""
        self._next: Entry | None = next(self._entries, None)

    @property
    def recording(self) -> Recording:
        return self.analyzer.recording

    @property
    def over(self) -> bool:
        """All entries are taken."""
        return self._next is None

    def advance(self, position_ns: int | None = None) -> None:
        """Take the entries up to there; None = all."""
        until = None if position_ns is None else self.start_ns + position_ns
        while self._next is not None:
            time_ns = _moment(self._next)
            if until is not None and time_ns > until:
                break
            if self.before_entry is not None:
                self.before_entry()
            self.now_ns = max(self.now_ns, time_ns)
            entry, self._next = self._next, next(self._entries, None)
            # of looks in a row the last sees all that the others saw
            if not (isinstance(entry, Looked) and isinstance(self._next, Looked)):
                self._take(entry)
        if until is not None and self._next is not None:
            self.now_ns = max(self.now_ns, until)

    def snapshot(self) -> Snapshot:
        """What a screen showed then, and what was exported if it is over.

        A run that was cut off ends where its file does.
        """
        if self.over and not self.recording.ended_ns:
            self.recording.finish(self.now_ns, BREAKS_OFF)
        ended = self.recording.ended_ns
        return self.analyzer.snapshot(ended or self.now_ns, not ended)

    def state(self) -> bytes:
        """All but the entries, for ``resumed``."""
        return pickle.dumps((self.analyzer, self._window_ns, self.start_ns, self.now_ns), 5)

    @classmethod
    def resumed(cls, state: bytes, entries: Iterable[Entry]) -> Replay:
        """A replay that goes on with ``entries``; ``state`` is of this very process."""
        replay = cls.__new__(cls)
        replay.analyzer, replay._window_ns, replay.start_ns, replay.now_ns = pickle.loads(state)
        replay.before_entry = None
        replay.analyzer.forget_rows()
        replay._entries = iter(entries)
        replay._next = next(replay._entries, None)
        return replay

    def _take(self, entry: Entry) -> None:
        if isinstance(entry, Batch):
            self.recording.take(entry)
        elif isinstance(entry, Looked):
            self.analyzer.absorb(entry.time_ns)
            self.analyzer.forget_samples()
        elif isinstance(entry, End):
            self.recording.finish(entry.time_ns, entry.reason)
        elif isinstance(entry, RunInfo):
            self.analyzer = self._begun(entry)
        elif self._window_ns is None:
            self.recording.set_window(entry.window_ns)

    def _begun(self, info: RunInfo) -> Analyzer:
        if self._window_ns is not None:
            info = replace(info, window_ns=self._window_ns)
        return Analyzer(Recording(info))


def _moment(entry: Entry) -> int:
    if isinstance(entry, RunInfo):
        return entry.start_monotonic_ns
    return 0 if isinstance(entry, WindowSet) else entry.time_ns
