"""Lays out the unwind tables of the target's modules in the maps that the kernel programs search.

A module's rows and buckets (hud.symbols.unwind.table) are stored once however often it is mapped.
The map of mappings is double-buffered: the half not in use is written whole, then one store makes
the programs use it, so that no event ever sees a half-changed table.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from operator import attrgetter
from typing import NamedTuple

from hud.probe.wire import BUCKET_SIZE, MAPPING, MAX_MAPPINGS, ROW_SIZE, Config

GENERATION = MAX_MAPPINGS // 2
"""Entries of one half of the mappings map."""
PAIR = struct.Struct("<II")
PUSHED, FRAME = 1 | 2 << 4 | 2 << 20, 2 | 2 << 4 | 2 << 20
RETURN = (1 | 1 << 4, 1 | 1 << 4 | 2 << 20)
"""Rules (symbols.unwind.table): after ``push rbp``, after ``mov rbp, rsp``, after ``pop rbp``."""
MOST_RETURNS = 256
"""Of one function, before the address that is looked for."""
NEVER = (1 << 63) - 1
"""``start`` of the unused entries: above every address."""


class MappedCode(NamedTuple):
    """One executable mapping of the target."""

    start: int
    end: int
    bias: int
    """Address minus this = the pc that the module's rows are keyed by."""
    module: Hashable


class StoredTable(NamedTuple):
    """Where one module's table lies."""

    first_row: int
    first_bucket: int
    buckets: int


class UnwindTables:
    """Owns the contents of the maps ``rows``, ``buckets`` and ``mappings`` (writable views)."""

    def __init__(
        self, rows: memoryview, buckets: memoryview, mappings: memoryview, config: Config
    ) -> None:
        self._rows = rows
        self._buckets = buckets
        self._mappings = mappings
        self._config = config
        self._stored: dict[Hashable, StoredTable] = {}
        self._shown: list[MappedCode] = []
        self._row_end = 0
        self._bucket_end = 0
        self.refused = 0
        """Modules and mappings that did not fit; their frames stop the walk."""
        self.show([])

    def __contains__(self, module: Hashable) -> bool:
        return module in self._stored

    def add(self, module: Hashable, rows: bytes, buckets: bytes) -> bool:
        """Store a table as hud.symbols.unwind.table makes it; False (and counted) without room."""
        firsts = array("I", buckets)
        pairs = array("I", bytes(BUCKET_SIZE * max(len(firsts) - 1, 0)))
        pairs[0::2], pairs[1::2] = firsts[:-1], firsts[1:]
        row_end = self._row_end + len(rows) // ROW_SIZE
        bucket_end = self._bucket_end + len(pairs) // 2
        if row_end * ROW_SIZE > len(self._rows) or bucket_end * BUCKET_SIZE > len(self._buckets):
            self.refused += 1
            return False
        self._rows[self._row_end * ROW_SIZE : row_end * ROW_SIZE] = rows
        self._buckets[self._bucket_end * BUCKET_SIZE : bucket_end * BUCKET_SIZE] = pairs.tobytes()
        buckets_used = bucket_end - self._bucket_end
        self._stored[module] = StoredTable(self._row_end, self._bucket_end, buckets_used)
        self._row_end, self._bucket_end = row_end, bucket_end
        return True

    def show(self, segments: Sequence[MappedCode]) -> None:
        """Make these the mappings of the target; those of modules without a table are left out."""
        known = sorted(segment for segment in segments if segment.module in self._stored)
        if len(known) >= GENERATION:
            self.refused += len(known) - GENERATION + 1
            del known[GENERATION - 1 :]
        # the bisection never looks at the entry it starts from unless all others start above pc
        entries = [MAPPING.pack(0, 0, 0, 0, 0, 0, 0)]
        for segment in known:
            stored = self._stored[segment.module]
            entries.append(
                MAPPING.pack(
                    segment.start,
                    segment.end,
                    segment.bias,
                    stored.first_row,
                    stored.first_bucket,
                    stored.buckets,
                    0,
                )
            )
        unused = MAPPING.pack(NEVER, NEVER, 0, 0, 0, 0, 0)
        entries += [unused] * (GENERATION - len(entries))
        self._shown = known
        first = 0 if self._config.mappings_first else GENERATION
        at = first * MAPPING.size
        self._mappings[at : at + GENERATION * MAPPING.size] = b"".join(entries)
        self._config.mappings_first = first

    def rule_at(self, pc: int) -> int | None:
        """The rule that holds at an address, as the kernel finds it; None = no known module."""
        segment = self._segment(pc)
        if segment is None:
            return None
        row = self._row_at(segment, pc)
        return 0 if row is None else self._row(row)[1]

    def frame_set_at(self, pc: int) -> int | None:
        """Where the function at an address that keeps a frame pointer has just set it from sp.

        By its rows on x86_64, one after ``push rbp``, then one after ``mov rbp, rsp``. None = it
        did so in another way.
        """
        segment = self._segment(pc)
        row = None if segment is None else self._row_at(segment, pc)
        for _ in range(MOST_RETURNS):
            if segment is None or row is None or row < 2:
                break
            start, rule = self._row(row)
            before = self._row(row - 1)[1]
            if rule != FRAME:
                break
            if before == PUSHED:
                return start + segment.bias
            if before not in RETURN:
                break
            row -= 2  # a return in the middle of the function
        return None

    def _segment(self, pc: int) -> MappedCode | None:
        at = bisect_right(self._shown, pc, key=attrgetter("start")) - 1
        return self._shown[at] if at >= 0 and pc < self._shown[at].end else None

    def _row_at(self, segment: MappedCode, pc: int) -> int | None:
        stored, key = self._stored[segment.module], pc - segment.bias
        if not 0 <= key >> 8 < stored.buckets:
            return None
        bucket = (stored.first_bucket + (key >> 8)) * BUCKET_SIZE
        first, last = PAIR.unpack_from(self._buckets, bucket)
        rows = range(stored.first_row + first, stored.first_row + last + 1)
        at = bisect_right(rows, key, key=lambda number: self._row(number)[0]) - 1
        return rows[at] if at >= 0 else None

    def _row(self, number: int) -> tuple[int, int]:
        pc, rule = PAIR.unpack_from(self._rows, number * ROW_SIZE)
        return pc, rule

    def clear(self) -> None:
        """Forget every module: the target has replaced its image."""
        self.show([])
        self._stored.clear()
        self._row_end = self._bucket_end = 0
