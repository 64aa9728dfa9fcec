"""The unwind maps: what user space lays out, searched as the kernel programs search it."""

from __future__ import annotations

import struct
import sys
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.kernel import cpus
from hud.probe import wire
from hud.probe.probe import map_sizes
from hud.probe.unwind import GENERATION, NEVER, MappedCode, UnwindTables
from hud.symbols.elf.file import ElfFile
from hud.symbols.unwind.table import unwind_table

U32, U64 = (1 << 32) - 1, (1 << 64) - 1
NONE = 0


class Maps:
    """The three maps and the configuration as plain memory, and the kernel's search in them."""

    def __init__(self, rows: int = 4096, buckets: int = 4096) -> None:
        self.rows = bytearray(rows * wire.ROW_SIZE)
        self.buckets = bytearray(buckets * wire.BUCKET_SIZE)
        self.mappings = bytearray(wire.MAX_MAPPINGS * wire.MAPPING.size)
        self.config = wire.Config()
        self.tables = UnwindTables(
            memoryview(self.rows), memoryview(self.buckets), memoryview(self.mappings), self.config
        )

    def mapping(self, index: int) -> tuple[int, ...] | None:
        if index >= wire.MAX_MAPPINGS:
            return None
        return wire.MAPPING.unpack_from(self.mappings, index * wire.MAPPING.size)

    def pair(self, memory: bytearray, index: int) -> tuple[int, int] | None:
        if 8 * index + 8 > len(memory):
            return None
        return struct.unpack_from("<II", memory, 8 * index)

    def find_mapping(self, pc: int) -> tuple[int, ...] | None:
        """bpf_src/unwind.h, find_mapping."""
        position = self.config.mappings_first
        half = wire.MAX_MAPPINGS // 4
        while half:
            mapping = self.mapping(position + half)
            if mapping is None:
                return None
            position += half * not_above(mapping[0], pc)
            half //= 2
        mapping = self.mapping(position)
        if mapping is None or pc < mapping[0] or pc >= mapping[1]:
            return None
        return mapping

    def rule(self, pc: int) -> int:
        """bpf_src/unwind.h, find_mapping and find_rule: the rule at an address, 0 = none."""
        mapping = self.find_mapping(pc)
        if mapping is None:
            return NONE
        _, _, bias, first_row, first_bucket, count, _ = mapping
        key = pc - bias & U64
        number = key >> 8 & U32
        if number >= count:
            return NONE
        bucket = self.pair(self.buckets, number + first_bucket & U32)
        if bucket is None:
            return NONE
        low, last = first_row + bucket[0] & U32, first_row + bucket[1] & U32
        half = 256
        while half:
            index = low + half & U32
            index = index - (index - last) * (1 - not_above(index, last)) & U32
            row = self.pair(self.rows, index)
            if row is None:
                return NONE
            low = low + (index - low) * not_above(row[0], key) & U32
            half //= 2
        row = self.pair(self.rows, low)
        if row is None or row[0] > key:
            return NONE
        return row[1]


def not_above(a: int, b: int) -> int:
    """bpf_src/unwind.h, not_above."""
    return 1 - ((b - a & U64) >> 63)


def table(rows: Sequence[tuple[int, int]]) -> tuple[bytes, bytes]:
    """(rows, buckets) as hud.symbols.unwind.table documents them; the first row is at 0."""
    pcs = [pc for pc, _ in rows]
    count = -(-(pcs[-1] + 1) // 256) + 1
    firsts = [bisect_right(pcs, number << 8) - 1 for number in range(count)]
    return b"".join(struct.pack("<II", *row) for row in rows), struct.pack(f"<{count}I", *firsts)


def naive(rows: Sequence[tuple[int, int]], key: int) -> int:
    """The last row at or below ``key``; none beyond the last row's bucket."""
    if not 0 <= key < -(-(rows[-1][0] + 1) // 256) * 256:
        return NONE
    return max((row for row in rows if row[0] <= key), default=(0, NONE))[1]


START = 0x5555_0000_0000


def shown(rows: Sequence[tuple[int, int]], maps: Maps | None = None) -> Maps:
    maps = maps or Maps()
    assert maps.tables.add("module", *table(rows))
    maps.tables.show([MappedCode(START, START + (1 << 20), START, "module")])
    return maps


distinct_pcs = st.sets(st.integers(1, 3000) | st.integers(1, 1 << 17), max_size=400)


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[int, int]]:
    pcs = [0, *sorted(draw(distinct_pcs))]
    return [(pc, number + 1) for number, pc in enumerate(pcs[:-1])] + [(pcs[-1], NONE)]


@settings(max_examples=60, deadline=None)
@given(tables(), st.data())
def test_search_is_the_naive_search(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    # another module's table before it, so that no place is 0
    maps = Maps(8192, 8192)
    assert maps.tables.add("before", *table([(0, 99), (700, 98), (5000, 0)]))
    shown(rows, maps)
    last = rows[-1][0]
    edges = {pc + step for pc, _ in rows for step in (-1, 0, 1)}
    drawn = data.draw(st.lists(st.integers(0, last + 600), max_size=50))
    for key in [key for key in [*edges, *drawn] if key >= 0]:
        assert maps.rule(START + key) == naive(rows, key), key
        assert maps.tables.rule_at(START + key) == naive(rows, key), key


@pytest.mark.parametrize("first", [256, 257, 512])
def test_bucket_with_as_many_rows_as_it_can_have(first: int) -> None:
    dense = [(0, 1), *((pc, pc) for pc in range(first, first + 300)), (4096, NONE)]
    maps = shown(dense)
    for key in range(4400):
        assert maps.rule(START + key) == naive(dense, key), key
    index = 512 >> 8
    low, high = struct.unpack_from("<II", maps.buckets, 8 * index)
    assert high - low <= 256


def test_bucket_of_257_rows() -> None:
    dense = [(0, 1), *((pc, pc) for pc in range(256, 513)), (1024, NONE)]
    maps = shown(dense)
    low, high = struct.unpack_from("<II", maps.buckets, 8)
    assert (low, high) == (1, 257)
    assert [maps.rule(START + key) for key in range(256, 513)] == list(range(256, 513))


def test_where_a_frame_pointer_was_set() -> None:
    """0: leaves sp alone. 16: sets rbp, returns at 60, goes on. 96: sets it while it pushes."""
    entry, pushed, frame, popped = 0x11, 0x200021, 0x200022, 0x200011
    maps = shown(
        [
            *((0, entry), (17, pushed), (20, frame), (60, popped), (61, frame)),
            *((96, entry), (97, pushed), (98, 0x200031), (101, frame), (200, NONE)),
        ]
    )
    found = [maps.tables.frame_set_at(START + key) for key in (5, 17, 20, 59, 60, 61, 95, 150)]
    assert found == [None, None, START + 20, START + 20, None, START + 20, START + 20, None]
    assert maps.tables.frame_set_at(0) is None


def test_single_row() -> None:
    maps = shown([(0, NONE)])
    assert [maps.rule(START + key) for key in (0, 1, 255, 256, 1 << 19)] == [NONE] * 5


def test_rules_of_a_real_module() -> None:
    path = Path(sys.executable).resolve()
    with path.open("rb") as file, ElfFile(file.fileno(), str(path)) as elf:
        made = unwind_table(elf)
    assert made is not None
    rows = list(struct.iter_unpack("<II", made.rows))
    maps = Maps(len(rows), len(made.buckets) // 4)
    assert maps.tables.add("python", made.rows, made.buckets)
    maps.tables.show([MappedCode(START, START + (1 << 30), START, "python")])
    pcs = [pc for pc, _ in rows]
    for number in range(0, len(rows) - 1, max(1, len(rows) // 2000)):
        for key in (pcs[number], pcs[number + 1] - 1):
            assert maps.rule(START + key) == rows[bisect_right(pcs, key) - 1][1]


# --------------------------------------------------------------------------- mappings


ROWS = [(0, 7), (100, NONE)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), max_size=300),
    st.lists(st.integers(0, U64) | st.integers(0, 15_000 << 12), max_size=30),
)
def test_mappings_are_found_as_naively(sizes: list[int], addresses: list[int]) -> None:
    segments, at = [], 1
    for number, size in enumerate(sizes):
        start = at + number % 3 << 12
        at = start + (size << 12) >> 12
        segments.append(MappedCode(start, at << 12, start - 0x1000, "module"))
    maps = Maps(16, 16)
    assert maps.tables.add("module", *table(ROWS))
    maps.tables.show(segments)
    edges = [edge + step for s in segments for edge in (s.start, s.end) for step in (-1, 0)]
    for pc in [*edges, *addresses, 0, NEVER, NEVER + 1, U64]:
        hit = [s for s in segments if s.start <= pc < s.end]
        found = maps.find_mapping(pc)
        assert (found is None) == (not hit)
        assert (maps.tables.rule_at(pc) is None) == (not hit)
        if found is not None:
            assert found[:3] == (hit[0].start, hit[0].end, hit[0].bias)


def test_new_generation_is_written_where_the_kernel_does_not_look() -> None:
    maps = shown(ROWS)
    before = maps.config.mappings_first
    old = bytes(maps.mappings[before * wire.MAPPING.size :][: GENERATION * wire.MAPPING.size])
    maps.tables.show([])
    assert maps.config.mappings_first == GENERATION - before
    assert bytes(maps.mappings[before * wire.MAPPING.size :][: len(old)]) == old
    assert maps.rule(START) == NONE
    maps.config.mappings_first = before  # an event that was under way
    assert maps.rule(START) == 7


def test_generations_take_turns() -> None:
    maps = Maps()
    maps.tables.add("module", *table(ROWS))
    firsts = []
    for number in range(1, 5):
        start = number << 20
        maps.tables.show([MappedCode(start, start + 4096, start, "module")])
        firsts.append(maps.config.mappings_first)
        assert [bool(maps.rule(other << 20)) for other in range(1, 5)] == [
            other == number for other in range(1, 5)
        ]
    assert sorted(set(firsts)) == [0, GENERATION]
    assert firsts == firsts[:2] * 2


def test_most_mappings_are_kept_and_the_rest_counted() -> None:
    maps = Maps(16, 16)
    maps.tables.add("module", *table(ROWS))
    segments = [MappedCode(n << 12, (n + 1) << 12, n << 12, "module") for n in range(1, 601)]
    maps.tables.show(segments[::-1])
    kept = [n for n in range(1, 601) if maps.rule(n << 12) == 7]
    assert kept == list(range(1, GENERATION))
    assert maps.tables.refused == 600 - len(kept)


def test_module_without_a_table_is_left_out() -> None:
    maps = Maps()
    maps.tables.add("module", *table(ROWS))
    maps.tables.show(
        [MappedCode(0x1000, 0x2000, 0x1000, "other"), MappedCode(START, START + 1, 0, "x")]
    )
    assert maps.rule(0x1000) == NONE
    assert maps.tables.refused == 0


def test_two_mappings_share_a_table() -> None:
    maps = Maps()
    maps.tables.add("module", *table(ROWS))
    maps.tables.show(
        [MappedCode(start, start + 0x1000, start, "module") for start in (0x9000, 0x1000)]
    )
    assert (maps.rule(0x1000), maps.rule(0x9063), maps.rule(0x9064)) == (7, 7, NONE)


# --------------------------------------------------------------------------- room


def test_table_that_does_not_fit_changes_nothing() -> None:
    maps = Maps(rows=5, buckets=3)
    assert maps.tables.add("first", *table([(0, 1), (300, 2), (500, NONE)]))
    before = bytes(maps.rows), bytes(maps.buckets)
    assert not maps.tables.add("rows", *table([(0, 1), (1, 2), (2, NONE)]))
    assert not maps.tables.add("buckets", *table([(0, 1), (600, NONE)]))
    assert (bytes(maps.rows), bytes(maps.buckets)) == before
    assert maps.tables.refused == 2
    assert "rows" not in maps.tables
    assert maps.tables.add("fits", *table([(0, 5), (255, NONE)]))
    assert "fits" in maps.tables
    maps.tables.show([MappedCode(START, START + 4096, START, "fits")])
    assert maps.rule(START + 254) == 5


def test_clear_gives_the_room_back() -> None:
    maps = Maps(rows=3, buckets=2)
    rows = [(0, 1), (300, 2), (500, NONE)]
    shown(rows, maps)
    assert not maps.tables.add("more", *table(ROWS))
    maps.tables.clear()
    assert "module" not in maps.tables
    assert maps.rule(START) == NONE
    shown(rows, maps)
    assert maps.rule(START + 400) == 2


def test_last_row_and_last_bucket_of_the_maps_are_used() -> None:
    maps = Maps(rows=2, buckets=1)
    shown([(0, 9), (200, NONE)], maps)
    assert maps.rule(START + 199) == 9


def test_the_buckets_reach_from_a_files_first_byte_to_the_end_of_its_code() -> None:
    text, before = 107_295_696, 0x162DE80  # of a wheel with 24 MB of data before its code
    assert map_sizes(text, text + before)["buckets"] > (text + before) // 256
    assert map_sizes(text, 0) == map_sizes(text, text)


def test_many_threads_now_are_room_for_more_later() -> None:
    assert map_sizes(0, 0, threads=30)["threads"] == 4096
    assert map_sizes(0, 0, threads=5000)["threads"] == 20_000
    assert map_sizes(0, 0, threads=1 << 20)["threads"] == 65_536


def test_each_cpu_may_hold_back_places_for_stacks() -> None:
    assert map_sizes(0, 0)["stacks"] >= 256 * len(cpus.possible())
    assert map_sizes(0, 0)["stacks"] >= 3072


def test_what_only_exact_mode_keeps_has_no_room_without_it() -> None:
    assert map_sizes(0, 0)["exact_threads"] == 1
    assert "exact_threads" not in map_sizes(0, 0, exact=True)
