"""Finds the nearest of some addresses along a function's control flow.

Flow ends at a stop, an address that the instruction before it never falls through to; between two
stops code runs straight on. A distance is bytes passed, plus JUMP for each jump taken.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

JUMP = 4
MOST_STEPS = 20_000
"""Jumps that one search follows."""


class Flow:
    """The jumps of one function: (source, target), and its stops."""

    def __init__(self, jumps: Sequence[tuple[int, int]], stops: Iterable[int]) -> None:
        self._forward = sorted(jumps)
        self._backward = sorted((target, source) for source, target in jumps)
        self._stops = sorted(stops)

    def stopped_at(self, places: Iterable[int]) -> Flow:
        """The flow that goes on from none of the instructions that end at these addresses."""
        return Flow(self._forward, {*self._stops, *places})

    def nearest(self, vaddr: int, places: Sequence[int], *, ahead: bool) -> tuple[int, int] | None:
        """(distance, place) of the nearest of the sorted ``places`` that is reached from ``vaddr``,
        or (not ``ahead``) from which ``vaddr`` is reached; None if none is.
        """
        jumps = self._forward if ahead else self._backward
        best: tuple[int, int] | None = None
        heap = [(0, vaddr)]
        seen: set[int] = set()
        steps = 0
        while heap and steps < MOST_STEPS:
            cost, at = heapq.heappop(heap)
            if best is not None and cost >= best[0]:
                break
            if at in seen:
                continue
            seen.add(at)
            low, high = self._run(at, ahead=ahead)
            found = _closest(places, low, high, ahead=ahead)
            if found is not None:
                best = min(best or (1 << 62, 0), (cost + abs(found - at), found))
            for here, there in jumps[bisect_left(jumps, (low, -1)) : bisect_right(jumps, (high,))]:
                steps += 1
                if there not in seen:
                    heapq.heappush(heap, (cost + abs(here - at) + JUMP, there))
        return best

    def reached(self, vaddr: int) -> list[tuple[int, int]]:
        """The code [low, high) that is reached from ``vaddr``, by address."""
        lowest: dict[int, int] = {}
        left = [vaddr]
        while left:
            at = left.pop()
            low, high = self._run(at, ahead=True)
            done = lowest.get(high, high)
            if done <= low:
                continue
            lowest[high] = low
            begin, end = bisect_left(self._forward, (low, -1)), bisect_left(self._forward, (done,))
            left += [there for _, there in self._forward[begin:end]]
        return sorted((low, high) for high, low in lowest.items())

    def _run(self, at: int, *, ahead: bool) -> tuple[int, int]:
        """The addresses [low, high) after ``at``, or those before it, itself included."""
        index = bisect_right(self._stops, at)
        if ahead:
            return at, self._stops[index] if index < len(self._stops) else 1 << 62
        return self._stops[index - 1] if index else 0, at + 1


def within(ranges: Sequence[tuple[int, int]], vaddr: int) -> bool:
    """Is an address in one of the sorted ranges [low, high)?"""
    index = bisect_right(ranges, (vaddr, 1 << 63)) - 1
    return index >= 0 and vaddr < ranges[index][1]


def _closest(places: Sequence[int], low: int, high: int, *, ahead: bool) -> int | None:
    index = bisect_left(places, low) if ahead else bisect_left(places, high) - 1
    return places[index] if 0 <= index < len(places) and low <= places[index] < high else None
