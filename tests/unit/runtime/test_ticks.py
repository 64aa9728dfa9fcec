"""The tick in memory that is laid out as each compiler does."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.runtime.context import NONE, ContextLayout
from hud.runtime.ticks import current_tick, multi_tick, with_tick

BASE = 0x7000_0000
SIZE = 0x4000
CONTEXT, CORE = BASE + 0x100, BASE + 0x1000
ARC, PARK, QUEUE, LIFO = (BASE + 0x2000 + 0x100 * number for number in range(4))
RAND = 0x9E3779B9_7F4A7C15
LAYOUT = ContextLayout(
    tokio="1.21", size=80, tls_offset=0, task_tag=NONE, task_id=NONE, budget_tag=0, runtime=2,
    scheduler=8, core=NONE, tick_multi=NONE, tick_current=NONE, why="", current=16,
)  # fmt: skip


class Memory:
    def __init__(self, **words: tuple[int, ...]) -> None:
        self.data = bytearray(SIZE)
        for name, values in words.items():
            at = {"context": CONTEXT, "core": CORE}[name] - BASE
            struct.pack_into(f"<{len(values)}Q", self.data, at, *values)

    def read(self, address: int, size: int) -> bytes:
        start = address - BASE
        return bytes(self.data[start : start + size]) if 0 <= start < SIZE else b""


def tick(count: int, beside: int) -> int:
    return count | beside << 32


def new(lifo: int = 0, park: int = PARK) -> tuple[int, ...]:
    """Rust 1.68 and later."""
    return lifo, park, RAND, QUEUE, tick(77, 61)


def old(lifo: int = 0, park: int = PARK) -> tuple[int, ...]:
    """Rust up to 1.65: ``rand`` begins at 28."""
    return lifo, QUEUE, park, tick(77, RAND & 0xFFFFFFFF), RAND >> 32


@pytest.mark.parametrize("context", [(ARC, 0, CORE), (ARC, 1, CORE), (0, CORE, ARC)])
@pytest.mark.parametrize("lifo", [0, LIFO])
@pytest.mark.parametrize("park", [0, PARK])  # 0 while the thread is parked
def test_multi_thread(context: tuple[int, ...], lifo: int, park: int) -> None:
    core_at = 8 * context.index(CORE)
    for order, at in ((new, 32), (old, 24)):
        memory = Memory(context=context, core=order(lifo, park))
        found = with_tick(LAYOUT, CONTEXT, False, memory.read)
        assert found == replace(LAYOUT, core=core_at, tick_multi=at)
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
    assert multi_tick(struct.pack("<5Q", *core), Memory().read) == NONE
    found = with_tick(LAYOUT, CONTEXT, False, Memory(context=(ARC, 0, CORE), core=core).read)
    assert found.tick_multi == NONE
    assert not found.separates_polls


@pytest.mark.parametrize("driver", [1, 6, 76])  # words
def test_current_thread(driver: int) -> None:
    core = (8, ARC + 8, 0, 1, *range(1, driver + 1), ARC, tick(5, 1))
    for context in ((ARC, 0, CORE), (0, CORE, ARC)):
        memory = Memory(context=context, core=core)
        found = with_tick(LAYOUT, CONTEXT, True, memory.read)
        assert found.tick_current == 32 + 8 * driver + 8
        assert found.tick_multi == NONE


@pytest.mark.parametrize(
    "core",
    [
        (8, PARK, 0, 1, ARC, 1, 0, 0, 0, 0, 0, tick(5, 0), ARC, tick(5, 0)),  # driver comes after
        (8, PARK, 0, 1, 3, 4, 0, 0, 0, 0, 0, 0),
        (8, PARK, 0, 1, 3, ARC, tick(0, 0)),
        (8, PARK, 0, 1, 3, ARC, tick(5, 2)),
        (8, PARK, 0, 1, 3, ARC),
    ],
)
def test_a_current_thread_core_of_another_shape(core: tuple[int, ...]) -> None:
    assert current_tick(struct.pack(f"<{len(core)}Q", *core), ARC) == NONE


@pytest.mark.parametrize(
    "context",
    [(0, 0, 0), (ARC, 5, CORE), (ARC, 0, 0), (ARC, 0, 8), (ARC + 1, 0, CORE), (1, CORE, 0)],
)
def test_what_is_no_context_of_a_scheduler(context: tuple[int, ...]) -> None:
    memory = Memory(context=context, core=new())
    for current in (False, True):
        assert with_tick(LAYOUT, CONTEXT, current, memory.read) == LAYOUT
        assert with_tick(LAYOUT, BASE - 8, current, memory.read) == LAYOUT


def test_what_is_known_stays() -> None:
    memory = Memory(context=(ARC, 0, CORE), core=new())
    told = replace(LAYOUT, tick_multi=40)  # by debug info
    assert with_tick(told, CONTEXT, False, memory.read) == replace(told, core=16)
    elsewhere = replace(LAYOUT, core=8)
    assert with_tick(elsewhere, CONTEXT, False, memory.read) == elsewhere


@given(st.binary(max_size=96), st.booleans())
def test_any_bytes_give_a_result(data: bytes, current: bool) -> None:
    memory = Memory()
    memory.data[0x100 : 0x100 + len(data)] = data
    memory.data[0x1000 : 0x1000 + len(data)] = data
    assert with_tick(LAYOUT, CONTEXT, current, memory.read).task_id == NONE
