"""CONTEXT found by its contents, in TLS blocks that the test makes up."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.model import Mapping
from hud.runtime import search as module
from hud.runtime.blocks import Block, executable_block
from hud.runtime.context import LAYOUTS, NEWEST, NONE, VARIANTS, ContextLayout, layout_of
from hud.runtime.search import (
    MOST_LEADS,
    PLACES_LIMIT,
    TLS_LIMIT,
    Found,
    Live,
    decide,
    same_places,
    search,
)

NOW = ".".join(map(str, NEWEST))

HEAP = 0x5000_0000
STACKS = 0x7000_0000
SIZE = 512
PLACE = 256
"""Offset of CONTEXT in the block."""


UNSEEN = f"of a scheduler at tls{PLACE + 40 - SIZE:+d} no places there look like a task's budget"
"""No row fits, and what is there does not change."""


class Tls(NamedTuple):
    vaddr: int = 0
    memsz: int = SIZE
    align: int = 8


class Shape(NamedTuple):
    tokio: str
    scheduler: int
    task_tag: int
    task_id: int
    budget: int
    runtime: int


class Process:
    """Threads with a TLS block each; the first ones are workers of Tokio 1.45 and later."""

    def __init__(self, threads: int = 4, workers: int = 2, shape: Shape | None = None) -> None:
        shape = shape or Shape(f"1.45 to {NOW}", 40, NONE, 48, 68, 70)
        self.memory: dict[int, bytearray] = {HEAP: bytearray(4096)}
        self.pointers = {}
        self.reads = 0
        for number in range(threads):
            start = STACKS + 0x10000 * number
            block = self.memory[start] = bytearray(SIZE)
            self.pointers[100 + number] = start + SIZE
            block[PLACE + shape.runtime] = 2
            if number < workers:
                context = HEAP + 64 * number
                struct.pack_into("<QQ", self.memory[HEAP], 64 * number, 1, HEAP + 2048)
                struct.pack_into("<QQQ", self.memory[HEAP], 2048, 2, 1, HEAP + 3072)
                struct.pack_into("<Q", block, PLACE + shape.scheduler, context)
                struct.pack_into("<Q", block, PLACE + shape.task_id, number + 1)
                if shape.task_tag != NONE:
                    block[PLACE + shape.task_tag] = 1
                block[PLACE + shape.runtime] = 1
                block[PLACE + shape.budget] = number % 2
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

    def search_in(
        self, block: Block, tokio: str = "1.54.1", within: tuple[int, int] | None = None
    ) -> Found | str:
        slept: list[float] = []
        found = search(block, [tokio], self.live(slept.append), within)
        assert isinstance(found, str) or set(slept) == {0.005}
        return found

    def live(self, sleep: Callable[[float], None] = lambda _: None) -> Live:
        return Live(self.pointers, self.mappings, self.read, sleep)


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
    row = max((row for row in LAYOUTS if row.multi_thread), key=lambda row: row.last)
    shape = Shape(row.tokio, row.scheduler, row.task_tag, row.task_id, row.budget_tag, row.runtime)
    found = Process(shape=shape).search("1.99.0")
    assert isinstance(found, Found)
    assert found.layout.tls_offset == PLACE - SIZE


def full_of_leads(size: int, distinct: bool) -> Process:
    """A thread whose thread-locals all lead to schedulers, to one each or all to the same."""
    process = Process(threads=1, workers=1)
    place = process.memory[HEAP + 0x10000] = bytearray(4 * size)
    for at in range(0, 4 * size, 32):
        struct.pack_into("<QQ", place, at, 1, HEAP + 2048)
    block = process.memory[STACKS] = bytearray(size)
    for at in range(0, size, 8):
        struct.pack_into("<Q", block, at, HEAP + 0x10000 + 4 * at * distinct)
    process.pointers = {100: STACKS + size}
    process.mappings = [
        Mapping(start, start + len(data), 0, False, "", writable=True)
        for start, data in process.memory.items()
    ]
    return process


@pytest.mark.parametrize("distinct", [True, False])
def test_too_many_leads_are_none(distinct: bool) -> None:
    size = 8 * (MOST_LEADS + 2)
    said = f"more than {MOST_LEADS} places in the threads' TLS lead to a scheduler"
    assert full_of_leads(size, distinct).search(tls=Tls(memsz=size)) == said
    many = full_of_leads(32 * size, distinct)
    assert many.search(tls=Tls(memsz=32 * size)) == said
    assert many.reads < 3000


def test_words_are_looked_at_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WORDS", 4)
    process = full_of_leads(1 << 12, distinct=True)
    process.memory[HEAP + 0x10000] = bytearray(1 << 14)
    process.search(tls=Tls(memsz=1 << 12))
    assert process.reads < 20


@pytest.mark.parametrize("tokio", ["1.54.1", "1.28.0"])
def test_large_thread_locals_are_not_tried_place_by_place(tokio: str) -> None:
    size = PLACES_LIMIT + 8
    process = Process(threads=1, workers=0)
    process.memory[STACKS] = bytearray(size)
    process.pointers = {100: STACKS + size}
    block = Block(0, -size, size)
    found = search(block, [tokio, "1.28.0"], process.live())
    assert found == f"a TLS segment of {size} bytes"
    assert process.reads < 10


def test_parts_that_lie_apart_are_not_searched_for() -> None:
    assert Process().search("1.21.2") == "tokio 1.21.2 keeps its parts apart"


def test_one_thread_that_contradicts_is_enough_to_refuse() -> None:
    process = Process()
    process.block(3)[PLACE + 70] = 3
    assert process.search() == UNSEEN


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


# --------------------------------------------------------------------------- before 1.29

OWN = 72
"""Offset of the pointer to a multi_thread scheduler, which Tokio 1.28 has besides CONTEXT."""


def early(current: int = 0) -> Process:
    """Tokio 1.28, its first ``current`` threads in a current_thread runtime."""
    process = Process(shape=Shape("1.24 to 1.28", OWN - PLACE, 32, 40, 88, 90))
    heap = process.memory[HEAP]
    for number in range(2):
        struct.pack_into("<QQQ", heap, 64 * number, HEAP + 2048, 0, 0)
    struct.pack_into("<QQQQ", heap, 2048, 2, 1, HEAP + 3072, 1)
    struct.pack_into("<QQ", heap, 3072, 2, 1)
    struct.pack_into("<QQ", heap, 3072 + 16, HEAP + 3584, 2)
    struct.pack_into("<QQ", heap, 3584 + 16, HEAP + 2048, HEAP + 2048)
    for number in range(current):
        struct.pack_into("<Q", heap, 64 * number, HEAP + 3072)
        process.block(number)[PLACE + 90] = 0
        struct.pack_into("<QQ", process.block(number), OWN, 0, HEAP + 64 * number)
    return process


@pytest.mark.parametrize(
    ("current", "scheduler", "own"), [(0, OWN - PLACE, NONE), (1, OWN - PLACE, OWN + 8 - PLACE)]
)
def test_before_1_29_pointers_to_schedulers_are_found_beside_context(
    current: int, scheduler: int, own: int
) -> None:
    found = early(current).search("1.28.2")
    assert isinstance(found, Found)
    layout = found.layout
    assert (layout.tokio, layout.tls_offset) == ("1.24 to 1.28", PLACE - SIZE)
    assert (layout.early, layout.scheduler, layout.current) == (True, scheduler, own)
    assert layout.knows_drivers is bool(current)
    driving = [(one.scheduler, one.current) for one in found.confirmation.readings if one.entered]
    assert driving == [(HEAP, bool(current)), (HEAP + 64, False)]


def test_a_scheduler_of_the_other_kind_than_the_thread_has_entered_is_none() -> None:
    process = early()
    process.block(0)[PLACE + 90] = 0
    assert process.search("1.28.2") == "no place in the threads' TLS looks like CONTEXT"


@pytest.mark.parametrize("used", [True, False])
def test_of_two_layouts_the_one_that_is_in_use_is_taken(used: bool) -> None:
    """That of a Tokio with ``rt`` alone has the id in the same place, and zeros elsewhere."""
    process = early(current=2)
    for number in range(2):
        process.block(number)[PLACE + 88] = 0  # nobody was seen in a poll with a budget
        process.block(number)[PLACE + 96] = used
    found = process.search("1.28.2")
    if used:
        assert isinstance(found, Found)
        assert (found.layout.tls_offset, found.layout.budget_tag) == (PLACE - SIZE, 88)
    else:
        assert found == "2 places in the threads' TLS look like CONTEXT"


def test_of_two_pointers_of_a_kind_neither_is_taken() -> None:
    process = early()
    struct.pack_into("<Q", process.block(1), OWN + 16, HEAP)
    found = process.search("1.28.2")
    assert isinstance(found, Found)
    assert (found.layout.tls_offset, found.layout.early) == (PLACE - SIZE, False)
    assert (found.layout.scheduler, found.layout.current) == (NONE, NONE)


def test_a_newer_layout_is_never_that_of_an_older_tokio() -> None:
    assert isinstance(Process().search("1.28.2"), str)


# --------------------------------------------------------------------------- without a version


def test_without_a_version_every_row_is_tried_and_told_as_a_range() -> None:
    found = Process().search("nonsense")
    assert isinstance(found, Found)
    assert found.layout.tls_offset == PLACE - SIZE
    assert found.layout.why == (
        f"tokio, version not known; layout as in 1.40 to {NOW}, CONTEXT found by its contents at "
        "tls-256 (stripped)"
    )
    assert found.layout.tick_multi == NONE, "1.44 has another than 1.45"


@pytest.mark.parametrize("polling", [True, False])
def test_of_two_layouts_of_one_thread_the_one_with_a_poll_is_taken(polling: bool) -> None:
    """In a current_thread runtime ``runtime`` is 0, as most bytes are."""
    process = Process(threads=1, workers=1)
    struct.pack_into("<QQ", process.memory[HEAP], 0, 0, HEAP + 3072)
    struct.pack_into("<QQ", process.memory[HEAP], 3072, 2, 1)
    block = process.block(0)
    block[PLACE + 68], block[PLACE + 70] = polling, 0
    found = process.search("")
    if polling:
        assert isinstance(found, Found)
        assert (found.layout.tokio, found.layout.budget_tag) == ("1.40 to 1.54", 68)
    else:
        assert isinstance(found, str)


SHAPES = (
    Shape("1.29 to 1.39", 56, 32, 40, 76, 78),
    Shape(f"1.50 to {NOW} with taskdump", 40, NONE, 48, 92, 94),
    Shape("1.29 to 1.39 with Rust 1.63", 40, 48, 56, 77, 76),
)


@pytest.mark.parametrize("tokio", ["", "1.47.1"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_layout_that_is_not_of_the_version_is_found_by_what_is_there(
    shape: Shape, tokio: str
) -> None:
    process = Process(shape=shape)
    found = process.search(tokio)
    assert isinstance(found, Found)
    layout = found.layout
    assert layout.tls_offset + layout.scheduler == PLACE + shape.scheduler - SIZE
    assert layout.tls_offset + layout.task_id == PLACE + shape.task_id - SIZE
    assert layout.tls_offset + layout.budget_tag == PLACE + shape.budget - SIZE
    assert layout.tls_offset + layout.runtime == PLACE + shape.runtime - SIZE
    assert f"; layout as in {shape.tokio}, CONTEXT found" in layout.why


def test_of_a_context_of_no_known_size_only_its_bytes_are_searched() -> None:
    process = Process()
    for number in range(4):
        block = process.block(number)
        block[PLACE - 160 : PLACE - 80] = block[PLACE : PLACE + 80]
    assert process.search() == "2 places in the threads' TLS look like CONTEXT"
    block = executable_block(Tls(), "x86_64")
    assert isinstance(block, Block)
    found = process.search_in(block, within=(PLACE - 40, 136))
    assert isinstance(found, Found)
    assert found.layout.tls_offset == PLACE - SIZE
    assert (
        found.layout.why == "tokio 1.54.1, CONTEXT of 136 bytes, layout inferred from its contents"
    )


def test_a_multi_thread_scheduler_in_a_thread_entered_as_current_thread_is_none() -> None:
    process = Process()
    process.block(0)[PLACE + 70] = 0
    assert process.search() == UNSEEN


def test_a_scheduler_without_a_tag_is_one() -> None:
    process = Process()
    for number in range(2):
        struct.pack_into("<QQQ", process.memory[HEAP], 64 * number, HEAP + 2048, 0, HEAP)
        process.block(number)[PLACE + 70] = 0
    assert isinstance(process.search(), Found)


def test_large_blocks_of_thread_locals_are_searched() -> None:
    process = Process()
    size = 200_000
    for number in range(4):
        start = STACKS + 0x10000 * number
        block = bytearray(size - SIZE) + process.memory.pop(start)
        start = STACKS + 0x1000000 * (number + 1)
        process.memory[start] = block
        process.pointers[100 + number] = start + size
    found = process.search(tls=Tls(memsz=size))
    assert isinstance(found, Found)
    assert found.layout.tls_offset == PLACE - SIZE


# --------------------------------------------------------------------------- a known place


def proposed(process: Process, size: int, *tokio: str) -> list[ContextLayout]:
    block = executable_block(Tls(), "x86_64")
    assert isinstance(block, Block)
    rows = [row for row in (*LAYOUTS, *VARIANTS) if row.size == size and row.tokio in tokio]
    return [layout_of(row, block, PLACE, row.tokio) for row in rows]


def test_of_several_layouts_of_one_size_the_threads_decide() -> None:
    rows = (
        f"1.40 to {NOW}",
        f"1.45 to {NOW} with Rust before 1.80",
        "1.29 to 1.39 with Rust before 1.80",
    )
    process = Process()
    found = decide(proposed(process, 72, *rows), process.live())
    assert isinstance(found, Found)
    assert found.layout.why == f"1.45 to {NOW} with Rust before 1.80"
    idle = Process(workers=0)
    assert decide(proposed(idle, 72, *rows), idle.live()) == (
        "3 places in the threads' TLS look like CONTEXT"
    )


def test_layouts_that_differ_in_the_tick_alone_are_one_without_it() -> None:
    process = Process()
    layouts = proposed(process, 80, "1.40 to 1.44", f"1.45 to {NOW}")
    assert same_places(layouts)
    found = decide(layouts, process.live())
    assert isinstance(found, Found)
    assert found.layout.tick_multi == NONE


@settings(deadline=None)
@given(st.data())
def test_garbage_never_raises(data: st.DataObject) -> None:
    process = Process()
    for _ in range(data.draw(st.integers(1, 10))):
        memory = data.draw(st.sampled_from(list(process.memory.values())))
        at = data.draw(st.integers(0, len(memory) // 8 - 1))
        word = data.draw(st.integers(0, (1 << 64) - 1) | st.sampled_from([0, HEAP, HEAP + 64]))
        struct.pack_into("<Q", memory, 8 * at, word)
    process.search()
    process.search("")
