"""One profiling run: attaches to a process and yields what the kernel and the resolver report.

A batch is everything that came since the last one; the caller decides how often to ask. The symbol
resolver is forked before any BPF object exists and gets every file of the target as an open
descriptor, so that only it, without root, parses bytes that others wrote.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from hud.closing import Closing
from hud.errors import HudError
from hud.model import Batch, Detection, Kind, Losses, Spot, Stack, Target, Worker
from hud.probe import wire
from hud.probe.probe import Probe
from hud.process.find import find_target
from hud.process.mappings import read_mappings
from hud.process.namespace import join_initial_time_namespace, require_initial_pid_namespace
from hud.process.procfs import living_thread, read_thread_stat, tracer_of
from hud.process.threads import count_threads, is_alive
from hud.profiler.detection.ladder import Ladder
from hud.profiler.events import Events
from hud.profiler.life import Life
from hud.profiler.naming import Naming
from hud.profiler.notes import Notes
from hud.profiler.options import Options
from hud.profiler.runtasks import RunTasks
from hud.profiler.stuck import LONG_NS
from hud.profiler.usage import Usage

if TYPE_CHECKING:
    from hud.profiler.exact import Exact

LAST_NAMES_S = 5.0
"""How long the end of a run waits for names that the resolver still looks up."""
LAST_CODE_S = 3.0
"""How long it waits for source and machine code, where they are wanted."""

PATIENCE_S = 0.5
"""How long events may wait in the ring. It holds 14,500; at 1,800 the kernel wakes hud."""
EXACT_PATIENCE_S = 0.1
"""The same while polls are timed in bursts of that length."""
HURRIED_PATIENCE_S = 0.01
"""The same where hud learns of a library that was just loaded: its polls are not seen before."""

STUCK_NS = 100_000_000
"""A worker in one poll for so long is looked at before the poll ends."""


class Profiler(Closing):
    """Attached to one process from when it is made until it is closed.

    ``read_object`` gives the compiled kernel programs; ``say`` gets a sentence of progress.
    Raises TargetError, KernelError or UsageError with the remedy; then nothing stays attached.
    """

    def __init__(
        self,
        target: Target,
        options: Options,
        read_object: Callable[[], bytes],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        require_initial_pid_namespace()
        join_initial_time_namespace()
        self.target = target
        self.options = options
        self.notes = Notes()
        self.usage = Usage()
        with ExitStack() as stack:
            self._naming = stack.enter_context(Naming(target.pid, options, self.notes, say))
            self.usage.phase("resolver forked")
            self._life = stack.enter_context(Life(target.pid))
            self._naming.begin(target)
            probe = stack.enter_context(self._load(read_object()))
            self.usage.phase("programs loaded")
            self._naming.addresses.modules.use_tables(probe.unwind)
            self._naming.wait(target, for_tokio=options.use_context)
            self.usage.phase("executable read")
            self._exact = self._make_exact(probe)
            if self._exact is not None:
                stack.callback(self._exact.close)
            modules, resolver = self._naming.addresses.modules, self._naming.resolver
            self._tasks = RunTasks(target.pid, modules, resolver, self.notes)
            stack.callback(self._tasks.close)
            self._events = Events(
                target.pid, probe, self._naming.addresses, self.notes, starters=options.starters
            )
            self._ladder = Ladder(
                target.pid,
                options,
                events=self._events,
                naming=self._naming,
                survey=lambda: self._survey(say),
                notes=self.notes,
            )
            stack.callback(self._ladder.close)
            self._ladder.choose()
            self._ladder.require_named_workers()
            self._begin_exact()
            self._note_stopped()
            self._stack = stack.pop_all()
        self.usage.phase("attached")
        self.usage.begin(target.pid, self._naming.resolver)
        self._life.open_connector(self.notes)

    def close(self) -> None:
        self._stack.close()

    # ------------------------------------------------------------------- attach

    def _load(self, programs: bytes) -> Probe:
        modules = self._naming.addresses.modules
        return Probe(
            programs,
            self.options.btf,
            tgid=self.target.pid,
            threshold_ns=self.options.threshold_ns,
            text_bytes=modules.text_bytes,
            span_bytes=modules.span_bytes,
            threads=count_threads(self.target.pid),
            exact=self.options.exact or self.options.auto_threshold,
            store=self._naming.store_of_root,
        )

    def _note_stopped(self) -> None:
        with suppress(OSError, HudError):
            stat = read_thread_stat(self.target.pid, living_thread(self.target.pid) or 0)
            ours = tracer_of(self.target.pid) == os.getpid()
            if stat is not None and stat.state in ("T", "t") and not ours:
                who = "a signal" if stat.state == "T" else "a tracer"
                self.notes.add(f"{who} had stopped the target when hud attached")

    def _make_exact(self, probe: Probe) -> Exact | None:
        if probe.exact is None:
            return None
        from hud.profiler.exact import Exact

        return Exact(
            probe.exact,
            self._naming.resolver,
            self.target.pid,
            self.options.max_overhead,
            keep=self.options.exact,
            choose_threshold=self.options.auto_threshold,
            read_mappings=lambda: read_mappings(self.target.pid),
        )

    def _begin_exact(self) -> None:
        if self._exact is not None:
            copies = self._ladder.copies.known
            why_not = "" if copies else f"polls are not seen: {self.detection.reason}"
            apart = [copy.layout.tokio for copy in copies if copy.layout.apart]
            if apart:
                why_not = f"it does not know how tokio {apart[0]} lays out tasks"
            self._exact.begin(self._naming.addresses.modules.files(), why_not)

    def _survey(self, say: Callable[[str], None]) -> dict[int, list[Stack]]:
        say("no CONTEXT: looking at the threads' stacks")
        return self._events.stacks.survey(self._take_answers)

    # ------------------------------------------------------------------- what it is

    @property
    def phases(self) -> list[tuple[str, float]]:
        """(what, seconds since the start): for benchmarks and --verbose."""
        return self.usage.phases

    @property
    def start_ns(self) -> int:
        """CLOCK_MONOTONIC when events began to flow."""
        return self.usage.start_ns

    @property
    def end_ns(self) -> int:
        """CLOCK_MONOTONIC when they had ceased; names may come later."""
        return self.usage.end_ns

    @property
    def workers(self) -> list[Worker]:
        """By number; those found so far."""
        return self._ladder.threads.workers

    @property
    def names(self) -> dict[int, str]:
        """tid -> name of the target's threads."""
        return self._ladder.threads.names

    @property
    def detection(self) -> Detection:
        """How the target is seen, and why so."""
        return self._ladder.detection

    @property
    def period_ns(self) -> int:
        """Of the CPU samples."""
        return int(self._events.probe.config.period_ns)

    def filenos(self) -> tuple[int, ...]:
        """Readable when ``pump`` should be called before ``patience_s`` is over."""
        return self._life.fileno(), self._events.probe.fileno()

    # ------------------------------------------------------------------- threshold

    @property
    def threshold_ns(self) -> int:
        """In force now."""
        return int(self._events.probe.config.threshold_ns)

    @property
    def threshold_from(self) -> str:
        """How hud chose it; empty = as asked for."""
        return self._exact.threshold_from if self._exact is not None else ""

    def set_threshold(self, threshold_ns: int) -> None:
        """From the next event on."""
        if self._exact is not None:
            self._exact.keep_threshold()
        self._use_threshold(threshold_ns)

    def _use_threshold(self, threshold_ns: int) -> None:
        self._events.probe.set_threshold(threshold_ns)
        self._ladder.threshold_changed()

    # ------------------------------------------------------------------- while it runs

    def pump(self) -> Batch:
        """Everything new. Call it after ``patience_s``, and when a descriptor is readable."""
        batch = Batch(time.monotonic_ns())
        self._life.take(batch, self._ladder, self._replace_image)
        samples = self._events.take(batch)
        threads = self._ladder.threads
        if self._ladder.copies.known:
            polling = {sample.tid for sample in samples if sample.kind == Kind.POLL}
            found = threads.add_polling(polling)
            batch.workers += found
            batch.died += threads.retire(
                worker.tid for worker in found if not is_alive(self.target.pid, worker.tid)
            )
        samples = threads.without_excluded(samples)
        self._events.stuck.count_without_stack(samples, self.threshold_ns)
        batch.samples = samples
        self._tasks.note(samples)
        if self._events.refresh():
            self._ladder.copies.hurry()
        self._take_answers(batch)
        if self._events.hurried:
            self._look_for_objects(batch)
        self._events.waits.join(batch.stacks)
        self._ladder.learn_classes(samples, batch)
        if self._exact is not None and not batch.ended:
            self._exact.watch(samples)
            self._exact.step(threads.by_tid)
        return batch

    def states(self, *, last: bool = False) -> Batch:
        """Every thread of the target now, and what follows from it; a few times a second.

        ``last``: whoever sleeps in a poll that is to be reported is looked at.
        """
        now = time.monotonic_ns()
        batch = Batch(now)
        if not self._naming.addresses.modules.pending_unwind:
            self.notes.add(*self._naming.debug.unused())
        read = self._events.probe.threads(now)
        long_ns = min(LONG_NS, self.threshold_ns) if last else LONG_NS
        read = read._replace(states=self._events.stuck.see(read.states, now, long_ns=long_ns))
        batch.states = read.states
        if self.options.use_context and not batch.ended:
            self._look_for_objects(batch)
            self._ladder.see_turns(read)
            self._ladder.see_stillness(read.states)
        for tid in self._ladder.threads.confirm_exits(read.exited):
            read.entered.pop(tid, None)  # a thread that is gone is no new worker
        if self._ladder.copies.known:
            batch.workers += self._ladder.take_entered(read.entered, read.copies)
            # block_on in a thread that drives no scheduler, and may never end
            lasting = (one for one in read.states if 0 < one.poll_start_ns <= now - STUCK_NS)
            batch.workers += self._ladder.threads.add_polling({one.tid for one in lasting})
            if self._ladder.judge(batch):
                self._begin_exact()
        self._events.stacks.take_before(batch)
        stuck = [
            at
            for at, state in enumerate(read.states)
            if state.asleep_stack
            and 0 < state.poll_start_ns <= now - (long_ns if last else STUCK_NS)
        ]
        self._events.stacks.take_lasting([read.states[at] for at in stuck], batch)
        for at in stuck:
            read.states[at] = self._events.waits.lasting(read.states[at], now, batch.details)
        self._naming.addresses.ask_wanted()
        self._events.waits.join(batch.stacks)
        batch.died += self._ladder.threads.retire(read.exited)
        batch.losses = self.losses()
        self.usage.fill(batch, now)
        self._events.fill_period(batch)
        self._fill_exact(batch)
        self._tasks.fill(batch, self._ladder.copies, read, self.threshold_ns)
        batch.notes = self.notes.new()
        return batch

    @property
    def patience_s(self) -> float:
        """How soon ``pump`` should be called again."""
        if self._events.hurried:
            return HURRIED_PATIENCE_S
        return PATIENCE_S if self._exact is None else EXACT_PATIENCE_S

    @property
    def eager(self) -> bool:
        """``states`` should be called every few milliseconds: a runtime is about to begin, and how
        it counts its turns is not known yet."""
        return self._events.thread_started and self._ladder.turns_unknown

    def _look_for_objects(self, batch: Batch) -> None:
        known = self._ladder.copies.known
        self._naming.objects.ask(self.target.executable)
        self._ladder.look_again(batch)
        after_s = (time.monotonic_ns() - self.start_ns) / 1e9
        for copy in self._ladder.copies.known[len(known) :]:
            name = copy.name or "the executable"
            self.notes.add(f"{name}: polls before {after_s:.1f} s were not seen; found only then")
        reading = self._naming.addresses.modules.pending_unwind or self._naming.objects.pending
        if not reading and not self._ladder.copies.missing:
            self._events.calm()

    def losses(self) -> Losses:
        """What was not seen so far."""
        counters = self._events.probe.counters
        return Losses(
            ring_full=counters.ring_full,
            stacks_full=counters.stacks_full,
            stacks_gone=self._events.stacks.gone,
            threads_full=counters.threads_full,
            context_unreadable=counters.context_unreadable,
            stacks_skipped=counters.stacks_skipped,
            symbols_late=self._naming.addresses.unnamed,
            polls_uncounted=self._exact.uncounted() if self._exact is not None else 0,
            polls_bare=self._events.stuck.without_stack,
        )

    def _fill_exact(self, batch: Batch, *, last: bool = False) -> None:
        if self._exact is None:
            return
        self._exact.fill(batch, last=last)
        if batch.threshold_ns:
            self._use_threshold(batch.threshold_ns)

    def stack_counts(self) -> tuple[int, int]:
        """Stacks taken in the run, and how many of them reached the thread's start."""
        counters = self._events.probe.counters
        return counters.stacks_taken, counters.stacks_complete

    def counters(self) -> dict[str, int]:
        """The kernel side's own counters by name, for benchmarks."""
        counters = self._events.probe.counters
        return {name: getattr(counters, name) for name, *_ in wire.Counters._fields_}

    def want_code(self, spots: Iterable[Spot]) -> None:
        """Ask for source and machine code, a few spots at a time and each once; never blocks.

        What is read comes with later batches; call it again for the rest. For ``options.code``.
        """
        self._naming.codes.want(spots, self.target)

    def read_code(self, spots: list[Spot]) -> Batch:
        """Source and machine code of all these spots, as far as they can be read in LAST_CODE_S."""
        batch = Batch(time.monotonic_ns())
        until = time.monotonic() + LAST_CODE_S
        while self._naming.codes.want(spots, self.target) and time.monotonic() < until:
            self._take_answers(batch, 0.01)
            time.sleep(0.002)  # lines may be all that is left to wait for
        return batch

    def finish(self) -> tuple[Batch, Batch]:
        """Every thread once more, as by ``states``; and what is left: detach, drain, wait a little
        for names that are still looked up.
        """
        if self._exact is not None:
            self._exact.close()  # with many probes some tenths of a second
        states = self.states(last=True)
        self._events.probe.detach()
        self.usage.end()
        batch = self.pump()
        self._fill_exact(batch, last=True)
        batch.losses = self.losses()
        self.usage.fill_last(batch)
        self._events.stacks.take_before(batch, last=True)
        self._naming.resolver.run_until(lambda: self._has_names(batch), LAST_NAMES_S)
        self._events.waits.join(batch.stacks)
        return states, batch

    # ------------------------------------------------------------------- what came

    def _take_answers(self, batch: Batch, timeout_s: float = 0.0) -> None:
        if self._naming.take(batch, timeout_s):
            self._events.stacks.send_again()
            self._tasks.ask_again()

    def _has_names(self, batch: Batch) -> bool:
        self._take_answers(batch)
        return not self._naming.addresses.pending_stacks

    def _replace_image(self, batch: Batch) -> None:
        """exec: other code, other layout, the same pid."""
        probe, threads = self._events.probe, self._ladder.threads
        batch.died += threads.by_tid
        self._tasks.close()
        threads.clear()
        if self._exact is not None:
            self._exact.begin((), "the process runs another program now")
        probe.detach()
        gone = probe.threads(time.monotonic_ns()).states
        probe.forget_threads(state.tid for state in gone)
        self._naming.clear()
        self._events.stacks.send_again()
        try:
            self.target = find_target(None, self.target.pid)
            self._naming.begin(self.target)
            self._naming.wait(self.target, for_tokio=self.options.use_context)
            self._ladder.choose()
            self._begin_exact()
        except (HudError, OSError) as error:
            self._ladder.see_latency_only(f"after exec: {error}")
        batch.detection = self.detection
        batch.target = self.target
        batch.workers += self.workers
