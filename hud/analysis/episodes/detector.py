"""From samples to episodes: by the polls where they are seen, else by runs of CPU samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.episodes.polls import PollDetector
from hud.analysis.episodes.runs import RunDetector
from hud.analysis.results import Latency
from hud.model import Kind, Sample, SampleFlag, Where

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hud.analysis.episodes.drafts import Draft
    from hud.analysis.recording import Recording


class RungDetector:
    """By detection rung, which may change: polls where they are seen, else runs of CPU samples."""

    def __init__(self, recording: Recording) -> None:
        self._polls = PollDetector(recording)
        self._runs = RunDetector(recording)

    def feed(self, samples: Iterable[Sample], now_ns: int, /) -> Iterator[Draft]:
        seen: list[Sample] = []
        unseen: list[Sample] = []
        for sample in samples:
            is_tick = sample.kind == Kind.CPU and sample.where == Where.UNKNOWN
            (unseen if is_tick else seen).append(sample)
        yield from self._polls.feed(seen, now_ns)
        yield from self._runs.feed(unseen, now_ns)

    def in_progress(self, now_ns: int, /) -> Iterator[Draft]:
        yield from self._polls.in_progress(now_ns)
        yield from self._runs.in_progress(now_ns)

    def forget(self) -> None:
        """Forget what belongs to polls and threads that are over."""
        self._polls.forget()
        self._runs.forget()

    def forget_stack(self, key: int) -> None:
        """The recording has forgotten it."""
        self._runs.forget_stack(key)

    def stacks(self) -> set[int]:
        """Those that later episodes may name."""
        return self._polls.stacks() | self._runs.stacks()

    def wakers(self) -> set[int]:
        """The threads that they may name."""
        return self._polls.wakers()


def latency_of(sample: Sample, recording: Recording) -> Latency:
    """The wait that a LATENCY sample describes."""
    culprit = recording.culprits.get(sample.other)
    own = recording.thread_names.get(sample.other, "")
    worker = recording.workers.get(sample.tid)
    return Latency(
        worker_id=worker.worker_id if worker else -1,
        tid=sample.tid,
        start_ns=sample.time_ns - sample.duration_ns,
        duration_ns=sample.duration_ns,
        stack=sample.stack,
        culprit_tid=sample.other,
        culprit=culprit.name if culprit else own,
        culprit_pid=culprit.pid if culprit else (recording.info.target.pid if own else 0),
        preempted=bool(sample.flags & SampleFlag.PREEMPTED),
        process=culprit.process if culprit else "",
    )
