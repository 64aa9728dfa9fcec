"""Cores of Tokio 1.20 to 1.28 in memory that is laid out as each compiler does."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.runtime.context import NONE, ContextLayout
from hud.runtime.cores import Cores
from hud.runtime.early import EarlyTick, driver_before_122, multi_ticks, ticks_behind_tasks
from hud.runtime.schedulers import Scheduler

BASE = 0x7000_0000
SIZE = 0x4000
CONTEXT, CORE = BASE + 0x100, BASE + 0x1000
ARC, PARK, QUEUE, LIFO = (BASE + 0x2000 + 0x100 * number for number in range(4))
HANDLE, REMOTES = BASE + 0x3000, BASE + 0x3800
RAND = 0x9E3779B9_7F4A7C15
TASKS = (8, ARC + 8, 0, 1)
LAYOUT = ContextLayout(
    tokio="1.28", size=104, tls_offset=0, task_tag=32, task_id=40, budget_tag=88, runtime=90,
    scheduler=-8, core=NONE, tick_multi=NONE, tick_current=NONE, why="", early=True, current=104,
)  # fmt: skip
APART = replace(LAYOUT, tokio="1.21", task_tag=NONE, task_id=NONE)


class Memory:
    def __init__(self, **words: tuple[int, ...]) -> None:
        self.data = bytearray(SIZE)
        for arc in (ARC, PARK, QUEUE, HANDLE):
            self.words(arc, 2, 1)
        for name, values in words.items():
            self.words({"context": CONTEXT, "core": CORE}[name], *values)

    def words(self, address: int, *words: int) -> None:
        struct.pack_into(f"<{len(words)}Q", self.data, address - BASE, *words)

    def worker(self) -> None:
        """What is in ``ARC`` is the first of two workers."""
        self.words(ARC + 16, HANDLE, 0)
        self.words(HANDLE + 16 + 40, REMOTES, 2)
        self.words(REMOTES, QUEUE, PARK)

    def chunk(self, usable: int) -> None:
        self.words(CORE - 8, usable + 8 | 5)

    def read(self, address: int, size: int) -> bytes:
        start = address - BASE
        return bytes(self.data[start : start + size]) if 0 <= start < SIZE else b""


def looked(memory: Memory, layout: ContextLayout = LAYOUT, looks: int = 2) -> ContextLayout:
    cores = Cores(layout)
    for _ in range(looks):
        cores.look([CONTEXT], memory.read)
    return cores.applied(layout)


def tick(count: int, beside: int) -> int:
    return count | beside << 32


def new(lifo: int = 0, park: int = PARK) -> tuple[int, ...]:
    """Rust 1.68 and later."""
    return lifo, park, RAND, QUEUE, tick(77, 1)


def old(lifo: int = 0, park: int = PARK) -> tuple[int, ...]:
    """Rust up to 1.65: ``rand`` begins at 28."""
    return lifo, QUEUE, park, tick(77, RAND & 0xFFFFFFFF), RAND >> 32


@pytest.mark.parametrize("layout", [LAYOUT, APART], ids=["1.28", "1.21"])
@pytest.mark.parametrize("context", [(ARC, 0, CORE), (ARC, 1, CORE), (0, CORE, ARC)])
@pytest.mark.parametrize("lifo", [0, LIFO])
@pytest.mark.parametrize("park", [0, PARK])  # 0 while the thread is parked
def test_multi_thread(
    context: tuple[int, ...], lifo: int, park: int, layout: ContextLayout
) -> None:
    core_at = 8 * context.index(CORE)
    for order, at, park_at in ((new, 32, 8), (old, 24, 16)):
        memory = Memory(context=context, core=order(lifo, park))
        memory.worker()
        found = looked(memory, layout)
        assert found == replace(layout, core=core_at, tick_multi=at, park=park_at)
        assert found.separates_polls


@pytest.mark.parametrize(
    "core",
    [
        (0, 0, 0, 0, 0),
        (LIFO, PARK, QUEUE, ARC, 0),
        (RAND, PARK, RAND, QUEUE, 77),
        (0, PARK, RAND, RAND, 77),
        (0, RAND, RAND, QUEUE, 77),
        (0, QUEUE, RAND, RAND, 77),
    ],
)
def test_a_core_of_another_shape_has_no_tick(core: tuple[int, ...]) -> None:
    assert multi_ticks(core, Memory().read) == set()
    memory = Memory(context=(ARC, 0, CORE), core=core)
    memory.worker()
    found = looked(memory, APART)
    assert found.tick_multi == NONE
    assert not found.separates_polls


@pytest.mark.parametrize("driver", [1, 6, 76])  # words
def test_current_thread_of_1_21(driver: int) -> None:
    core = (*TASKS, *range(1, driver + 1), ARC, tick(5, 1))
    for context in ((ARC, 0, CORE), (0, CORE, ARC)):
        found = looked(Memory(context=context, core=core), APART)
        assert found.tick_current == 32 + 8 * driver + 8
        assert found.tick_multi == NONE


@pytest.mark.parametrize("driver", [2, 3, 70])
@pytest.mark.parametrize("chunk", [True, False])
def test_current_thread_of_1_28(driver: int, chunk: bool) -> None:
    memory = Memory(
        context=(ARC, 0, CORE), core=(*range(driver), *TASKS, tick(5, 1), 0, *TASKS, tick(9, 0))
    )
    if chunk:  # what lies behind it belongs to others
        memory.chunk(8 * driver + 40 + 8 * (driver % 2))
    found = looked(memory)
    assert (found.tick_current, found.driver) == ((8 * driver + 32, 0) if chunk else (NONE, NONE))


def test_what_looks_like_tasks_for_a_moment_is_forgotten() -> None:
    memory = Memory(context=(ARC, 0, CORE), core=(0, *TASKS, tick(7, 0), *TASKS, tick(5, 1)))
    cores = Cores(LAYOUT)
    cores.look([CONTEXT], memory.read)
    assert cores.applied(LAYOUT).tick_current == NONE
    memory.words(CORE + 8, *(3, 0, 0, 0))
    cores.look([CONTEXT], memory.read)
    assert cores.applied(LAYOUT).tick_current == 80
    memory.words(CORE + 48, *(0, 0, 0, 0))  # a look at what changes
    cores.look([CONTEXT], memory.read)
    assert cores.applied(LAYOUT).tick_current == 80


@pytest.mark.parametrize(
    "core",
    [
        (*TASKS, ARC, 1, 0, 0, 0, 0, 0, tick(5, 0), ARC, tick(5, 0)),  # driver comes after
        (*TASKS, 3, 4, 0, 0, 0, 0, 0, 0),
        (*TASKS, 3, ARC, tick(0, 0)),
        (*TASKS, 3, ARC, tick(5, 2)),
    ],
)
def test_a_current_thread_core_of_another_shape(core: tuple[int, ...]) -> None:
    found = looked(Memory(context=(ARC, 0, CORE), core=core), APART)
    assert (found.tick_current, found.driver) == (NONE, NONE)


@pytest.mark.parametrize(
    "context",
    [(0, 0, 0), (ARC, 5, CORE), (ARC, 0, 8), (ARC + 1, 0, CORE), (1, CORE, 0)],
)
def test_what_is_no_context_of_a_scheduler(context: tuple[int, ...]) -> None:
    assert looked(Memory(context=context, core=new()), APART) == APART


def test_what_debug_info_says_stays() -> None:
    memory = Memory(context=(ARC, 0, CORE), core=new())
    memory.worker()
    layout = replace(APART, tick_multi=40)
    assert looked(memory, layout).tick_multi == 40


def test_a_refuted_tick_never_counts_again() -> None:
    found = EarlyTick(current=False)
    memory = Memory(core=new())
    worker = Scheduler(False, ARC, 16, CORE)
    found.look(worker, memory.read)
    assert found.offset == 32
    found.refute()
    found.look(worker, memory.read)
    assert found.offset == NONE


STARTED = (0x342, 0x5565_0000_0000 + 944_017_232)
IO = tuple(range(60))


@pytest.mark.parametrize(
    ("driver", "at"),
    [
        ((PARK, *STARTED, ARC, *STARTED), 72),
        ((PARK, *STARTED, ARC, 0, 0x5565_3B9A_CA01), 72),  # taken out
        ((14, RAND, 0, 0, 0, 0x3B9A_CA01), 72),  # all else is what the stack had
        ((PARK, *STARTED, ARC, 0x342, 0xFFFF_FFFF), NONE),
        ((0x400, BASE << 8, *IO), 32),
        ((1 << 63 | 3, 0, *IO), 32),
        ((0, BASE << 8, *IO), NONE),
        ((PARK,), NONE),
        ((), NONE),
    ],
)
def test_the_driver_of_1_21(driver: tuple[int, ...], at: int) -> None:
    core = (*TASKS, *driver, ARC, tick(5, 0))
    data = struct.pack(f"<{len(core)}Q", *core)
    assert driver_before_122(data, 8 * len(core) - 8) == at
    assert driver_before_122(data[:40], 8 * len(core) - 8) == NONE


@given(st.binary(max_size=96), st.booleans())
def test_any_bytes_give_a_result(data: bytes, apart: bool) -> None:
    memory = Memory()
    memory.data[0x100 : 0x100 + len(data)] = data
    memory.data[0x1000 : 0x1000 + len(data)] = data
    layout = APART if apart else LAYOUT
    assert looked(memory, layout).task_id == layout.task_id


@given(st.lists(st.integers(0, (1 << 64) - 1), max_size=12), st.integers(-20, 20))
def test_any_words_give_offsets_inside(core: list[int], least: int) -> None:
    assert all(0 <= at < 8 * len(core) for at in ticks_behind_tasks(core, least))
