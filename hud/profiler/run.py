"""One profiling run: attaches to a process and yields what the kernel and the resolver tell.

Terms: a *batch* is everything that came since the last one; the caller decides how often to ask.
The symbol resolver is forked before any BPF object exists and gets every file of the target as an
open descriptor, so that only it, without root, parses bytes that others wrote.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Set
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

from hud.errors import HudError, TargetError
from hud.model import (
    Batch,
    Detection,
    Kind,
    Losses,
    Rung,
    Sample,
    Spot,
    Stack,
    Target,
    ThreadName,
    Worker,
)
from hud.probe import wire
from hud.probe.probe import Probe, Threads
from hud.profiler import detection as detect
from hud.profiler.addresses import Addresses
from hud.profiler.before import Before
from hud.profiler.cache import Cache, default_directory
from hud.profiler.classes import Classes
from hud.profiler.code import Codes
from hud.profiler.copies import Copies
from hud.profiler.debugfiles import DebugFiles
from hud.profiler.debuginfo import DebugInfo
from hud.profiler.exact import Exact
from hud.profiler.image import Image
from hud.profiler.objects import Objects
from hud.profiler.options import Options
from hud.profiler.tasks import Driving, TaskReader
from hud.profiler.waits import Waits
from hud.runtime.workers import WorkerIds, find_workers
from hud.symbols.client import FactsReply, FailedReply, PointsReply, Reply, Resolver
from hud.symbols.download import Downloads, servers
from hud.target import connector
from hud.target.find import find_target
from hud.target.life import (
    Born,
    Exec,
    LifeCycle,
    LifeEvent,
    ProcessExited,
    Renamed,
    ThreadExited,
    exit_text,
)
from hud.target.mappings import read_mappings
from hud.target.namespace import require_initial_pid_namespace
from hud.target.pressure import HostWatch
from hud.target.threads import list_threads

CONTEXT_HZ = 997
"""CPU samples where polls are seen: only those inside a long poll cost a stack."""
SAMPLED_HZ = 99
"""CPU samples on the other rungs, where each costs a stack. A prime avoids lockstep."""

SURVEY_S = 0.5
LAST_NAMES_S = 5.0
"""How long the end of a run waits for names that the resolver still looks up."""
LAST_CODE_S = 3.0
"""How long it waits for source and machine code, where they are wanted."""

REFRESH_INTERVAL_S = 0.5
STUCK_NS = 100_000_000
"""A worker in one poll for so long is looked at before the poll ends."""
LOOK_INTERVAL_S = 1.0
"""Between two looks at the mappings where nothing hints at new ones; and LOOK_SHARE times what one
takes at least."""
LOOK_SHARE = 500
HOST_INTERVAL_NS = 2_000_000_000
MOST_STACKS = 60_000
UNREADABLE_SHARE = 0.05
"""Above this share of failed readings of CONTEXT its layout is wrong."""
READINGS_TO_JUDGE = 200


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
        self._ids = WorkerIds()
        self._workers: dict[int, Worker] = {}
        self._names: dict[int, str] = {}
        self._known_stacks: set[int] = set()
        self._outside: set[int] = set()
        """tids that ``--workers`` leaves out."""
        self._ended: set[int] = set()
        """tids of workers that are gone, until the kernel's last word of them."""
        self._stacks_gone = 0
        self._unread: list[LifeEvent] = []
        self._next_refresh = 0.0
        self._next_look = 0.0
        self._refresh_wanted = False
        self._copies = Copies()
        self._facts_used: FactsReply | None = None
        self._judged = (0, 0)
        """Readings of CONTEXT, bad and good, that belong to other layouts."""
        self._refusal = detect.Refusal("", ())
        self._classes = Classes()
        self._preparing: Thread | None = None
        self._tasks: TaskReader | None = None
        self.notes: list[str] = []
        self._notes_told = 0
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
            self.notes.append(f"nothing is kept for the next start: {cache.refusal}")
        urls = servers(os.environ.get("DEBUGINFOD_URLS", "")) if cache else ()
        self._debug = DebugInfo(
            self._resolver,
            DebugFiles(pid, self.options.debug_files),
            cache,
            stack.enter_context(Downloads(urls)) if urls else None,
        )
        stack.callback(self._debug.close)
        self._image = Image(self._resolver, self.options.executable, self.notes, self._say)
        self._addresses = Addresses(
            self._resolver,
            lambda mapping: self._image.open(self.target, mapping),
            lambda: read_mappings(self.target.pid),
            cache,
            self._debug,
        )
        self._codes = Codes(self._resolver, self._addresses)
        self._objects = Objects(self._resolver, self._addresses, self.notes)
        stack.callback(self._addresses.keep_names)
        self._read_image()
        self._probe = stack.enter_context(
            Probe(
                self._read_object(),
                self.options.btf,
                tgid=pid,
                threshold_ns=self.options.threshold_ns,
                text_bytes=self._addresses.text_bytes,
                exact=timed,
            )
        )
        self._phase("programs loaded")
        self._before = Before(pid, self._probe)
        self._waits = Waits(pid, self._probe.wait, self._probe.asleep_since, self.notes.append)
        self._host = HostWatch(pid)
        self._next_host = 0
        self._addresses.use_tables(self._probe.unwind)
        self._wait_for_image()
        self._phase("executable read")
        self._exact = self._make_exact()
        if self._exact is not None:
            stack.callback(self._exact.close)
        stack.callback(self._close_tasks)
        self._detect()
        self._begin_exact()
        self._phase("attached")
        self.start_ns = time.monotonic_ns()
        self._cost_before = self.cost()[0]
        # pyroute2 takes a while to import: /proc does until it is there
        self._preparing = Thread(target=connector.prepare, daemon=True)
        self._preparing.start()

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
            seen = bool(self._copies.known)
            why_not = "" if seen else f"polls are not seen: {self.detection.reason}"
            self._exact.begin(self._addresses.files(), why_not)

    def _read_image(self) -> None:
        self._image.begin(self.target, self._addresses)
        self._names = {thread.tid: thread.name for thread in list_threads(self.target.pid)}

    def _wait_for_image(self) -> None:
        self._image.wait()
        facts = self._image.facts
        if self.options.use_context and (facts is None or not detect.has_tokio(facts)):
            self._objects.ask(self.target.executable)
            self._objects.wait()

    # ------------------------------------------------------------------- detection

    def _detect(self) -> None:
        found: detect.Context | detect.Refusal
        if self.options.use_context:
            found = self._find_context()
        else:
            versions = self._image.facts.tokio_versions if self._image.facts else ()
            found = detect.Refusal("switched off", versions)
        self._copies.clear()
        self._use_layouts(found)
        if isinstance(found, detect.Context):
            self._attach(CONTEXT_HZ)
            self._take_driving(found)
            if self.options.workers is not None and not self.start_ns:
                self._require_named_workers()
        else:
            self._attach(SAMPLED_HZ)
            self._step_down(found)

    def _find_context(self) -> detect.Context | detect.Refusal:
        self._objects.changed = False
        self._facts_used = self._image.facts
        threads = self._thread_names()
        self._names.update((thread.tid, thread.name) for thread in threads)
        return detect.find_context(
            self._image.facts,
            self.target.pid,
            threads,
            read_mappings(self.target.pid),
            self._objects.found(),
        )

    def _use_layouts(self, found: detect.Context | detect.Refusal) -> list[detect.Copy]:
        """Have the kernel look at what was found; returns the copies that are new."""
        new = self._copies.learn(found)
        if new or not self._copies.known:
            self._probe.set_layouts(self._copies.layouts)
            self._judge_from_now()
        if new and isinstance(found, detect.Context):
            self.detection = found.detection
            if len(found.copies) > wire.MAX_LAYOUTS:
                what = f"{len(found.copies)} copies of tokio: {wire.MAX_LAYOUTS} are looked at"
                self.notes += [what] * (what not in self.notes)
        return new

    def _judge_from_now(self) -> None:
        counters = self._probe.counters
        self._judged = counters.context_unreadable, counters.context_read

    def _take_driving(self, found: detect.Context) -> list[Worker]:
        index = {copy.place: number for number, copy in enumerate(self._copies.known)}
        workers: list[Worker] = []
        for copy in found.copies:
            if copy.place in index:
                copies = dict.fromkeys(copy.drives, index[copy.place])
                workers += self._take_entered(copy.drives, copies)
        seeded = self._before.seed(self._copies.known)
        self._read_before()  # some wake soon
        blocked_on = [
            self._add_worker(tid, "block_on") for tid in sorted(seeded - self._workers.keys())
        ]
        return workers + [worker for worker in blocked_on if worker is not None]

    def _read_tasks(self, batch: Batch, read: Threads) -> None:
        """The runtimes' tasks and queues, where Tokio's state is known."""
        if not self._copies.known or batch.ended:
            return
        if self._tasks is None:
            try:
                self._tasks = TaskReader(self.target.pid, self._addresses, self._resolver)
            except TargetError as error:
                what = f"the runtime's tasks are not read: {error}"
                self.notes += [what] * (what not in self.notes)
                return
        driving = {
            tid: Driving(scheduler, copy.layout)
            for copy in self._copies.known
            for tid, scheduler in copy.drives.items()
        }
        for tid, scheduler in read.entered.items():
            copy = self._copies.known[read.copies.get(tid, 0) % len(self._copies.known)]
            driving[tid] = Driving(scheduler, copy.layout)
        self._tasks.fill(batch, driving, int(self._probe.config.threshold_ns))
        if self._tasks.trouble:
            self.notes += [self._tasks.trouble] * (self._tasks.trouble not in self.notes)

    def _close_tasks(self) -> None:
        if self._tasks is not None:
            self._tasks.close()
            self._tasks = None

    def _attach(self, hz: int) -> None:
        self._probe.attach(self.options.sample_hz or hz)

    def _step_down(self, refusal: detect.Refusal) -> None:
        """The rungs below CONTEXT: survey the stacks, then choose by stacks and names."""
        classes = {}
        if self.options.workers is None:
            self._say("no CONTEXT: looking at the threads' stacks")
            classes = detect.classes_of(self._survey())
        self._classes = Classes(classes)
        self._refusal = refusal
        workers, self.detection = detect.find_by_ladder(
            refusal, self._thread_names(), self.options.workers, classes, self.target.pid
        )
        self._use_workers(workers)

    def _survey(self) -> dict[int, list[Stack]]:
        self._probe.config.survey = 1
        taken: dict[int, set[int]] = {}
        batch = Batch()
        end = time.monotonic() + SURVEY_S
        while time.monotonic() < end or (
            self._addresses.pending_stacks and time.monotonic() < end + 2.0
        ):
            time.sleep(0.02)
            samples = self._probe.events()
            self._take_stacks(samples, batch)
            for sample in samples:
                if sample.stack and sample.kind in (Kind.CPU, Kind.SLEEP):
                    taken.setdefault(sample.tid, set()).add(sample.stack)
            self._take_replies(batch)
            if time.monotonic() >= end:
                self._probe.config.survey = 0
        self._probe.config.survey = 0
        self._known_stacks.clear()
        return {
            tid: [batch.stacks[key] for key in sorted(keys) if key in batch.stacks]
            for tid, keys in taken.items()
        }

    def _thread_names(self) -> list[ThreadName]:
        return list_threads(self.target.pid)

    def _use_workers(self, workers: tuple[Worker, ...]) -> None:
        numbered = self._ids.number(workers)
        self._workers = {worker.tid: worker for worker in numbered}
        self._probe.set_workers({worker.tid: worker.worker_id for worker in numbered})
        self._probe.config.every_thread = not workers

    def _require_named_workers(self) -> None:
        """``--workers`` beside CONTEXT only leaves threads out; it must match some."""
        choice = find_workers(self._thread_names(), prefix=self.options.workers)
        if not choice.workers:
            raise detect.no_such_workers(choice.reason, choice.suggestion)

    def _take_entered(self, entered: dict[int, int], copies: dict[int, int]) -> list[Worker]:
        """Threads inside a runtime, as CONTEXT says: those that drive a scheduler are workers.

        New ones, and those whose runtime is known better now, as with a second copy of Tokio.
        """
        found = []
        for tid, scheduler in sorted(entered.items()):
            if not scheduler:
                continue
            runtime = self._copies.runtime(copies[tid])
            known = self._workers.get(tid)
            if known is None or known.runtime != runtime:
                found.append(self._add_worker(tid, runtime))
        return [worker for worker in found if worker is not None]

    def _add_worker(self, tid: int, runtime: str) -> Worker | None:
        name = self._names.get(tid, "")
        prefix = self.options.workers
        if prefix is not None and not name.startswith(prefix[:15]):
            self._outside.add(tid)
            return None
        (worker,) = (w for w in self._ids.number([Worker(0, tid, name, runtime)]) if w.tid == tid)
        self._workers[tid] = worker
        return worker

    # ------------------------------------------------------------------- while it runs

    @property
    def workers(self) -> list[Worker]:
        """By number; those found so far."""
        return sorted(self._workers.values(), key=lambda worker: worker.worker_id)

    @property
    def names(self) -> dict[int, str]:
        """tid -> name of the target's threads."""
        return self._names

    @property
    def period_ns(self) -> int:
        """Of the CPU samples."""
        return int(self._probe.config.period_ns)

    def filenos(self) -> tuple[int, ...]:
        """Readable when ``pump`` should be called before its time; names can wait for it."""
        return (self._life.fileno(),)

    def set_threshold(self, threshold_ns: int) -> None:
        """From the next event on."""
        if self._exact is not None:
            self._exact.keep_threshold()
        self.threshold_ns, self.threshold_from = threshold_ns, ""
        self._probe.set_threshold(threshold_ns)

    def pump(self) -> Batch:
        """Everything new. Call it every 0.1 s or so, and when a descriptor is readable."""
        batch = Batch(time.monotonic_ns())
        self._take_life(batch)
        samples = self._probe.events()
        self._take_stacks(samples, batch)
        samples, batch.details = self._waits.take(samples, batch.stacks)
        self._take_workers_of(samples, batch)
        if self._outside:
            samples = [sample for sample in samples if sample.tid not in self._outside]
        batch.samples = samples
        if self._tasks is not None:
            self._tasks.note(samples)
        self._refresh()
        self._take_replies(batch)
        self._waits.join(batch.stacks)
        if not self._copies.known and self._classes.take(samples, batch.stacks, self._workers):
            self._choose_again(batch)
        if self._exact is not None and not batch.ended:
            self._exact.watch(samples)
            self._exact.step(self._workers)
        if self._preparing is not None and not self._preparing.is_alive():
            self._preparing = None
            if not self._life.open_connector():
                self.notes.append(f"thread events from /proc: {self._life.reason}")
        return batch

    def states(self) -> Batch:
        """Every thread of the target now, and what follows from it; a few times a second."""
        now = time.monotonic_ns()
        batch = Batch(now)
        if not self._addresses.pending_unwind:
            self.notes += self._debug.unused()
        read = self._probe.threads(now)
        batch.states = read.states
        if self.options.use_context and not batch.ended:
            self._look_again(batch)
        for tid in self._ended.intersection(read.exited):
            read.entered.pop(tid, None)  # told before; a thread that is gone is no new worker
        self._ended.difference_update(read.exited)
        if self._copies.known:
            batch.workers += self._take_entered(read.entered, read.copies)
            self._judge_layout(batch)
        self._take_before(batch, last=False)
        for at, state in enumerate(read.states):
            key = state.asleep_stack
            if key and state.poll_start_ns and now - state.poll_start_ns >= STUCK_NS:
                self._fetch_stack(key, batch)
                read.states[at] = self._waits.lasting(state, now, batch.details)
        self._addresses.ask_wanted()
        self._waits.join(batch.stacks)
        if now >= self._next_host:
            self._next_host = now + HOST_INTERVAL_NS
            batch.host = self._host.read()
        batch.died += [tid for tid in read.exited if tid in self._workers]
        batch.losses = self.losses()
        batch.cost = self.cost()
        self._tell_exact(batch)
        self._read_tasks(batch, read)
        if len(self.notes) != self._notes_told:
            self._notes_told = len(self.notes)
            batch.notes = tuple(self.notes)
        return batch

    def losses(self) -> Losses:
        """What was not seen so far."""
        counters = self._probe.counters
        return Losses(
            ring_full=counters.ring_full,
            stacks_full=counters.stacks_full,
            stacks_gone=self._stacks_gone,
            threads_full=counters.threads_full,
            context_unreadable=counters.context_unreadable,
            stacks_skipped=counters.stacks_skipped,
            symbols_late=self._addresses.unnamed,
            polls_uncounted=self._exact.uncounted() if self._exact is not None else 0,
        )

    def _tell_exact(self, batch: Batch, *, last: bool = False) -> None:
        if self._exact is None:
            return
        self._exact.tell(batch, last=last)
        if batch.threshold_ns:
            self.threshold_ns, self.threshold_from = batch.threshold_ns, batch.threshold_from
            self._probe.set_threshold(batch.threshold_ns)

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
            self._addresses_take(self._resolver.wait(0.01), batch)
            time.sleep(0.002)  # lines may be all that is left to wait for
        return batch

    def finish(self) -> Batch:
        """Detach, drain once more, wait a little for names that are still looked up."""
        if self._exact is not None:
            self._exact.close()
        self._probe.detach()
        self.end_ns = time.monotonic_ns()
        batch = self.pump()
        self._tell_exact(batch, last=True)
        batch.losses = self.losses()
        batch.host = self._host.read()
        self._take_before(batch, last=True)
        until = time.monotonic() + LAST_NAMES_S
        while self._addresses.pending_stacks and time.monotonic() < until:
            self._addresses_take(self._resolver.wait(0.1), batch)
        self._waits.join(batch.stacks)
        return batch

    # ------------------------------------------------------------------- what came

    def _take_stacks(self, samples: list[Sample], batch: Batch) -> None:
        keys = {sample.stack for sample in samples if sample.kind != Kind.POLL}
        for key in keys - self._known_stacks:
            if key:
                self._fetch_stack(key, batch)
        self._addresses.ask_wanted()
        for tid in {s.other for s in samples if s.kind == Kind.LATENCY and s.other}:
            culprit = self._probe.culprit(tid)
            if culprit is not None:
                batch.culprits.append(culprit)

    def _take_before(self, batch: Batch, *, last: bool) -> None:
        """Stacks of the threads that slept in a poll before the attach, as they can be had."""
        for key in self._read_before(last=last):
            self._fetch_stack(key, batch)
        self._addresses.ask_wanted()

    def _read_before(self, *, last: bool = False) -> list[int]:
        pending = bool(self._addresses.pending_unwind) and not last
        return self._before.read_stacks(self._probe.unwind, pending=pending)

    def _fetch_stack(self, key: int, batch: Batch) -> None:
        if key in self._known_stacks or self._before.waits_for(key):
            return
        raw = self._before.stacks.get(key) or self._probe.stack(key)
        if raw is None:
            self._stacks_gone += 1
            return
        if len(self._known_stacks) >= MOST_STACKS:
            self._known_stacks.clear()
        self._known_stacks.add(key)
        if raw.stop and not self._addresses.knows(raw.addresses):
            self._refresh_wanted = True
            self._refresh()
        batch.stacks[key] = self._addresses.want(key, raw, ask=False)

    def _refresh(self) -> None:
        """New code may be mapped: a library was loaded."""
        now = time.monotonic()
        if now < (self._next_refresh if self._refresh_wanted else self._next_look):
            return
        self._refresh_wanted = False
        try:
            self._addresses.refresh()
        except TargetError:
            self._next_refresh = self._next_look = float("inf")  # gone; its end will be told
            return
        self._next_refresh = now + REFRESH_INTERVAL_S
        self._next_look = now + max(LOOK_INTERVAL_S, LOOK_SHARE * (time.monotonic() - now))

    def _look_again(self, batch: Batch) -> None:
        """A Tokio that was loaded since, or could not be found yet."""
        self._objects.ask(self.target.executable)
        late = self._image.facts is not self._facts_used
        if not (late or self._objects.changed or self._copies.due()):
            return
        try:
            found = self._find_context()
        except TargetError:
            return  # gone; its end will be told
        below = not self._copies.known
        new = self._use_layouts(found)
        if not isinstance(found, detect.Context) or not new:
            return
        if below:
            batch.withdrawn += list(self._workers)
            self._use_workers(())
            self._probe.config.every_thread = 0
            self._probe.detach()
            self._attach(CONTEXT_HZ)
        batch.workers += self._take_driving(found)
        batch.detection = self.detection

    def _take_workers_of(self, samples: list[Sample], batch: Batch) -> None:
        """Threads that poll without driving a scheduler: ``block_on`` of a multi_thread runtime."""
        if not self._copies.known:
            return
        polling = {sample.tid for sample in samples if sample.kind == Kind.POLL}
        for tid in polling - self._workers.keys() - self._outside - self._ended:
            worker = self._add_worker(tid, "block_on")
            if worker is not None:
                batch.workers.append(worker)

    def _take_replies(self, batch: Batch) -> None:
        self._addresses_take(self._resolver.replies(), batch)

    def _addresses_take(self, replies: list[Reply], batch: Batch) -> None:
        for reply in replies:
            if isinstance(reply, FactsReply | FailedReply):
                self._image.take(reply)
                self._objects.take(reply)
            if isinstance(reply, PointsReply | FailedReply) and self._exact is not None:
                self._exact.take(reply)
            if self._tasks is not None:
                self._tasks.take(reply)
        for key, stack in self._addresses.take(replies):
            batch.stacks[key] = stack
        batch.code += self._codes.take(replies)
        if self._addresses.improved:
            self._addresses.improved = False
            self._known_stacks.clear()
            if self._tasks is not None:
                self._tasks.ask_again()
        if self._addresses.notes:
            fresh = [note for note in self._addresses.notes if note not in self.notes]
            self.notes += fresh
            self._addresses.notes.clear()

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
                self._names.pop(event.tid, None)
                self._outside.discard(event.tid)
                self._classes.forget(event.tid)
                if self._workers.pop(event.tid, None) is not None:
                    self._ids.forget(event.tid)
                    self._ended.add(event.tid)
                    batch.died.append(event.tid)
                changed = True
            elif isinstance(event, Born):
                self._names.setdefault(event.tid, "")
                changed = True
            elif isinstance(event, Renamed):
                self._names[event.tid] = batch.names[event.tid] = event.name
                worker = self._workers.get(event.tid)
                if worker is not None:
                    renamed = Worker(worker.worker_id, worker.tid, event.name, worker.runtime)
                    self._workers[event.tid] = renamed
                    batch.workers.append(renamed)
                changed = True
        if changed and not batch.ended and not self._copies.known:
            self._choose_again(batch, gone)

    def _choose_again(self, batch: Batch, gone: Set[int] = frozenset()) -> None:
        """The threads, or what their stacks say, changed on a rung that goes by them.

        ``gone``: those that have just exited; /proc may still list them.
        """
        known = set(self._workers)
        try:
            workers, detection = detect.find_by_ladder(
                self._refusal,
                [thread for thread in self._thread_names() if thread.tid not in gone],
                self.options.workers,
                self._classes.known,
                self.target.pid,
            )
        except TargetError:
            return  # all of them are gone, others may come
        self._use_workers(workers)
        batch.withdrawn += known - self._workers.keys()
        batch.workers += [worker for worker in self.workers if worker.tid not in known]
        if detection.rung is not self.detection.rung:
            self.detection = batch.detection = detection

    def _replace_image(self, batch: Batch) -> None:
        """exec: other code, other layout, the same pid."""
        batch.died += list(self._workers)
        self._close_tasks()
        self._workers.clear()
        self._outside.clear()
        self._ended.clear()
        if self._exact is not None:
            self._exact.begin((), "the process runs another program now")
        self._probe.detach()
        gone = self._probe.threads(time.monotonic_ns()).states
        self._probe.forget_threads(state.tid for state in gone)
        self._addresses.clear()
        self._codes.clear()
        self._objects.clear()
        self._known_stacks.clear()
        try:
            self.target = find_target(None, self.target.pid)
            self._read_image()
            self._wait_for_image()
            self._detect()
            self._begin_exact()
        except (HudError, OSError) as error:
            self._see_latency_only(f"after exec: {error}")
        batch.detection = self.detection
        batch.target = self.target
        batch.workers += self.workers

    def _see_latency_only(self, reason: str) -> None:
        """Nothing is known of the program."""
        self._copies.clear()
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

    def _judge_layout(self, batch: Batch) -> None:
        """A layout that the kernel mostly cannot read is wrong: step down and say so."""
        counters = self._probe.counters
        bad = counters.context_unreadable - self._judged[0]
        good = counters.context_read - self._judged[1]
        if bad + good < READINGS_TO_JUDGE or bad <= (bad + good) * UNREADABLE_SHARE:
            return
        failed = f"{bad} of {bad + good} readings of CONTEXT failed"
        refused = self._copies.refuse_last()
        self._probe.set_layouts(self._copies.layouts)
        self._judge_from_now()
        if self._copies.known:
            self.notes.append(f"{refused.reason}: no longer looked at, {failed}")
            return
        self._probe.detach()
        self._attach(SAMPLED_HZ)
        self._step_down(detect.Refusal(failed, self.detection.tokio_versions))
        self._begin_exact()
        batch.detection = self.detection
        batch.workers += self.workers
