"""Everything a run has seen, raw and bounded, so that any output can be derived from it later."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis import bounded
from hud.analysis.episodes.doubts import DOUBTS
from hud.analysis.marks import Marks
from hud.analysis.splits import Gap, Splits
from hud.analysis.stacks import StackStore
from hud.analysis.store import SampleStore
from hud.analysis.tasktables import TaskTables
from hud.analysis.workers import Workers
from hud.model import (
    BEGAN_BEFORE,
    RESEND_NS,
    Batch,
    Code,
    Culprit,
    HostPressure,
    Kind,
    Losses,
    RunInfo,
    Sample,
    SampleFlag,
    Stack,
    ThreadState,
    TimeSplit,
    Where,
    Worker,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

BREAKS_OFF = "the recording breaks off here"
"""``ended`` of a run whose end is not in its file."""
_MAX_CULPRITS = 1_024
_MAX_CODE = 512
"""About 6 KB each."""
_MARK_NS = 500_000_000
_MARKS_IN_WINDOW = 60


class Used(NamedTuple):
    """What the analysis still refers to."""

    position: int
    """Every sample before it was looked at."""
    stacks: set[int]
    tasks: set[int]
    tids: set[int]
    polls: Set[tuple[int, int]]
    """(tid, start) of those whose episodes may change."""


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
        self.starters: dict[int, str] = {}
        """tid -> the name of the thread that started it, where that was asked for."""
        self.culprits: dict[int, Culprit] = {}
        self.workers = Workers()
        self.states: dict[int, ThreadState] = {}
        """The latest state of each living thread."""
        self.states_ns = info.start_monotonic_ns
        """When ``states`` was read."""
        self.cpu_ns = 0
        self.rss_bytes = 0
        self.ended_ns = 0
        """0 = still running."""
        self.ended = ""
        self.details: dict[tuple[int, int], str] = {}
        """(tid, ``time_ns``) of a SLEEP sample -> the file or peer it was about."""
        self.tasks = TaskTables()
        self.exact = ""
        self.host = HostPressure()
        self.code: dict[int, Code] = {}
        """By address."""
        self._losses = Losses()
        self._now_ns = info.start_monotonic_ns
        """Of the latest batch."""
        self._gone: dict[int, int] = {}
        """When threads died that have a name, ns."""
        self._splits = Splits()
        self._cost_before = 0
        self._unseen_ns = self._unseen_before_ns = 0
        """For how long no event came through; and until the states were read last."""
        self._unseen_marks: Marks[int] = Marks()

    # ------------------------------------------------------------------ what comes in

    def take(self, batch: Batch) -> None:
        """Everything in a batch, in the order in which its parts name each other."""
        self._now_ns = max(self._now_ns, batch.time_ns)
        for tid, name in batch.names.items():
            self.add_thread_name(tid, name)
        bounded.update(self.starters, batch.starters)
        for tid in batch.withdrawn:
            self.withdraw_worker(tid)
        for worker in batch.workers:
            self.add_worker(worker)
        for culprit in batch.culprits:
            self.add_culprit(culprit)
        for key, stack in batch.stacks.items():
            self.add_stack(key, stack)
        bounded.update(self.details, batch.details)
        self.tasks.take(batch, self._now_ns)
        bounded.update(self.code, {code.address: code for code in batch.code}, _MAX_CODE)
        self.add_samples(batch.samples)
        if batch.unseen_ns:
            self._unseen_ns += batch.unseen_ns
            self._unseen_marks.add(self._now_ns, self._unseen_ns)
        for tid in batch.died:
            self.thread_died(tid)
        if batch.states is not None:
            self.set_states(batch.states, batch.time_ns)
        if batch.tasks is not None:
            self.tasks.add_queues(batch.tasks, self.states)
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
        self.exact = batch.exact or self.exact
        self.host = batch.host or self.host

    def add_samples(self, samples: Sequence[Sample]) -> None:
        self.samples.append(samples)

    def add_stack(self, key: int, stack: Stack) -> None:
        """A stack's addresses, and later the same again with frames."""
        self.distinct.add(key, stack, self._now_ns)

    def add_worker(self, worker: Worker) -> None:
        """A worker, or the same one under its new name; a reused tid is alive again."""
        self.workers.add(worker, self.states_ns)
        self.add_thread_name(worker.tid, worker.name)

    def withdraw_worker(self, tid: int) -> None:
        """The thread was taken for a worker and is none: what it did counts no more."""
        self.workers.remove(tid)

    def add_thread_name(self, tid: int, name: str) -> None:
        if tid in self.thread_names or len(self.thread_names) < bounded.MOST:
            self.thread_names[tid] = name
            self._gone.pop(tid, None)

    def add_culprit(self, culprit: Culprit) -> None:
        """To be called before the samples that name it."""
        self.culprits.pop(culprit.tid, None)
        bounded.update(self.culprits, {culprit.tid: culprit}, _MAX_CULPRITS)

    def thread_died(self, tid: int) -> None:
        self.workers.died(tid, self._now_ns)
        if tid in self.thread_names:
            self._gone.setdefault(tid, self._now_ns)
        self.states.pop(tid, None)

    def set_states(self, states: Sequence[ThreadState], now_ns: int) -> None:
        """The latest state and time split of every living thread of the target."""
        if now_ns <= self.info.start_monotonic_ns:
            self._splits.start(states)
        unseen_ns = self._unseen_ns - self._unseen_before_ns
        self._unseen_before_ns = self._unseen_ns
        part = min(1.0, unseen_ns / max(1, now_ns - self.states_ns))
        self._splits.update(states, self.workers.keys(), Gap(self.states_ns, part))
        self.states = {state.tid: state for state in states}
        self.states_ns = now_ns
        often_ns = self.info.window_ns // _MARKS_IN_WINDOW or _MARK_NS
        self._splits.mark(now_ns, often_ns, self.workers)  # in any case: a window may come later
        self._evict(now_ns)
        self._retire(now_ns)

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
            self.workers.retired.clear()
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
            if not state.in_poll or length < max(1, self.info.threshold_ns):
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
                    bounded.update(self.details, {(state.tid, now_ns): detail})
            poll = _closing(Kind.POLL, state, now_ns, length)
            asleep, waiting = (min(max(0, ns), length) for ns in (asleep, waiting))
            closing.append(poll._replace(stack=asleep, value=waiting))
        self.add_samples(closing)
        self.ended_ns = now_ns
        self.ended = reason

    def handed_on(self) -> Batch:
        """What another recording of the same run takes first, so that it begins at ``states_ns``:
        what is sent only once, and the totals so far, which are not its own.
        """
        return Batch(
            time_ns=self.states_ns,
            stacks=self.stacks,
            culprits=list(self.culprits.values()),
            states=list(self.states.values()),
            cost=(self.cpu_ns + self._cost_before, self.rss_bytes),
            task_kinds=list(self.tasks.kinds.values()),
            task_ids=self.tasks.vtables,
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
        return dict(zip(self.workers, self.splits_of(self.workers, since_ns), strict=True))

    def splits_of(self, tids: Iterable[int], since_ns: int) -> Sequence[TimeSplit]:
        """The same of these threads, in their order."""
        return self._splits.of(tids, since_ns)

    def unseen_ns(self, since_ns: int) -> int:
        """For how long no event came through after ``since_ns``."""
        return self._unseen_ns - self._unseen_marks.at(since_ns, 0)

    def no_workers(self) -> set[int]:
        """The threads that are no workers now, and were none at the target's own end: those that
        have ended, and those that handed their scheduler to another thread in order to block.
        """
        last = self.workers.died_last if self.ended_ns else lambda _: False
        ended = {tid for tid in self.workers.died_ns if not last(tid)}
        states = self.states.values()
        away = {one.tid for one in states if one.where in (Where.FOREIGN, Where.ALLOWED)}
        return ended | (away - self.workers.died_ns.keys())

    def allowed_ns(self, since_ns: int) -> int:
        """Time in ``spawn_blocking`` and ``block_in_place`` after ``since_ns``, all threads."""
        return self._splits.allowed_ns(since_ns)

    def polls_in_progress(self) -> Iterator[ThreadState]:
        """Workers that were inside a poll when the states were read."""
        if self.ended_ns:
            return
        for state in self.states.values():
            if state.poll_start_ns and state.in_poll and state.tid in self.workers:
                yield state

    # ------------------------------------------------------------------ the rolling window

    def _evict(self, now_ns: int) -> None:
        if not self.info.window_ns:
            return
        horizon = now_ns - self.info.window_ns
        for state in self.polls_in_progress():
            horizon = min(horizon, state.poll_start_ns)
        self.samples.forget_before(horizon)

    def _retire(self, now_ns: int) -> None:
        """Of the dead workers keep the latest few, as long as they are in the window."""
        window = self.info.window_ns
        horizon = now_ns - window if window else 0
        for tid in self.workers.outdated(horizon):
            self.workers.retire(tid, self._splits.since(tid, horizon))
            self._splits.forget(tid)
        if window:
            self.workers.forget_retired(horizon)
        else:
            self.workers.keep_retired()

    # ------------------------------------------------------------------ what is of no use

    def forget(self, used: Used, now_ns: int) -> list[int]:
        """Forget what is not ``used`` and will be sent again if it is named again.

        To be called when every sample was looked at. Returns the keys of the stacks. What can be
        asked afterwards of what is used is the same as before.
        """
        states = self.states.values()
        self.samples.forget_up_to(used.position)
        asleep = {(state.tid, state.since_ns) for state in states}
        self.details = {sleep: self.details[sleep] for sleep in self.details.keys() & asleep}
        in_progress = {(state.tid, state.poll_start_ns) for state in states}
        self.tasks.forget_polls(used.polls | in_progress)
        for tid in [tid for tid, died_ns in self._gone.items() if died_ns < now_ns - RESEND_NS]:
            if tid not in used.tids and tid not in self.workers:
                del self.thread_names[tid], self._gone[tid]
        if self.info.window_ns:
            self.tasks.forget_tasks(used.tasks | {state.task_id for state in states}, now_ns)
        return self.distinct.forget(used.stacks | {state.asleep_stack for state in states}, now_ns)


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
