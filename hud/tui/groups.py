"""Several blockers added up to one: all of a handler, a file, or a type of task.

Only sums and histograms are added; the median and p99 of a group of several are read off its
histogram, as the longest duration that bucket may hold, and are 0 where there is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import zip_longest
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from hud import figures
from hud.analysis.blame import short_place
from hud.analysis.cause import Cause
from hud.analysis.results import Blocker, HolderUse
from hud.analysis.slices import together
from hud.analysis.tally import heaviest, largest_first
from hud.model import Origin, bucket_floor_ns
from hud.tui.cache import kept
from hud.tui.filters import Narrowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_T = TypeVar("_T")

NO_FILE = "(file not known)"
_MODULE = re.compile(r"^([a-z_]\w*(?:::[a-z_]\w*)*)::(?:[A-Z]\w*::)?\w+$")
"""Of a path: what stands before the function, or before its type."""
NO_TYPE = "(task type not known)"
NO_HANDLER = "(handler not known)"
_FEW = 8


_Part = tuple[Blocker, int]
"""A blocker, and how much of its time counts here, ns."""
_Name = tuple[str, str]
"""Of a group, and its file."""


@dataclass(frozen=True, slots=True)
class Grouped(Blocker):
    """What several blockers add up to."""

    members: tuple[_Part, ...] = ()
    """The largest, a few."""
    parts: Sequence[_Part] = field(default=(), compare=False, repr=False)
    """All that it was made of."""


def members(blocker: Blocker) -> tuple[_Part, ...]:
    """What it stands for and with how much, the largest first: itself where it is no group."""
    found = blocker.members if isinstance(blocker, Grouped) else ()
    return found or ((blocker, blocker.total_ns),)


# Groups of the same parts as one of ``before``, the rows of the last list, are not made again.


def by_file(blockers: Sequence[Blocker], before: Iterable[Blocker] = ()) -> list[Blocker]:
    """One row per source file, the largest total first; per module where files are not known."""
    parts: dict[_Name, list[_Part]] = {}
    for blocker in blockers:
        name = _place(blocker.file) if blocker.file else _module(blocker.function)
        parts.setdefault((name, blocker.file), []).append((blocker, blocker.total_ns))
    return _ranked(parts, before)


@lru_cache(maxsize=4096)
def _place(file: str) -> str:
    return short_place(file, 0)


def _module(function: str) -> str:
    """``shop::db, file not known`` for ``shop::db::load::{async}``."""
    path = function.partition("::{")[0]
    found = _MODULE.match(path)
    return f"{found[1]}, file not known" if found else NO_FILE


def by_type(blockers: Sequence[Blocker], before: Iterable[Blocker] = ()) -> list[Blocker]:
    """One row per type of task that the blockers' time was spent in."""
    return _ranked(_by_parts(blockers, attrgetter("types"), NO_TYPE), before)


def by_handler(blockers: Sequence[Blocker], before: Iterable[Blocker] = ()) -> list[Blocker]:
    """One row per handler, which is the async fn of one's own that called what blocks."""
    return _ranked(_by_parts(blockers, attrgetter("handlers"), NO_HANDLER), before)


def _by_parts(
    blockers: Sequence[Blocker],
    parts_of: Callable[[Blocker], Sequence[tuple[str, int]]],
    unknown: str,
) -> dict[_Name, list[_Part]]:
    """A blocker of several names counts for each with that name's part of its time; its episodes
    are counted for the one that took most.
    """
    parts: dict[str, list[_Part]] = {}
    for blocker in blockers:
        found = parts_of(blocker)
        left = blocker.total_ns
        for at, (name, ns) in enumerate(found):
            left -= ns
            parts.setdefault(name, []).append((blocker if not at else _part(blocker), ns))
        if left > 0 or not found:
            one = _part(blocker) if found else blocker
            parts.setdefault(unknown, []).append((one, max(left, 0)))
    return {(name, ""): pairs for name, pairs in parts.items()}


@kept(20_000)
def _part(blocker: Blocker) -> Blocker:
    """The blocker without what is counted elsewhere."""
    return replace(
        blocker,
        count=0,
        durations=(),
        waiting_ns=0,
        on_cpu_ns=0,
        pressed=0,
        lasting=0,
        lasting_ns=0,
    )


def _ranked(parts: Mapping[_Name, list[_Part]], before: Iterable[Blocker]) -> list[Blocker]:
    """The groups, the largest total first."""
    known = {row.key: row for row in before if isinstance(row, Grouped)}
    rows = []
    for name, pairs in parts.items():
        row = known.get((*name, ""))
        if row is None or row.parts != pairs:
            row = _merged(pairs, *name)
        rows.append(row)
    return sorted(rows, key=lambda row: (-row.total_ns, row.function))


def _merged(pairs: Sequence[_Part], name: str, file: str) -> Grouped:
    members = [blocker for blocker, _ in pairs]
    durations = tuple(map(sum, zip_longest(*(one.durations for one in members), fillvalue=0)))
    causes = largest_first(_added(pair for one in members for pair in one.causes))
    whole = sum(one.total_ns for one in members)
    total = sum(ns for _, ns in pairs)
    counted = not any(isinstance(one, Narrowed) for one in members)
    longest = max((one.max_ns for one in members), default=0) if counted else 0
    return Grouped(
        function=name,
        where=figures.count(len(members), "function"),
        file=file,
        line=0,
        origin=members[0].origin if members else Origin.UNKNOWN,
        inferred=all(one.inferred for one in members),
        operation="",
        cause=causes[0][0] if causes else Cause.UNKNOWN,
        count=sum(one.count for one in members) if counted else 0,
        total_ns=total,
        max_ns=longest,
        p50_ns=_percentile(members, durations, 50, longest),
        p99_ns=_percentile(members, durations, 99, longest),
        workers=largest_first(_added(pair for one in members for pair in one.workers)),
        stacks=heaviest(_added(pair for one in members for pair in one.stacks)),
        causes=causes,
        task_ids=tuple(dict.fromkeys(task for one in members for task in one.task_ids))[:_FEW],
        history=together(one.history for one in members),
        durations=durations,
        details=largest_first(_added(pair for one in members for pair in one.details))[:_FEW],
        holders=_holders(members),
        types=largest_first(_added(pair for one in members for pair in one.types))[:_FEW],
        waiting_ns=sum(one.waiting_ns for one in members),
        on_cpu_ns=sum(one.on_cpu_ns for one in members) if whole == total else -1,
        pressed=sum(one.pressed for one in members),
        lasting=sum(one.lasting for one in members),
        lasting_ns=max((one.lasting_ns for one in members), default=0),
        key=(name, file, ""),
        cases=members[0].cases if members else (),
        members=tuple(sorted(pairs, key=_largest_first)[:_FEW]),
        parts=pairs,
    )


def _percentile(
    members: Sequence[Blocker], durations: Sequence[int], percent: int, longest: int
) -> int:
    """Known where there is one member; of several, at most that."""
    if len(members) == 1 and members[0].count:
        return members[0].p50_ns if percent == 50 else members[0].p99_ns
    return min(bucket_percentile(durations, percent), longest)


def _largest_first(part: _Part) -> tuple[int, str]:
    return -part[1], part[0].function


def _added(pairs: Iterable[tuple[_T, int]]) -> dict[_T, int]:
    totals: dict[_T, int] = {}
    for key, amount in pairs:
        totals[key] = totals.get(key, 0) + amount
    return totals


def _holders(members: Sequence[Blocker]) -> tuple[HolderUse, ...]:
    found = [use for one in members for use in one.holders]
    return tuple(sorted(found, key=lambda use: (-use.total_ns, use.function))[:_FEW])


def bucket_percentile(buckets: Sequence[int], percent: int) -> int:
    """The end of the bucket that holds the nearest rank; 0 of none."""
    rank = -(-percent * sum(buckets) // 100)
    if rank <= 0:
        return 0
    for at, number in enumerate(buckets):
        rank -= number
        if rank <= 0:
            return bucket_floor_ns(at + 1)
    return 0
