"""The account of tasks, read from a runtime that the test lays out in its own memory."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hud.errors import TargetError
from hud.model import Batch, Kind, Sample, TaskCount, TaskKind, ThreadState, TimeSplit, Where
from hud.profiler import tasks as module
from hud.profiler.contradictions import STRIKES, About
from hud.profiler.naming.cache import Cache
from hud.profiler.naming.cached_types import CachedTypes
from hud.profiler.naming.debugfiles import FileState
from hud.profiler.naming.modules import Module
from hud.profiler.tasks import PATIENCE, Driving, TaskReader
from hud.resolver.messages import AskKinds, Failed, Kinds
from hud.runtime.blocks import Block
from hud.runtime.context import LAYOUTS, layout_of
from tests.builders.asked import Asked

LAYOUT = next(layout_of(row, Block(0, 0, 80), 0, "") for row in LAYOUTS if row.first == (1, 45))
TID = 77
IDLE, READY, RUNNING = 4 << 6 | 8, 3 << 6 | 4, 3 << 6 | 1
CODE = 0x1000
HANDLE, LISTS, SCHEDULER, WORKER, CORE, QUEUE, VTABLE, TASKS = (4096 * at for at in range(8))
REMOTES, POOL = WORKER + 1024, WORKER + 2048


class Runtime:
    """A current runtime with one task of each id given, in a buffer of this process."""

    def __init__(self, states: dict[int, int]) -> None:
        self.buffer = ctypes.create_string_buffer(4096 * (9 + len(states)))
        self.base = ctypes.addressof(self.buffer) + 4096 & -4096
        self.size = len(states)
        workers, shards = 3, 16
        self.put(SCHEDULER, 1, self.at(WORKER), 0, self.at(CORE))
        self.put(WORKER, 2, 1, self.at(HANDLE), 1)
        self.put(REMOTES + 16, self.at(QUEUE), 8)
        self.put(HANDLE, 4, 1)
        self.put(HANDLE + 128 + 320, self.at(REMOTES), workers, 8, workers)
        self.put(HANDLE + 128 + 32, len(states))
        self.put(HANDLE + 128 + 368, self.at(LISTS), shards, 9, len(states), shards - 1, 1)
        self.put(CORE, 0, 0, 0, self.at(QUEUE))
        self.put(QUEUE + 16, 8, 10, 10 + len(states))
        self.put(VTABLE, *[CODE] * 7, 80, 32, 40)
        for number, (task_id, state) in enumerate(states.items()):
            header = TASKS + 4096 * number
            self.put(header, state, 0, self.at(VTABLE), 1, 0, task_id)
            self.put(LISTS + 24 * (task_id % shards) + 8, self.at(header), self.at(header))

    def at(self, place: int) -> int:
        return self.base + place

    def put(self, place: int, *words: int) -> None:
        data = struct.pack(f"<{len(words)}Q", *words)
        ctypes.memmove(self.at(place), data, len(data))

    def pool(self, threads: int, limit: int) -> None:
        """A blocking pool; ``threads`` and ``limit`` without the three workers."""
        self.put(POOL, 7, 1, 0, 0, 10, 0, self.at(POOL), self.at(POOL))
        self.put(POOL + 16 + 216, limit + 3, threads + 3, 0, 0)
        self.put(HANDLE + 128 + 832, self.at(POOL))


class Modules:
    def __init__(self, cache: Cache, key: str) -> None:
        self.types = CachedTypes(cache)
        self.key = key

    def debug_files(self, number: int) -> tuple[FileState, ...]:
        return ()

    def is_code(self, address: int) -> bool:
        return address == CODE

    def locate(self, address: int) -> tuple[Module, int]:
        return Module(3, "/app", key=self.key), address - 0x800


@contextmanager
def reader(cache: Cache | None = None) -> Iterator[tuple[TaskReader, Asked]]:
    resolver = Asked()
    modules = Modules(cache or Cache(None), "k" if cache is not None else "")
    opened = TaskReader(os.getpid(), modules, resolver)  # type: ignore[arg-type]
    try:
        yield opened, resolver
    finally:
        opened.close()


def filled(opened: TaskReader, runtime: Runtime, **more: object) -> Batch:
    batch = Batch(10**9, **more)  # type: ignore[arg-type]
    if batch.states is None:
        batch.states = [ThreadState(TID, Where.POLL, True, False, 1, 0, 0, TimeSplit())]
    opened.fill(batch, {TID: Driving(runtime.at(SCHEDULER), LAYOUT)}, 5_000_000)
    return batch


def poll(task_id: int) -> Sample:
    return Sample(1, 1, 0, 1, task_id, 0, TID, 0, 0, Kind.POLL, Where.POLL, 0)


def test_what_a_batch_is_told() -> None:
    runtime = Runtime({1: IDLE, 2: READY, 3: RUNNING})
    with reader() as (opened, resolver):
        batch = filled(opened, runtime)
        assert batch.tasks is not None
        assert batch.tasks.whole
        assert batch.tasks.counts == (TaskCount(runtime.at(VTABLE), 1, 1, 1, 0),)
        assert batch.tasks.queued == ((TID, 3),)
        assert batch.tasks.injected == 3
        assert batch.tasks.pool_threads == -1, "there is no pool here"
        assert batch.task_kinds == [TaskKind(runtime.at(VTABLE), "")]
        offset = CODE - 0x800
        assert resolver.all(AskKinds) == [AskKinds(3, [(offset,) * 5])]
        resolver.answer(AskKinds, Kinds([("app::run", "src/main.rs:1", False)]))
        named = [TaskKind(runtime.at(VTABLE), "app::run", "src/main.rs:1")]
        assert filled(opened, runtime).task_kinds == named
        opened.ask_again()
        filled(opened, runtime)
        assert len(resolver.all(AskKinds)) == 1, "debug information came late"
        resolver.answer(AskKinds, Failed("died"))
        assert opened.pending == 0


def test_a_second_run_does_not_ask_for_types_again(tmp_path: Path) -> None:
    runtime = Runtime({1: IDLE})
    with reader(Cache(tmp_path / "kept")) as (opened, resolver):
        filled(opened, runtime)
        resolver.answer(AskKinds, Kinds([("app::run", "src/main.rs:1", True)]))
    with reader(Cache(tmp_path / "kept")) as (opened, resolver):
        named = TaskKind(runtime.at(VTABLE), "app::run", "src/main.rs:1", inferred=True)
        assert filled(opened, runtime).task_kinds[-1] == named
        assert resolver.all(AskKinds) == []


def test_types_of_tasks_that_samples_and_states_name() -> None:
    runtime = Runtime({1: IDLE, 2: READY, 3: RUNNING})
    state = ThreadState(TID, Where.POLL, True, False, 1, 1, 3, TimeSplit())
    with reader() as (opened, _):
        opened.note([poll(1), poll(99), poll(0)])
        batch = filled(opened, runtime, states=[state])
        assert batch.task_ids == {1: runtime.at(VTABLE), 3: runtime.at(VTABLE)}
        opened.note([poll(1)])
        assert filled(opened, runtime, states=[state]).task_ids == {}, "each is told once"


def test_with_several_copies_of_tokio_ids_say_too_little() -> None:
    runtime = Runtime({1: IDLE})
    other = replace(LAYOUT, tls_offset=LAYOUT.tls_offset - 4096)
    with reader() as (opened, _):
        opened.note([poll(1)])
        states = [
            ThreadState(tid, Where.RUNTIME, True, False, 1, 0, 0, TimeSplit()) for tid in (1, 2)
        ]
        batch = Batch(1, states=states)
        scheduler = runtime.at(SCHEDULER)
        opened.fill(batch, {1: Driving(scheduler, LAYOUT), 2: Driving(scheduler, other)}, 5_000_000)
        assert batch.tasks is not None
        assert batch.tasks.counts
        assert batch.task_ids == {}


def test_a_walk_waits_for_its_share() -> None:
    runtime = Runtime({1: IDLE})
    with reader() as (opened, _):
        filled(opened, runtime)
        runtime.put(TASKS, READY)
        again = filled(opened, runtime).tasks
        assert again is not None
        assert again.counts[0].ready == 0, "less than INTERVAL_S later"
        opened._spent_s = 3600.0
        opened._next_walk = 0.0
        late = filled(opened, runtime).tasks
        assert late is not None
        assert late.counts[0].ready == 0
        opened.walk_now()
        now = filled(opened, runtime).tasks
        assert now is not None
        assert now.counts[0].ready == 1


def test_threads_that_never_ran_since_the_attach_are_read_while_they_live() -> None:
    runtime = Runtime({1: IDLE})
    for tid, seen in ((os.getpid(), True), (2**22 + 1, False)):
        with reader() as (opened, _):
            batch = Batch(1)
            opened.fill(batch, {tid: Driving(runtime.at(SCHEDULER), LAYOUT)}, 5_000_000)
            assert (batch.tasks is not None) is seen


def test_a_runtime_that_is_gone_is_forgotten() -> None:
    runtime = Runtime({1: IDLE})
    with reader() as (opened, _):
        assert filled(opened, runtime).tasks is not None
        runtime.put(HANDLE + 128 + 368 + 40, 2)
        assert filled(opened, runtime).tasks is None


def test_that_nothing_is_found_is_told_as_long_as_it_is_so() -> None:
    runtime = Runtime({1: IDLE})
    runtime.put(HANDLE + 128 + 368, 0)
    with reader() as (opened, _):
        for _ in range(PATIENCE):
            assert opened.trouble == ""
            assert filled(opened, runtime).tasks is None
        assert opened.trouble == (
            "the runtime's tasks have not been read yet: of the list of tasks none as in tokio 1.35"
            " to 1.54"
        )
        runtime.put(HANDLE + 128 + 368, runtime.at(LISTS))
        opened.walk_now()
        assert filled(opened, runtime).tasks is not None
        assert opened.trouble == ""


def test_memory_that_may_not_be_read() -> None:
    with pytest.raises(TargetError):
        TaskReader(2**22 + 1, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [HANDLE + 128 + 32, QUEUE + 32])
def test_queues_of_more_tasks_than_are_alive_are_not_shown(place: int) -> None:
    runtime = Runtime({1: IDLE, 2: READY})
    with reader() as (opened, _):
        fair = filled(opened, runtime).tasks
        assert fair is not None
        assert (fair.injected, fair.queued) == (2, ((TID, 2),))
        runtime.put(place, 15)
        for _ in range(STRIKES):
            assert opened.trouble == ""
            odd = filled(opened, runtime).tasks
            assert odd is not None
            assert (odd.injected, odd.queued) == (-1, ())
        assert opened.trouble == About.QUEUES.value
        runtime.put(HANDLE + 128 + 32, 2)
        runtime.put(QUEUE + 16, 8, 10, 12)
        later = filled(opened, runtime).tasks
        assert later is not None
        assert (later.injected, later.queued) == (-1, ()), "what lied is not believed again"


def test_a_list_that_does_not_hold_together_is_not_shown() -> None:
    runtime = Runtime({1: IDLE, 2: READY})
    with reader() as (opened, _):
        runtime.put(LISTS + 24 + 8, runtime.at(TASKS), runtime.at(TASKS + 4096))
        for _ in range(STRIKES - 1):
            opened.walk_now()
            odd = filled(opened, runtime).tasks
            assert odd is not None
            assert not odd.whole
            assert odd.counts
        opened.walk_now()
        left = filled(opened, runtime).tasks
        assert left is not None
        assert (left.counts, left.whole) == ((), False)
        assert opened.trouble == About.LIST.value


def test_a_pool_of_more_threads_than_there_are_is_not_shown() -> None:
    """The test's own process has less than these."""
    runtime = Runtime({1: IDLE})
    with reader() as (opened, _):
        runtime.pool(threads=1, limit=1 << 31)
        fair = filled(opened, runtime).tasks
        assert fair is not None
        assert (fair.pool_threads, fair.pool_limit) == (1, 1 << 31)
        runtime.pool(threads=1 << 20, limit=1 << 31)
        for _ in range(STRIKES):
            assert opened.trouble == ""
            odd = filled(opened, runtime).tasks
            assert odd is not None
            assert (odd.pool_threads, odd.pool_busiest) == (-1, -1)
        assert opened.trouble == About.POOL.value
        runtime.pool(threads=1, limit=1 << 31)
        later = filled(opened, runtime).tasks
        assert later is not None
        assert later.pool_threads == -1


def test_memory_that_leads_on_and_on_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime({1: IDLE})
    monkeypatch.setattr(module, "MOST_READS", 8)
    with reader() as (opened, _):
        for _ in range(PATIENCE):
            assert filled(opened, runtime).tasks is None
        assert (
            opened.trouble
            == "the runtime's tasks have not been read yet: its memory leads on and on"
        )


def test_many_runtimes_are_looked_for_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime({1: IDLE})
    monkeypatch.setattr(module, "SEARCH_S", -1.0)
    with reader() as (opened, _):
        assert filled(opened, runtime).tasks is None
