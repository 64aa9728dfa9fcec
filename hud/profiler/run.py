"""One profiling run: attaches to a process and yields what the kernel and the resolver tell.

Terms: a *batch* is everything that came since the last one; the caller decides how often to ask.
The symbol resolver is forked before any BPF object exists and gets every file of the target as an
open descriptor, so that only it, without root, parses bytes that others wrote.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from hud.errors import HudError, TargetError
from hud.model import (
    Batch,
    Culprit,
    Detection,
    Kind,
    Losses,
    Sample,
    Spot,
    Stack,
    Target,
    Worker,
)
from hud.probe import wire
from hud.probe.probe import Probe, Threads
from hud.profiler import detection as detect
from hud.profiler.addresses import Addresses
from hud.profiler.before import Before
from hud.profiler.cache import Cache, default_directory
from hud.profiler.code import Codes
from hud.profiler.debugfiles import DebugFiles
from hud.profiler.debuginfo import DebugInfo
from hud.profiler.exact import Exact
from hud.profiler.image import Image
from hud.profiler.ladder import Ladder
from hud.profiler.notes import Notes
from hud.profiler.objects import Objects
from hud.profiler.options import Options
from hud.profiler.programs import Programs
from hud.profiler.roster import Roster
from hud.profiler.stacks import Stacks
from hud.profiler.stuck import LONG_NS, Stuck
from hud.profiler.tasks import TaskReader
from hud.profiler.waits import Waits
from hud.resolver.client import Resolver
from hud.resolver.download import Downloads, servers
from hud.target.find import find_target
from hud.target.life import (
    Born,
    Exec,
    LifeCycle,
    ProcessExited,
    Renamed,
    ThreadExited,
    exit_text,
)
from hud.target.mappings import read_mappings
from hud.target.namespace import require_initial_pid_namespace
from hud.target.pressure import HostWatch
from hud.target.procfs import living_thread, read_thread_stat
from hud.target.threads import is_alive, list_threads

LAST_NAMES_S = 5.0
"""How long the end of a run waits for names that the resolver still looks up."""
LAST_CODE_S = 3.0
"""How long it waits for source and machine code, where they are wanted."""

STUCK_NS = 100_000_000
"""A worker in one poll for so long is looked at before the poll ends."""
HOST_INTERVAL_NS = 2_000_000_000
HURRY_S = 1.0
"""How long a library that was loaded is worth haste."""


class Profiler:
    """Attached to one process from ``__enter__`` to ``__exit__``.

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
        self.target = target
        self.options = options
        self._read_object = read_object
        self._say = say
        self._roster = Roster(options.workers)
        self._tasks: TaskReader | None = None
        self._tasks_trouble = ""
        self._programs = Programs()
        self.notes = Notes()
        self._period_told_ns = 0
        self._hurried_until = 0.0
        self._cost_before = 0
        self.threshold_ns = options.threshold_ns
        """In force now."""
        self.threshold_from = ""
        """How hud chose it; empty = as asked for."""
        self.phases: list[tuple[str, float]] = []
        """(what, seconds since the start): for benchmarks and --verbose."""
        self._started = time.monotonic()
        self.start_ns = 0
        """CLOCK_MONOTONIC when events began to flow."""
        self.end_ns = 0
        """CLOCK_MONOTONIC when they had ceased; names may come later."""

    # ------------------------------------------------------------------- attach

    def __enter__(self) -> Profiler:
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def _phase(self, what: str) -> None:
        self.phases.append((what, time.monotonic() - self._started))

    def _open(self, stack: ExitStack) -> None:
        pid = self.target.pid
        require_initial_pid_namespace()
        timed = self.options.exact or self.options.auto_threshold
        imports = ("capstone",) if timed or self.options.code else ()
        self._resolver = stack.enter_context(Resolver(imports=imports))
        self._phase("resolver forked")
        self._life = stack.enter_context(LifeCycle(pid))
        cache = Cache(default_directory() if self.options.use_cache else None)
        if cache.refusal:
            self.notes.add(f"nothing is kept for the next start: {cache.refusal}")
        urls = servers(os.environ.get("DEBUGINFOD_URLS", "")) if cache else ()
        self._debug = DebugInfo(
            self._resolver,
            DebugFiles(pid, self.options.debug_files),
            cache,
            stack.enter_context(Downloads(urls)) if urls else None,
            self.notes,
        )
        stack.callback(self._debug.close)
        self._image = Image(self._resolver, self.options.executable, self.notes, self._say)
        self._addresses = Addresses(
            self._resolver,
            lambda mapping: self._image.open(self.target, mapping),
            lambda: read_mappings(self.target.pid),
            cache,
            self._debug,
            self.notes,
        )
        self._codes = Codes(self._resolver, self._addresses.modules)
        self._objects = Objects(self._resolver, self._addresses.modules, self.notes)
        stack.callback(self._addresses.keep_names)
        self._read_image()
        self._probe = stack.enter_context(
            Probe(
                self._read_object(),
                self.options.btf,
                tgid=pid,
                threshold_ns=self.options.threshold_ns,
                text_bytes=self._addresses.modules.text_bytes,
                span_bytes=self._addresses.modules.span_bytes,
                exact=timed,
            )
        )
        self._phase("programs loaded")
        self._waits = Waits(pid, self._probe.wait, self._probe.asleep_since, self.notes.add)
        self._host = HostWatch(pid)
        self._next_host = 0
        self._addresses.modules.use_tables(self._probe.unwind)
        self._wait_for_image()
        self._phase("executable read")
        self._exact = self._make_exact()
        if self._exact is not None:
            stack.callback(self._exact.close)
        stack.callback(self._close_tasks)
        self._before = Before(pid, self._probe)
        self._stuck = Stuck(pid, self._probe)
        self._stacks = Stacks(self._probe, self._addresses, self._before, self._stuck)
        self._ladder = Ladder(
            pid,
            self.options,
            probe=self._probe,
            before=self._before,
            image=self._image,
            objects=self._objects,
            roster=self._roster,
            survey=self._survey,
            notes=self.notes,
        )
        stack.callback(self._ladder.close)
        self._detect()
        self._begin_exact()
        self._note_stopped()
        self._phase("attached")
        self.start_ns = time.monotonic_ns()
        self._cost_before = self.cost()[0]
        if not self._life.open_connector():
            self.notes.add(f"thread events from /proc: {self._life.reason}")

    def _note_stopped(self) -> None:
        with suppress(OSError, HudError):
            stat = read_thread_stat(self.target.pid, living_thread(self.target.pid) or 0)
            if stat is not None and stat.state in ("T", "t"):
                who = "a signal" if stat.state == "T" else "a tracer"
                self.notes.add(f"{who} had stopped the target when hud attached")

    def _make_exact(self) -> Exact | None:
        if self._probe.exact is None:
            return None
        return Exact(
            self._probe.exact,
            self._resolver,
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
            self._exact.begin(self._addresses.modules.files(), why_not)

    def _read_image(self) -> None:
        self._image.begin(self.target, self._addresses)
        self._roster.names = {thread.tid: thread.name for thread in list_threads(self.target.pid)}

    def _wait_for_image(self) -> None:
        self._image.wait()
        facts = self._image.facts
        if self.options.use_context and (facts is None or not detect.has_tokio(facts)):
            self._objects.ask(self.target.executable)
            self._objects.wait()

    def _detect(self) -> None:
        self._ladder.choose()
        if not self.start_ns:
            self._ladder.require_named_workers()

    def _survey(self) -> dict[int, list[Stack]]:
        self._say("no CONTEXT: looking at the threads' stacks")
        return self._stacks.survey(self._take_answers)

    # ------------------------------------------------------------------- while it runs

    @property
    def workers(self) -> list[Worker]:
        """By number; those found so far."""
        return self._roster.workers

    @property
    def names(self) -> dict[int, str]:
        """tid -> name of the target's threads."""
        return self._roster.names

    @property
    def detection(self) -> Detection:
        """How the target is seen, and why so."""
        return self._ladder.detection

    @property
    def period_ns(self) -> int:
        """Of the CPU samples."""
        return int(self._probe.config.period_ns)

    def filenos(self) -> tuple[int, ...]:
        """Readable when ``pump`` should be called before its time; names can wait for it."""
        return self._life.fileno(), self._probe.fileno()

    def set_threshold(self, threshold_ns: int) -> None:
        """From the next event on."""
        if self._exact is not None:
            self._exact.keep_threshold()
        self._use_threshold(threshold_ns, "")

    def _use_threshold(self, threshold_ns: int, source: str) -> None:
        self.threshold_ns, self.threshold_from = threshold_ns, source
        self._probe.set_threshold(threshold_ns)
        self._ladder.threshold_changed()

    def pump(self) -> Batch:
        """Everything new. Call it every 0.1 s or so, and when a descriptor is readable."""
        batch = Batch(time.monotonic_ns())
        self._take_life(batch)
        samples = self._stuck.take(self._probe.events())
        self._stacks.take(samples, batch)
        batch.culprits += self._culprits(samples)
        samples, batch.details = self._waits.take(samples, batch.stacks)
        if self._ladder.copies.known:
            polling = {sample.tid for sample in samples if sample.kind == Kind.POLL}
            found = self._roster.see_polling(polling)
            batch.workers += found
            batch.died += self._roster.buried(
                worker.tid for worker in found if not is_alive(self.target.pid, worker.tid)
            )
        samples = self._roster.inside(samples)
        self._stuck.count_bare(samples, self.threshold_ns)
        batch.samples = samples
        if self._tasks is not None:
            self._tasks.note(samples)
        self._stacks.refresh(changed=self._probe.code_changed())
        if self._stacks.new_file:
            self._stacks.new_file = False
            self._hurried_until = time.monotonic() + HURRY_S
            self._ladder.copies.hurry()
        self._take_answers(batch)
        if self.hurried:
            self._look_for_objects(batch)
        self._waits.join(batch.stacks)
        self._ladder.learn_classes(samples, batch)
        if self._exact is not None and not batch.ended:
            self._exact.watch(samples)
            self._exact.step(self._roster.by_tid)
        return batch

    def states(self, *, last: bool = False) -> Batch:
        """Every thread of the target now, and what follows from it; a few times a second.

        ``last``: whoever sleeps in a poll that is to be told is looked at.
        """
        now = time.monotonic_ns()
        batch = Batch(now)
        if not self._addresses.modules.pending_unwind:
            self.notes.add(*self._debug.unused())
        read = self._probe.threads(now)
        long_ns = min(LONG_NS, self.threshold_ns) if last else LONG_NS
        read = read._replace(states=self._stuck.see(read.states, now, long_ns=long_ns))
        batch.states = read.states
        if self.options.use_context and not batch.ended:
            self._look_for_objects(batch)
            self._ladder.see_turns(read)
        for tid in self._roster.last_word(read.exited):
            read.entered.pop(tid, None)  # a thread that is gone is no new worker
        if self._ladder.copies.known:
            batch.workers += self._ladder.take_entered(read.entered, read.copies)
            # block_on in a thread that drives no scheduler, and may never end
            lasting = (one for one in read.states if 0 < one.poll_start_ns <= now - STUCK_NS)
            batch.workers += self._roster.see_polling({one.tid for one in lasting})
            if self._ladder.judge(batch):
                self._begin_exact()
        self._stacks.take_before(batch)
        stuck = [
            at
            for at, state in enumerate(read.states)
            if state.asleep_stack
            and 0 < state.poll_start_ns <= now - (long_ns if last else STUCK_NS)
        ]
        self._stacks.take_lasting([read.states[at] for at in stuck], batch)
        for at in stuck:
            read.states[at] = self._waits.lasting(read.states[at], now, batch.details)
        self._addresses.ask_wanted()
        self._waits.join(batch.stacks)
        if now >= self._next_host:
            self._next_host = now + HOST_INTERVAL_NS
            batch.host = self._host.read()
        batch.died += self._roster.buried(read.exited)
        batch.losses = self.losses()
        batch.cost = self.cost()
        if self.period_ns != self._period_told_ns:
            batch.sample_period_ns = self._period_told_ns = self.period_ns
        self._tell_exact(batch)
        self._read_tasks(batch, read)
        batch.notes = self.notes.new()
        return batch

    @property
    def hurried(self) -> bool:
        """A library was just loaded: ``pump`` should be called every hundredth of a second."""
        return time.monotonic() < self._hurried_until

    def _look_for_objects(self, batch: Batch) -> None:
        known = self._ladder.copies.known
        self._objects.ask(self.target.executable)
        self._ladder.look_again(batch)
        after_s = (time.monotonic_ns() - self.start_ns) / 1e9
        for copy in self._ladder.copies.known[len(known) :]:
            name = copy.name or "the executable"
            self.notes.add(f"{name}: polls before {after_s:.1f} s are not seen, it was found then")
        reading = self._addresses.modules.pending_unwind or self._objects.pending
        if not reading and not self._ladder.copies.missing:
            self._hurried_until = 0.0

    def losses(self) -> Losses:
        """What was not seen so far."""
        counters = self._probe.counters
        return Losses(
            ring_full=counters.ring_full,
            stacks_full=counters.stacks_full,
            stacks_gone=self._stacks.gone,
            threads_full=counters.threads_full,
            context_unreadable=counters.context_unreadable,
            stacks_skipped=counters.stacks_skipped,
            symbols_late=self._addresses.unnamed,
            polls_uncounted=self._exact.uncounted() if self._exact is not None else 0,
            polls_bare=self._stuck.bare,
        )

    def _tell_exact(self, batch: Batch, *, last: bool = False) -> None:
        if self._exact is None:
            return
        self._exact.tell(batch, last=last)
        if batch.threshold_ns:
            self._use_threshold(batch.threshold_ns, batch.threshold_from)

    def stack_counts(self) -> tuple[int, int]:
        """Stacks taken in the run, and how many of them reached the thread's start."""
        return self._probe.counters.stacks_taken, self._probe.counters.stacks_complete

    def counters(self) -> dict[str, int]:
        """The kernel side's own counters by name, for benchmarks."""
        return {name: getattr(self._probe.counters, name) for name, *_ in wire.Counters._fields_}

    def cost(self) -> tuple[int, int]:
        """CPU nanoseconds of hud and its resolver since the attach; their resident bytes."""
        own = int(time.process_time() * 1e9) - self._cost_before
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        rss = pages * os.sysconf("SC_PAGE_SIZE")
        return own + self._resolver.cpu_ns(), rss + self._resolver.rss_bytes()

    def want_code(self, spots: Iterable[Spot]) -> None:
        """Ask for source and machine code, a few spots at a time and each once; never blocks.

        What is read comes with later batches; call it again for the rest. For ``options.code``.
        """
        self._codes.want(spots, self.target)

    def read_code(self, spots: list[Spot]) -> Batch:
        """Source and machine code of all these spots, as far as they can be read in LAST_CODE_S."""
        batch = Batch(time.monotonic_ns())
        until = time.monotonic() + LAST_CODE_S
        while self._codes.want(spots, self.target) and time.monotonic() < until:
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
        self._probe.detach()
        self.end_ns = time.monotonic_ns()
        batch = self.pump()
        self._tell_exact(batch, last=True)
        batch.losses = self.losses()
        batch.host = self._host.read(last=True)
        self._stacks.take_before(batch, last=True)
        self._resolver.run_until(lambda: self._has_names(batch), LAST_NAMES_S)
        self._waits.join(batch.stacks)
        return states, batch

    # ------------------------------------------------------------------- what came

    def _culprits(self, samples: Iterable[Sample]) -> list[Culprit]:
        blaming = (Kind.LATENCY, Kind.WAKE)
        tids = {one.other for one in samples if one.kind in blaming and one.other}
        found = (self._probe.culprit(tid) for tid in tids)
        return self._programs.named(culprit for culprit in found if culprit is not None)

    def _take_answers(self, batch: Batch, timeout_s: float = 0.0) -> None:
        """What the resolver has answered; waits for the first one if need be."""
        self._resolver.run(timeout_s)
        if self._addresses.fill(batch):
            self._stacks.tell_again()
            if self._tasks is not None:
                self._tasks.ask_again()
        self._codes.fill(batch)

    def _has_names(self, batch: Batch) -> bool:
        self._take_answers(batch)
        return not self._addresses.pending_stacks

    def _take_life(self, batch: Batch) -> None:
        changed = False
        gone: set[int] = set()
        for event in self._life.read():
            if isinstance(event, ProcessExited):
                status = exit_text(event.wait_status)
                batch.ended = f"target exited ({status})" if status else "target exited"
            elif isinstance(event, Exec):
                self._replace_image(batch)
            elif isinstance(event, ThreadExited):
                gone.add(event.tid)
                self._ladder.forget(event.tid)
                self._roster.exited(event.tid)
                batch.died.append(event.tid)
                changed = True
            elif isinstance(event, Born):
                self._roster.born(event.tid)
                changed = True
            elif isinstance(event, Renamed):
                batch.names[event.tid] = event.name
                worker = self._roster.rename(event.tid, event.name)
                if worker is not None:
                    batch.workers.append(worker)
                changed = True
        if changed and not batch.ended:
            self._ladder.choose_again(batch, gone)

    def _read_tasks(self, batch: Batch, read: Threads) -> None:
        """The runtimes' tasks and queues, where Tokio's state is known."""
        if not self._ladder.copies.known or batch.ended:
            return
        if self._tasks is None:
            try:
                self._tasks = TaskReader(self.target.pid, self._addresses.modules, self._resolver)
            except TargetError as error:
                self.notes.add(f"the runtime's tasks are not read: {error}")
                return
        driving = self._ladder.copies.driving(read.entered, read.copies)
        self._tasks.fill(batch, driving, int(self._probe.config.threshold_ns))
        before, self._tasks_trouble = self._tasks_trouble, self._tasks.trouble
        if before != self._tasks_trouble:
            self.notes.replace(before, self._tasks_trouble)

    def _close_tasks(self) -> None:
        if self._tasks is not None:
            self._tasks.close()
            self._tasks = None

    def _replace_image(self, batch: Batch) -> None:
        """exec: other code, other layout, the same pid."""
        batch.died += self._roster.by_tid
        self._close_tasks()
        self._roster.clear()
        if self._exact is not None:
            self._exact.begin((), "the process runs another program now")
        self._probe.detach()
        gone = self._probe.threads(time.monotonic_ns()).states
        self._probe.forget_threads(state.tid for state in gone)
        self._addresses.clear()
        self._codes.clear()
        self._objects.clear()
        self._stacks.tell_again()
        try:
            self.target = find_target(None, self.target.pid)
            self._read_image()
            self._wait_for_image()
            self._detect()
            self._begin_exact()
        except (HudError, OSError) as error:
            self._ladder.see_latency_only(f"after exec: {error}")
        batch.detection = self.detection
        batch.target = self.target
        batch.workers += self.workers
