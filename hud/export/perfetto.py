"""Perfetto's own format, for ui.perfetto.dev and trace_processor: tracks, counters, flows.

Format: perfetto/trace/trace_packet.proto. Each thread has a track, each episode and each wait for a
CPU a slice on it; counters say how much was blocked and how many tasks were ready; an arrow leads
from the moment at which a thread woke another one, on its track, to the episode that this ended.
Times are CLOCK_MONOTONIC's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.export.bars import nested
from hud.export.faces import NOT_ON_CPU
from hud.export.packets import Kind, Packets, Unit
from hud.export.telling import Telling
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from hud.analysis.results import Episode, Holder, Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.export.bars import Bar

BLOCKING, PRESSURE, WAKING = "execution", "scheduling", "wake"
"""Categories; the first two as in a Chrome trace."""
SHARE, SHARED, OWN = "blocked", "ready tasks, shared queue", "ready tasks, workers' queues"
"""Names of the counters."""
_PROCESS, _SHARE, _SHARED, _OWN, _THREADS = 1, 2, 3, 4, 5
"""Numbers of tracks."""
_OTHER_PROCESS = "other process"
_CHUNK = 1_000
"""Packets written at once."""


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    chunk: list[bytes] = []
    for packet in _Trace(analyzer, snapshot).packets():
        chunk.append(packet)
        if len(chunk) >= _CHUNK:
            out.write(b"".join(chunk))
            chunk.clear()
    out.write(b"".join(chunk))


class _Trace:
    def __init__(self, analyzer: Analyzer, snapshot: Snapshot) -> None:
        self._told = Telling(analyzer, snapshot)
        self._snapshot = snapshot
        self._bars = nested(analyzer)
        self._packets = Packets()
        self._tracks: dict[int, int] = {}
        """By tid."""

    def packets(self) -> Iterator[bytes]:
        info = self._snapshot.info
        yield self._packets.clocks(info.start_monotonic_ns, info.start_unix_ns)
        yield from self._described()
        yield from self._counted()
        for _, _, _, at, make in sorted(self._moments(), key=lambda one: one[:4]):
            yield make(self._bars[at])

    # ------------------------------------------------------------------ tracks

    def _described(self) -> Iterator[bytes]:
        target = self._snapshot.info.target
        yield self._packets.process(_PROCESS, target.pid, printable(target.name))
        for tid, name in self._threads():
            self._tracks[tid] = _THREADS + len(self._tracks)
            yield self._packets.thread(self._tracks[tid], (target.pid, tid), name)
        yield self._packets.counter(_SHARE, _PROCESS, f"{SHARE} (% of worker time)", Unit.NONE)
        yield self._packets.counter(_SHARED, _PROCESS, SHARED, Unit.COUNT)
        yield self._packets.counter(_OWN, _PROCESS, OWN, Unit.COUNT)

    def _threads(self) -> Iterator[tuple[int, str]]:
        """Workers by their numbers, then whatever else has an event."""
        recording = self._told.recording
        workers = sorted((worker.worker_id, tid) for tid, worker in recording.workers.items())
        for number, tid in workers:
            yield tid, self._told.worker(number, tid)
        others = {bar.of.tid: "" for bar in self._bars}
        others |= {one.tid: printable(one.name) for one in map(_waker, self._bars) if one}
        for tid, name in sorted(others.items()):
            if tid not in recording.workers:
                yield tid, name or printable(recording.thread_names.get(tid, str(tid)))

    def _counted(self) -> Iterator[bytes]:
        graph = self._snapshot.graph
        for at in range(graph.slices):
            time_ns = graph.start_ns + at * graph.slice_ns
            yield self._packets.share(_SHARE, time_ns, 100 * graph.share(at))
        for reading in self._told.recording.tasks.readings:
            for track, count in ((_SHARED, reading.shared), (_OWN, reading.own)):
                if count >= 0:
                    yield self._packets.count(track, reading.time_ns, count)

    # ------------------------------------------------------------------ events

    def _moments(self) -> Iterator[tuple[int, int, int, int, Any]]:
        """(when, what first, of two ends the inner first, index of the bar, what makes it)."""
        for at, bar in enumerate(self._bars):
            yield bar.begin_ns, 2, -bar.end_ns, at, self._begin
            yield bar.end_ns, 0, -bar.begin_ns, at, self._end
            waker = _waker(bar)
            if waker:
                yield waker.woke_ns, 1, 0, at, self._wake
                yield waker.woke_ns, 1, 1, at, self._woken

    def _begin(self, bar: Bar) -> bytes:
        if bar.blocking:
            episode: Any = bar.of
            name, category, said = self._told.name(episode), BLOCKING, self._row(episode)
        else:
            name, category, said = NOT_ON_CPU, PRESSURE, self._wait(bar.of)
        track = self._tracks[bar.of.tid]
        event = self._packets.event(Kind.BEGIN, track, name, category)
        return self._packets.packet(bar.begin_ns, event + self._packets.annotations(said))

    def _end(self, bar: Bar) -> bytes:
        event = self._packets.event(Kind.END, self._tracks[bar.of.tid])
        return self._packets.packet(bar.end_ns, event)

    def _wake(self, bar: Bar) -> bytes:
        waker: Any = _waker(bar)
        name = "lets go of a lock" if waker.held else "wakes"
        return self._moment(bar, waker.tid, name)

    def _woken(self, bar: Bar) -> bytes:
        waker: Any = _waker(bar)
        return self._moment(bar, bar.of.tid, "gets the lock" if waker.held else "is woken")

    def _moment(self, bar: Bar, tid: int, name: str) -> bytes:
        """One end of an arrow; an episode has one, so its begin is its number."""
        waker: Any = _waker(bar)
        event = self._packets.event(Kind.INSTANT, self._tracks[tid], name, WAKING)
        number = bar.of.tid << 40 ^ bar.of.start_ns
        return self._packets.packet(waker.woke_ns, event + self._packets.flow(number))

    def _row(self, episode: Episode) -> dict[str, Any]:
        return {**self._told.row(episode), **self._stack(episode.stack)}

    def _wait(self, one: Any) -> dict[str, Any]:
        said = {"worker_id": one.worker_id, "duration_ns": one.duration_ns}
        if hasattr(one, "culprit"):
            said |= {
                "culprit": printable(one.culprit),
                "culprit_pid": one.culprit_pid,
                "culprit_tid": one.culprit_tid,
                "preempted": one.preempted,
            }
        return {**said, **self._stack(one.stack)}

    def _stack(self, key: int) -> dict[str, str]:
        return {"stack": "\n".join(self._told.lines(key))} if key else {}


def _waker(bar: Bar) -> Holder | None:
    """Who ended the wait of an episode, where it is known which thread of the process, and when."""
    holder: Holder | None = getattr(bar.of, "holder", None) if bar.blocking else None
    known = holder and holder.tid and holder.woke_ns and holder.role != _OTHER_PROCESS
    return holder if known else None
