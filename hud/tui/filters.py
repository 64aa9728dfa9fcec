"""What a filter leaves of the blockers: their time for one cause, on one worker, in one task type.

Of a part of a blocker its time is known and nothing else: how many polls it was, the typical and
the longest one are not counted apart. Where the filter leaves all of it everything is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.results import Blocker
from hud.analysis.slices import NO_HISTORY
from hud.tui.cache import OfEach

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from hud.analysis.cause import Cause


class Filter(NamedTuple):
    """Which blockers are listed, and what of them counts."""

    search: str = ""
    cause: Cause | None = None
    worker: int | None = None
    task_type: str = ""

    def narrows(self) -> bool:
        """It does more than search."""
        return self._replace(search="") != NO_FILTER


NO_FILTER = Filter()


@dataclass(frozen=True, slots=True)
class Narrowed(Blocker):
    """A part of a blocker. What is not known of it is 0 or empty."""

    whole: Blocker | None = None
    at_most: bool = False
    """Its time is not known either: only that it is not more."""


def whole(blocker: Blocker) -> Blocker:
    """What it is a part of, or itself."""
    return (blocker.whole or blocker) if isinstance(blocker, Narrowed) else blocker


def narrowed(rows: Sequence[Blocker], wanted: Filter) -> list[Blocker]:
    """What the filter leaves of the rows, the largest first; equal ones in their order."""
    left = [part for part in _parts.of(rows, wanted) if part is not None]
    return sorted(left, key=attrgetter("total_ns"), reverse=True)


def _part(blocker: Blocker, wanted: Filter) -> Blocker | None:
    """None = nothing is left."""
    sides = [
        _of(pairs, key)
        for pairs, key in (
            (blocker.causes, wanted.cause),
            (blocker.workers, wanted.worker),
            (blocker.types, wanted.task_type or None),
        )
        if key is not None
    ]
    if not all(sides):
        return None
    parts = [ns for ns in sides if ns < blocker.total_ns]
    if not parts:
        return blocker
    return _narrowed(blocker, wanted, min(parts), at_most=len(parts) > 1)


_parts = OfEach(_part)


def _of(pairs: Sequence[tuple[Any, int]], key: object) -> int:
    return next((ns for one, ns in pairs if one == key), 0)


def _narrowed(blocker: Blocker, wanted: Filter, ns: int, *, at_most: bool) -> Blocker:
    values: dict[str, Any] = {name: getattr(blocker, name) for name in Blocker.__dataclass_fields__}
    values |= dict.fromkeys(_COUNTED, 0)
    values |= {
        "total_ns": ns,
        "history": NO_HISTORY,
        "durations": (),
        "whole": blocker,
        "at_most": at_most,
        "on_cpu_ns": -1,
    }
    if wanted.cause is not None:
        cases = tuple(case for case in blocker.cases if case.cause is wanted.cause)
        values |= {
            "cause": wanted.cause,
            "causes": ((wanted.cause, ns),),
            "cases": cases,
            "operation": cases[0].operation if cases else "",
        }
    if wanted.worker is not None:
        values["workers"] = ((wanted.worker, ns),)
    return Narrowed(**values)


_COUNTED = ("count", "max_ns", "p50_ns", "p99_ns", "waiting_ns", "pressed", "lasting", "lasting_ns")
