"""Gates on a comparison: ``worse>20%``, by how much code blocks more than in the baseline.

What counts is what the comparison tells from chance: a row that it calls new or worse. By how much
is its best guess.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.comparison.compare import MATTERS, Verdict
from hud.gates.breach import Breach
from hud.gates.grammar import pattern
from hud.model import Origin
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hud.analysis.comparison.compare import Change, Comparison
    from hud.gates.grammar import Gate
    from hud.gates.suppressions import Excuse


def breaches(gate: Gate, comparison: Comparison, excuses: Sequence[Excuse]) -> list[Breach]:
    """One for each row, new ones first; not those that an excuse covers."""
    return [
        _breach(gate, change)
        for change in _about(gate, comparison)
        if change.verdict in (Verdict.NEW, Verdict.WORSE)
        and gate.exceeded(100 * growth(change))
        and not any(one.covers(_name(change), change.side.row.cause.value) for one in excuses)
    ]


def unsure(gate: Gate, comparison: Comparison) -> str:
    """Why nothing found does not mean that nothing got worse; empty where it does."""
    if comparison.why_not:
        return f"the two runs cannot be compared: {'; '.join(comparison.why_not)}"
    rows = [one for one in _about(gate, comparison) if max(one.shares) >= MATTERS]
    short = [_name(one) for one in rows if one.share is None]
    return f"the runs are too short to tell of {', '.join(short)}" if short else ""


def growth(change: Change) -> float:
    """Of a row that got worse: by which part of what it was, its share of worker time or the
    length of its episodes, the larger of those that are told from chance.
    """
    first, second = change.shares
    if not first:
        return inf
    by_share = second / first - 1 if change.share is None or change.share.above else 0.0
    length = change.length
    return max(by_share, length.best - 1 if length and length.low > 1 else 0.0)


def _about(gate: Gate, comparison: Comparison) -> Iterator[Change]:
    is_like = pattern(gate.function or "*")
    for change in comparison.changes:
        if gate.cause in ("", change.side.row.cause.value) and is_like(_name(change)):
            yield change


def _name(change: Change) -> str:
    row = change.side.row
    return f"{'~' if row.inferred else ''}{printable(row.function)}"


def _breach(gate: Gate, change: Change) -> Breach:
    row = change.side.row
    own = row.origin is Origin.USER
    call = f" in {printable(row.operation)}" if row.operation else ""
    named = " ".join(filter(None, [_name(change), printable(row.where)]))
    says = f"{named}: {_compared(change)} ({row.cause.value}{call})"
    return Breach(gate.text, says, row.file if own else "", row.line if own else 0, row.total_ns)


def _compared(change: Change) -> str:
    after = f"{figures.percent(change.shares[1])} of worker time"
    typical = f"typically {figures.long_duration(change.side.typical_ns)}"
    if change.before is None:
        return f"new, {after}, {typical}"
    was = figures.long_duration(change.before.typical_ns)
    return f"{after} after {figures.percent(change.shares[0])}, {typical} after {was}"
