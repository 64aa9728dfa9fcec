"""What the tables of a comparison say in each row: the same for every format that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.comparison.compare import Verdict
from hud.analysis.shortnames import shorten
from hud.export.facts import place_of
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.analysis.comparison.compare import Change, Comparison
    from hud.analysis.comparison.sides import Side
    from hud.analysis.results import Snapshot

TITLES = ("", "before", "after", "change", "typical", "cause", "function", "blocks in", "where")
NOT_THERE = "-"
_NAME, _CALL = 48, 32
"""Columns of a name."""


class Row(NamedTuple):
    """One for each of ``TITLES``."""

    verdict: str
    before: str
    after: str
    change: str
    typical: str
    cause: str
    function: str
    call: str
    where: str


def table(comparison: Comparison) -> list[tuple[str, ...]]:
    """The titles, then the rows; without the columns that say nothing. Empty without rows."""
    rows = _rows(comparison)
    columns = zip(TITLES, *rows, strict=True)
    told = [column for column in columns if set(column[1:]) != {NOT_THERE}]
    return list(zip(*told, strict=True)) if rows else []


def _rows(comparison: Comparison) -> list[Row]:
    """Of those that are large enough to tell."""
    changes = [one for one in comparison.changes if one.verdict is not Verdict.SMALL]
    names = shorten([printable(one.side.row.function) for one in changes], _NAME)
    calls = shorten([printable(one.side.row.operation) for one in changes], _CALL)
    return [
        Row(
            change.verdict.value,
            _share(change.before),
            _share(change.after),
            _points(change),
            _typical(change),
            _both(change, lambda side: side.row.cause.value),
            name,
            call or NOT_THERE,
            place_of(change.side.row) or NOT_THERE,
        )
        for change, name, call in zip(changes, names, calls, strict=True)
    ]


def told(comparison: Comparison) -> list[str]:
    """Sentences: what changed in all, or why nothing can be said."""
    if comparison.why_not:
        return ["The two runs cannot be compared.", *comparison.why_not]
    whole = comparison.whole
    if whole is None:
        return ["Nothing blocked, before or after."]
    first, second = (figures.percent(share) for share in whole.shares)
    if whole.verdict in (Verdict.SAME, Verdict.SMALL):
        said = f"No overall difference: {first} of worker time was blocked, then {second}"
    else:
        verb = "rose" if whole.shares[1] > whole.shares[0] else "fell"
        said = f"Blocked time {verb} from {first} to {second} of worker time"
    return [f"{said}{_margin(whole)}."]


def left_out(comparison: Comparison) -> str:
    """How many rows say nothing; empty = none."""
    small = sum(one.verdict is Verdict.SMALL for one in comparison.changes)
    rows = figures.count(small, "row")
    return f"{rows} of less than 0.05 % of worker time not compared." if small else ""


def about(run: Snapshot) -> str:
    """The run in a line."""
    blocked = run.blocked_ns / max(1, run.worker_time_ns)
    return (
        f"{printable(run.info.target.name)} (pid {run.info.target.pid}), "
        f"{figures.long_duration(run.span_ns)}, {figures.count(len(run.workers), 'worker')}: "
        f"{figures.percent(blocked)} of worker time blocked, "
        f"{figures.count(run.episodes, 'long poll')}"
    )


def _margin(change: Change) -> str:
    if change.share is None:
        return " (the runs are too short to say how sure that is)"
    low, high = sorted((change.share.low * 100, change.share.high * 100))
    return f" (95 % sure: between {low:+.1f} and {high:+.1f} points)"


def _share(side: Side | None) -> str:
    return figures.share(side.share) if side else NOT_THERE


def _points(change: Change) -> str:
    """The difference in percent of worker time, and how sure it is."""
    if change.share is None:
        return "too short"
    best, half = change.share.best * 100, (change.share.high - change.share.best) * 100
    return f"{best:+.1f} ±{half:.1f}"


def _typical(change: Change) -> str:
    lengths = _both(change, lambda side: figures.duration(side.typical_ns))
    if change.length is None or change.length.low <= 1 <= change.length.high:
        return lengths
    return f"{lengths} (x{change.length.best:.2g})"


def _both(change: Change, said: Callable[[Side], str]) -> str:
    """What each side says: once where it is the same."""
    found = [said(side) for side in (change.before, change.after) if side]
    return " → ".join(dict.fromkeys(found))
