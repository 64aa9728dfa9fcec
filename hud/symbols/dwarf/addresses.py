"""Which value covers an address: sorted ranges, and the unit of an address from .debug_aranges.

Sources: DWARF 4, section 6.1.2; DWARF 5, section 6.1.2 (the same layout).
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING

from hud.errors import FormatError
from hud.symbols.dwarf.forms import MASK64, fixed, initial_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hud.symbols.dwarf.ranges import Range

MAX_RANGES = 1 << 24
MAX_OVERLAP = 64
"""How many ranges that start closer to an address are passed by to find one that covers it."""


class RangeMap:
    """[start, end) -> value; of several ranges that cover an address the innermost counts.

    ``ranges`` are (start, end, value) with values below 2**64. Ranges with the same bounds: the
    first one given counts.
    """

    def __init__(self, ranges: list[tuple[int, int, int]]) -> None:
        if len(ranges) > MAX_RANGES:
            raise FormatError("dwarf: too many address ranges")
        ranges.sort(key=itemgetter(0))
        self.starts = array("Q", [row[0] for row in ranges])
        self.ends = array("Q", [row[1] for row in ranges])
        self.values = array("Q", [row[2] for row in ranges])

    def __len__(self) -> int:
        return len(self.starts)

    def lookup(self, vaddr: int) -> tuple[int, int, int] | None:
        """(start, end, value) of the innermost range that covers an address."""
        at = bisect_right(self.starts, vaddr) - 1
        best = -1
        for index in range(at, max(-1, at - MAX_OVERLAP), -1):
            if best >= 0 and self.starts[index] != self.starts[best]:
                break
            if vaddr < self.ends[index] and (best < 0 or self.ends[index] <= self.ends[best]):
                best = index
        if best < 0:
            return None
        return self.starts[best], self.ends[best], self.values[best]


def read_aranges(data: memoryview, is_code: Callable[[int], bool]) -> RangeMap:
    """The unit offset of every live range of .debug_aranges; ends early where it is damaged."""
    rows: list[tuple[int, int, int]] = []
    for unit, pairs in _sets(data):
        start = end = 0
        for low, size in sorted(zip(pairs[0::2], pairs[1::2])):  # noqa: B905 - a half pair is cut
            if low == end and start < end:
                end += size
                continue
            if start < end:
                rows.append((start, end, unit))
            start = end = 0
            if size and low + size <= MASK64 and is_code(low):
                start, end = low, low + size
        if start < end:
            rows.append((start, end, unit))
        if len(rows) > MAX_RANGES:
            break
    return RangeMap(rows)


def _sets(data: memoryview) -> Iterator[tuple[int, array[int]]]:
    """(unit offset, address and size in turn) of each set."""
    pos = 0
    while pos < len(data):
        start = pos
        try:
            offset_size, pos, end = initial_length(data, pos)
            version, unit = fixed(data, pos, 2), fixed(data, pos + 2, offset_size)
            address_size, segment_size = fixed(data, pos + 2 + offset_size, 2).to_bytes(2, "little")
        except FormatError:
            return
        pos += 4 + offset_size
        if version == 2 and address_size == 8 and segment_size == 0:
            pos = start + (pos - start + 15) // 16 * 16
            pairs = array("Q")
            pairs.frombytes(data[pos : max(pos, end - (end - pos) % 16)])
            yield unit, pairs
        pos = end


def add_ranges(
    rows: list[tuple[int, int, int]],
    ranges: list[Range],
    value: int,
    is_code: Callable[[int], bool],
) -> None:
    """Append the live ones of an entry's ranges."""
    for start, end in ranges:
        if is_code(start) and start < end <= MASK64:
            rows.append((start, end, value))
