"""Cores in memory that is laid out as each Tokio does, with what lies in the way."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.runtime.context import NONE, ContextLayout
from hud.runtime.cores import (
    Cores,
    TickOffset,
    chunk_offsets,
    content_offsets,
    driver_at,
    unproven,
)
from hud.runtime.schedulers import Scheduler, scheduler_at

BASE, SIZE = 0x7000_0000, 0x8000
CONTEXT, WORKER, HANDLE, REMOTES, UNPARK, QUEUE = (BASE + 0x400 * place for place in range(1, 7))
CORES = BASE + 0x4000
LAYOUT = ContextLayout(
    tokio="1.45 to 1.54", size=80, tls_offset=0, task_tag=NONE, task_id=48, budget_tag=68,
    runtime=70, scheduler=40, core=24, tick_multi=104, tick_current=NONE, why="",
)  # fmt: skip
STABLE, ODD, UNSTABLE = (104, 8, 24), (96, 0, 16), (272, 256, 24)
"""Tick, park and run queue of a worker's Core: 1.54, 1.52.0 and 1.54 with ``tokio_unstable``."""
BEHIND = (224, 208, 192)
"""1.41 with ``tokio_unstable``: the run queue is behind the metrics."""


class Memory:
    def __init__(self) -> None:
        self.data = bytearray(SIZE)
        self.words(HANDLE, 3, 1)
        self.words(HANDLE + 16 + 96, REMOTES, 4)
        self.words(UNPARK, 2, 1)

    def words(self, address: int, *words: int) -> None:
        struct.pack_into(f"<{len(words)}Q", self.data, address - BASE, *words)

    def read(self, address: int, size: int) -> bytes:
        start = address - BASE
        return bytes(self.data[start : start + size]) if 0 <= start < SIZE else b""

    def worker(self, index: int, shape: tuple[int, int, int], *, parked: bool) -> int:
        """A worker's Context, its Core at hand."""
        tick, park, queue = shape
        context, worker, core = CONTEXT + 64 * index, WORKER + 64 * index, CORES + 0x400 * index
        self.words(worker, 2, 1, HANDLE, index)
        self.words(context, 1, worker, 0, core)
        self.words(core - 8, (tick + 16 + 8 + 15) // 16 * 16 | 5)
        self.words(core, *(0xAAAA_AAAA_AAAA_0000 + number for number in range(tick // 8)))
        self.words(core + queue, QUEUE + 32 * index)
        self.words(QUEUE + 32 * index, 2, 1)
        self.words(core + park, 0 if parked else UNPARK)
        self.words(REMOTES + 16 * index, QUEUE + 32 * index, UNPARK)
        struct.pack_into("<II4B", self.data, core - BASE + tick, 77 + index, 61, 1, 0, 0, 1)
        return context

    def current(self, tick: int, *, tagged: bool = True, metrics: int = 40) -> int:
        core = CORES
        tag = (0,) if tagged else ()
        self.words(CONTEXT, *tag, HANDLE, 1, core)
        self.words(core, 3)
        self.words(core + tick - metrics - 32, 64, QUEUE, 63, 2)
        struct.pack_into("<IIB", self.data, core - BASE + tick, 9, 31, 0)
        return CONTEXT


def looked(memory: Memory, *schedulers: int, layout: ContextLayout = LAYOUT) -> ContextLayout:
    cores = Cores(layout)
    cores.look(schedulers, memory.read)
    return cores.applied(layout)


# --------------------------------------------------------------------------- scheduler::Context


def test_a_context_with_a_tag_and_one_without() -> None:
    memory = Memory()
    worker = memory.worker(0, STABLE, parked=True)
    assert scheduler_at(worker, memory.read) == Scheduler(False, WORKER, 24, CORES)
    assert scheduler_at(memory.current(88), memory.read) == Scheduler(True, HANDLE, 24, CORES)
    untagged = memory.current(88, tagged=False)
    assert scheduler_at(untagged, memory.read) == Scheduler(True, HANDLE, 16, CORES)


@pytest.mark.parametrize(
    "words",
    [
        (2, WORKER, 0, CORES),  # multi_thread_alt
        (1, WORKER, 5, CORES),
        (1, 0, 0, CORES),
        (1, BASE + 0x7000, 0, CORES),  # no Arc: its counts are 0
        (1, WORKER, 0, 8),
        (0, 0, HANDLE, CORES),  # a zero before a pointer to the handle
        (HANDLE + 4, 0, CORES, 0),
    ],
)
def test_what_is_no_context_of_a_scheduler(words: tuple[int, ...]) -> None:
    memory = Memory()
    memory.worker(0, STABLE, parked=True)
    memory.words(CONTEXT, *words)
    assert scheduler_at(CONTEXT, memory.read) is None
    assert looked(memory, CONTEXT) == unproven(LAYOUT)
    assert looked(memory, 8) == unproven(LAYOUT)


# --------------------------------------------------------------------------- the tick


@pytest.mark.parametrize("shape", [STABLE, ODD, UNSTABLE, BEHIND, (64, 8, 24), (200, 8, 24)])
def test_the_tick_of_workers_wherever_it_is(shape: tuple[int, int, int]) -> None:
    memory = Memory()
    schedulers = [memory.worker(index, shape, parked=index > 0) for index in range(3)]
    tick, park, _ = shape
    expected = replace(LAYOUT, tick_multi=tick, park=park, flags=True)
    assert looked(memory, *schedulers) == expected


@pytest.mark.parametrize("tick", [88, 136, 160, 192, 312])
@pytest.mark.parametrize("tagged", [True, False])
def test_the_tick_of_a_current_thread_core(tick: int, tagged: bool) -> None:
    memory = Memory()
    layout = looked(memory, memory.current(tick, tagged=tagged))
    assert (layout.tick_current, layout.tick_multi, layout.driver) == (tick, NONE, 0)
    assert (layout.core, layout.untagged) == ((24, False) if tagged else (16, True))


def test_nothing_is_known_without_a_core_at_hand() -> None:
    memory = Memory()
    scheduler = memory.worker(0, STABLE, parked=True)
    memory.words(scheduler + 24, 0)
    cores = Cores(LAYOUT)
    cores.look([scheduler], memory.read)
    assert cores.applied(LAYOUT) == replace(LAYOUT, tick_multi=NONE)
    assert not cores.settled
    memory.words(scheduler + 24, CORES)
    cores.look([scheduler], memory.read)
    assert cores.applied(LAYOUT) == replace(LAYOUT, park=8, flags=True)
    assert cores.settled


def test_what_looks_like_a_tick_behind_a_core_is_none() -> None:
    memory = Memory()
    scheduler = memory.worker(0, UNSTABLE, parked=True)
    memory.words(CORES - 8, 0)  # another allocator than glibc's
    struct.pack_into("<IIQ", memory.data, CORES - BASE + 616, 5, 61, 1)
    assert looked(memory, scheduler).tick_multi == 272
    # nearer there are two: unknown, or as the table says
    struct.pack_into("<IIQ", memory.data, CORES - BASE + 400, 5, 61, 1)
    assert looked(memory, scheduler).tick_multi == NONE
    assert looked(memory, scheduler, layout=replace(LAYOUT, tick_multi=272)).tick_multi == 272
    memory.words(CORES - 8, 304 | 5)
    assert looked(memory, scheduler).tick_multi == 272


def test_nanoseconds_of_an_instant_are_no_tick() -> None:
    memory = Memory()
    memory.worker(0, UNSTABLE, parked=True)
    memory.words(CORES - 8, 0)
    found_tick = TickOffset(current=False)
    worker = Scheduler(False, WORKER, 24, CORES)
    for nanos, tick, found in ((900_000_000, 77, NONE), (900_000_100, 99, NONE), (3, 99, 272)):
        memory.words(CORES + 168, 61 << 32 | nanos, 0)  # and padding
        struct.pack_into("<I", memory.data, CORES - BASE + 272, tick)
        found_tick.look(worker, memory.read)
        assert found_tick.offset == found


@pytest.mark.parametrize("interval", [1, 1000, 100_000])
def test_an_interval_of_the_programs_own_is_found_by_the_chunk(interval: int) -> None:
    memory = Memory()
    scheduler = memory.worker(0, STABLE, parked=True)
    struct.pack_into("<I", memory.data, CORES - BASE + 108, interval)
    assert looked(memory, scheduler).tick_multi == 104
    memory.words(CORES - 8, 0)
    assert looked(memory, scheduler).tick_multi == NONE


def test_the_tick_of_rust_1_63_has_two_words_behind_it() -> None:
    memory = Memory()
    scheduler = memory.worker(0, (56, 8, 24), parked=True)
    struct.pack_into("<IIII4B", memory.data, CORES - BASE + 56, 9, 61, 7, 0x9E3779B9, 1, 0, 0, 1)
    layout = looked(memory, scheduler)
    assert (layout.tick_multi, layout.flags) == (56, False)


def test_all_cores_of_a_kind_must_agree() -> None:
    memory = Memory()
    one, other = memory.worker(0, STABLE, parked=True), memory.worker(1, STABLE, parked=True)
    struct.pack_into("<IIQ", memory.data, CORES - BASE + 40, 5, 61, 1)
    memory.words(CORES - 8, 0)
    assert looked(memory, one, layout=replace(LAYOUT, tick_multi=64)).tick_multi == NONE
    assert looked(memory, one, other, layout=replace(LAYOUT, tick_multi=64)).tick_multi == 104


def test_a_core_that_is_gone_does_not_spoil_what_follows() -> None:
    memory = Memory()
    scheduler = memory.worker(0, STABLE, parked=True)
    cores = Cores(LAYOUT)
    cores.look([scheduler], memory.read)
    kept = bytes(memory.data)
    memory.data[CORES - BASE - 8 : CORES - BASE + 512] = b"\xee" * 520
    cores.look([scheduler], memory.read)
    assert cores.applied(LAYOUT).tick_multi == NONE
    memory.data[:] = kept
    cores.look([scheduler], memory.read)
    assert cores.applied(LAYOUT).tick_multi == 104


def test_a_refuted_tick_never_counts_again() -> None:
    memory = Memory()
    scheduler = memory.worker(0, STABLE, parked=True)
    cores = Cores(LAYOUT)
    cores.look([scheduler], memory.read)
    cores.refute(scheduler, memory.read)
    assert cores.applied(LAYOUT).tick_multi == NONE
    cores.look([scheduler], memory.read)
    assert cores.applied(LAYOUT).tick_multi == NONE
    assert "no tick of multi_thread" in cores.unknown[0]


# --------------------------------------------------------------------------- parked


def test_two_places_with_unpark_prove_nothing_however_often_they_are_seen() -> None:
    memory = Memory()
    workers = [memory.worker(index, STABLE, parked=False) for index in range(3)]
    for index in range(3):
        memory.words(CORES + 0x400 * index + 88, UNPARK)  # before the tick
    cores = Cores(LAYOUT)
    for _ in range(5):
        cores.look(workers, memory.read)
        assert cores.applied(LAYOUT).park == NONE
    memory.words(CORES + 88, 0x34C)
    cores.look(workers, memory.read)
    assert cores.applied(LAYOUT).park == 8


def test_a_stale_copy_of_unpark_is_not_the_parker() -> None:
    memory = Memory()
    tick, park, _ = UNSTABLE
    workers = [memory.worker(index, UNSTABLE, parked=index == 1) for index in range(3)]
    for index in range(3):
        memory.words(CORES + 0x400 * index + 8, UNPARK)  # before the run queue
        memory.words(CORES + 0x400 * index + 56, UNPARK)
    layout = looked(memory, *workers[:2])
    assert (layout.tick_multi, layout.park) == (tick, NONE)  # never 0, and not the only one
    memory.words(CORES + 0x800 + 8, 0xBAD)
    assert looked(memory, *workers).park == park


def test_no_parker_without_the_remotes_of_its_runtime() -> None:
    memory = Memory()
    worker = memory.worker(0, STABLE, parked=True)
    memory.words(REMOTES, QUEUE + 8, UNPARK)
    assert looked(memory, worker).park == NONE
    memory.words(WORKER + 24, 1 << 40)
    assert looked(memory, worker).park == NONE


@pytest.mark.parametrize(("metrics", "found"), [(40, 0), (0, 0), (8, NONE)])
def test_a_driver_is_before_the_queue_of_a_current_thread_core(metrics: int, found: int) -> None:
    memory = Memory()
    memory.current(192, metrics=metrics)
    assert driver_at(memory.read(CORES, 512), 192) == found


def test_there_is_no_driver_where_the_queue_has_no_room() -> None:
    for tick in range(0, 200, 8):
        assert driver_at(bytes(1024), tick) == NONE
        assert driver_at(bytes(40), tick) == NONE  # where memory ends


def test_the_cores_of_rust_1_63() -> None:
    """As they were in the corpus with Tokio 1.38 and Debian 12's compiler."""
    memory = Memory()
    core = struct.pack("<6Q", 0x50, 0x56, QUEUE, 0x80, 0, UNPARK)
    assert driver_at(core, 48) == 32
    assert driver_at(struct.pack("<6Q", 0x50, 0x56, QUEUE, 0x81, 0, UNPARK), 48) == NONE
    worker = memory.worker(0, (56, 16, 8), parked=False)
    memory.words(CORES, 0)
    struct.pack_into(
        "<IIQ4B", memory.data, CORES - BASE + 56, 0x1C2, 2, 0xA4B3EACE56902A5D, *(1, 0, 0, 0)
    )
    memory.words(CORES - 8, 0x61)
    cores = Cores(LAYOUT)
    for _ in range(2):
        cores.look([worker], memory.read)
    found = cores.applied(LAYOUT)
    assert (found.tick_multi, found.park, found.flags) == (56, 16, False)


# --------------------------------------------------------------------------- whatever is there


@given(st.binary(max_size=600), st.binary(max_size=8), st.booleans())
def test_any_bytes_give_a_result(data: bytes, header: bytes, current: bool) -> None:
    memory = Memory()
    scheduler = memory.worker(0, STABLE, parked=True)
    memory.data[CORES - BASE - 8 : CORES - BASE - 8 + len(data)] = data
    memory.words(scheduler, int(not current))
    layout = looked(memory, scheduler)
    assert layout.tick_multi % 8 == 0 or layout.tick_multi == NONE
    for offset in content_offsets(data, current=current):
        assert 0 <= offset < len(data)
    for offset in chunk_offsets(data, header, current=current, read=memory.read):
        assert 0 <= offset < len(data)


@given(st.binary(min_size=64, max_size=64))
def test_any_context_gives_a_result(data: bytes) -> None:
    memory = Memory()
    memory.data[CONTEXT - BASE : CONTEXT - BASE + 64] = data
    looked(memory, CONTEXT)
