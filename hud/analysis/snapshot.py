"""Derive what people look at from a Recording, looking at each sample only once.

An episode is *settled* when the names of all its candidate stacks are known; it is counted
before that too, and moves to its right blocker when they arrive.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis import runtimes, standoff
from hud.analysis.blame import Blames
from hud.analysis.episodes.detector import RungDetector, latency_of
from hud.analysis.episodes.drafts import Draft, settle, unresolved
from hud.analysis.episodes.syscalls import machine_of
from hud.analysis.ledger import Ledger
from hud.analysis.pressure import CpuWaits
from hud.analysis.quality import Quality
from hud.analysis.ranking import Ranking
from hud.analysis.recording import Used
from hud.analysis.results import Episode, Graph, Snapshot, TaskUse
from hud.analysis.runtimes import Retired
from hud.analysis.tally import Tally, largest_first
from hud.analysis.tasks import task_uses
from hud.analysis.types import joined, type_name
from hud.analysis.workeruses import Span, worker_uses
from hud.model import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.blame import Key
    from hud.analysis.cause import Cause
    from hud.analysis.recording import Recording
    from hud.analysis.results import Latency
    from hud.model import Sample, TaskKind, Worker

_MAX_HELD = 100_000
"""How many episodes, and how many waits, are held one by one (about 0.6 and 0.3 KB each). Without a
window older ones still count; with one they are lost, and said to be."""
_MAX_UNSETTLED = 20_000
_TYPES = 8
"""How many task types of a blocker are listed."""
_TASKS_NS = 1_000_000_000
_TASKS_EACH_NS = 50_000
PATIENCE_NS = 60_000_000_000
"""How long an episode waits for stacks that it names and that did not come."""
TIMELINE = 4_096
"""How many of the latest episodes a snapshot holds one by one."""

NAMES_NS = 3_000_000_000
"""How long an episode may wait for its names before those behind it are told."""


class Analyzer:
    """Snapshots of one Recording. Each call looks only at what came since the last one."""

    def __init__(self, recording: Recording, *, machine: str = "") -> None:
        """``machine`` is ``uname -m`` of the recorded system; default: as its ``kernel`` says."""
        self.recording = recording
        self._machine = machine or machine_of(recording.info.kernel)
        self._run_start_ns = recording.info.start_monotonic_ns
        self._detector = RungDetector(recording)
        self._position = 0
        self._blames = Blames(recording.stacks)
        self._ledger = Ledger(self._blames, self._run_start_ns, recording.tasks.vtable_of)
        self._ranking = Ranking(self._ledger, self._blames, self._types)
        self._waits = CpuWaits()
        self._known_since_ns = self._run_start_ns
        self._quality = Quality(recording)
        self._stack_position = 0
        self._kinds_taken = 0
        self._workers: Sequence[Worker] = ()
        self._kinds: dict[int, TaskKind] = {}
        """Types of tasks by vtable, as they were known when they were looked at last."""
        self._tasks: tuple[TaskUse, ...] = ()
        self._tasks_ns = 0
        self._unsettled: dict[int, Draft] = {}
        self._waiting_for: dict[int, list[int]] = {}

    def snapshot(self, now_ns: int, live: bool, ended: str = "") -> Snapshot:
        """What the recording says at ``now_ns``; ``ended`` is why the run is over."""
        recording = self.recording
        self.absorb(now_ns)
        info = recording.info
        elapsed = max(1, now_ns - self._run_start_ns)
        span = self._span(now_ns)
        since_ns = now_ns - span if span < elapsed else 0
        unseen = min(span - 1, recording.unseen_ns(since_ns))
        ledger = self._ledger
        temporary = [
            episode
            for draft in self._detector.in_progress(now_ns)
            if (episode := self._settle(draft)).cause.blames_code
        ]
        for episode in temporary:
            ledger.count(episode)
        latest = ledger.latest(TIMELINE)
        lasting = self._lasting(latest, temporary)
        seen = Span(now_ns, since_ns, span - unseen)
        workers = worker_uses(recording, ledger, seen, lasting)
        used = runtimes.uses(workers, self._retired())
        shares = runtimes.shares(used, workers)
        blockers = self._ranking.rows()
        count, blocked = ledger.blocking.count, ledger.blocking.total_ns
        longest = ledger.blocking.max_ns()
        graph = self._graph(now_ns, shares.whole_ns / seen.seen_ns)
        tick_unknown, awaited = ledger.tick_unknown, ledger.awaited
        for episode in reversed(temporary):
            ledger.uncount(episode)
        timeline = latest + tuple(temporary)  # the same object where nothing is added
        facing = standoff.find(lasting, recording.stacks, recording.states)
        if facing is not None:
            blockers = standoff.marked(blockers, lasting, recording.stacks)
        losses = recording.losses
        not_held = ledger.not_held + self._waits.not_held
        return Snapshot(
            info=info,
            now_ns=now_ns,
            elapsed_ns=elapsed,
            span_ns=span,
            live=live,
            ended=ended or recording.ended,
            blockers=blockers,
            workers=workers,
            pressure=self._waits.pressure(info.target.pid),
            latencies=self._waits.count,
            latency_total_ns=self._waits.total_ns,
            latency_max_ns=self._waits.max_ns,
            waits=self._waits.latest(),
            episodes=count,
            blocked_ns=blocked,
            worker_time_ns=shares.whole_ns,
            waiting_ns=sum(use.waiting_ns for use in used),
            allowed_ns=recording.allowed_ns(since_ns),
            longest_poll_ns=longest,
            losses=replace(losses, recording_full=losses.recording_full + not_held),
            stacks_total=self._quality.taken,
            stacks_complete=self._quality.complete,
            stacks_end=self._quality.usual_end(),
            frames_named=self._quality.named_share(),
            hud_cpu_ns=recording.cpu_ns,
            hud_rss_bytes=recording.rss_bytes,
            stacks=recording.stacks,
            tasks=self._task_uses(temporary, now_ns, fresh=not live),
            tasks_read=recording.tasks.latest,
            host=recording.host,
            stopped=ledger.stopped,
            stopped_ns=ledger.stopped_ns,
            exact=recording.exact,
            code=recording.code,
            before=(*ledger.before, *(one for one in temporary if one.began_before)),
            tick_unknown=tick_unknown,
            awaited=awaited,
            timeline=timeline,
            lasting=lasting,
            standoff=facing,
            runtimes=used,
            graph=graph,
            unseen_ns=unseen,
            slices=ledger.history.now(),
            shares=shares,
        )

    def forget_rows(self) -> None:
        """The next snapshot has no row of tasks of an earlier one, which may be a moment old."""
        self._tasks_ns = 0

    def episodes(self) -> Sequence[Episode]:
        """Every episode as of the last snapshot, in the order of their ends; pressure included.

        Those whose cause blames no code belong to no blocker.
        """
        return self._ledger.all()

    def settled(self, at: int, *, last: bool = False) -> tuple[int, Sequence[Episode]]:
        """Episodes from number ``at`` on whose names have come, in the order of their ends; and the
        number behind the last of them. One whose names are not here holds up those behind it, for
        ``NAMES_NS`` at the most; ``last`` = nothing more will come.
        """
        first, found = self._ledger.since(at)
        until = first + len(found)
        if not last:
            since_ns = self.recording.states_ns - NAMES_NS
            held = (
                number
                for number, draft in self._unsettled.items()
                if draft.episode.start_ns + draft.episode.duration_ns > since_ns
            )
            until = max(first, min(held, default=until))
        return until, found[: until - first]

    def stacks_by_blocker(self) -> dict[Key, dict[tuple[int, Cause], int]]:
        """Blocked ns by stack and cause of each blocker's key, as of the last snapshot; all that
        counts, but for what no stack was caught of, and what was in progress then.
        """
        return {key: dict(tally.stacks) for key, tally in self._ledger.tallies.items()}

    def latencies(self) -> Sequence[Latency]:
        """Every wait for a CPU as of the last snapshot, in the order of their ends."""
        return tuple(self._waits.held)

    def _lasting(
        self, latest: Sequence[Episode], temporary: Sequence[Episode]
    ) -> tuple[Episode, ...]:
        """Those in progress: now, or, as the last samples say, at the end."""
        ended = self.recording.ended_ns
        closed = (one for one in latest if one.in_progress and one.cause.blames_code)
        return tuple(sorted(closed if ended else temporary, key=lambda one: -one.duration_ns))

    def _task_uses(
        self, unfinished: Sequence[Episode], now_ns: int, *, fresh: bool
    ) -> tuple[TaskUse, ...]:
        """Derived again once a second, the more episodes the more rarely."""
        patience = _TASKS_NS + self._ledger.blocking.count * _TASKS_EACH_NS
        if fresh or now_ns - self._tasks_ns >= patience:
            self._tasks_ns = now_ns
            episodes = (*self._ledger.all(), *unfinished)
            self._tasks = task_uses(self.recording, episodes, self._ledger.retired_tasks)
        return self._tasks

    # ------------------------------------------------------------------ what is new

    def absorb(self, now_ns: int) -> None:
        """Look at what is new, as ``snapshot`` does. What is derived may depend on the moments of
        this and on nothing else: a replay that absorbs at the same ones derives the same.
        """
        recording = self.recording
        workers = recording.workers.in_order()
        if workers is not self._workers:
            self._workers = workers
            self._ledger.runtime_of.update({one.tid: one.runtime for one in workers})
        horizon = now_ns - recording.info.window_ns if recording.info.window_ns else 0
        self._known_since_ns = max(self._known_since_ns, horizon)
        end_ns = now_ns - self._run_start_ns
        finer = self._ledger.fit(end_ns - self._span(now_ns), end_ns)
        self._learn_names()
        self._learn_types()
        new = recording.samples.since(self._position)
        samples = [sample for sample in new if not self._was_over(sample)]
        self._position = recording.samples.end
        for sample in samples:
            if sample.kind == Kind.LATENCY:
                self._waits.add(latency_of(sample, recording))
            self._quality.take(sample)
        for draft in self._detector.feed(samples, now_ns):
            self._keep(draft)
        if recording.info.window_ns:
            self._ledger.forget_before(horizon)
            self._waits.forget_before(horizon)
        if finer:
            self._ledger.recount()
        windowed = bool(recording.info.window_ns)
        self._ledger.bound(_MAX_HELD, retire=not windowed)
        self._waits.bound(_MAX_HELD, retire=not windowed)

    def _was_over(self, sample: Sample) -> bool:
        """Is it a poll, or a wait for a CPU, that had ended when the run began? The programs see
        some while they are attached."""
        if sample.kind == Kind.POLL:
            return sample.poll_start_ns + sample.duration_ns <= self._run_start_ns
        return sample.kind == Kind.LATENCY and sample.time_ns <= self._run_start_ns

    def _span(self, now_ns: int) -> int:
        """What the figures cover. What a smaller window forgot is not seen through a larger one."""
        elapsed = max(1, now_ns - self._run_start_ns)
        span = min(self.recording.info.window_ns or elapsed, now_ns - self._known_since_ns)
        return max(1, min(elapsed, span))

    def _learn_names(self) -> None:
        distinct = self.recording.distinct
        fresh = distinct.changed_since(self._stack_position)
        self._stack_position = distinct.changes
        for key in fresh:
            self._quality.learn(key)
        if fresh:
            self._ledger.rename(fresh)
        for key in fresh:
            for at in self._waiting_for.pop(key, ()):
                draft = self._unsettled.get(at)
                if draft is None:
                    continue
                self._ledger.replace(at, self._settle(draft))
                missing = unresolved(draft, self.recording.stacks)
                if not missing:
                    del self._unsettled[at]
                elif key in missing:  # sent again, and still without names
                    self._waiting_for.setdefault(key, []).append(at)

    def forget_samples(self) -> None:
        """Forget those that were looked at, of which nothing is asked any more."""
        self.recording.samples.forget_up_to(self._position)

    def _learn_types(self) -> None:
        kinds, taken = self.recording.tasks.kinds, self.recording.tasks.kinds_taken
        if taken != self._kinds_taken:
            self._kinds_taken = taken
            known, self._kinds = self._kinds, dict(kinds)
            self._ledger.retype({at for at, kind in kinds.items() if known.get(at) != kind})

    def forget(self, now_ns: int) -> None:
        """Forget what no episode and nothing that lasts refers to, right after ``absorb``.

        Now and then in a run that goes on: it takes its time. Snapshots stay the same.
        """
        recording, ledger = self.recording, self._ledger
        windowed = recording.info.window_ns
        if not windowed:
            ledger.retire_workers(
                {tid: worker.worker_id for tid, worker in recording.workers.items()}
            )
        unsettled = {draft.episode.tid for draft in self._unsettled.values()}
        counted = recording.workers.keys() | ledger.by_tid.keys() | unsettled
        for tid in ledger.runtime_of.keys() - counted:
            del ledger.runtime_of[tid]
        self._give_up_lost(now_ns - PATIENCE_NS)
        self._detector.forget()
        drafts = self._unsettled.values()
        used = Used(
            position=self._position,
            stacks=ledger.stacks() | self._detector.stacks() | {0},
            tasks={episode.task_id for episode in ledger.all()} if windowed else set(),
            tids=ledger.by_tid.keys() | self._detector.wakers(),
            polls={(draft.episode.tid, draft.episode.start_ns) for draft in drafts},
        )
        for draft in drafts:
            used.stacks.update(candidate.stack for candidate in draft.candidates)
            used.stacks.update(waker.stack for waker in draft.wakers.values())
            used.stacks.update(draft.seen)
        used.stacks.update(latency.stack for latency in self._waits.held)
        gone = recording.forget(used, now_ns)
        self._blames.stacks = recording.stacks
        self._quality.forget(gone)
        for key in gone:
            self._blames.forget(key)
            self._detector.forget_stack(key)

    def _give_up_lost(self, before_ns: int) -> None:
        """Drafts that will not be settled: forgotten, or with stacks that never came."""
        stacks = self.recording.stacks
        for at, draft in list(self._unsettled.items()):
            ended_ns = draft.episode.start_ns + draft.episode.duration_ns
            if not self._ledger.holds(at) or (
                ended_ns < before_ns and not any(key in stacks for key in unresolved(draft, stacks))
            ):
                self._give_up(at)

    def _settle(self, draft: Draft) -> Episode:
        recording = self.recording
        return settle(
            draft,
            self._blames,
            self._machine,
            recording.info.threshold_ns,
            vtable=recording.tasks.vtables.get(draft.episode.task_id, 0),
            behind=recording.tasks.behind(draft.episode.tid, draft.episode.start_ns),
        )

    def _keep(self, draft: Draft) -> None:
        at = self._ledger.add(self._settle(draft))
        missing = unresolved(draft, self.recording.stacks)
        if missing:
            if len(self._unsettled) >= _MAX_UNSETTLED:
                self._give_up(next(iter(self._unsettled)))
            self._unsettled[at] = draft
        for key in missing:
            self._waiting_for.setdefault(key, []).append(at)

    def _give_up(self, at: int) -> None:
        for key in unresolved(self._unsettled.pop(at), self.recording.stacks):
            waiting = self._waiting_for[key]
            waiting.remove(at)
            if not waiting:
                del self._waiting_for[key]

    # ------------------------------------------------------------------ rows

    def _retired(self) -> dict[str, Retired]:
        """What is left of the workers that are dead and forgotten, by runtime."""
        ledger = self._ledger
        found = {
            name: Retired(split, *ledger.retired_workers.get(name, (0, 0)))
            for name, split in self.recording.workers.retired.items()
        }
        for tid in ledger.by_tid.keys() - self.recording.workers.keys():
            name = ledger.runtime_of.get(tid, "")
            found[name] = found.get(name, Retired()).and_also(ledger.by_tid[tid])
        return found

    def _graph(self, now_ns: int, workers: float) -> Graph:
        slices, by_cause = self._ledger.graph, self._ledger.by_cause
        found = ((cause, by_cause[cause].values()) for cause in sorted(by_cause))
        causes = tuple((cause, values) for cause, values in found if any(values))
        start_ns = self._run_start_ns + slices.shown.start * slices.length_ns
        return Graph(start_ns, slices.length_ns, len(slices.shown), causes, now_ns, workers)

    def _types(self, tally: Tally) -> tuple[tuple[str, int], ...]:
        """Task types by ns, those known.

        The same stack is the same poll function: it has the type that a later episode shows.
        """
        recording = self.recording
        vtables = {stack: vtable for vtable, stack in tally.types if vtable}
        found: dict[str, int] = {}
        for (vtable, stack), total in tally.types.items():
            kind = recording.tasks.kinds.get(vtable or vtables.get(stack, 0))
            name = type_name(kind, recording.stacks.get(stack))
            if name:
                found[name] = found.get(name, 0) + total
        return largest_first(joined(found))[:_TYPES]
