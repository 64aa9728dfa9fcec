"""Episodes where polls are seen: a poll that was long, and what was seen inside it before its end.

The *evidence* of a poll are the samples, sleeps and wakes inside it; its *candidates* are
the stacks that may have been what blocked.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.cause import Cause
from hud.analysis.episodes.doubts import doubts_of
from hud.analysis.episodes.drafts import Candidate, Draft
from hud.analysis.episodes.syscalls import DESCRIPTOR, STOPPED, call_name, machine_of
from hud.analysis.results import Episode, Holder, Method
from hud.model import BEGAN_BEFORE, FILE_TYPE, Kind, Sample, SampleFlag, Where

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hud.analysis.recording import Recording
    from hud.model import ThreadState

_Sleep = tuple[int, int, int, str]
"""Stack, system call, type of its descriptor, what it was about."""

_MAX_THREADS = 8_192
_MAX_OPEN_POLLS = 4
"""Of one thread."""
_MAX_STACKS_PER_POLL = 64
_MAX_WAKES = 8
_MAX_CANDIDATES = 8
_MISSING = 3
"""Sample periods between the estimate and the first sight: samples of a thread that ran were
missed."""


class _Evidence:
    """What was seen inside one poll, before its end."""

    __slots__ = ("asleep_ns", "cpu", "longest_ns", "sleeps", "stopped_ns", "wakes")

    def __init__(self) -> None:
        self.cpu: dict[int, int] = {}
        """Samples by stack."""
        self.sleeps: dict[_Sleep, int] = {}
        """Nanoseconds by stack, system call, type of descriptor and what it was about."""
        self.asleep_ns = 0
        self.stopped_ns = 0
        self.longest_ns = 0
        """Of the sleeps as they were reported: several short ones may be one event."""
        self.wakes: dict[int, Sample] = {}
        """By the stack of the wait: what ended the longest there."""

    def add(self, sample: Sample, detail: str) -> None:
        if sample.kind == Kind.CPU:
            if sample.stack and (sample.stack in self.cpu or len(self.cpu) < _MAX_STACKS_PER_POLL):
                self.cpu[sample.stack] = self.cpu.get(sample.stack, 0) + 1
            return
        if sample.kind == Kind.WAKE:
            known = self.wakes.get(sample.value)
            if known.duration_ns < sample.duration_ns if known else len(self.wakes) < _MAX_WAKES:
                self.wakes[sample.value] = sample
            return
        self.sleep(
            (sample.stack, sample.info, sample.flags & FILE_TYPE, detail), sample.duration_ns
        )

    def sleep(self, key: _Sleep, duration_ns: int) -> None:
        self.asleep_ns += duration_ns
        self.longest_ns = max(self.longest_ns, duration_ns)
        if key[1] == STOPPED:
            self.stopped_ns += duration_ns
        elif key in self.sleeps or len(self.sleeps) < _MAX_STACKS_PER_POLL:
            self.sleeps[key] = self.sleeps.get(key, 0) + duration_ns

    def copy(self) -> _Evidence:
        other = _Evidence()
        other.cpu = dict(self.cpu)
        other.sleeps = dict(self.sleeps)
        other.asleep_ns = self.asleep_ns
        other.stopped_ns = self.stopped_ns
        other.longest_ns = self.longest_ns
        other.wakes = dict(self.wakes)
        return other

    def stacks(self) -> Iterator[int]:
        """Each one that the poll may be blamed on."""
        yield from self.polling()
        for wake in self.wakes.values():
            yield wake.stack

    def polling(self) -> Iterator[int]:
        """Each one that it had; 0 = one that was not caught."""
        yield from self.cpu
        for stack, *_ in self.sleeps:
            yield stack

    def candidates(
        self, on_cpu_ns: int, asleep_ns: int
    ) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
        """The stacks of whichever took longer, computing or sleeping, and those of the other; that
        comes first in need."""
        samples = sum(self.cpu.values())
        computing = [
            Candidate(stack, on_cpu_ns * count // samples, -1) for stack, count in self.cpu.items()
        ]
        sleeping = [
            Candidate(stack, ns, call, file_type, detail)
            for (stack, call, file_type, detail), ns in self.sleeps.items()
        ]
        first, second = (sleeping, computing) if asleep_ns > on_cpu_ns else (computing, sleeping)
        if not first:
            first, second = second, first
        return _heaviest(first), _heaviest(second)


def _heaviest(candidates: list[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda one: (-one.weight_ns, one))[:_MAX_CANDIDATES])


class _Poll(NamedTuple):
    """What is known of a long poll without its evidence; the fields are those of ``Episode``."""

    tid: int
    start_ns: int
    duration_ns: int
    asleep_ns: int
    waiting_ns: int
    task_id: int
    in_progress: bool
    began_before: bool
    doubts: int
    begin_uncertainty_ns: int = 0
    end_uncertainty_ns: int = 0


class PollDetector:
    """Where CONTEXT is read: a POLL sample is the episode, what came before is its evidence."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._machine = machine_of(recording.info.kernel)
        self._open: dict[int, dict[int, _Evidence]] = {}
        """By tid and start, of the latest polls: those of one thread follow each other."""
        self._closed: dict[int, int] = {}
        """Start of the latest poll that ended, by tid."""
        self._over: set[tuple[int, int]] = set()
        """Those of ``_open`` that were over at the last ``forget``."""

    def feed(self, samples: Iterable[Sample], _now_ns: int, /) -> Iterator[Draft]:
        threshold_ns = max(1, self._recording.info.threshold_ns)
        for sample in samples:
            if not sample.poll_start_ns or sample.kind == Kind.LATENCY:
                continue
            tid, start_ns = sample.tid, sample.poll_start_ns
            if sample.kind != Kind.POLL:
                self._gather(tid, start_ns).add(sample, self._detail(sample))
                continue
            evidence = self._open.get(tid, {}).pop(start_ns, None) or _Evidence()
            closed = self._closed.get(tid)
            if closed == start_ns or (
                closed and sample.flags & SampleFlag.IN_PROGRESS and closed > start_ns
            ):
                continue  # reported already, or not by the states: they are older than its end
            self._closed[tid] = start_ns
            begin_ns = start_ns + self._unseen_ns(sample)
            if start_ns + sample.duration_ns - begin_ns >= threshold_ns:
                yield self._ended(sample, evidence, begin_ns)

    def in_progress(self, now_ns: int, /) -> Iterator[Draft]:
        recording = self._recording
        for state in recording.polls_in_progress():
            length = now_ns - state.poll_start_ns
            if length < max(1, recording.info.threshold_ns):
                continue
            if self._closed.get(state.tid, 0) >= state.poll_start_ns:
                continue
            evidence = self._open.get(state.tid, {}).get(state.poll_start_ns)
            yield self._so_far(state, evidence.copy() if evidence else _Evidence(), now_ns)

    def forget(self) -> None:
        """Forget the evidence of polls that ended below the threshold: no event reports their end.

        The events of a longer one come within a call of the next.
        """
        states = self._recording.states
        lasting = {(tid, state.poll_start_ns) for tid, state in states.items()}
        over = {(tid, start) for tid, polls in self._open.items() for start in polls} - lasting
        for tid, start in over & self._over:
            del self._open[tid][start]
            if not self._open[tid]:
                del self._open[tid]
        self._over = over - self._over
        self._closed = {tid: start for tid, start in self._closed.items() if tid in states}

    def stacks(self) -> set[int]:
        """Those that later episodes may name."""
        return {stack for evidence in self._evidences() for stack in evidence.stacks()}

    def wakers(self) -> set[int]:
        """The threads that they may name."""
        found = (evidence.wakes.values() for evidence in self._evidences())
        return {wake.other for wakes in found for wake in wakes}

    def _evidences(self) -> Iterator[_Evidence]:
        for polls in self._open.values():
            yield from polls.values()

    def _detail(self, sample: Sample) -> str:
        if sample.kind != Kind.SLEEP or (not sample.value and not sample.flags & FILE_TYPE):
            return ""
        return self._about(sample.info, sample.tid, sample.time_ns)

    def _about(self, call: int, tid: int, time_ns: int) -> str:
        """The file or peer: known only where the call's first argument is a descriptor."""
        if call_name(call, self._machine) not in DESCRIPTOR:
            return ""
        return self._recording.details.get((tid, time_ns), "")

    def _gather(self, tid: int, start_ns: int) -> _Evidence:
        polls = self._open.get(tid)
        if polls is None:
            if len(self._open) >= _MAX_THREADS:
                for old in list(islice(self._open, _MAX_THREADS // 4)):
                    del self._open[old]
            polls = self._open[tid] = {}
        evidence = polls.get(start_ns)
        if evidence is None:
            if len(polls) >= _MAX_OPEN_POLLS:
                del polls[min(polls)]  # too short to be reported
            evidence = polls[start_ns] = _Evidence()
        return evidence

    def _unseen_ns(self, sample: Sample) -> int:
        """How long before its first sight the poll is estimated to have begun, where samples are
        missing: then it may not have. A virtual machine that is held up has none for a while.

        Else 0: then the estimate, halfway between two samples, is as good as any.
        """
        info = self._recording.info
        doubt_ns = 0 if sample.info == BEGAN_BEFORE else sample.info * 1000
        # of a thread that was never seen before the poll begins with its first sight anyhow
        never_seen = sample.poll_start_ns - doubt_ns <= info.start_monotonic_ns
        if never_seen or doubt_ns >= sample.duration_ns or not info.sample_period_ns:
            return 0
        return doubt_ns if doubt_ns > _MISSING * info.sample_period_ns else 0

    def _ended(self, sample: Sample, evidence: _Evidence, begin_ns: int) -> Draft:
        """``begin_ns``: the moment from which on it is counted."""
        duration = sample.poll_start_ns + sample.duration_ns - begin_ns
        in_progress = bool(sample.flags & SampleFlag.IN_PROGRESS)
        slept = max(sample.stack, evidence.asleep_ns) if in_progress else sample.stack
        asleep = min(duration, slept)
        waiting = min(duration - asleep, sample.value)
        poll = _Poll(
            tid=sample.tid,
            start_ns=begin_ns,
            duration_ns=duration,
            asleep_ns=asleep,
            waiting_ns=waiting,
            task_id=sample.task_id,
            in_progress=in_progress,
            began_before=sample.info == BEGAN_BEFORE,
            doubts=sample.flags,
            begin_uncertainty_ns=0 if sample.info == BEGAN_BEFORE else sample.info * 1000,
            end_uncertainty_ns=sample.other * 1000,
        )
        return self._draft(poll, evidence)

    def _so_far(self, state: ThreadState, evidence: _Evidence, now_ns: int) -> Draft:
        length = now_ns - state.poll_start_ns
        since = now_ns - max(state.since_ns, state.poll_start_ns)
        waiting = state.waited_ns
        slept = state.slept_ns
        if state.runnable:
            waiting += max(0, since)
        elif not state.running:
            asleep = max(0, since)
            slept += asleep
            detail = self._about(state.syscall, state.tid, state.since_ns)
            key = (state.asleep_stack, state.syscall & 0xFFFFFFFF, state.file_type, detail)
            evidence.sleep(key, asleep)
        asleep = min(length, max(slept, evidence.asleep_ns))
        poll = _Poll(
            tid=state.tid,
            start_ns=state.poll_start_ns,
            duration_ns=length,
            asleep_ns=asleep,
            waiting_ns=min(length - asleep, waiting),
            task_id=state.task_id,
            in_progress=True,
            began_before=state.began_before,
            doubts=state.doubts,
        )
        return self._draft(poll, evidence)

    def _draft(self, poll: _Poll, evidence: _Evidence) -> Draft:
        worker = self._recording.workers.get(poll.tid)
        threshold_ns = self._recording.info.threshold_ns
        doubts = doubts_of(poll.doubts, poll.duration_ns, evidence.longest_ns, threshold_ns)
        on_cpu_ns = poll.duration_ns - poll.asleep_ns - poll.waiting_ns
        episode = Episode(
            **poll._replace(doubts=doubts)._asdict(),
            worker_id=worker.worker_id if worker else -1,
            on_cpu_ns=on_cpu_ns,
            method=Method.POLL,
            cause=Cause.UNKNOWN,
            stack=0,
        )
        stopped_ns = min(evidence.stopped_ns, poll.asleep_ns)
        candidates, others = evidence.candidates(on_cpu_ns, poll.asleep_ns - stopped_ns)
        return Draft(
            episode,
            candidates,
            stopped_ns,
            {stack: self._waker(wake) for stack, wake in evidence.wakes.items()},
            tuple(dict.fromkeys(evidence.polling())) if doubts else (),
            others,
        )

    def _waker(self, wake: Sample) -> Holder:
        recording = self._recording
        if wake.flags & SampleFlag.OTHER_PROCESS:
            role = "other process"
        elif wake.where == Where.ALLOWED:
            role = "pool thread"  # also one that has been a worker, or is one in block_in_place
        else:
            role = "worker" if wake.other in recording.workers else "other thread"
        known = recording.culprits.get(wake.other)
        name = known.name if known else recording.thread_names.get(wake.other, "")
        return Holder(wake.other, name, role, wake.stack, wake.task_id, woke_ns=wake.time_ns)
