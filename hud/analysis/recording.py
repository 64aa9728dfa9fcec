"""Everything a run has seen, raw and bounded, so that any output can be derived from it later.

Terms: the *horizon* is the moment before which a windowed run forgets; a *mark* is the time split
of a thread at one moment, kept so that a window can subtract it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import fields, replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hud.analysis.doubts import DOUBTS
from hud.analysis.marks import Marks
from hud.analysis.stacks import StackStore
from hud.analysis.store import SampleStore
from hud.model import (
    BEGAN_BEFORE,
    TOLD_AGAIN_NS,
    Batch,
    Code,
    Culprit,
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
    from collections.abc import Iterator, Mapping, Sequence, Set


_K = TypeVar("_K")
_V = TypeVar("_V")

_MAX_NAMES = 65_536
_MAX_CULPRITS = 1_024
_MAX_DEAD = 64
_MANY_TASKS = 4_096
_MAX_CODE = 512
"""About 6 KB each."""
_MARK_NS = 500_000_000
_MARKS_IN_WINDOW = 60
_DYING_NS = 1_000_000_000
"""So far apart are the ends of threads that end together."""
_IN_POLL = (Where.POLL, Where.ROOT)
_SPLIT_FIELDS = tuple(field.name for field in fields(TimeSplit))


class Used(NamedTuple):
    """What the analysis still refers to."""

    position: int
    """Every sample before it was looked at."""
    stacks: set[int]
    tasks: set[int]
    tids: set[int]
    polls: Set[tuple[int, int]]
    """(tid, start) of those whose episodes may change."""


def split_since(now: TimeSplit, before: TimeSplit) -> TimeSplit:
    """What was added to ``before``; a thread id that began anew counts from zero."""
    if now.total_ns() < before.total_ns():
        return now
    return TimeSplit(
        *(max(0, getattr(now, name) - getattr(before, name)) for name in _SPLIT_FIELDS)
    )


class Recording:
    """The raw material of one run. Memory is bounded by ``limit`` samples.

    With a window, samples older than it are forgotten as time passes, except those of polls that
    are still open. Without one, the oldest are forgotten beyond ``limit`` and counted as
    ``recording_full``. A run that lasts calls ``forget``, too.
    """

    def __init__(self, info: RunInfo, *, limit: int = 1_000_000) -> None:
        self.info = info
        self.samples = SampleStore(limit)
        self.distinct = StackStore()
        self.thread_names: dict[int, str] = {}
        self.culprits: dict[int, Culprit] = {}
        self.workers: dict[int, Worker] = {}
        """By tid; of the dead ones in the window the latest few."""
        self.dead: dict[int, int] = {}
        """When each of those died, ns, in that order."""
        self.buried: dict[str, TimeSplit] = {}
        """Where the time of workers went that are dead and forgotten, in the window; by runtime."""
        self.states: dict[int, ThreadState] = {}
        """The latest state of each living thread."""
        self.states_ns = info.start_monotonic_ns
        """When ``states`` was read."""
        self.cpu_ns = 0
        self.rss_bytes = 0
        self.ended_ns = 0
        """0 = still running."""
        self.ended = ""
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
        self._now_ns = info.start_monotonic_ns
        """Of the latest batch."""
        self._gone: dict[int, int] = {}
        """When threads died that have a name, ns."""
        self._ended_polls: set[tuple[int, int]] = set()
        """Those of ``depths`` that had ended at the last ``forget``."""
        self._tasks_told_ns: dict[int, int] = {}
        self._graves: deque[tuple[int, str, TimeSplit]] = deque()
        """What ``buried`` adds up, with a window: when the worker died, its runtime and time."""
        self._splits: dict[int, TimeSplit] = {}
        self._outset: dict[int, TimeSplit] = {}
        """The splits at the begin, where it is not that of the attach."""
        self._cost_before = 0
        self._marks: dict[int, Marks[TimeSplit]] = {}
        self._marked_ns = 0
        self._allowed_ns = 0
        self._allowed_marks: Marks[int] = Marks()

    # ------------------------------------------------------------------ what comes in

    def take(self, batch: Batch) -> None:
        """Everything in a batch, in the order in which its parts name each other."""
        self._now_ns = max(self._now_ns, batch.time_ns)
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
        _keep(self._tasks_told_ns, dict.fromkeys(batch.task_ids, self._now_ns))
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
        period_ns = batch.sample_period_ns
        changed = batch.detection or batch.target or batch.threshold_ns or period_ns
        if changed or batch.notes is not None:
            self.info = replace(
                info,
                detection=batch.detection or info.detection,
                target=batch.target or info.target,
                threshold_ns=batch.threshold_ns or info.threshold_ns,
                threshold_from=batch.threshold_from if batch.threshold_ns else info.threshold_from,
                sample_period_ns=period_ns or info.sample_period_ns,
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
        self.distinct.add(key, stack, self._now_ns)

    def add_worker(self, worker: Worker) -> None:
        """A worker, or the same one under its new name; a reused tid is alive again."""
        if worker.tid not in self.workers:
            self.born[worker.tid] = self.states_ns
        self.workers[worker.tid] = worker
        self.dead.pop(worker.tid, None)
        self.add_thread_name(worker.tid, worker.name)

    def withdraw_worker(self, tid: int) -> None:
        """The thread was taken for a worker and is none: what it did counts no more."""
        self.workers.pop(tid, None)
        self.born.pop(tid, None)
        self.dead.pop(tid, None)

    def add_thread_name(self, tid: int, name: str) -> None:
        if tid in self.thread_names or len(self.thread_names) < _MAX_NAMES:
            self.thread_names[tid] = name
            self._gone.pop(tid, None)

    def add_culprit(self, culprit: Culprit) -> None:
        """To be called before the samples that name it."""
        self.culprits.pop(culprit.tid, None)
        _keep(self.culprits, {culprit.tid: culprit}, _MAX_CULPRITS)

    def thread_died(self, tid: int) -> None:
        if tid in self.workers:
            self.dead.setdefault(tid, self._now_ns)
        if tid in self.thread_names:
            self._gone.setdefault(tid, self._now_ns)
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
        self._bury(now_ns)

    def set_losses(self, losses: Losses) -> None:
        """The losses that the layers below counted, in all."""
        self._losses = losses

    def set_cost(self, cpu_ns: int, rss_bytes: int) -> None:
        """hud's own CPU time and memory, helper process included."""
        self.cpu_ns = cpu_ns
        self.rss_bytes = rss_bytes

    def set_window(self, window_ns: int) -> None:
        """From now on; what a smaller one forgets a larger one does not bring back."""
        if window_ns and not self.info.window_ns:
            self.buried.clear()
        self.info = replace(self.info, window_ns=window_ns)

    def finish(self, now_ns: int, reason: str) -> None:
        """The run is over: polls still open when the states were read last are closed with it, as
        samples that say so; whether they lasted longer is not known.
        """
        if self.ended_ns:
            return
        closing: list[Sample] = []
        seen_ns = min(now_ns, self.states_ns)
        for state in self.states.values():
            length = seen_ns - state.poll_start_ns
            if not in_poll(state) or length < max(1, self.info.threshold_ns):
                continue
            since = max(0, seen_ns - max(state.since_ns, state.poll_start_ns))
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
            asleep, waiting = (min(max(0, ns), length) for ns in (asleep, waiting))
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
    def stacks(self) -> dict[int, Stack]:
        """By key; another dict after each ``forget``."""
        return self.distinct.known

    @property
    def losses(self) -> Losses:
        """All losses, this recording's own included."""
        own = self.samples.dropped + self.distinct.refused
        return replace(self._losses, recording_full=self._losses.recording_full + own)

    def splits(self, since_ns: int) -> Mapping[int, TimeSplit]:
        """Where each worker's time went after ``since_ns``, as exactly as the marks allow."""
        result: dict[int, TimeSplit] = {}
        for tid in self.workers:
            now = self._splits.get(tid, TimeSplit())
            result[tid] = split_since(now, self._split_at(tid, since_ns))
        return result

    def drives(self, tid: int) -> bool:
        """Is the thread a worker still, or was it one until the target's own end? Not one that has
        ended, nor one that handed its scheduler to another thread in order to block.
        """
        if tid in self.dead:
            over = bool(self.ended_ns) and len(self.dead) == len(self.workers)
            return over and self.dead[tid] >= max(self.dead.values()) - _DYING_NS
        state = self.states.get(tid)
        return state is None or state.where not in (Where.FOREIGN, Where.ALLOWED)

    def allowed_ns(self, since_ns: int) -> int:
        """Time in ``spawn_blocking`` and ``block_in_place`` after ``since_ns``, all threads."""
        return self._allowed_ns - self._allowed_marks.at(since_ns, 0)

    def polls_in_progress(self) -> Iterator[ThreadState]:
        """Workers that were inside a poll when the states were read."""
        if self.ended_ns:
            return
        for state in self.states.values():
            if state.tid in self.workers and in_poll(state):
                yield state

    # ------------------------------------------------------------------ the rolling window

    def _split_at(self, tid: int, since_ns: int) -> TimeSplit:
        outset = self._outset.get(tid, TimeSplit())
        marks = self._marks.get(tid)
        return marks.at(since_ns, outset) if marks else outset

    def _mark(self, now_ns: int) -> None:
        """In any case: a window may be asked for later."""
        often = self.info.window_ns // _MARKS_IN_WINDOW or _MARK_NS
        if now_ns - self._marked_ns < often:
            return
        self._marked_ns = now_ns
        for tid in self.workers:
            marks = self._marks.setdefault(tid, Marks())
            marks.add(now_ns, self._splits.get(tid, TimeSplit()))
        self._allowed_marks.add(now_ns, self._allowed_ns)

    def _evict(self, now_ns: int) -> None:
        if not self.info.window_ns:
            return
        horizon = now_ns - self.info.window_ns
        for state in self.polls_in_progress():
            horizon = min(horizon, state.poll_start_ns)
        self.samples.forget_before(horizon)

    def _bury(self, now_ns: int) -> None:
        """Of the dead workers keep the latest few, as long as they are in the window."""
        window = self.info.window_ns
        horizon = now_ns - window if window else 0
        spare = len(self.dead) - _MAX_DEAD
        for at, (tid, died_ns) in enumerate(list(self.dead.items())):
            if at >= spare and died_ns >= horizon:
                break
            now = self._splits.pop(tid, TimeSplit())
            runtime = self.workers[tid].runtime
            split = split_since(now, self._split_at(tid, horizon))
            self._graves.append((died_ns, runtime, split))
            self.buried[runtime] = _sum(self.buried.get(runtime, TimeSplit()), split)
            self.withdraw_worker(tid)
            self._outset.pop(tid, None)
            self._marks.pop(tid, None)
        while self._graves and (not window or self._graves[0][0] < horizon):
            _, runtime, split = self._graves.popleft()
            if window and runtime in self.buried:
                self.buried[runtime] = split_since(self.buried[runtime], split)

    # ------------------------------------------------------------------ what is of no use

    def forget(self, used: Used, now_ns: int) -> list[int]:
        """Forget what is not ``used`` and will be told again if it is named again.

        To be called when every sample was looked at. Returns the keys of the stacks. What can be
        asked afterwards of what is used is the same as before.
        """
        states = self.states.values()
        self.samples.forget_up_to(used.position)
        asleep = {(state.tid, state.since_ns) for state in states}
        self.details = {sleep: self.details[sleep] for sleep in self.details.keys() & asleep}
        ended = self.depths.keys() - used.polls - {(s.tid, s.poll_start_ns) for s in states}
        for poll in ended & self._ended_polls:  # a second time: its end was told meanwhile
            del self.depths[poll]
        self._ended_polls = ended
        for tid in [tid for tid, died_ns in self._gone.items() if died_ns < now_ns - TOLD_AGAIN_NS]:
            if tid not in used.tids and tid not in self.workers:
                del self.thread_names[tid], self._gone[tid]
        if self.info.window_ns and len(self.task_ids) > _MANY_TASKS:
            self._forget_tasks(used.tasks, now_ns - 2 * TOLD_AGAIN_NS)
        return self.distinct.forget(used.stacks | {state.asleep_stack for state in states}, now_ns)

    def _forget_tasks(self, used: Set[int], before_ns: int) -> None:
        told = self._tasks_told_ns.items()
        running = {state.task_id for state in self.states.values()}
        for task in {task for task, told_ns in told if told_ns < before_ns} - used - running:
            del self._tasks_told_ns[task]
            self.task_ids.pop(task, None)


def _sum(one: TimeSplit, other: TimeSplit) -> TimeSplit:
    return TimeSplit(*(getattr(one, name) + getattr(other, name) for name in _SPLIT_FIELDS))


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
        flags=SampleFlag.IN_PROGRESS | (state.file_type if asleep else state.doubts & DOUBTS),
    )
