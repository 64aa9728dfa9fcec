"""Tell a recording again: to the same analysis, at the same moments, with the same result.

Terms: a *position* counts nanoseconds from the begin of the run.
"""

from __future__ import annotations

import gc
import pickle
import time
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.recording import Recording
from hud.analysis.snapshot import Analyzer
from hud.errors import FormatError
from hud.model import Batch, RunInfo
from hud.record.format import End, Look, Window
from hud.record.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO

    from hud.analysis.results import Snapshot
    from hud.record.format import Tale
    from hud.record.reader import Place


class Replay:
    """What a run knew at one moment; it only moves forward."""

    def __init__(self, tales: Iterable[Tale], window_ns: int | None = None) -> None:
        """``window_ns``: see the run through this window, whatever it was recorded with.

        Raises FormatError where not even a run's begin is told.
        """
        self._tales = iter(tales)
        self._window_ns = window_ns
        self.before_tale: Callable[[], None] | None = None
        """Called by ``advance`` before each tale that it takes."""
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
            if self.before_tale is not None:
                self.before_tale()
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

    def state(self) -> bytes:
        """All but the tales, for ``resumed``."""
        return pickle.dumps((self.analyzer, self._window_ns, self.start_ns, self.now_ns), 5)

    @classmethod
    def resumed(cls, state: bytes, tales: Iterable[Tale]) -> Replay:
        """A replay that goes on with ``tales``; ``state`` is of this very process."""
        replay = cls.__new__(cls)
        replay.analyzer, replay._window_ns, replay.start_ns, replay.now_ns = pickle.loads(state)
        replay.before_tale = None
        replay._tales = iter(tales)
        replay._next = next(replay._tales, None)
        return replay

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


class _Stop(NamedTuple):
    """A replay as it was when it had told all before some tale."""

    now_ns: int
    state: bytes
    place: Place
    told: int
    """Tales of the place's chunk that come before."""


_WORK_S = 0.2
"""CPU time between two stops: what it costs to go back, at the least."""
_DEAR = 3
"""A stop may cost one part in so many of the work before it."""
_MOST_BYTES = 64 << 20


class Film:
    """A recording in which one can go back and forth; ``source`` stays the caller's to close.

    On the way it makes *stops*, from where it can go on later. The more it has to remember, the
    farther they are apart.
    """

    def __init__(self, source: BinaryIO) -> None:
        """It is at its end at first. Raises FormatError where there is no run in the file."""
        self._source = source
        self._window_ns: int | None = None
        self._stops: list[_Stop] = []
        self._work_s = _WORK_S
        self._worked_s = 0.0
        reader = Reader(source)
        self._replay = self._begin(reader)
        self._replay.advance()
        self.lacks = reader.lacks
        """What the file lacks; empty = it is whole."""
        self.length_ns = self._replay.now_ns - self._replay.start_ns
        self._position_ns = self.length_ns
        self._snapshot: Snapshot | None = None

    def seek(self, position_ns: int) -> None:
        """Be there; the end is where all is told."""
        if position_ns == self._position_ns:
            return
        moment = self._replay.start_ns + position_ns
        here = self._replay.now_ns if position_ns > self._position_ns else -1
        nearer = [stop for stop in self._stops if here < stop.now_ns <= moment]
        if nearer:
            self._replay = self._resume(nearer[-1])
        elif here < 0:
            self._replay = self._begin(Reader(self._source))
        self._go_to(position_ns)
        if nearer or here < 0:
            gc.collect()  # of the replay before, which is full of cycles

    def look_through(self, window_ns: int) -> None:
        """Through another window than it was recorded with, at the same position."""
        self._window_ns = window_ns
        self._stops, self._work_s = [], _WORK_S
        self._replay = self._begin(Reader(self._source))
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

    # ----------------------------------------------------------------- stops

    def _begin(self, reader: Reader) -> Replay:
        replay = Replay(reader.tales(), self._window_ns)
        self._watch(replay, reader)
        return replay

    def _resume(self, stop: _Stop) -> Replay:
        reader = Reader(self._source)
        tales = reader.tales(stop.place)
        replay = Replay.resumed(stop.state, islice(tales, stop.told, None))
        self._watch(replay, reader)
        return replay

    def _watch(self, replay: Replay, reader: Reader) -> None:
        self._worked_s = time.thread_time()
        replay.before_tale = lambda: self._consider(replay, reader)

    def _consider(self, replay: Replay, reader: Reader) -> None:
        now_s = time.thread_time()
        if now_s - self._worked_s < self._work_s or reader.place is None:
            return
        if not self._stops or replay.now_ns > self._stops[-1].now_ns:
            state = replay.state()
            # What the replay takes next was told already.
            self._stops.append(_Stop(replay.now_ns, state, reader.place, reader.told - 1))
            self._work_s = max(self._work_s, _DEAR * (time.thread_time() - now_s))
            while sum(len(stop.state) for stop in self._stops) > _MOST_BYTES:
                del self._stops[-1::-2]
                self._work_s *= 2
        self._worked_s = time.thread_time()
