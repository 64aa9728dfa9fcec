"""Runtimes in memory that the test makes up: their queues and their blocking pool."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.runtime.blocks import Block
from hud.runtime.context import LAYOUTS, NONE, layout_of
from hud.runtime.queues import (
    Pool,
    Runtime,
    find_runtime,
    injected,
    pool,
    queued,
)
from hud.runtime.schedulers import handle_of
from hud.runtime.tasks import Vtables

SCHEDULER, WORKER, ARC, LISTS, INNER, CORE, QUEUE = (0x10_000 * at for at in range(1, 8))
VTABLE, TASK = 0x90_000, 0x91_000
NAME, BUFFER, REMOTES, UNPARK = 0xA0_000, 0xA1_000, 0xA2_000, 0xA3_000


class Row(NamedTuple):
    """Offsets in the handle's and the pool's data, as the versions have them."""

    multi: bool
    data: int
    """Of an Arc: where its data begin."""
    owned: int
    added: bool
    remotes: int
    metrics: int
    inject: int
    spawner: int
    cap: int
    pool_metrics: int
    keep_alive: int
    run_queue: int = 24
    """In the Core."""
    park: int = 8
    tick: int = 104


ROWS = {
    "1.38": Row(True, 16, 88, False, 72, 136, 152, 384, 216, 224, 16),
    "1.44": Row(True, 16, 120, True, 104, 176, 192, 440, 216, 224, 16),
    "1.47": Row(True, 16, 112, True, 96, 168, 184, 440, 216, 224, 16),
    "1.54": Row(True, 128, 368, True, 320, 336, 32, 832, 984, 1000, 920),
    "1.44 unstable": Row(True, 16, 208, True, 192, 264, 280, 592, 216, 224, 16, 192, 208, 224),
    "1.47 parking_lot": Row(True, 16, 112, True, 96, 168, 184, 440, 224, 232, 16),
    "1.52.0": Row(True, 16, 112, True, 96, 168, 184, 496, 848, 856, 16, 16, 0, 96),
    "1.54 unstable": Row(True, 128, 592, True, 544, 560, 32, 1072, 984, 1000, 920, 192, 256, 272),
    "1.54 taskdump": Row(True, 128, 560, True, 304, 320, 32, 1200, 992, 1008, 928),
    "1.38 current": Row(False, 16, 72, False, 0, 0, 152, 288, 216, 224, 16),
    "1.47 current": Row(False, 128, 224, True, 0, 0, 312, 576, 216, 224, 16),
    "1.54 current": Row(False, 128, 184, True, 0, 0, 176, 584, 984, 1000, 920),
}
LAYOUT = next(layout_of(row, Block(0, 0, 80), 0, "") for row in LAYOUTS if row.first == (1, 45))


class Memory:
    def __init__(self, row: Row) -> None:
        self.words: dict[int, int] = {}
        self.row = row
        workers = 3 if row.multi else 0
        shards = 16 if row.multi else 4
        handle = ARC + row.data
        first = WORKER if row.multi else ARC
        self.put(SCHEDULER, int(row.multi), first, 0, CORE)
        self.put(WORKER, 2, 1, ARC, 1)
        self.put(ARC, 4, 1)
        self.put(CORE, 0)
        numbers = [9, 1] if row.added else [1]
        self.put(handle + row.owned, LISTS, shards, *numbers, shards - 1, 1)
        if row.multi:
            self.put(handle + row.remotes, REMOTES, workers)
            self.put(REMOTES + 16, QUEUE, UNPARK)
            self.put(CORE + row.run_queue, QUEUE)
            self.put(QUEUE + 16, BUFFER, 0, 0)
            self.put(handle + row.metrics, 1, workers)
            self.put(handle + row.inject, 258)
        else:
            self.put(handle + row.inject - 32, 0, TASK, TASK, 0, 258)
        if row.owned < row.inject and not row.multi:
            self.put(handle + row.owned - 8, 61)  # the event interval, the last of the Config
        self.put(handle + row.spawner, INNER)
        self.put(LISTS + 8, TASK, TASK)
        self.put(LISTS + 24 * shards - 8, 0)
        self.put(TASK, 3 << 6, 0, VTABLE, 1, 0, 5)
        self.put(VTABLE, *[0x1000] * 7, 80, 32, 40)
        inner = INNER + 16
        self.put(INNER, 7, 1)
        self.put(inner + row.keep_alive - 16, 0, 0, 10, 0, NAME, NAME)
        self.put(inner + row.cap, 512 + workers)
        self.put(inner + row.pool_metrics, 9 + workers, 2, 4)

    def put(self, address: int, *words: int) -> None:
        for place, word in enumerate(words):
            self.words[address + 8 * place] = word

    def read(self, address: int, size: int) -> bytes:
        pages = {place >> 16 for place in self.words}
        if address >> 16 not in pages or address % 4:
            return b""
        start = address & -8
        words = [self.words.get(place, 0) for place in range(start, address + size, 8)]
        data = struct.pack(f"<{len(words)}Q", *words)
        return data[address - start :][:size]

    def vtables(self) -> Vtables:
        return Vtables(self.read, lambda address: address == 0x1000)


def found_in(memory: Memory) -> Runtime:
    runtime = find_runtime(memory.read, memory.vtables(), SCHEDULER)
    assert isinstance(runtime, Runtime)
    return runtime


@pytest.mark.parametrize("version", ROWS)
def test_queues_and_pool_of_each_version(version: str) -> None:
    memory = Memory(ROWS[version])
    assert handle_of(SCHEDULER, memory.read) == ARC
    runtime = found_in(memory)
    assert runtime.owned.owner_id == 1
    assert runtime.workers == (3 if memory.row.multi else 0)
    assert injected(memory.read, runtime) == 258
    assert pool(memory.read, runtime) == Pool(threads=9, idle=2, queue=4, limit=512)
    memory.put(runtime.pool_metrics, 600)
    assert pool(memory.read, runtime) is None


def test_what_does_not_fit_is_unknown_not_guessed() -> None:
    memory = Memory(ROWS["1.54"])
    handle = ARC + 128
    memory.put(handle + 336, 1, 4)  # as many WorkerMetrics as no runtime has
    runtime = found_in(memory)
    assert (runtime.workers, runtime.injected) == (0, 0)
    assert injected(memory.read, runtime) == -1
    memory.put(SCHEDULER, 2)
    assert find_runtime(memory.read, memory.vtables(), SCHEDULER) == (
        "no scheduler as in tokio 1.29 to 1.54"
    )


def stale(memory: Memory, at: int, *, tasks: int = 0) -> None:
    """What building the list left in the heap, of the same shards and owner."""
    shards = 16 if memory.row.multi else 4
    memory.put(ARC + at, LISTS, shards, 0, tasks, shards - 1, 1)


@pytest.mark.parametrize("version", ["1.44", "1.54", "1.54 current"])
def test_a_stale_copy_behind_the_handle_is_no_second_list(version: str) -> None:
    memory = Memory(ROWS[version])
    stale(memory, 1400)
    runtime = found_in(memory)
    assert runtime.owned.alive == ARC + memory.row.data + memory.row.owned + 24
    memory.put(ARC - 8, 1297)
    assert found_in(memory) == runtime


def test_beyond_the_chunk_of_the_handle_nothing_is_looked_at() -> None:
    memory = Memory(ROWS["1.44"])
    memory.put(ARC - 8, 529)
    other = LISTS + 0x1000
    memory.put(other + 8, TASK, TASK)
    memory.put(ARC + 776, other, 1, 1, 1, 0, 1)
    assert found_in(memory).owned.lists == LISTS
    memory.put(ARC - 8, 0)
    assert find_runtime(memory.read, memory.vtables(), SCHEDULER) == (
        "of the list of tasks 2 places look like it"
    )


def test_of_a_list_and_its_copy_the_one_that_counts_is_it() -> None:
    memory = Memory(ROWS["1.44"])
    owned = ARC + 16 + 120
    memory.put(owned + 24, 0)
    stale(memory, 1400, tasks=3)
    assert found_in(memory).owned.alive == ARC + 1400 + 24


def test_an_empty_list_is_one_where_something_else_proves_it() -> None:
    memory = Memory(ROWS["1.54"])
    memory.put(LISTS + 8, 0, 0)
    memory.put(ARC + 128 + 368 + 24, 0)
    assert found_in(memory).workers == 3
    memory.put(ARC + 128 + 320 + 8, 17)
    assert found_in(memory).pool == 0, "the pool does, too, but not how many of it are workers"
    memory.put(INNER, 0)
    assert find_runtime(memory.read, memory.vtables(), SCHEDULER) == (
        "no task is in the list, and nothing else proves it"
    )


def test_no_list_at_all_is_told_as_that() -> None:
    memory = Memory(ROWS["1.54"])
    memory.put(ARC + 128 + 368, 0)
    assert find_runtime(memory.read, memory.vtables(), SCHEDULER) == (
        "of the list of tasks none as in tokio 1.35 to 1.54"
    )


def test_a_scheduler_without_a_tag_has_its_handle_first() -> None:
    memory = Memory(ROWS["1.54 current"])
    memory.put(SCHEDULER, ARC, 0, CORE, 0)
    assert handle_of(SCHEDULER, memory.read) == ARC
    assert found_in(memory).injected


@pytest.mark.parametrize("version", ["1.47", "1.54"])
def test_the_pools_numbers_are_not_read_one_word_late(version: str) -> None:
    """Where a Condvar's first word is small, the next row fits as well."""
    memory = Memory(ROWS[version])
    inner = INNER + 16
    memory.put(inner + memory.row.pool_metrics, 9 + 3, 5, 4)
    memory.put(inner + memory.row.keep_alive + 8, 0, NAME, NAME)
    assert pool(memory.read, found_in(memory)) == Pool(threads=9, idle=5, queue=4, limit=512)


def test_the_pool_ends_with_its_chunk() -> None:
    memory = Memory(ROWS["1.47"])
    inner = INNER + 16
    memory.put(inner + 848, 100, 9, 2, 0)
    assert found_in(memory).pool == 0, "two places"
    memory.put(INNER - 8, 289)
    assert found_in(memory).pool == inner + 216


@pytest.mark.parametrize(
    ("lifo", "head", "tail", "expected"),
    [
        (0, 0, 0, 0),
        (TASK, 0, 0, 1),
        (TASK, 100, 249, 150),
        (0, (1 << 32) - 2, 3, 5),
        (0, 10, 5, -1),
        (0, 0, 257, -1),
    ],
)
@pytest.mark.parametrize("version", ["1.47", "1.44 unstable", "1.54 unstable", "1.52.0"])
def test_a_workers_own_queue(version: str, lifo: int, head: int, tail: int, expected: int) -> None:
    row = ROWS[version]
    memory = Memory(row)
    layout = replace(LAYOUT, tick_multi=row.tick)
    runtime = found_in(memory)
    if row.park:
        memory.put(CORE + row.park - 8, lifo)
    # the upper half of the head is where stealers are
    memory.put(QUEUE + 16, BUFFER, (77 << 32) | head, tail)
    waiting = expected - bool(lifo)
    assert queued(memory.read, layout, SCHEDULER, runtime) == waiting, "it is parked"
    memory.put(CORE + row.park, UNPARK)
    seen = expected if row.park else waiting
    assert queued(memory.read, layout, SCHEDULER, runtime) == seen
    memory.put(WORKER + 24, 3)
    assert queued(memory.read, layout, SCHEDULER, runtime) == -1, "no worker has this index"


@pytest.mark.parametrize("before", [72, 32])
def test_a_current_thread_runtimes_own_queue(before: int) -> None:
    memory = Memory(ROWS["1.54 current"])
    layout = replace(LAYOUT, tick_current=136)
    runtime = found_in(memory)
    memory.put(CORE + 136 - before, 64, BUFFER, 3, 50)
    assert queued(memory.read, layout, SCHEDULER, runtime) == 50
    memory.put(CORE + 136 - before, 64, BUFFER, 3, 65)
    assert queued(memory.read, layout, SCHEDULER, runtime) == -1
    assert LAYOUT.tick_current == NONE
    assert queued(memory.read, LAYOUT, SCHEDULER, runtime) == -1


def test_a_worker_without_its_core_has_no_queue() -> None:
    memory = Memory(ROWS["1.54"])
    runtime = found_in(memory)
    memory.put(SCHEDULER + 24, 0)
    assert queued(memory.read, LAYOUT, SCHEDULER, runtime) == -1


@settings(deadline=None)
@given(st.data())
def test_garbage_never_raises(data: st.DataObject) -> None:
    memory = Memory(ROWS[data.draw(st.sampled_from(sorted(ROWS)))])
    found = find_runtime(memory.read, memory.vtables(), SCHEDULER)
    for _ in range(data.draw(st.integers(1, 10))):
        place = data.draw(st.sampled_from(sorted(memory.words)))
        memory.put(place, data.draw(st.integers(0, (1 << 64) - 1) | st.sampled_from([0, ARC])))
    find_runtime(memory.read, memory.vtables(), SCHEDULER)
    if isinstance(found, Runtime):
        assert queued(memory.read, LAYOUT, SCHEDULER, found) >= -1
        assert injected(memory.read, found) >= -1
        pool(memory.read, found)
