"""The blockers as the main view lists them: filtered, grouped, sorted, and held in place."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from hud.analysis.cause import Cause
from hud.tui import groups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hud.analysis.results import Blocker, Snapshot

Key = tuple[str, str, str]
"""What makes a blocker the same in the next snapshot, as in analysis."""

_HELD_AROUND = 100
"""Rows on either side of the cursor that keep their places: more than a screen has."""


class Group(Enum):
    """What makes one row: a function, or all blockers of a file or of a type of task."""

    FUNCTION = "function"
    FILE = "file"
    TYPE = "task type"


class Filter(NamedTuple):
    """Which blockers are listed."""

    search: str = ""
    cause: Cause | None = None
    worker: int | None = None
    task_type: str = ""

    def words(self) -> str:
        """What it leaves out, for the header; empty = nothing but by the search."""
        said = [f"only {self.cause.value}"] if self.cause is not None else []
        said += [f"seen on W{self.worker}"] if self.worker is not None else []
        said += [f"only {self.task_type}"] if self.task_type else []
        return ", ".join(said)


NO_FILTER = Filter()


class Sort(NamedTuple):
    """An order; equal ones stay in the order of their totals."""

    key: Callable[[Blocker], Any] | None
    """None = as analysis gives them."""
    largest_first: bool = True


SORTS: dict[str, Sort] = {
    "share": Sort(None),
    "count": Sort(attrgetter("count")),
    "typical": Sort(attrgetter("p50_ns")),
    "worst": Sort(attrgetter("max_ns")),
    "waiting": Sort(attrgetter("waiting_ns")),
    "cause": Sort(attrgetter("cause"), False),
    "function": Sort(attrgetter("function"), False),
    "operation": Sort(attrgetter("operation"), False),
    "where": Sort(attrgetter("file", "line"), False),
}
"""By column name; a snapshot comes sorted by the first."""

DEFAULT_SORT = next(iter(SORTS))


def key_of(blocker: Blocker) -> Key:
    return blocker.key


def listed(snapshot: Snapshot, wanted: Filter, group: Group, sort: str) -> Sequence[Blocker]:
    """The rows of the list in their order."""
    rows: Sequence[Blocker] = snapshot.blockers
    if wanted._replace(search="") != NO_FILTER:
        rows = [blocker for blocker in rows if _fits(blocker, wanted)]
    if wanted.search:
        rows = _matching(rows, wanted.search)
    if group is Group.FILE:
        rows = groups.by_file(rows)
    elif group is Group.TYPE:
        rows = groups.by_type(rows)
    order = SORTS[sort]
    if order.key is not None:
        rows = sorted(rows, key=order.key, reverse=order.largest_first)
    return rows


def _fits(blocker: Blocker, wanted: Filter) -> bool:
    if wanted.cause is not None and all(wanted.cause is not one for one, _ in blocker.causes):
        return False
    if wanted.worker is not None and all(wanted.worker != one for one, _ in blocker.workers):
        return False
    return not wanted.task_type or any(wanted.task_type == name for name, _ in blocker.types)


def _matching(rows: Sequence[Blocker], search: str) -> Sequence[Blocker]:
    text = search.casefold()
    causes = {cause for cause in Cause if text in cause.value}
    return [
        b
        for b in rows
        if text in _folded(b.function)
        or text in _folded(b.where)
        or text in _folded(b.operation)
        or any(cause in causes for cause, _ in b.causes)
        or (b.types and any(text in _folded(name) for name, _ in b.types))
        or (b.details and any(text in _folded(detail) for detail, _ in b.details))
    ]


_folded = lru_cache(maxsize=65_536)(str.casefold)


def in_places(rows: Sequence[Blocker], before: Sequence[Blocker], cursor: int) -> Sequence[Blocker]:
    """``rows``, with those around the cursor in the order in which they were listed before."""
    start = max(cursor - _HELD_AROUND, 0)
    end = cursor + _HELD_AROUND
    wanted = {key_of(blocker): place for place, blocker in enumerate(before[start:end])}
    # Rows hardly move between two snapshots: those that were near are near.
    found = _positions(rows, wanted, max(start - _HELD_AROUND, 0), end + _HELD_AROUND)
    if len(found) < len(wanted):
        found = _positions(rows, wanted, 0, len(rows))
    order = [at for _, at in sorted((place, at) for at, place in found.items())]
    rest: list[Blocker] = []
    last = 0
    for at in sorted(found):
        rest += rows[last:at]
        last = at + 1
    rest += rows[last:]
    return [*rest[:start], *(rows[at] for at in order), *rest[start:]]


def _positions(
    rows: Sequence[Blocker], wanted: dict[Key, int], start: int, end: int
) -> dict[int, int]:
    found = {}
    for at in range(start, min(end, len(rows))):
        place = wanted.get(key_of(rows[at]))
        if place is not None:
            found[at] = place
    return found
