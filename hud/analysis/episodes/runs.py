"""Episodes where only CPU samples are seen: the same function, again and again.

A *run* is a row of consecutive CPU samples of one thread in the same user function.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from hud.analysis.blame import user_part
from hud.analysis.cause import Cause
from hud.analysis.episodes.drafts import Candidate, Draft
from hud.analysis.results import Episode, Method
from hud.model import Kind, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hud.analysis.recording import Recording

_MAX_STACKS_PER_RUN = 64
_MAX_CANDIDATES = 8
_MAX_QUEUE = 10_000
_NAMES_PATIENCE_NS = 2_000_000_000
"""How long a sample waits for its names before its address must do."""


class _Run:
    __slots__ = ("count", "first_ns", "key", "last_ns", "period_ns", "stacks")

    def __init__(self, key: str, sample: Sample, period_ns: int) -> None:
        self.key = key
        self.first_ns = sample.time_ns
        self.last_ns = sample.time_ns
        self.period_ns = period_ns
        self.count = 0
        self.stacks: dict[int, int] = {}

    def add(self, sample: Sample) -> None:
        self.count += 1
        self.last_ns = sample.time_ns
        if sample.stack in self.stacks or len(self.stacks) < _MAX_STACKS_PER_RUN:
            self.stacks[sample.stack] = self.stacks.get(sample.stack, 0) + 1

    def patience_ns(self) -> int:
        return self.period_ns * 3 // 2 + 1_000_000


class RunDetector:
    """Without CONTEXT: consecutive CPU samples of a worker in the same user function."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._queues: dict[int, deque[Sample]] = {}
        """Samples whose names have not come yet, and those behind them."""
        self._runs: dict[int, _Run] = {}
        self._keys: dict[int, str | None] = {}

    def feed(self, samples: Iterable[Sample], now_ns: int, /) -> Iterator[Draft]:
        for sample in samples:
            if sample.kind == Kind.CPU and sample.tid in self._recording.workers:
                self._queues.setdefault(sample.tid, deque(maxlen=_MAX_QUEUE)).append(sample)
        for tid, queue in self._queues.items():
            if tid not in self._recording.workers:  # it turned out to be none
                queue.clear()
                self._runs.pop(tid, None)
                continue
            while queue and self._ready(queue[0], now_ns):
                yield from self._take(queue.popleft())
            run = self._runs.get(tid)
            if run and not queue and now_ns - run.last_ns > run.patience_ns():
                yield from self._close(tid)

    def in_progress(self, _now_ns: int, /) -> Iterator[Draft]:
        for tid, run in self._runs.items():
            if self._long_enough(run):
                yield self._draft(tid, run, in_progress=True)

    def forget(self) -> None:
        """Forget threads that are no workers any more."""
        workers = self._recording.workers
        for tid in self._queues.keys() - self._runs.keys():
            if not self._queues[tid] and (tid in workers.died_ns or tid not in workers):
                del self._queues[tid]

    def forget_stack(self, key: int) -> None:
        """The recording has forgotten it."""
        self._keys.pop(key, None)

    def stacks(self) -> set[int]:
        """Those that later episodes may name."""
        queued = {sample.stack for queue in self._queues.values() for sample in queue}
        return queued.union(*(run.stacks for run in self._runs.values()))

    def _ready(self, sample: Sample, now_ns: int) -> bool:
        stack = self._recording.stacks.get(sample.stack)
        resolved = not sample.stack or (stack is not None and stack.frames is not None)
        late = now_ns - sample.time_ns > _NAMES_PATIENCE_NS
        return resolved or late or bool(self._recording.ended_ns)

    def _key(self, key: int) -> str | None:
        if key in self._keys:
            return self._keys[key]
        stack = self._recording.stacks.get(key)
        if not key:
            return None
        if stack is None or stack.frames is None:
            return f"#{key:x}"
        return self._keys.setdefault(key, user_part(stack))

    def _take(self, sample: Sample) -> Iterator[Draft]:
        run = self._runs.get(sample.tid)
        key = self._key(sample.stack)
        if run and (run.key != key or sample.time_ns - run.last_ns > run.patience_ns()):
            yield from self._close(sample.tid)
            run = None
        if key is None:
            return
        if run is None:
            period = max(1, sample.duration_ns or self._recording.info.sample_period_ns)
            run = self._runs[sample.tid] = _Run(key, sample, period)
        run.add(sample)

    def _close(self, tid: int) -> Iterator[Draft]:
        run = self._runs.pop(tid)
        if self._long_enough(run):
            yield self._draft(tid, run, in_progress=False)

    def _long_enough(self, run: _Run) -> bool:
        threshold_ns = self._recording.info.threshold_ns
        return run.count >= max(2, math.ceil(threshold_ns / run.period_ns))

    def _draft(self, tid: int, run: _Run, *, in_progress: bool) -> Draft:
        duration = run.count * run.period_ns
        worker = self._recording.workers.get(tid)
        episode = Episode(
            worker_id=worker.worker_id if worker else -1,
            tid=tid,
            start_ns=max(0, run.first_ns - run.period_ns),
            duration_ns=duration,
            on_cpu_ns=duration,
            asleep_ns=0,
            waiting_ns=0,
            method=Method.SAMPLES,
            cause=Cause.UNKNOWN,
            stack=0,
            begin_uncertainty_ns=run.period_ns,
            end_uncertainty_ns=run.period_ns,
            in_progress=in_progress,
        )
        weights = sorted(run.stacks.items(), key=lambda item: (-item[1], item[0]))
        candidates = tuple(
            Candidate(stack, count * run.period_ns, -1)
            for stack, count in weights[:_MAX_CANDIDATES]
        )
        return Draft(episode, candidates)
