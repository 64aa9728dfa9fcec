"""Schedulers by their shape in memory, and what only looks like one."""

from __future__ import annotations

import struct

import pytest

from hud.runtime.schedulers import Scheduler, chunk_bytes, handle_of, scheduler_at

BASE, SIZE = 0x7000_0000, 0x1000
CONTEXT, ARC, HANDLE, CORE = (BASE + 0x200 * place for place in range(1, 5))
FREE, BORROWED = 0, (1 << 64) - 1


class Memory:
    def __init__(self) -> None:
        self.data = bytearray(SIZE)

    def words(self, address: int, *words: int) -> None:
        struct.pack_into(f"<{len(words)}Q", self.data, address - BASE, *words)

    def read(self, address: int, size: int) -> bytes:
        start = address - BASE
        return bytes(self.data[start : start + size]) if 0 <= start < SIZE else b""


@pytest.fixture
def memory() -> Memory:
    made = Memory()
    made.words(ARC, 2, 1, HANDLE)
    made.words(HANDLE, 5, 1)
    return made


@pytest.mark.parametrize(
    ("words", "found", "handle"),
    [
        ((1, ARC, FREE, CORE), Scheduler(False, ARC, 24, CORE), HANDLE),
        ((0, ARC, FREE, CORE), Scheduler(True, ARC, 24, CORE), ARC),
        ((ARC, FREE, CORE, 0), Scheduler(True, ARC, 16, CORE), ARC),
        ((1, ARC, BORROWED, 0), Scheduler(False, ARC, 24, 0), HANDLE),
        ((1, ARC, 7, CORE), None, 0),
        ((1, ARC + 4, FREE, CORE), None, 0),
        ((1, BASE, FREE, CORE), None, 0),  # no counts there
        ((1, ARC, FREE, 0x10), None, 0),  # no address
        ((2, ARC, FREE, CORE), None, 0),
    ],
)
def test_scheduler_and_handle(
    memory: Memory, words: tuple[int, ...], found: Scheduler | None, handle: int
) -> None:
    memory.words(CONTEXT, *words)
    assert scheduler_at(CONTEXT, memory.read) == found
    assert handle_of(CONTEXT, memory.read) == handle


def test_where_memory_ends_there_is_none(memory: Memory) -> None:
    assert scheduler_at(BASE + SIZE - 8, memory.read) is None
    assert scheduler_at(0, memory.read) is None


@pytest.mark.parametrize(("head", "size"), [(0x1D5, 0x1C8), (0x1D0, 0x1C8), (0x1D9, 0), (0x10, 0)])
def test_what_malloc_gave_out(memory: Memory, head: int, size: int) -> None:
    memory.words(CORE - 8, head)
    assert chunk_bytes(CORE, memory.read) == size
    assert chunk_bytes(0, memory.read) == 0
