"""A recording in which one can go back and forth."""

from __future__ import annotations

import gc
import time
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from hud.record.reader import Reader
from hud.record.replay import Replay

if TYPE_CHECKING:
    from typing import BinaryIO

    from hud.analysis.results import Snapshot
    from hud.record.reader import ChunkStart


class _Checkpoint(NamedTuple):
    """A replay as it was when it had taken all before some entry."""

    now_ns: int
    state: bytes
    chunk: ChunkStart
    skipped: int
    """Entries of that chunk that come before."""


_WORK_S = 0.2
"""CPU time between two checkpoints: what it costs to go back, at the least."""
_WORK_PER_COST = 3
"""A checkpoint may cost one part in so many of the work before it."""
_MOST_BYTES = 64 << 20


class SeekableReplay:
    """A recording in which one can go back and forth; ``source`` stays the caller's to close.

    On the way it takes checkpoints, from where it can go on later. The larger they are, the farther
    they are apart.
    """

    def __init__(self, source: BinaryIO) -> None:
        """It is at its end at first. Raises FormatError where there is no run in the file."""
        self._source = source
        self._window_ns: int | None = None
        self._checkpoints: list[_Checkpoint] = []
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
        """Be there; at the end all entries are taken."""
        if position_ns == self._position_ns:
            return
        moment = self._replay.start_ns + position_ns
        here = self._replay.now_ns if position_ns > self._position_ns else -1
        nearer = [point for point in self._checkpoints if here < point.now_ns <= moment]
        if nearer:
            self._replay = self._resume(nearer[-1])
        elif here < 0:
            self._replay = self._begin(Reader(self._source))
        self._go_to(position_ns)
        if nearer or here < 0:
            gc.collect()  # of the replay before, which is full of cycles

    def set_window(self, window_ns: int) -> None:
        """Through another window than it was recorded with, at the same position."""
        self._window_ns = window_ns
        self._checkpoints, self._work_s = [], _WORK_S
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

    # ------------------------------------------------------------ checkpoints

    def _begin(self, reader: Reader) -> Replay:
        replay = Replay(reader.entries(), self._window_ns)
        self._watch(replay, reader)
        return replay

    def _resume(self, point: _Checkpoint) -> Replay:
        reader = Reader(self._source)
        entries = reader.entries(point.chunk)
        replay = Replay.resumed(point.state, islice(entries, point.skipped, None))
        self._watch(replay, reader)
        return replay

    def _watch(self, replay: Replay, reader: Reader) -> None:
        self._worked_s = time.thread_time()
        replay.before_entry = lambda: self._consider(replay, reader)

    def _consider(self, replay: Replay, reader: Reader) -> None:
        now_s = time.thread_time()
        if now_s - self._worked_s < self._work_s or reader.chunk is None:
            return
        if not self._checkpoints or replay.now_ns > self._checkpoints[-1].now_ns:
            state = replay.state()
            # What the replay takes next was read already.
            self._checkpoints.append(
                _Checkpoint(replay.now_ns, state, reader.chunk, reader.count - 1)
            )
            self._work_s = max(self._work_s, _WORK_PER_COST * (time.thread_time() - now_s))
            while sum(len(point.state) for point in self._checkpoints) > _MOST_BYTES:
                del self._checkpoints[-1::-2]
                self._work_s *= 2
        self._worked_s = time.thread_time()
