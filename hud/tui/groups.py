"""Several blockers added up to one: all of a file, or of a type of task.

Only sums and histograms are added; the median and p99 of a group are read off its histogram, as
the longest duration that bucket may hold, and are 0 where there is none.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

from hud.analysis.blame import short_place
from hud.analysis.tally import heaviest, largest_first
from hud.model import Blocker, Cause, HolderUse, Origin, bucket_floor_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_T = TypeVar("_T")

NO_FILE = "(file not known)"
NO_TYPE = "(task type not known)"
_FEW = 8


def by_file(blockers: Sequence[Blocker]) -> list[Blocker]:
    """One row per source file, the largest total first."""
    parts: dict[str, list[Blocker]] = {}
    for blocker in blockers:
        parts.setdefault(blocker.file, []).append(blocker)
    return _ranked(
        _merged(members, short_place(file, 0) if file else NO_FILE, _functions(members), file)
        for file, members in parts.items()
    )


def by_type(blockers: Sequence[Blocker]) -> list[Blocker]:
    """One row per type of task that the blockers' time was spent in.

    A blocker that several types reach counts for each with that type's part of its time; its
    episodes are counted for the type that took most.
    """
    parts: dict[str, list[Blocker]] = {}
    totals: dict[str, int] = {}
    for blocker in blockers:
        left = blocker.total_ns
        for at, (name, ns) in enumerate(blocker.types):
            left -= ns
            totals[name] = totals.get(name, 0) + ns
            parts.setdefault(name, []).append(blocker if not at else _part(blocker))
        if left > 0 or not blocker.types:
            totals[NO_TYPE] = totals.get(NO_TYPE, 0) + max(left, 0)
            whole = not blocker.types
            parts.setdefault(NO_TYPE, []).append(blocker if whole else _part(blocker))
    return _ranked(
        _merged(members, name, _functions(members), "", totals[name])
        for name, members in parts.items()
    )


def _part(blocker: Blocker) -> Blocker:
    """The blocker without what is counted elsewhere."""
    return replace(blocker, count=0, durations=())


def _functions(members: Sequence[Blocker]) -> str:
    return "1 function" if len(members) == 1 else f"{len(members)} functions"


def _ranked(rows: Iterable[Blocker]) -> list[Blocker]:
    return sorted(rows, key=lambda row: (-row.total_ns, row.function))


def _merged(
    members: Sequence[Blocker], name: str, where: str, file: str, total_ns: int = -1
) -> Blocker:
    durations = tuple(
        sum(column) for column in zip_longest(*(one.durations for one in members), fillvalue=0)
    )
    causes = largest_first(_added(pair for one in members for pair in one.causes))
    whole = sum(one.total_ns for one in members)
    total = whole if total_ns < 0 else total_ns
    share = sum(one.share for one in members)
    longest = max((one.max_ns for one in members), default=0)
    return Blocker(
        function=name,
        where=where,
        file=file,
        line=0,
        origin=members[0].origin if members else Origin.UNKNOWN,
        inferred=all(one.inferred for one in members),
        operation="",
        cause=causes[0][0] if causes else Cause.UNKNOWN,
        count=sum(one.count for one in members),
        total_ns=total,
        max_ns=longest,
        p50_ns=min(bucket_percentile(durations, 50), longest),
        p99_ns=min(bucket_percentile(durations, 99), longest),
        share=share * total / whole if whole else 0.0,
        workers=largest_first(_added(pair for one in members for pair in one.workers)),
        stacks=heaviest(_added(pair for one in members for pair in one.stacks)),
        causes=causes,
        task_ids=tuple(dict.fromkeys(task for one in members for task in one.task_ids))[:_FEW],
        history=tuple(
            sum(column) for column in zip(*(one.history for one in members), strict=True)
        ),
        durations=durations,
        details=largest_first(_added(pair for one in members for pair in one.details))[:_FEW],
        holders=_holders(members),
        types=largest_first(_added(pair for one in members for pair in one.types))[:_FEW],
    )


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
