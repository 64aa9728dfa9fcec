"""The blockers as the main view lists them: filtered, grouped, sorted, and held in place."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from hud.tui import groups
from hud.tui.cache import OfEach
from hud.tui.filters import Filter, narrowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hud.analysis.results import Blocker, Snapshot

Key = tuple[str, str, str]
"""What makes a blocker the same in the next snapshot, as in analysis."""

_HELD_AROUND = 100
"""Rows on either side of the cursor that keep their places: more than a screen has."""


class Group(Enum):
    """What makes one row: a function, or all blockers of a handler, a file or a type of task."""

    FUNCTION = "function"
    HANDLER = "handler"
    FILE = "file"
    TYPE = "task type"


class Sort(NamedTuple):
    """An order; equal ones stay in the order of their totals."""

    key: Callable[[Blocker], Any]
    largest_first: bool = True


SORTS: dict[str, Sort] = {
    "share": Sort(attrgetter("total_ns")),
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


class Wanted(NamedTuple):
    """Which rows, put together how, in which order."""

    filter: Filter
    group: Group
    sort: str
    turned: bool = False
    """The other way round."""


def key_of(blocker: Blocker) -> Key:
    return blocker.key


def listed(snapshot: Snapshot, wanted: Wanted, before: Iterable[Blocker] = ()) -> Sequence[Blocker]:
    """The rows of the list in their order; ``before``: those of the last one, of which groups that
    are as they were are kept.
    """
    rows: Sequence[Blocker] = snapshot.blockers
    if wanted.filter.narrows():
        rows = narrowed(rows, wanted.filter)
    if wanted.filter.search:
        rows = matching(rows, wanted.filter.search)
    if wanted.group is Group.HANDLER:
        rows = groups.by_handler(rows, before)
    elif wanted.group is Group.FILE:
        rows = groups.by_file(rows, before)
    elif wanted.group is Group.TYPE:
        rows = groups.by_type(rows, before)
    return _ordered(rows, wanted, snapshot)


def _ordered(rows: Sequence[Blocker], wanted: Wanted, snapshot: Snapshot) -> Sequence[Blocker]:
    """By the marked column. Those of one runtime come in the order of their shares."""
    order = SORTS[wanted.sort]
    if wanted.sort != DEFAULT_SORT:
        rows = sorted(rows, key=order.key, reverse=order.largest_first)
    elif len(snapshot.runtimes) > 1:
        rows = sorted(rows, key=snapshot.share, reverse=True)
    return rows[::-1] if wanted.turned else rows


def matching(rows: Sequence[Blocker], search: str) -> Sequence[Blocker]:
    """Those that hold the text in their names, places, causes or files."""
    return list(compress(rows, _holding.of(rows, search.casefold())))


def _holds(b: Blocker, text: str) -> bool:
    return (
        text in _folded(b.function)
        or text in _folded(b.where)
        or text in _folded(b.operation)
        or any(text in cause.value for cause, _ in b.causes)
        or any(text in _folded(name) for name, _ in b.types)
        or any(text in _folded(detail) for detail, _ in b.details)
    )


_holding = OfEach(_holds)
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
