"""Thread descriptors and CONTEXT in memory that the test makes up."""

from __future__ import annotations

import os
import struct
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.errors import TargetError
from hud.model import Mapping
from hud.process.mappings import read_mappings
from hud.runtime.context import NONE, ContextLayout
from hud.runtime.live import (
    MOST_BYTES,
    MUSL_PREV,
    MUSL_TID,
    PTHREAD_TID,
    TAIL,
    WHOLE,
    Reading,
    choose,
    confirm,
    lent_core,
    thread_pointers,
    turn_of,
    with_cores,
)
from hud.runtime.memory import memory_reader

STACKS = 0x7F00_0000_0000


class Memory:
    """Regions of bytes; a read may cross none of their ends."""

    def __init__(self) -> None:
        self.regions: dict[int, bytearray] = {}
        self.read_bytes = 0

    def region(self, start: int, size: int, **fields: object) -> Mapping:
        self.regions[start] = bytearray(size)
        return Mapping(start, start + size, 0, False, "", writable=True)

    def write(self, address: int, data: bytes) -> None:
        start = max(begin for begin in self.regions if begin <= address)
        self.regions[start][address - start : address - start + len(data)] = data

    def read(self, address: int, size: int) -> bytes:
        self.read_bytes += size
        for start, data in self.regions.items():
            if start <= address < start + len(data):
                return bytes(data[address - start : address - start + size])
        return b""

    def descriptor(self, address: int, tid: int) -> None:
        self.write(address, struct.pack("<3Q", address, 0xD7, address))
        self.write(address + PTHREAD_TID, struct.pack("<I", tid))


@pytest.fixture
def memory() -> Memory:
    return Memory()


# --------------------------------------------------------------------------- thread pointers


def test_descriptors_at_the_end_of_stacks_and_in_small_mappings(memory: Memory) -> None:
    stack = memory.region(STACKS, 8 << 20)
    main = memory.region(STACKS - (1 << 20), 0x3000)
    memory.descriptor(stack.end - 0x940, 11)
    memory.descriptor(main.start + 0x740, 10)
    found = thread_pointers([10, 11], [stack, main], memory.read)
    assert found == {11: stack.end - 0x940, 10: main.start + 0x740}


@pytest.mark.parametrize("size", [WHOLE, WHOLE + 4096])
def test_how_much_of_a_mapping_is_read(memory: Memory, size: int) -> None:
    region = memory.region(STACKS, size)
    memory.descriptor(region.start + 64, 1)
    memory.descriptor(region.end - TAIL, 2)
    whole = size <= WHOLE
    assert set(thread_pointers([1, 2], [region], memory.read)) == ({1, 2} if whole else {2})


@given(st.lists(st.integers(0, 0x3FF), max_size=40), st.sampled_from([0, 0x1000, 0xFF_F000]))
def test_wherever_in_a_mapping_they_are(words: list[int], place: int) -> None:
    memory = Memory()
    region = memory.region(STACKS + 0x1000_0000 + place, 0x2000)
    for word in words:  # among what points elsewhere in it
        memory.write(region.start + 8 * word, struct.pack("<Q", region.start + 8 * (word // 2)))
    for tid, word in enumerate(sorted(set(words))[::2]):
        memory.descriptor(region.start + 8 * word, tid + 1)
    data = memory.read(region.start, 0x2000)
    own = {
        at
        for at in range(region.start, region.end - 24, 8)
        for first, _, third in [struct.unpack_from("<3Q", data, at - region.start)]
        if first == third == at
    }
    pointers = thread_pointers(range(1, 0x400), [region], memory.read)
    assert set(pointers.values()) <= own
    tids = {int.from_bytes(memory.read(at + PTHREAD_TID, 4), "little") for at in own}
    assert pointers.keys() == tids & set(range(1, 0x400))


def test_only_threads_of_the_process_count(memory: Memory) -> None:
    region = memory.region(STACKS, 0x8000)
    for index, tid in enumerate((5, 0, 77, 0xFFFFFFFF)):
        memory.descriptor(region.start + 0x1000 * index, tid)
    assert thread_pointers([5, 6], [region], memory.read) == {5: region.start}


def test_what_only_looks_like_a_descriptor(memory: Memory) -> None:
    region = memory.region(STACKS, 0x4000)
    at = region.start + 0x100
    memory.write(at, struct.pack("<3Q", at, 0, at + 8))  # not its own address twice
    memory.write(at + PTHREAD_TID, struct.pack("<I", 5))
    odd = region.start + 0x1004  # not aligned
    memory.descriptor(odd, 5)
    assert thread_pointers([5], [region], memory.read) == {}


def test_mappings_that_hold_no_descriptor_are_not_read(memory: Memory) -> None:
    region = memory.region(STACKS, 0x4000)
    memory.descriptor(region.start, 5)
    file = replace(region, path="/lib/libc.so", inode=9)
    constant = replace(region, writable=False)
    assert thread_pointers([5], [file, constant], memory.read) == {}
    assert memory.read_bytes == 0


def test_static_program_has_it_in_the_heap(memory: Memory) -> None:
    heap = replace(memory.region(STACKS, 0x20000), path="[heap]")
    memory.descriptor(heap.start + 0x380, 5)
    assert thread_pointers([5], [heap], memory.read) == {5: heap.start + 0x380}


def musl_ring(memory: Memory, *descriptors: tuple[int, int]) -> None:
    for index, (address, tid) in enumerate(descriptors):
        before, after = descriptors[index - 1], descriptors[(index + 1) % len(descriptors)]
        memory.write(address, struct.pack("<4Q", address, 0, before[0], after[0]))
        memory.write(address + MUSL_TID, struct.pack("<I", tid))


def test_threads_of_musl_are_found_from_one_to_the_next(memory: Memory) -> None:
    region = memory.region(STACKS, 0x8000)
    far = memory.region(STACKS + (1 << 24), 2 * WHOLE)
    places = [(region.start + 0x1000, 5), (far.start + 0x40, 6), (region.start + 0x3000, 7)]
    musl_ring(memory, *places)
    found = {tid: address for address, tid in places}
    assert thread_pointers([5, 6, 7], [region, far], memory.read) == found
    assert thread_pointers([6], [region], memory.read) == {6: far.start + 0x40}
    memory.write(far.start + 0x40 + MUSL_PREV, bytes(8))  # it ends meanwhile
    assert thread_pointers([5, 6, 7], [region], memory.read) == {7: places[2][0], 5: places[0][0]}


def test_search_ends_when_all_are_found(memory: Memory) -> None:
    first, second = memory.region(STACKS, 0x1000), memory.region(STACKS + 0x100000, 0x1000)
    memory.descriptor(first.start, 5)
    thread_pointers([5], [first, second], memory.read)
    assert memory.read_bytes == 0x1000 + 4


def test_memory_that_is_gone_odd_or_without_end(memory: Memory) -> None:
    gone = Mapping(0x1000, 0x9000, 0, False, "", writable=True)
    huge = Mapping(0, 1 << 64, 0, False, "", writable=True)
    odd = memory.region(STACKS, 23)
    assert thread_pointers([5], [gone, huge, odd], memory.read) == {}
    many = [Mapping(n * WHOLE, (n + 1) * WHOLE, 0, False, "", writable=True) for n in range(9000)]
    before = memory.read_bytes
    assert thread_pointers([5], many, memory.read) == {}
    assert memory.read_bytes - before <= MOST_BYTES


def test_own_threads_are_found() -> None:
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    tids = {thread.native_id for thread in threads if thread.native_id}
    descriptor, read = memory_reader(os.getpid())
    try:
        found = thread_pointers(tids, read_mappings(os.getpid()), read)
    finally:
        os.close(descriptor)
        stop.set()
        for thread in threads:
            thread.join()
    if os.uname().machine != "x86_64" or "glibc" not in os.confstr("CS_GNU_LIBC_VERSION"):
        pytest.skip("glibc on x86_64")
    assert set(found) == tids


# --------------------------------------------------------------------------- CONTEXT

LAYOUT = ContextLayout(
    tokio="1.45 to 1.54",
    size=80,
    tls_offset=-0x100,
    task_tag=NONE,
    task_id=48,
    budget_tag=68,
    runtime=70,
    scheduler=40,
    core=24,
    tick_multi=104,
    tick_current=NONE,
    why="",
)
TAGGED = replace(LAYOUT, size=88, task_tag=32, task_id=40, budget_tag=76, runtime=78, scheduler=56)


def context(
    layout: ContextLayout, *, runtime: int, budget: int = 0, task: int = 0, scheduler: int = 0,
    tag: int = 1,
) -> bytes:  # fmt: skip
    data = bytearray(b"\xaa" * layout.size)
    data[layout.runtime], data[layout.budget_tag] = runtime, budget
    struct.pack_into("<Q", data, layout.task_id, task)
    if layout.scheduler != NONE:
        struct.pack_into("<Q", data, layout.scheduler, scheduler)
    if layout.task_tag != NONE:
        struct.pack_into("<Q", data, layout.task_tag, tag)
    return bytes(data)


def threads_with(memory: Memory, layout: ContextLayout, *contexts: bytes) -> dict[int, int]:
    pointers = {}
    for tid, data in enumerate(contexts, 1):
        region = memory.region(STACKS + (tid << 20), 0x1000)
        memory.write(region.start + 0x800 + layout.tls_offset, data)
        pointers[tid] = region.start + 0x800
    return pointers


@pytest.mark.parametrize("layout", [LAYOUT, TAGGED], ids=["plain", "tagged"])
def test_readings(memory: Memory, layout: ContextLayout) -> None:
    pointers = threads_with(
        memory,
        layout,
        context(layout, runtime=2),
        context(layout, runtime=1, scheduler=0x7000, task=0),
        context(layout, runtime=0, scheduler=0x7008, task=12, budget=1),
        context(layout, runtime=1),  # entered by a guard that drives nothing
        context(layout, runtime=2, task=9),  # spawn_blocking
    )
    found = confirm(layout, pointers, memory.read)
    assert found.insane == 0
    assert found.sane
    assert [tuple(reading) for reading in found.readings] == [
        (1, False, 0, 0, False, False),
        (2, True, 0x7000, 0, False, False),
        (3, True, 0x7008, 12, True, False),
        (4, False, 0, 0, False, False),
        (5, False, 0, 9, False, False),
    ]
    assert found.entered == 2


def test_tag_of_no_task_hides_what_was_there_before(memory: Memory) -> None:
    data = context(TAGGED, runtime=1, tag=0, task=77, scheduler=8)
    (reading,) = confirm(TAGGED, threads_with(memory, TAGGED, data), memory.read).readings
    assert reading.task_id == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"runtime": 3},
        {"runtime": 0, "budget": 2},
        {"runtime": 0, "task": 1 << 48},
        {"runtime": 0, "scheduler": 0x7001},
        {"runtime": 0, "tag": 2},
    ],
)
def test_bytes_that_are_no_context(memory: Memory, wrong: dict[str, int]) -> None:
    good = context(TAGGED, runtime=0, scheduler=8)
    pointers = threads_with(memory, TAGGED, good, context(TAGGED, **wrong))
    found = confirm(TAGGED, pointers, memory.read)
    assert (found.insane, len(found.readings), found.sane) == (1, 1, False)
    assert choose([TAGGED], pointers, memory.read) is None


def test_thread_that_has_ended_refutes_nothing(memory: Memory) -> None:
    pointers = threads_with(memory, LAYOUT, context(LAYOUT, runtime=0, scheduler=8))
    pointers[99] = 0xDEAD_0000
    pointers[98] = 8  # CONTEXT would be below 0
    found = confirm(LAYOUT, pointers, memory.read)
    assert (found.insane, [r.tid for r in found.readings]) == (0, [1])
    assert not confirm(LAYOUT, {99: 0xDEAD_0000}, memory.read).sane
    assert choose([LAYOUT], {99: 0xDEAD_0000}, memory.read) is None
    assert choose([LAYOUT], {}, memory.read) is None


def test_layout_that_a_thread_has_entered_wins_over_an_earlier_one(memory: Memory) -> None:
    elsewhere = replace(LAYOUT, tls_offset=-0x400, why="elsewhere")
    pointers = threads_with(memory, LAYOUT, context(LAYOUT, runtime=1, scheduler=8))
    memory.write(pointers[1] - 0x400, context(LAYOUT, runtime=2))
    chosen = choose([elsewhere, LAYOUT], pointers, memory.read)
    assert chosen is not None
    assert chosen[0] is LAYOUT
    # of two that nobody has entered, or that both were, the first
    memory.write(pointers[1] - 0x100, context(LAYOUT, runtime=2))
    chosen = choose([elsewhere, LAYOUT], pointers, memory.read)
    assert chosen is not None
    assert chosen[0] is elsewhere


@given(st.binary(min_size=88, max_size=88), st.integers(0, (1 << 64) - 1))
def test_any_bytes_give_a_result(data: bytes, scheduler: int) -> None:
    memory = Memory()
    noisy = data[:56] + struct.pack("<Q", scheduler) + data[64:]
    pointers = threads_with(memory, TAGGED, noisy)
    found = confirm(TAGGED, pointers, memory.read)
    assert found.insane + len(found.readings) == 1
    with_cores(TAGGED, found.readings, memory.read)


# --------------------------------------------------------------------------- the turn

SCHEDULER, CORE, ARC = 0x10000, 0x20000, 0x30000


def current_thread(memory: Memory, *, tag: int = 0) -> dict[int, int]:
    for start in (SCHEDULER, CORE, ARC):
        memory.region(start, 0x800)
    memory.write(SCHEDULER, struct.pack("<4Q", tag, ARC, 1, CORE))
    memory.write(ARC, struct.pack("<2Q", 3, 1))
    memory.write(CORE + 136, struct.pack("<II4B", 7, 31, 1, 0, 0, 1))
    return threads_with(memory, LAYOUT, context(LAYOUT, runtime=0, scheduler=SCHEDULER))


def proven(memory: Memory, layout: ContextLayout, pointers: dict[int, int]) -> ContextLayout:
    return with_cores(layout, confirm(layout, pointers, memory.read).readings, memory.read)


def test_what_the_table_says_of_a_core_counts_only_where_a_core_shows_it(memory: Memory) -> None:
    layout = proven(memory, LAYOUT, current_thread(memory))
    assert layout == replace(LAYOUT, tick_multi=NONE, tick_current=136)
    nobody = threads_with(memory, LAYOUT, context(LAYOUT, runtime=2))
    assert proven(memory, LAYOUT, nobody) == replace(LAYOUT, core=NONE, tick_multi=NONE)


def test_a_worker_that_has_lent_its_core(memory: Memory) -> None:
    current_thread(memory)
    reading = Reading(1, True, SCHEDULER, 3, in_budget=True)
    early = replace(LAYOUT, early=True)
    assert not lent_core(LAYOUT, reading, memory.read)  # it has one, and is current_thread
    memory.write(SCHEDULER + LAYOUT.core, bytes(8))
    assert not lent_core(LAYOUT, reading, memory.read)
    assert lent_core(early, reading, memory.read)
    assert not lent_core(early, reading._replace(current=True), memory.read)
    memory.write(SCHEDULER, b"\1")
    assert lent_core(LAYOUT, reading, memory.read)
    assert not lent_core(replace(LAYOUT, core=NONE), reading, memory.read)
    assert not lent_core(replace(LAYOUT, untagged=True), reading, memory.read)
    assert not lent_core(LAYOUT, reading._replace(scheduler=0), memory.read)
    assert not lent_core(LAYOUT, reading._replace(scheduler=0xDEAD_0000), memory.read)


def test_a_wild_pointer_to_a_core_proves_nothing(memory: Memory) -> None:
    pointers = current_thread(memory)
    for wild in (8, 0xDEAD_0000, (1 << 64) - 8):
        memory.write(SCHEDULER + LAYOUT.core, struct.pack("<Q", wild))
        layout = proven(memory, LAYOUT, pointers)
        assert (layout.core, layout.tick_current, layout.tick_multi) == (NONE, NONE, NONE)


@pytest.mark.parametrize(
    ("tag", "layout", "turn"),
    [
        (0, replace(LAYOUT, tick_current=136), 7),
        (0, replace(LAYOUT, tick_current=136, flags=True), 7),
        (1, replace(LAYOUT, tick_multi=136), 7),
        (1, replace(LAYOUT, tick_multi=136, flags=True), 7 | 0x0100_0001 << 32),
        (0, LAYOUT, None),
        (1, replace(LAYOUT, tick_multi=1 << 20), None),
        (1, replace(LAYOUT, core=NONE), None),
        (ARC, replace(LAYOUT, core=16, untagged=True, tick_current=136), 7),
    ],
)
def test_turn_of_a_scheduler(
    memory: Memory, tag: int, layout: ContextLayout, turn: int | None
) -> None:
    current_thread(memory, tag=tag)
    if layout.untagged:
        memory.write(SCHEDULER, struct.pack("<3Q", ARC, 1, CORE))
    reading = Reading(1, True, SCHEDULER, 3, in_budget=True)
    assert turn_of(layout, reading, memory.read) == turn
    assert turn_of(layout, reading._replace(scheduler=0), memory.read) is None


# --------------------------------------------------------------------------- parts that lie apart

APART = replace(
    LAYOUT, size=72, task_id=NONE, budget_tag=50, runtime=3, scheduler=64, current=16, core=NONE,
    tick_multi=NONE, early=True,
)  # fmt: skip


def apart(*, runtime: int, budget: int = 0, scheduler: int = 0, current: int = 0) -> bytes:
    data = bytearray(b"\xaa" * APART.size)
    data[APART.runtime], data[APART.budget_tag] = runtime, budget
    struct.pack_into("<Q", data, APART.scheduler, scheduler)
    struct.pack_into("<Q", data, APART.current, current)
    return bytes(data)


def test_readings_without_ids(memory: Memory) -> None:
    pointers = threads_with(
        memory,
        APART,
        apart(runtime=2),
        apart(runtime=1, scheduler=0x7000),
        apart(runtime=0, current=0x7008, budget=1),
        apart(runtime=0, scheduler=0x7000, current=0x7008, budget=1),  # the inner one counts
        apart(runtime=1, budget=1),  # block_on, by another thread than the workers
        apart(runtime=2, scheduler=0x7000),  # block_in_place
    )
    found = confirm(APART, pointers, memory.read)
    assert found.sane
    assert [tuple(reading) for reading in found.readings] == [
        (1, False, 0, 0, False, False),
        (2, True, 0x7000, 0, False, False),
        (3, True, 0x7008, 0, True, True),
        (4, True, 0x7008, 0, True, True),
        (5, True, 0, 0, True, False),
        (6, False, 0x7000, 0, False, False),
    ]
    pointers = threads_with(memory, APART, apart(runtime=1, current=0x7001))
    assert confirm(APART, pointers, memory.read).insane == 1


def test_ticks_of_both_schedulers_are_found_where_the_parts_lie_apart(memory: Memory) -> None:
    shared, core, context = (memory.region(at, 0x200).start for at in (0x10000, 0x20000, 0x30000))
    memory.write(context, struct.pack("<3Q", shared, 0, core))
    memory.write(shared, struct.pack("<2Q", 3, 1))
    memory.write(core + 80, struct.pack("<QIB", shared, 7, 0))
    pointers = threads_with(memory, APART, apart(runtime=0, current=context, budget=1))
    layout = proven(memory, APART, pointers)
    assert layout == replace(APART, core=16, tick_current=88, driver=72)
    assert layout.separates_polls
    assert not APART.separates_polls
    (reading,) = confirm(layout, pointers, memory.read).readings
    assert turn_of(layout, reading, memory.read) == 7
    assert turn_of(layout, reading._replace(current=False), memory.read) is None


# --------------------------------------------------------------------------- the reader


def test_reader_never_raises() -> None:
    descriptor, read = memory_reader(os.getpid())
    try:
        for address in (0, -8, 1 << 63, (1 << 64) - 8, 1 << 70):
            assert read(address, 8) == b""
    finally:
        os.close(descriptor)


def test_process_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as caught:
        memory_reader(5, tmp_path)
    assert str(caught.value) == "memory of process 5: no such file or directory"
