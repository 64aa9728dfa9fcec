"""Keeps an account of the target's tasks, queues and blocking pool, at a bounded cost.

All tasks are read by walking the runtimes' lists (hud.runtime.tasks); a task whose id a sample
names is looked up on its own, and its type is sent once. Walks and look-ups together take at most
SHARE of a core: the more tasks there are, the rarer is a walk. Tasks of a LocalSet are in no
runtime's list and are not read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from typing import NamedTuple

from hud.model import Batch, Kind, Sample, TaskCount, TaskKind, TasksRead, ThreadState
from hud.process.threads import count_threads, is_alive
from hud.profiler.contradictions import About, Contradictions
from hud.profiler.naming.cached_types import Asked
from hud.profiler.naming.modules import Modules
from hud.profiler.sent import Sent
from hud.resolver.client import Resolver
from hud.resolver.messages import AskKinds, Failed, Kinds
from hud.runtime import queues
from hud.runtime.context import NONE, ContextLayout
from hud.runtime.memory import Ration, memory_reader
from hud.runtime.queues import Pool, Runtime
from hud.runtime.schedulers import handle_of
from hud.runtime.tasks import Vtables, alive, find, is_there, walk

SHARE = 0.003
CREDIT_S = 0.02
"""May be spent at once, so that a short run has a walk too."""
INTERVAL_S = 1.0
"""Between two walks, at least."""
SLICE_S = 0.25
MOST_RUNTIMES = 256
MOST_READS = 20_000
"""Of memory to find one runtime's list; 3,000 were the most."""
SEARCH_S = 0.1
"""To find such lists at one reading; the others have time until the next."""
MOST_KINDS = 10_000
MOST_WANTED = 1024
LOOKED_UP = 8
"""Tasks that are looked up at one reading."""
PATIENCE = 40
"""Readings without any runtime's list until that is reported: ten seconds. The search goes on."""


class Driving(NamedTuple):
    """A thread inside a runtime: the scheduler in its CONTEXT, and the layout of that."""

    scheduler: int
    layout: ContextLayout


class TaskReader:
    """Reads one process; raises TargetError if its memory may not be read. Close it."""

    def __init__(self, pid: int, modules: Modules, resolver: Resolver) -> None:
        self._pid = pid
        self._descriptor, self._read = memory_reader(pid)
        self._modules = modules
        self._resolver = resolver
        self._vtables = Vtables(self._read, modules.is_code)
        self._runtimes: dict[int, Runtime] = {}
        """By the scheduler in CONTEXT of each of its threads."""
        self._counts: tuple[TaskCount, ...] = ()
        self._whole = True
        self._ids: dict[int, int] = {}
        self._wanted: dict[int, None] = {}
        self._sent = Sent()
        self._kinds: dict[int, TaskKind] = {}
        self._fresh: list[TaskKind] = []
        self._unnamed: dict[int, None] = {}
        self._busiest = -1
        self._full = 0, 0
        """The threads of a pool that was full, and how many jobs waited then."""
        self._begun = time.monotonic()
        self._next_walk = 0.0
        self._spent_s = 0.0
        self._misses = 0
        self._reason = ""
        self._contradictions = Contradictions()

    def close(self) -> None:
        self._resolver.drop(self)
        os.close(self._descriptor)

    @property
    def pending(self) -> int:
        """Questions for names that have no answer yet."""
        return self._resolver.pending(self)

    @property
    def content(self) -> bool:
        """Is there nothing left to find out, if no thread runs?"""
        return not (self._wanted or self._unnamed or self._fresh or self.pending)

    @property
    def trouble(self) -> str:
        """Why nothing is read, once it has been so for a while, or what is not shown; or empty."""
        patient = self._misses < PATIENCE or not self._reason
        said = "" if patient else f"the runtime's tasks have not been read yet: {self._reason}"
        return said or self._contradictions.said

    def walk_now(self) -> None:
        """The next ``fill`` walks, whatever it costs."""
        self._next_walk = 0.0
        self._spent_s = 0.0

    # ------------------------------------------------------------------- what is asked for

    def note(self, samples: Sequence[Sample]) -> None:
        """These samples may name tasks."""
        for sample in samples:
            if sample.kind == Kind.POLL and sample.task_id:
                self._want(sample.task_id)

    def _want(self, task_id: int) -> None:
        if task_id not in self._sent and len(self._wanted) < MOST_WANTED:
            self._wanted[task_id] = None

    def fill(self, batch: Batch, driving: Mapping[int, Driving], threshold_ns: int) -> None:
        """Put what is known now into a batch that has the threads' states.

        ``driving``: by tid the threads inside a runtime; those without a state did not run since
        the attach, and may be gone.
        """
        began = time.thread_time()
        ran = {state.tid for state in batch.states or ()}
        driving = {
            tid: one
            for tid, one in driving.items()
            if one.scheduler and (tid in ran or is_alive(self._pid, tid))
        }
        self._find_runtimes(driving)
        runtimes = {runtime.handle: runtime for runtime in self._runtimes.values()}
        if runtimes:
            if self._affordable() and time.monotonic() >= self._next_walk:
                self._walk(list(runtimes.values()))
            long_polls = {
                state.tid: state.task_id
                for state in batch.states or ()
                if _long_poll(state, batch.time_ns, threshold_ns)
            }
            for task_id in filter(None, long_polls.values()):
                self._want(task_id)
            # each copy of Tokio counts for itself: with several an id says too little
            if len({(one.layout.module, one.layout.tls_offset) for one in driving.values()}) == 1:
                self._look_up(list(runtimes.values()), batch)
            if not self._affordable():
                driving = {tid: one for tid, one in driving.items() if tid in long_polls}
            batch.tasks = self._reading(batch.time_ns, list(runtimes.values()), driving)
        for stats in batch.polls or ():
            if self._vtables.at(stats.vtable) is not None:
                self._learn(stats.vtable)
        self._ask_kinds()
        batch.task_kinds += self._fresh
        self._fresh = []
        self._spent_s += time.thread_time() - began

    def _affordable(self) -> bool:
        return self._spent_s <= CREDIT_S + SHARE * (time.monotonic() - self._begun)

    # ------------------------------------------------------------------- runtimes

    def _find_runtimes(self, driving: Mapping[int, Driving]) -> None:
        known_place = (
            one for one in driving.values() if one.layout.scheduler != NONE and not one.layout.early
        )
        schedulers = {one.scheduler for one in known_place}
        for known in self._runtimes.keys() - schedulers:
            del self._runtimes[known]
        for scheduler, runtime in list(self._runtimes.items()):
            if not is_there(self._read, runtime.owned):
                del self._runtimes[scheduler]  # dropped, and another is at its place
        missing = schedulers - self._runtimes.keys()
        if not self._affordable():
            missing = set()
        until = time.thread_time() + SEARCH_S
        for scheduler in sorted(missing)[: MOST_RUNTIMES - len(self._runtimes)]:
            if time.thread_time() > until:
                break
            read = Ration(self._read, MOST_READS)
            handle = handle_of(scheduler, read)
            same = next((one for one in self._runtimes.values() if one.handle == handle), None)
            found = same or queues.find_runtime(read, self._vtables, scheduler)
            if read.spent:
                found = "its memory leads on and on"
            if isinstance(found, Runtime):
                self._runtimes[scheduler] = found
            else:
                self._reason = found
        self._misses = 0 if self._runtimes or not driving else self._misses + 1

    # ------------------------------------------------------------------- tasks

    def _walk(self, runtimes: Sequence[Runtime]) -> None:
        until = time.monotonic() + SLICE_S
        counts: dict[int, TaskCount] = {}
        self._ids = {}
        self._whole = True
        for runtime in runtimes:
            found = walk(self._read, self._vtables, runtime.owned, until - time.monotonic())
            self._whole &= found.whole
            if found.broken:
                self._contradictions.see(About.LIST)
            self._ids.update(found.ids)
            for one in found.counts:
                before = counts.get(one.vtable, TaskCount(one.vtable, 0, 0, 0, 0))
                sums = (a + b for a, b in zip(before[1:], one[1:], strict=True))
                counts[one.vtable] = TaskCount(one.vtable, *sums)
        if not self._contradictions.believed(About.LIST):
            counts, self._ids, self._whole = {}, {}, False
        self._counts = tuple(counts.values())
        for vtable in counts:
            self._learn(vtable)
        self._next_walk = time.monotonic() + INTERVAL_S

    def _look_up(self, runtimes: Sequence[Runtime], batch: Batch) -> None:
        """Types of wanted tasks: as the last walk says, else among those spawned lately."""
        looked_up = 0
        now = time.monotonic_ns()
        self._sent.forget_old(now)
        for task_id in list(self._wanted):
            vtable = self._ids.get(task_id, 0)
            if not vtable:
                if looked_up >= LOOKED_UP or not self._affordable():
                    continue
                looked_up += 1
                found = (find(self._read, self._vtables, one.owned, task_id) for one in runtimes)
                vtable = next(filter(None, found), 0)
            # if it is not there it has ended, or is a LocalSet's: its type stays unknown
            del self._wanted[task_id]
            self._sent.add(task_id, now)
            if vtable:
                self._learn(vtable)
                batch.task_ids[task_id] = vtable

    # ------------------------------------------------------------------- queues

    def _reading(
        self, now_ns: int, runtimes: Sequence[Runtime], driving: Mapping[int, Driving]
    ) -> TasksRead:
        injected, queued = self._queues(runtimes, driving)
        reading = TasksRead(
            time_ns=now_ns,
            counts=self._counts,
            whole=self._whole,
            injected=injected,
            queued=queued,
        )
        pools = self._pools(runtimes)
        if len(pools) < len(runtimes):
            return reading
        threads, idle, queue, limit = map(sum, zip(*pools, strict=True))
        self._busiest = max(self._busiest, threads - idle)
        for pool in pools:
            if pool.queue > self._full[1] and pool.threads - pool.idle >= pool.limit:
                self._full = pool.limit, pool.queue
        return replace(
            reading,
            pool_threads=threads,
            pool_idle=idle,
            pool_queue=queue,
            pool_limit=limit,
            pool_busiest=self._busiest,
            pool_full=self._full[0],
            pool_waited=self._full[1],
        )

    def _queues(
        self, runtimes: Sequence[Runtime], driving: Mapping[int, Driving]
    ) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Tasks in the shared queues, -1 = unknown, and in those of threads, by tid."""
        before = sum(alive(self._read, one.owned) for one in runtimes)
        waiting = [queues.injected(self._read, runtime) for runtime in runtimes]
        queued = [
            (tid, queues.queued(self._read, one.layout, one.scheduler, runtime))
            for tid, one in sorted(driving.items(), key=itemgetter(0))
            if (runtime := self._runtimes.get(one.scheduler)) is not None
        ]
        after = sum(alive(self._read, one.owned) for one in runtimes)
        longest = max(waiting + [row[1] for row in queued])
        if longest > max(before, after):
            self._contradictions.see(About.QUEUES)
        elif self._contradictions.believed(About.QUEUES):
            known = min(waiting) >= 0
            return sum(waiting) if known else -1, tuple(row for row in queued if row[1] >= 0)
        return -1, ()

    def _pools(self, runtimes: Sequence[Runtime]) -> list[Pool]:
        """Those that are known and can be."""
        pools = [found for one in runtimes if (found := queues.pool(self._read, one)) is not None]
        if sum(pool.threads for pool in pools) > count_threads(self._pid):
            self._contradictions.see(About.POOL)
            return []
        if self._contradictions.believed(About.POOL):
            return pools
        return []

    # ------------------------------------------------------------------- types

    def ask_again(self) -> None:
        """More debug information is at hand: names may be better now."""
        self._unnamed = dict.fromkeys(self._kinds)

    def _learn(self, vtable: int) -> None:
        if vtable not in self._kinds and len(self._kinds) < MOST_KINDS:
            self._kinds[vtable] = TaskKind(vtable, "")
            self._fresh.append(self._kinds[vtable])
            self._unnamed[vtable] = None

    def _ask_kinds(self) -> None:
        """Have the names of new types, by one request for each file that their code is in."""
        wanted: dict[int, Asked] = {}
        for address in self._unnamed:
            vtable = self._vtables.at(address)
            located = [self._modules.locate(one) for one in vtable.functions] if vtable else []
            known = [one for one in located if one is not None]
            if len(known) < len(located) or len({module.number for module, _ in known}) != 1:
                continue
            module = known[0][0]
            if module.number not in wanted:
                debug = self._modules.debug_files(module.number)
                wanted[module.number] = Asked(module.key, debug, {})
            wanted[module.number].vtables[address] = tuple(offset for _, offset in known)
        for number, asked in wanted.items():
            cached = self._modules.types.of(asked.key, asked.debug_files)
            for address, offsets in list(asked.vtables.items()):
                if offsets in cached:
                    self._name(address, cached[offsets])
                    del asked.vtables[address]
            if asked.vtables:
                question = AskKinds(number, list(asked.vtables.values()))
                self._resolver.ask(question, partial(self._take, asked), owner=self)
        self._unnamed = {}

    def _name(self, vtable: int, kind: tuple[str, str, bool]) -> None:
        self._kinds[vtable] = TaskKind(vtable, *kind)
        self._fresh.append(self._kinds[vtable])

    def _take(self, asked: Asked, answer: Kinds | Failed) -> None:
        if isinstance(answer, Failed):
            return
        for vtable, kind in zip(asked.vtables, answer.kinds, strict=False):
            self._name(vtable, kind)
        self._modules.types.add(asked, answer.kinds)


def _long_poll(state: ThreadState, now_ns: int, threshold_ns: int) -> bool:
    return state.poll_start_ns > 0 and now_ns - state.poll_start_ns >= threshold_ns
