"""CONTEXT found by its contents, in TLS blocks that the test makes up."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest

from hud.model import Mapping
from hud.runtime.blocks import Block, executable_block
from hud.runtime.search import TLS_LIMIT, Found, search

HEAP = 0x5000_0000
STACKS = 0x7000_0000
SIZE = 512
PLACE = 256
"""Offset of CONTEXT in the block."""


class Tls(NamedTuple):
    vaddr: int = 0
    memsz: int = SIZE
    align: int = 8


class Process:
    """Threads with a TLS block each; the first ones are workers of Tokio 1.45 to 1.54."""

    def __init__(self, threads: int = 4, workers: int = 2, scheduler: int = 40) -> None:
        self.memory: dict[int, bytearray] = {HEAP: bytearray(4096)}
        self.pointers = {}
        self.reads = 0
        for number in range(threads):
            start = STACKS + 0x10000 * number
            block = self.memory[start] = bytearray(SIZE)
            self.pointers[100 + number] = start + SIZE
            block[PLACE + 70] = 2
            if number < workers:
                context = HEAP + 64 * number
                struct.pack_into("<QQ", self.memory[HEAP], 64 * number, 1, HEAP + 2048)
                struct.pack_into("<Q", block, PLACE + scheduler, context)
                struct.pack_into("<Q", block, PLACE + 48, number + 1)
                block[PLACE + 70] = 1
        self.mappings = [
            Mapping(start, start + len(data), 0, False, "", writable=True)
            for start, data in self.memory.items()
        ]

    def read(self, address: int, size: int) -> bytes:
        self.reads += 1
        for start, data in self.memory.items():
            if start <= address < start + len(data):
                return bytes(data[address - start : address - start + size])
        return b""

    def block(self, number: int) -> bytearray:
        return self.memory[STACKS + 0x10000 * number]

    def search(self, tokio: str = "1.54.1", tls: Tls = Tls()) -> Found | str:  # noqa: B008
        block = executable_block(tls, "x86_64")
        assert isinstance(block, Block)
        return self.search_in(block, tokio)

    def search_in(self, block: Block, tokio: str = "1.54.1") -> Found | str:
        slept: list[float] = []
        found = search(block, [tokio], self.pointers, self.mappings, self.read, slept.append)
        assert isinstance(found, str) or slept == [0.005] * 4
        return found


def test_the_one_place_where_all_threads_are_sane_is_found() -> None:
    found = Process().search()
    assert isinstance(found, Found)
    assert found.layout.tls_offset == PLACE - SIZE
    assert (found.layout.size, found.layout.scheduler, found.layout.tick_multi) == (80, 40, 104)
    assert found.layout.why == ("tokio 1.54.1, CONTEXT found by its contents at tls-256 (stripped)")
    assert [(one.tid, one.task_id) for one in found.confirmation.readings if one.entered] == [
        (100, 1),
        (101, 2),
    ]


def test_a_newer_tokio_is_searched_for_as_the_newest_known() -> None:
    found = Process().search("1.99.0")
    assert isinstance(found, Found)
    assert found.layout.tls_offset == PLACE - SIZE


def test_parts_that_lie_apart_are_not_searched_for() -> None:
    assert Process().search("1.21.2") == "tokio 1.21.2 keeps its parts apart"


def test_one_thread_that_contradicts_is_enough_to_refuse() -> None:
    process = Process()
    process.block(3)[PLACE + 70] = 3
    assert process.search() == "no place in the threads' TLS looks like CONTEXT"


@pytest.mark.parametrize("kind", [3, 1 << 40])
def test_a_scheduler_must_look_like_one(kind: int) -> None:
    process = Process()
    struct.pack_into("<Q", process.memory[HEAP], 0, kind)
    assert process.search() == "no place in the threads' TLS looks like CONTEXT"


def test_a_scheduler_must_lie_in_writable_memory() -> None:
    process = Process()
    process.mappings = process.mappings[1:]
    assert process.search() == "no place in the threads' TLS looks like CONTEXT"


def test_without_a_thread_inside_a_runtime_nothing_is_proved() -> None:
    assert Process(workers=0).search() == "no place in the threads' TLS looks like CONTEXT"


def test_two_places_are_as_bad_as_none() -> None:
    process = Process()
    for number in range(4):
        block = process.block(number)
        block[PLACE - 160 : PLACE - 80] = block[PLACE : PLACE + 80]
    assert process.search() == "2 places in the threads' TLS look like CONTEXT"


@pytest.mark.parametrize(
    ("tokio", "tls", "want"),
    [
        ("nonsense", Tls(), "no version of tokio in the executable"),
        ("1.54.1", Tls(memsz=0), "a TLS segment of 0 bytes"),
        ("1.54.1", Tls(memsz=TLS_LIMIT + 8), f"a TLS segment of {TLS_LIMIT + 8} bytes"),
    ],
)
def test_what_cannot_be_searched_is_not(tokio: str, tls: Tls, want: str) -> None:
    process = Process()
    assert process.search(tokio, tls) == want
    assert process.reads == 0


def test_without_thread_pointers_there_is_no_search() -> None:
    process = Process()
    process.pointers.clear()
    assert process.search() == "no thread descriptor found"


def test_in_a_shared_object_it_is_found_inside_the_blocks() -> None:
    process = Process()
    process.pointers = {tid: pointer - SIZE for tid, pointer in process.pointers.items()}
    found = process.search_in(Block(2, 0, SIZE, "api.so"))
    assert isinstance(found, Found)
    assert (found.layout.module, found.layout.tls_offset) == (2, PLACE)
    assert found.layout.why == (
        "tokio 1.54.1, CONTEXT found by its contents at tls+256 of api.so (stripped)"
    )
    process.pointers.clear()
    assert process.search_in(Block(2, 0, SIZE, "api.so")) == "no thread uses it yet"
