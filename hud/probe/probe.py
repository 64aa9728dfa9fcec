"""Loads hud's kernel programs, attaches them to one process and reads what they record.

A distinct stack is stored once in the kernel, by its key, until user space has fetched it. The
configuration is one mapped page that the programs read at every event, so that a threshold changes
without a reload.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import select
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hud.closing import Closing
from hud.errors import KernelError, ObjectError
from hud.kernel import attach, denied, loader, uapi
from hud.kernel.keep import Keep, Store
from hud.kernel.ring import RingBuffer
from hud.kernel.spec import ObjectSpec
from hud.model import BEGAN_BEFORE, Culprit, Sample, ThreadState, TimeSplit, Where
from hud.probe import wire
from hud.probe.unwind import UnwindTables

if TYPE_CHECKING:
    from hud.probe.exact import ExactProbe

EVIDENCE_SHARE = 4
"""Sleep of a fourth of the threshold is evidence for a poll already, and CPU time of a half. Each
piece costs a stack and an event, and most polls that long end before the threshold."""

LEAST_KERNEL_STACK = 16384
"""THREAD_SIZE of both processors, but for arm64's pages of 64 KiB, of which it is one
(arch/*/include/asm: page_64_types.h, memory.h). The programs check what they find there."""

ROWS_SPARE = 1 << 17
BUCKETS_SPARE = 1 << 16
TEXT_PER_ROW = 24
"""Bytes of machine code for each unwind row, at the least; measured: libc 30, Rust services 60+."""

THREADS_SPARE = 4
"""Times the threads that the target has now: so many may it have later, and 4096 in any case."""
LEAST_THREADS, MOST_THREADS = 4096, 65536

STACKS, STACKS_EACH_CPU = 3072, 256
"""Of the stacks that came since user space emptied the ring none must make room for another: that
is at most one for each of the events that it is woken for, 1,800, and those that come meanwhile.
Each CPU keeps up to 128 places of the map for itself (kernel/bpf/bpf_lru_list.c)."""
STACKS_KEPT = 1536
"""Stacks that the kernel may hold (half of the map) before those already fetched are deleted."""


PROGRAMS = ("hud_switch", "hud_waking", "hud_exit", "hud_start", "hud_sample")
"""Of every run."""

IN_CORE = ("core", "kinds", "park", "driver", "flags", "tick_current", "tick_multi")
"""Fields of a layout that may become known while the kernel looks at it."""


class RawStack(NamedTuple):
    """One distinct stack as the kernel walked it."""

    addresses: tuple[int, ...]
    stop: str
    """Empty = it reached the thread's start."""


class Threads(NamedTuple):
    """One reading of the per-thread map."""

    states: list[ThreadState]
    entered: dict[int, int]
    """tid -> CONTEXT.scheduler (0 = none) of the threads that have been inside a runtime."""
    exited: list[int]
    """Those whose entry was taken for the last time."""
    copies: dict[int, int]
    """tid -> which of the layouts it was last inside of, for the tids of ``entered``."""
    turns: dict[int, tuple[int, int]]
    """tid -> (task id, tick) of the threads that were in a task's poll when seen last, where the
    tick is known."""
    moved: bool
    """Has any thread run since the reading before?"""


class Probe(Closing):
    """The loaded programs; a context manager that leaves nothing behind.

    ``data`` is the compiled object, ``btf`` a file with the kernel's types where the kernel does
    not give them; ``text_bytes`` the size of the target's executable mappings, from which the
    unwind maps are sized, and ``span_bytes`` the same with what stands before the code in each
    file, ``threads`` how many it has now; ``exact`` loads the uprobe programs, too; ``store`` keeps
    them for the next start.

    Raises KernelError where the kernel refuses, ObjectError for bad data.
    """

    def __init__(
        self,
        data: bytes,
        btf: Path | None,
        *,
        tgid: int,
        threshold_ns: int,
        text_bytes: int,
        span_bytes: int = 0,
        threads: int = 0,
        exact: bool = False,
        store: Store | None = None,
    ) -> None:
        self._fetched: set[int] = set()
        self._code_pages = 0
        self._read: dict[bytes, wire.Thread] = {}
        """The threads as they were read last, by their bytes."""
        self._read_at = -1
        """How many switches there had been."""
        with ExitStack() as stack:
            sizes = map_sizes(text_bytes, span_bytes, threads, exact=exact)
            self._loaded = stack.enter_context(_load(data, btf, sizes, exact=exact, store=store))
            maps = self._loaded.maps
            self._threads = maps["threads"]
            self._stacks = maps["stacks"]
            self._workers = maps["workers"]
            self._culprits = maps["culprits"]
            self._waits = maps["waits"]
            self.config = wire.Config.from_buffer(self._variable("config", wire.Config))
            self.counters = wire.Counters.from_buffer(self._variable("counters", wire.Counters))
            self._ring = stack.enter_context(RingBuffer(maps["events"], wire.EVENT))
            self._woken = select.epoll(flags=select.EPOLL_CLOEXEC)
            stack.callback(self._woken.close)
            # by its edges: most events wait without a wake-up
            self._woken.register(self._ring.fileno(), select.EPOLLIN | select.EPOLLET)
            self.unwind = UnwindTables(
                maps["rows"].memory(),
                maps["buckets"].memory(),
                maps["mappings"].memory(),
                self.config,
            )
            self.config.tgid = tgid
            self.set_threshold(threshold_ns)
            self._links = stack.enter_context(ExitStack())
            self.exact: ExactProbe | None = None
            """None = its programs are not loaded."""
            if exact:
                from hud.probe.exact import ExactProbe

                self.exact = ExactProbe(self._loaded, tgid)
                stack.callback(self.exact.detach)
            self._stack = stack.pop_all()

    def _variable(self, name: str, kind: type[ctypes.Structure]) -> memoryview:
        view = self._loaded.variables[name].memory()
        if len(view) != ctypes.sizeof(kind):
            raise KernelError(
                f"{name}: {len(view)} bytes in the BPF object, {ctypes.sizeof(kind)} expected",
                "the object does not belong to this hud: rebuild it with tools/build_bpf",
            )
        return view

    def close(self) -> None:
        """Detach and unload; what was drained before stays valid."""
        self._stack.close()

    # ------------------------------------------------------------------- configuration

    def set_threshold(self, threshold_ns: int) -> None:
        """From the next event on."""
        self.config.threshold_ns = threshold_ns
        self.config.evidence_ns = threshold_ns // EVIDENCE_SHARE

    def set_layouts(self, layouts: Sequence[wire.Layout]) -> None:
        """Where each copy of Tokio has its CONTEXT, MAX_LAYOUTS at most; none = it cannot be read.

        ``copies`` of ``threads`` are indices here: later calls may only add to the end.
        """
        for copy, layout in enumerate(layouts[: wire.MAX_LAYOUTS]):
            words = (layout.task_tag, layout.task_id, layout.scheduler, layout.current)
            words = tuple(at for at in words if at <= wire.CONTEXT_SIZE - 8)
            layout.size = 8 + max(*words, layout.budget_tag, layout.runtime)
            if layout.task_id < 0:
                layout.size = 0  # its parts are read one by one
            layout.valid = int(layout.size <= wire.CONTEXT_SIZE)
            known = self.config.layout[copy]
            if known.valid and _same_but(known, layout, IN_CORE):
                for name in IN_CORE:  # polls go on under it
                    setattr(known, name, getattr(layout, name))
                continue
            known.valid = 0  # until all the rest is there
            layout.valid, valid = 0, layout.valid
            self.config.layout[copy] = layout
            known.valid = valid
        for copy in range(len(layouts), wire.MAX_LAYOUTS):
            self.config.layout[copy].valid = 0
        self.config.layouts = sum(layout.valid for layout in self.config.layout)

    def set_workers(self, workers: Mapping[int, int]) -> None:
        """tid -> worker id, for the rungs without CONTEXT."""
        for key, _ in list(self._workers.items()):
            if int.from_bytes(key, "little") not in workers:
                self._workers.delete(key)
        for tid, worker_id in workers.items():
            self._workers.update(tid.to_bytes(4, "little"), worker_id.to_bytes(4, "little"))

    def attach(self, sample_hz: int, *, starts: bool = False) -> None:
        """Attach everything; events flow from here on (with ``config.enabled`` set).

        ``starts``: there is one of each thread that is started, too.
        """
        programs = self._loaded.programs
        self.config.attached_ns = time.monotonic_ns()
        self.config.enabled = 1
        for name in ("hud_switch", "hud_waking", "hud_exit", *["hud_start"] * starts):
            self._links.enter_context(attach.attach_tp_btf(programs[name]))
        self._sampler = self._links.enter_context(ExitStack())
        self.config.period_ns = 0
        self.sample_at(sample_hz)

    def sample_at(self, sample_hz: int) -> None:
        """Take CPU samples at this rate from now on; nothing where the probe is not attached."""
        period_ns = 1_000_000_000 // sample_hz
        if not self.config.enabled or self.config.period_ns == period_ns:
            return
        self._sampler.close()
        self.config.period_ns = period_ns
        program = self._loaded.programs["hud_sample"]
        self._sampler.enter_context(attach.attach_perf_event(program, period=self.config.period_ns))

    def detach(self) -> None:
        """No further events; what the maps hold can still be read."""
        self.config.enabled = 0
        self._links.close()

    # ------------------------------------------------------------------- what came

    def events(self) -> list[Sample]:
        """Everything since the last call, in the order of the kernel's reservations."""
        return list(map(Sample._make, self._ring.drain()))

    def fileno(self) -> int:
        """Readable when ``code_changed`` would be true, and when many events wait."""
        return self._woken.fileno()

    def code_changed(self) -> bool:
        """Has the target mapped other code since the last call, as when it loads a library?

        Seen within some milliseconds, but not before ``config.code_after_ns``.
        """
        # no more to be readable; it may have said nothing, if events were taken
        self._woken.poll(0)
        before, self._code_pages = self._code_pages, int(self.counters.code_pages)
        return self._code_pages != before

    def stack(self, key: int) -> RawStack | None:
        """The stack of that key; None = it is gone."""
        value = self._stacks.lookup(key.to_bytes(8, "little"))
        if value is None:
            return None
        self._fetched.add(key)
        count, stop = wire.STACK_HEAD.unpack_from(value)
        count = min(count, wire.MAX_FRAMES)
        addresses = memoryview(value)[wire.STACK_HEAD.size : wire.STACK_HEAD.size + 8 * count]
        reason = wire.STOPS[stop] if stop < len(wire.STOPS) else "unknown"
        return RawStack(tuple(addresses.cast("Q")), reason)

    @property
    def crowded(self) -> bool:
        """Is it time to ``make_room`` for stacks?"""
        return len(self._fetched) >= STACKS_KEPT

    def make_room(self, known: Iterable[int]) -> None:
        """Delete the ``known`` ones among the stacks that were fetched.

        An event may be on its way that names one: user space must know it for a while.
        """
        for key in self._fetched.intersection(known):
            self._stacks.delete(key.to_bytes(8, "little"))
        self._fetched.clear()

    def wait(self, key: int) -> wire.Wait | None:
        """What the sleeps with that key (``value`` of a SLEEP) were about; None = it is gone."""
        value = self._waits.lookup(key.to_bytes(8, "little"))
        return None if value is None else wire.decode_wait(value)

    def culprit(self, tid: int) -> Culprit | None:
        """Who that thread was when it was last blamed."""
        value = self._culprits.lookup(tid.to_bytes(4, "little"))
        if value is None:
            return None
        pid, comm = wire.NAME.unpack(value)
        return Culprit(tid, pid, _text(comm))

    def threads(self, now_ns: int) -> Threads:
        """Every thread of the target that ran since the attach; exited ones for the last time."""
        states, entered, exited, copies, turns = [], {}, [], {}, {}
        layout_known = bool(self.config.layouts)
        moved = self._read_threads()
        for thread in self._read.values():
            if thread.sched == wire.SCHED_UNSEEN:
                continue  # no more than what ``seed_thread`` said
            states.append(state_of(thread, now_ns, layout_known))
            if thread.entered:
                entered[thread.tid] = thread.scheduler
                copies[thread.tid] = thread.copy
            if thread.where == Where.POLL and thread.turn_known:
                turns[thread.tid] = thread.task_id, thread.turn & 0xFFFF_FFFF
            if thread.exited:
                exited.append(thread.tid)
        self.forget_threads(exited)
        return Threads(states, entered, exited, copies, turns, moved)

    def _read_threads(self) -> bool:
        """Where one has run since, or runs; else the kernel has nothing new of any."""
        switches = int(self.counters.switches)
        running = any(thread.sched == wire.SCHED_RUNNING for thread in self._read.values())
        if switches == self._read_at and not running:
            return False
        self._read_at = switches
        known, values = self._read, (value for _, value in self._threads.items())
        self._read = {value: known.get(value) or wire.decode_thread(value) for value in values}
        return True

    def asleep_since(self, tid: int) -> int:
        """When the sleep began that this thread is in now; 0 = it is not asleep."""
        value = self._threads.lookup(tid.to_bytes(4, "little"))
        if value is None:
            return 0
        thread = wire.decode_thread(value)
        return thread.since_ns if thread.sched == wire.SCHED_ASLEEP else 0

    def unseen(self, tid: int) -> bool:
        """Is all that the kernel knows of this thread what ``seed_thread`` wrote?"""
        value = self._threads.lookup(tid.to_bytes(4, "little"))
        return value is not None and wire.decode_thread(value).sched == wire.SCHED_UNSEEN

    def seed_thread(self, thread: wire.Thread) -> bool:
        """Give the kernel the state of a thread it has not seen; False if it has, or has no room.

        Of an attached probe: a thread that was not seen has not come to a CPU since the attach.
        Without a ``poll_last_ns`` the poll in it counts only if the kernel finds the thread in the
        very same.
        """
        key = thread.tid.to_bytes(4, "little")
        try:
            self._threads.update(key, wire.encode_thread(thread), uapi.BPF_NOEXIST)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.E2BIG):
                raise
            return False
        self._read_at = -1
        return True

    def forget_threads(self, tids: Iterable[int]) -> None:
        """Drop entries of threads that user space knows to be gone."""
        for tid in tids:
            self._threads.delete(tid.to_bytes(4, "little"))
            self._read_at = -1


def map_sizes(
    text_bytes: int, span_bytes: int, threads: int = 0, *, exact: bool = False
) -> dict[str, int]:
    """Entries of the maps that the target gives their size. Unwind rows are as many as the code
    needs, buckets stand every 256 bytes from the start of a file on."""
    sizes = {
        "rows": text_bytes // TEXT_PER_ROW + ROWS_SPARE,
        "buckets": max(text_bytes, span_bytes) // 256 + BUCKETS_SPARE,
        "stacks": max(STACKS, STACKS_EACH_CPU * (os.cpu_count() or 1)),
        "threads": min(max(THREADS_SPARE * threads, LEAST_THREADS), MOST_THREADS),
    }
    return sizes if exact else sizes | {"exact_threads": 1}


def _load(
    data: bytes, btf: Path | None, sizes: dict[str, int], *, exact: bool, store: Store | None
) -> loader.LoadedObject:
    denied.allow_locked_memory(denied.running_release())
    keep = Keep(store, data, btf, f"{os.uname().release} {exact}")
    kept = keep.kept()
    if kept is not None:
        try:
            return _load_fitted(kept, sizes)
        except (KernelError, ObjectError):
            keep.forget()  # it is told from what is made afresh whether that was to blame
    try:
        made = _fitted(data, btf, exact=exact)
        loaded = _load_fitted(made, sizes)
    except KernelError:
        from hud.kernel import features

        features.require_needed()  # too old a kernel is refused in many ways
        raise
    keep.keep(made)
    return loaded


def _fitted(data: bytes, btf: Path | None, *, exact: bool) -> ObjectSpec:
    # not needed where it is kept
    from hud.kernel.btf import kernel_btf
    from hud.kernel.elf import parse_object
    from hud.kernel.fit import fit

    spec = parse_object(data, "hud")
    more: tuple[str, ...] = ()
    if exact:
        from hud.probe.exact import with_programs

        spec, more = with_programs(spec)
    return fit(spec, kernel_btf(btf), (*PROGRAMS, *more))


def _load_fitted(spec: ObjectSpec, sizes: dict[str, int]) -> loader.LoadedObject:
    stack = max(LEAST_KERNEL_STACK, mmap.PAGESIZE)
    return loader.load(spec, map_entries=sizes, constants={"kernel_stack": stack})


def state_of(thread: wire.Thread, now_ns: int, layout_known: bool) -> ThreadState:
    """Thread value -> what it does now and where its time went, the current state included."""
    lasting = max(0, now_ns - thread.since_ns) if thread.sched and not thread.exited else 0
    cpu, waiting, asleep = thread.cpu_ns, thread.waiting_ns, list(thread.asleep_ns)
    where = thread.where if thread.where < len(asleep) else 0
    if thread.sched == wire.SCHED_RUNNING:
        cpu += lasting
    elif thread.sched == wire.SCHED_RUNNABLE:
        waiting += lasting
    else:
        asleep[where] += lasting
    begun = bool(thread.poll_start_ns and thread.poll_last_ns)
    samples = thread.samples
    seen = sum(samples)
    if not seen:
        # too short to be hit by any sample: nothing but the switches is known
        samples, seen = ((0, 0, 1, 0, 0, 0) if layout_known else (1, 0, 0, 0, 0, 0)), 1
    poll = cpu * (samples[Where.POLL] + samples[Where.ROOT]) // seen
    allowed = cpu * samples[Where.ALLOWED] // seen
    unknown = cpu * samples[Where.UNKNOWN] // seen
    return ThreadState(
        tid=thread.tid,
        where=Where(where),
        running=thread.sched == wire.SCHED_RUNNING,
        runnable=thread.sched == wire.SCHED_RUNNABLE,
        since_ns=thread.since_ns,
        poll_start_ns=thread.poll_start_ns if begun else 0,
        task_id=thread.task_id,
        split=TimeSplit(
            poll_cpu_ns=poll,
            poll_asleep_ns=asleep[Where.POLL] + asleep[Where.ROOT],
            waiting_ns=waiting,
            parked_ns=asleep[Where.RUNTIME],
            allowed_ns=allowed + asleep[Where.ALLOWED],
            runtime_ns=cpu - poll - allowed - unknown,
            unknown_cpu_ns=unknown,
            unknown_asleep_ns=asleep[Where.UNKNOWN],
            outside_ns=asleep[Where.FOREIGN],
        ),
        asleep_stack=thread.stack if thread.sched == wire.SCHED_ASLEEP else 0,
        syscall=-1 if thread.syscall == wire.NOT_A_SYSCALL else thread.syscall,
        argument=thread.argument,
        began_before=begun and thread.begin_uncertain_us == BEGAN_BEFORE,
        slept_ns=thread.poll_asleep_ns if begun else 0,
        waited_ns=thread.poll_waiting_ns if begun else 0,
        doubts=thread.doubts if begun else 0,
    )


def _same_but(one: wire.Layout, other: wire.Layout, names: tuple[str, ...]) -> bool:
    """Whether all is the same but these fields and those that the kernel sets."""
    names += wire.LEARNED
    fields = (name for name, _ in wire.Layout._fields_ if name not in names)
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def _text(comm: bytes) -> str:
    return comm.split(b"\0")[0].decode("utf-8", "surrogateescape")
