"""Chooses how the target is seen, at the start of a run and whenever the target changes.

The fallbacks are the rungs of ``hud.model.Rung``. On CONTEXT the kernel reads Tokio's state, and
who drives a scheduler is a worker; below it, workers go by the classes and names of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress

from hud.errors import HudError, TargetError
from hud.model import Batch, Detection, Rung, Sample, Stack, ThreadState, Worker
from hud.probe import wire
from hud.probe.probe import Threads
from hud.process.mappings import read_mappings
from hud.process.threads import list_threads
from hud.profiler.detection import context as detect
from hud.profiler.detection.copies import Copies
from hud.profiler.detection.runtimes import Runtimes
from hud.profiler.detection.stillness import Stillness
from hud.profiler.detection.thread_classes import Classes
from hud.profiler.detection.thread_set import ThreadSet
from hud.profiler.detection.turns import Turns
from hud.profiler.events import Events
from hud.profiler.naming import Naming
from hud.profiler.notes import Notes
from hud.profiler.options import Options
from hud.resolver.messages import Facts
from hud.runtime.memory import Memory
from hud.runtime.workers import find_workers

CONTEXT_HZ = 499
FINE_HZ = 997
FINE_BELOW_NS = 5_000_000
"""CPU samples where polls are seen: only those inside a long poll cost a stack, but each costs an
interrupt (at 997 Hz 2 % of a busy virtual CPU, at 499 Hz 1 %). Two of them fit into the least
threshold of the coarser rate."""
SAMPLED_HZ = 99
"""CPU samples on the other rungs, where each costs a stack. A prime avoids lockstep."""

UNREADABLE_SHARE = 0.05
"""Above this share of failed readings of CONTEXT its layout is wrong."""
READINGS_TO_JUDGE = 200


class Ladder:
    """Sets the probe up for the rung that the target allows.

    ``survey`` looks at the stacks of every thread for a while, by tid; ``notes`` gets sentences
    for the user.
    """

    def __init__(
        self,
        pid: int,
        options: Options,
        *,
        events: Events,
        naming: Naming,
        survey: Callable[[], dict[int, list[Stack]]],
        notes: Notes,
    ) -> None:
        self._pid = pid
        self._options = options
        self._probe = events.probe
        self._before = events.before
        self._image = naming.image
        self._objects = naming.objects
        self.threads = ThreadSet(options.workers)
        """The target's threads."""
        self._survey = survey
        self._notes = notes
        self.copies = Copies()
        """Those of Tokio that the kernel looks at; none below rung CONTEXT."""
        self._turns = Turns(pid)
        self.detection = Detection(Rung.LATENCY, "")
        self._runtimes = Runtimes(pid)
        self._classes = Classes()
        self._refusal = detect.Refusal("", ())
        self._facts_used: Facts | None = None
        self._stillness = Stillness(self._probe.asleep_since)
        self._judged = (0, 0)
        """Readings of CONTEXT, bad and good, that belong to other layouts."""

    # ------------------------------------------------------------------- choose

    def choose(self) -> None:
        """Find the rung of a program that nothing is known of, and its workers."""
        found: detect.Context | detect.Refusal
        self.threads.names = {thread.tid: thread.name for thread in list_threads(self._pid)}
        if self._options.use_context:
            found = self._find_context()
        else:
            versions = self._image.facts.tokio_versions if self._image.facts else ()
            found = detect.Refusal("switched off", versions)
        self.copies.clear()
        self._runtimes.begin()
        self._turns = Turns(self._pid)
        self._use_layouts(found)
        if isinstance(found, detect.Context):
            self._before.seed_running(self.copies.known)
            self._attach(self._context_hz())
            self._take_driving(found)
        else:
            self._attach(SAMPLED_HZ)
            self._step_down(found)

    def require_named_workers(self) -> None:
        """``--workers`` beside CONTEXT only leaves threads out; it must match some: TargetError."""
        prefix = self._options.workers
        if prefix is None or not self.copies.known:
            return
        choice = find_workers(list_threads(self._pid), prefix=prefix)
        if not choice.workers:
            raise detect.no_such_workers(choice.reason, choice.suggestion)

    def _find_context(self) -> detect.Context | detect.Refusal:
        self._objects.changed = False
        self._facts_used = self._image.facts
        threads = list_threads(self._pid)
        self.threads.names.update((thread.tid, thread.name) for thread in threads)
        return detect.find_context(
            self._image.facts,
            self._pid,
            threads,
            read_mappings(self._pid),
            self._objects.found(),
        )

    def _use_layouts(self, found: detect.Context | detect.Refusal) -> list[detect.Copy]:
        """Have the kernel look at what was found; returns the copies that are new."""
        new = self.copies.learn(found)
        if new or not self.copies.known:
            self._probe.set_layouts(self.copies.layouts)
            self._judge_from_now()
        for copy in new:
            if copy.layout.apart:
                self._notes.add(
                    f"tokio {copy.layout.tokio} has no task ids: a worker's poll that awaits "
                    "something and goes on may count as two"
                )
        if new and isinstance(found, detect.Context):
            self.detection = found.detection
            if len(found.copies) > wire.MAX_LAYOUTS:
                self._notes.add(
                    f"{len(found.copies)} copies of tokio: hud reads only {wire.MAX_LAYOUTS}"
                )
        return new

    def _take_driving(self, found: detect.Context) -> list[Worker]:
        index = {copy.identity: number for number, copy in enumerate(self.copies.known)}
        workers: list[Worker] = []
        for copy in found.copies:
            if copy.identity in index:
                copies = dict.fromkeys(copy.drives, index[copy.identity])
                workers += self.take_entered(copy.drives, copies)
        return workers + self.threads.add_polling(self._before.seed_sleeping(self.copies.known))

    def _context_hz(self) -> int:
        return CONTEXT_HZ if self._probe.config.threshold_ns >= FINE_BELOW_NS else FINE_HZ

    def threshold_changed(self) -> None:
        """Sample as often as it wants."""
        if self.copies.known:
            self._probe.sample_at(self._options.sample_hz or self._context_hz())

    def _attach(self, hz: int) -> None:
        self._probe.attach(self._options.sample_hz or hz, starts=self._options.starters)

    def _step_down(self, refusal: detect.Refusal) -> None:
        """The rungs below CONTEXT: survey the stacks, then choose by stacks and names."""
        prefix = self._options.workers
        classes = detect.classes_of(self._survey()) if prefix is None else {}
        self._classes = Classes(classes)
        self._refusal = refusal
        workers, self.detection = detect.find_by_ladder(
            refusal, list_threads(self._pid), prefix, classes, self._pid
        )
        self._use_workers(workers)

    def _use_workers(self, workers: tuple[Worker, ...]) -> None:
        self._probe.set_workers(self.threads.choose(workers))
        self._probe.config.every_thread = not workers

    def see_latency_only(self, reason: str) -> None:
        """Nothing is known of the program."""
        self.copies.clear()
        self._probe.set_layouts(())
        self._classes = Classes()
        self._refusal = detect.Refusal(reason, ())
        self._use_workers(())
        self._probe.detach()
        try:
            self._attach(SAMPLED_HZ)
        except HudError as error:
            reason += f"; nothing is seen: {error}"
        self.detection = Detection(Rung.LATENCY, reason)

    # ------------------------------------------------------------------- on CONTEXT

    def take_entered(self, entered: Mapping[int, int], copies: Mapping[int, int]) -> list[Worker]:
        """Threads inside a runtime, as CONTEXT says: tid -> scheduler (0 = it drives none), and
        tid -> index of the copy of Tokio. Returns the workers that are new or known better."""
        return self.threads.enter(
            {
                tid: self._runtime(tid, scheduler, copies[tid])
                for tid, scheduler in entered.items()
                if scheduler
            }
        )

    def _runtime(self, tid: int, scheduler: int, copy: int) -> str:
        name = self._runtimes.of(tid, self.threads.names.get(tid, ""), scheduler)
        whose = self.copies.runtime(copy)
        return f"{whose}: {name}" if whose else name

    def look_again(self, batch: Batch) -> None:
        """A Tokio that was loaded since, or could not be found yet."""
        late = self._image.facts is not self._facts_used
        if not (late or self._objects.changed or self.copies.due()):
            return
        if late or self._objects.changed:
            self.copies.hurry()
        try:
            found = self._find_context()
        except TargetError:
            return  # gone; its end will be reported
        below = not self.copies.known
        new = self._use_layouts(found)
        if not isinstance(found, detect.Context) or not new:
            return
        if below:
            batch.withdrawn += self.threads.by_tid
            self._use_workers(())
            self._probe.config.every_thread = 0
            self._probe.detach()
            self._attach(self._context_hz())
        batch.workers += self._take_driving(found)
        batch.detection = self.detection

    @property
    def turns_unknown(self) -> bool:
        """May another look soon show where the schedulers count their turns?"""
        return bool(self.copies.known) and self._turns.unknown

    def see_turns(self, threads: Threads) -> None:
        """Where the schedulers count their turns, if that was not known, or was wrong."""
        with suppress(TargetError):  # gone; its end will be reported
            if self._turns.look(self.copies, threads, self._notes):
                self._probe.set_layouts(self.copies.layouts)

    def see_stillness(self, states: Sequence[ThreadState]) -> None:
        """Whether CONTEXT stays as it is while its threads sleep."""
        if not self.copies.known:
            return
        with suppress(TargetError), Memory(self._pid) as memory:
            self._stillness.look(self.copies.known[-1], states, memory.read)

    def _judge_from_now(self) -> None:
        counters = self._probe.counters
        self._stillness = Stillness(self._probe.asleep_since)
        self._judged = counters.context_unreadable, counters.context_read

    def judge(self, batch: Batch) -> bool:
        """A layout that the kernel often cannot read, or that changes while its threads sleep, is
        wrong: do without it and say so.

        True: it was the last one, and the run has stepped down.
        """
        failed = self._unreadable() or self._stillness.broken
        if not failed:
            return False
        refused = self.copies.refuse_last()
        self._probe.set_layouts(self.copies.layouts)
        self._judge_from_now()
        if self.copies.known:
            self._notes.add(f"{refused.reason}: no longer looked at, {failed}")
            return False
        batch.withdrawn += self.threads.by_tid
        self._probe.detach()
        self._attach(SAMPLED_HZ)
        self._step_down(detect.Refusal(failed, self.detection.tokio_versions))
        batch.detection = self.detection
        batch.workers += self.threads.workers
        return True

    def _unreadable(self) -> str:
        """How many readings failed, if it is too many; else empty."""
        counters = self._probe.counters
        bad = counters.context_unreadable - self._judged[0]
        good = counters.context_read - self._judged[1]
        if bad + good < READINGS_TO_JUDGE or bad <= (bad + good) * UNREADABLE_SHARE:
            return ""
        return f"{bad} of {bad + good} readings of CONTEXT failed"

    # ------------------------------------------------------------------- below it

    def learn_classes(self, samples: list[Sample], batch: Batch) -> None:
        """What new stacks say of the threads, where workers go by it."""
        workers = self.threads.by_tid
        if not self.copies.known and self._classes.take(samples, batch.stacks, workers):
            self.choose_again(batch)

    def forget(self, tid: int) -> None:
        """The thread is gone: its tid may come back as another thread."""
        self._classes.forget(tid)
        self._runtimes.forget(tid)

    def close(self) -> None:
        self._runtimes.close()

    def choose_again(self, batch: Batch, gone: Set[int] = frozenset()) -> None:
        """The threads, or what their stacks say, changed: below CONTEXT workers go by them.

        ``gone``: those that have just exited; /proc may still list them.
        """
        if self.copies.known:
            return
        known = set(self.threads.by_tid)
        try:
            workers, detection = detect.find_by_ladder(
                self._refusal,
                [thread for thread in list_threads(self._pid) if thread.tid not in gone],
                self._options.workers,
                self._classes.known,
                self._pid,
            )
        except TargetError:
            return  # all of them are gone, others may come
        self._use_workers(workers)
        batch.withdrawn += known - self.threads.by_tid.keys()
        batch.workers += [worker for worker in self.threads.workers if worker.tid not in known]
        if detection.rung is not self.detection.rung:
            self.detection = batch.detection = detection
