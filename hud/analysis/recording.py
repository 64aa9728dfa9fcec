"""Everything a run has seen, raw and bounded, so that any output can be derived from it later.

Terms: the *horizon* is the moment before which a windowed run forgets; a *mark* is the time split
of a thread at one moment, kept so that a window can subtract it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import fields, replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hud.analysis.store import SampleStore
from hud.model import (
    BEGAN_BEFORE,
    Batch,
    Code,
    Culprit,
    Frame,
    HostPressure,
    Kind,
    Losses,
    PollStats,
    RunInfo,
    Sample,
    SampleFlag,
    Stack,
    TaskKind,
    TasksRead,
    ThreadState,
    TimeSplit,
    Where,
    Worker,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


_K = TypeVar("_K")
_V = TypeVar("_V")

_MAX_STACKS = 65_536
_MAX_NAMES = 65_536
_MAX_CODE = 512
"""About 6 KB each."""
_MARKS_IN_WINDOW = 60
_IN_POLL = (Where.POLL, Where.ROOT)
_SPLIT_FIELDS = tuple(field.name for field in fields(TimeSplit))


class _Mark(NamedTuple):
    time_ns: int
    split: TimeSplit


def split_since(now: TimeSplit, before: TimeSplit) -> TimeSplit:
    """What was added to ``before``; a thread id that began anew counts from zero."""
    if now.total_ns() < before.total_ns():
        return now
    return TimeSplit(
        *(max(0, getattr(now, name) - getattr(before, name)) for name in _SPLIT_FIELDS)
    )


class Recording:
    """The raw material of one run. Append-only; memory is bounded by ``limit`` samples.

    With a window, samples older than it are forgotten as time passes, except those of polls that
    are still open. Without one, the oldest are forgotten beyond ``limit`` and counted as
    ``recording_full``.
    """

    def __init__(self, info: RunInfo, *, limit: int = 1_000_000) -> None:
        self.info = info
        self.samples = SampleStore(limit)
        self.stacks: dict[int, Stack] = {}
        self.thread_names: dict[int, str] = {}
        self.culprits: dict[int, Culprit] = {}
        self.workers: dict[int, Worker] = {}
        """By tid; the dead ones stay."""
        self.dead: set[int] = set()
        self.states: dict[int, ThreadState] = {}
        """The latest state of each living thread."""
        self.states_ns = info.start_monotonic_ns
        """When ``states`` was read."""
        self.cpu_ns = 0
        self.rss_bytes = 0
        self.ended_ns = 0
        """0 = still running."""
        self.ended = ""
        self.changed_stacks: list[int] = []
        """Keys in the order in which a stack or its frames arrived; positions stay valid."""
        self.born: dict[int, int] = {}
        """When each worker was first seen, ns."""
        self.details: dict[tuple[int, int], str] = {}
        """(tid, ``time_ns``) of a SLEEP sample -> the file or peer it was about."""
        self.tasks: TasksRead | None = None
        self.task_kinds: dict[int, TaskKind] = {}
        """By vtable."""
        self.task_ids: dict[int, int] = {}
        """task id -> vtable."""
        self.depths: dict[tuple[int, int], tuple[int, int]] = {}
        """(tid, start of a poll) -> ready tasks that were behind it, summed over so many readings
        of its worker's own queue."""
        self.polls: dict[int, PollStats] = {}
        """By vtable; exact mode only."""
        self.exact = ""
        self.host = HostPressure()
        self.code: dict[int, Code] = {}
        """By address."""
        self._losses = Losses()
        self._stacks_refused = 0
        self._splits: dict[int, TimeSplit] = {}
        self._outset: dict[int, TimeSplit] = {}
        """The splits at the begin, where it is not that of the attach."""
        self._cost_before = 0
        self._marks: dict[int, deque[_Mark]] = {}
        self._marked_ns = 0
        self._allowed_ns = 0
        self._allowed_marks: deque[tuple[int, int]] = deque()
        self._numbers: dict[int, int] = {}
        """Addresses, each once: most stacks differ in a few only."""
        self._frames: dict[Frame, Frame] = {}
        self._same: dict[int, Frame] = {}
        """By id; each is in ``_frames`` too."""

    # ------------------------------------------------------------------ what comes in

    def take(self, batch: Batch) -> None:
        """Everything in a batch, in the order in which its parts name each other."""
        for tid, name in batch.names.items():
            self.add_thread_name(tid, name)
        for tid in batch.withdrawn:
            self.withdraw_worker(tid)
        for worker in batch.workers:
            self.add_worker(worker)
        for culprit in batch.culprits:
            self.add_culprit(culprit)
        for key, stack in batch.stacks.items():
            self.add_stack(key, stack)
        if batch.target is not None:  # another program: its tasks are numbered from 1 again
            self.task_ids.clear()
        _keep(self.details, batch.details)
        _keep(self.task_kinds, {kind.vtable: kind for kind in batch.task_kinds})
        _keep(self.task_ids, batch.task_ids)
        _keep(self.code, {code.address: code for code in batch.code}, _MAX_CODE)
        self.add_samples(batch.samples)
        for tid in batch.died:
            self.thread_died(tid)
        if batch.states is not None:
            self.set_states(batch.states, batch.time_ns)
        if batch.tasks is not None:
            self._add_depths(batch.tasks)
        self._take_totals(batch)

    def _take_totals(self, batch: Batch) -> None:
        info = self.info
        self.info = replace(
            info,
            detection=batch.detection or info.detection,
            target=batch.target or info.target,
            threshold_ns=batch.threshold_ns or info.threshold_ns,
            threshold_from=batch.threshold_from if batch.threshold_ns else info.threshold_from,
            notes=info.notes if batch.notes is None else batch.notes,
        )
        if batch.losses is not None:
            self.set_losses(batch.losses)
        if batch.cost is not None:
            cpu_ns, rss_bytes = batch.cost
            if batch.time_ns <= info.start_monotonic_ns:
                self._cost_before = cpu_ns
            self.set_cost(cpu_ns - self._cost_before, rss_bytes)
        if batch.polls is not None:
            self.polls = {stats.vtable: stats for stats in batch.polls}
        self.tasks = batch.tasks or self.tasks
        self.exact = batch.exact or self.exact
        self.host = batch.host or self.host

    def _add_depths(self, tasks: TasksRead) -> None:
        """The queues were read right after the states."""
        for tid, count in tasks.queued:
            state = self.states.get(tid)
            if state is not None and in_poll(state):
                key = tid, state.poll_start_ns
                total, readings = self.depths.get(key, (0, 0))
                _keep(self.depths, {key: (total + count, readings + 1)})

    def add_samples(self, samples: Sequence[Sample]) -> None:
        self.samples.append(samples)

    def add_stack(self, key: int, stack: Stack) -> None:
        """A stack's addresses, and later the same again with frames."""
        known = self.stacks.get(key)
        if known == stack:
            return
        if known is None and len(self.stacks) >= _MAX_STACKS:
            self._stacks_refused += 1
            return
        share = self._numbers.setdefault
        stack = replace(stack, addresses=tuple(share(one, one) for one in stack.addresses))
        if stack.frames is not None:
            stack = replace(stack, frames=tuple(map(self._shared, stack.frames)))
        self.stacks[key] = stack
        self.changed_stacks.append(key)

    def _shared(self, frame: Frame) -> Frame:
        """One frame for all that are equal; the very same one is known without its hash."""
        if self._same.get(id(frame)) is frame:
            return frame
        shared = self._frames.setdefault(frame, frame)
        self._same[id(shared)] = shared
        return shared

    def add_worker(self, worker: Worker) -> None:
        """A worker, or the same one under its new name; a reused tid is alive again."""
        if worker.tid not in self.workers:
            self.born[worker.tid] = self.states_ns
        self.workers[worker.tid] = worker
        self.dead.discard(worker.tid)
        self.add_thread_name(worker.tid, worker.name)

    def withdraw_worker(self, tid: int) -> None:
        """The thread was taken for a worker and is none: what it did counts no more."""
        self.workers.pop(tid, None)
        self.born.pop(tid, None)
        self.dead.discard(tid)

    def add_thread_name(self, tid: int, name: str) -> None:
        if tid in self.thread_names or len(self.thread_names) < _MAX_NAMES:
            self.thread_names[tid] = name

    def add_culprit(self, culprit: Culprit) -> None:
        """To be called before the samples that name it."""
        if culprit.tid in self.culprits or len(self.culprits) < _MAX_NAMES:
            self.culprits[culprit.tid] = culprit

    def thread_died(self, tid: int) -> None:
        if tid in self.workers:
            self.dead.add(tid)
        self.states.pop(tid, None)

    def set_states(self, states: Sequence[ThreadState], now_ns: int) -> None:
        """The latest state and time split of every living thread of the target."""
        if now_ns <= self.info.start_monotonic_ns:
            self._splits = {state.tid: state.split for state in states}
            self._outset = dict(self._splits)
        alive = {state.tid for state in states}
        for state in states:
            before = self._splits.get(state.tid)
            allowed = state.split.allowed_ns
            # Less in all than before: another thread with the same id. Less allowed is none: the
            # part on a CPU is estimated by shares of samples, and may shrink.
            same = before is not None and before.total_ns() <= state.split.total_ns()
            known = before.allowed_ns if before is not None and same else 0
            self._allowed_ns += allowed - known
            self._splits[state.tid] = state.split
        for tid in [tid for tid in self._splits if tid not in alive and tid not in self.workers]:
            del self._splits[tid]
        self.states = {state.tid: state for state in states}
        self.states_ns = now_ns
        self._mark(now_ns)
        self._evict(now_ns)

    def set_losses(self, losses: Losses) -> None:
        """The losses that the layers below counted, in all."""
        self._losses = losses

    def set_cost(self, cpu_ns: int, rss_bytes: int) -> None:
        """hud's own CPU time and memory, helper process included."""
        self.cpu_ns = cpu_ns
        self.rss_bytes = rss_bytes

    def set_window(self, window_ns: int) -> None:
        """From now on; what a smaller one forgets a larger one does not bring back."""
        self.info = replace(self.info, window_ns=window_ns)

    def finish(self, now_ns: int, reason: str) -> None:
        """The run is over: polls still open are closed with it, as samples that say so."""
        if self.ended_ns:
            return
        closing: list[Sample] = []
        for state in self.states.values():
            length = now_ns - state.poll_start_ns
            if not in_poll(state) or length < self.info.threshold_ns:
                continue
            since = max(0, now_ns - max(state.since_ns, state.poll_start_ns))
            asleep, waiting = state.slept_ns, state.waited_ns
            if state.runnable:
                waiting += since
            elif not state.running:
                asleep += since
            if state.asleep_stack and not state.running and not state.runnable:
                closing.append(_closing(Kind.SLEEP, state, now_ns, since))
                detail = self.details.get((state.tid, state.since_ns))
                if detail:
                    _keep(self.details, {(state.tid, now_ns): detail})
            poll = _closing(Kind.POLL, state, now_ns, length)
            closing.append(poll._replace(stack=asleep, value=waiting))
        self.add_samples(closing)
        self.ended_ns = now_ns
        self.ended = reason

    def handed_on(self) -> Batch:
        """What another recording of the same run is told first, so that it begins at ``states_ns``:
        what is told only once, and the totals so far, which are not its own.
        """
        return Batch(
            time_ns=self.states_ns,
            stacks=self.stacks,
            culprits=list(self.culprits.values()),
            states=list(self.states.values()),
            cost=(self.cpu_ns + self._cost_before, self.rss_bytes),
            task_kinds=list(self.task_kinds.values()),
            task_ids=self.task_ids,
            code=list(self.code.values()),
            exact=self.exact,
        )

    # ------------------------------------------------------------------ what can be asked

    @property
    def losses(self) -> Losses:
        """All losses, this recording's own included."""
        own = self.samples.dropped + self._stacks_refused
        return replace(self._losses, recording_full=self._losses.recording_full + own)

    def splits(self, since_ns: int) -> Mapping[int, TimeSplit]:
        """Where each worker's time went after ``since_ns``, as exactly as the marks allow."""
        result: dict[int, TimeSplit] = {}
        for tid in self.workers:
            now = self._splits.get(tid, TimeSplit())
            result[tid] = split_since(now, self._split_at(tid, since_ns))
        return result

    def allowed_ns(self, since_ns: int) -> int:
        """Time in ``spawn_blocking`` and ``block_in_place`` after ``since_ns``, all threads."""
        before = 0
        for time_ns, total in self._allowed_marks:
            if time_ns > since_ns:
                break
            before = total
        return self._allowed_ns - before

    def polls_in_progress(self) -> Iterator[ThreadState]:
        """Workers that were inside a poll when the states were read."""
        if self.ended_ns:
            return
        for state in self.states.values():
            if state.tid in self.workers and in_poll(state):
                yield state

    # ------------------------------------------------------------------ the rolling window

    def _split_at(self, tid: int, since_ns: int) -> TimeSplit:
        before = self._outset.get(tid, TimeSplit())
        for mark in self._marks.get(tid, ()):
            if mark.time_ns > since_ns:
                break
            before = mark.split
        return before

    def _mark(self, now_ns: int) -> None:
        window = self.info.window_ns
        if not window or now_ns - self._marked_ns < window // _MARKS_IN_WINDOW:
            return
        self._marked_ns = now_ns
        horizon = now_ns - window
        for tid in self.workers:
            marks = self._marks.setdefault(tid, deque())
            marks.append(_Mark(now_ns, self._splits.get(tid, TimeSplit())))
            while len(marks) > 1 and marks[1].time_ns <= horizon:
                marks.popleft()
        self._allowed_marks.append((now_ns, self._allowed_ns))
        while len(self._allowed_marks) > 1 and self._allowed_marks[1][0] <= horizon:
            self._allowed_marks.popleft()

    def _evict(self, now_ns: int) -> None:
        if not self.info.window_ns:
            return
        horizon = now_ns - self.info.window_ns
        for state in self.polls_in_progress():
            horizon = min(horizon, state.poll_start_ns)
        self.samples.forget_before(horizon)


def _keep(known: dict[_K, _V], new: Mapping[_K, _V], most: int = _MAX_NAMES) -> None:
    """Add, and forget the oldest beyond the bound."""
    known.update(new)
    if len(known) > most:
        for key in list(islice(known, len(known) - most)):
            del known[key]


def in_poll(state: ThreadState) -> bool:
    """Whether the thread is inside the poll of a task or of a root future."""
    return state.poll_start_ns > 0 and state.where in _IN_POLL


def _closing(kind: Kind, state: ThreadState, now_ns: int, duration_ns: int) -> Sample:
    asleep = kind is Kind.SLEEP
    return Sample(
        time_ns=now_ns,
        duration_ns=duration_ns,
        stack=state.asleep_stack if asleep else 0,
        poll_start_ns=state.poll_start_ns,
        task_id=state.task_id,
        value=0,
        tid=state.tid,
        other=0,
        info=state.syscall & 0xFFFFFFFF if asleep else BEGAN_BEFORE * state.began_before,
        kind=kind,
        where=state.where,
        flags=SampleFlag.IN_PROGRESS | (state.file_type if asleep else 0),
    )
