"""Compare two runs of a service: which blockers are gone, new, worse, better, and which are not
known to differ.

Two things are measured of each: its share of worker time, in equal blocks of the run, and the
length of its episodes. A change is told where one of them differs with 95 % confidence for all
rows together (Bonferroni), and by enough: two runs of one build on a shared machine are never
quite alike.
"""

from __future__ import annotations

from enum import Enum
from math import exp
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.comparison import sides as parts
from hud.analysis.comparison.comparable import why_not
from hud.analysis.comparison.intervals import Interval, all_in_one, difference

if TYPE_CHECKING:
    from hud.analysis.comparison.sides import Blocks, Side
    from hud.analysis.results import Snapshot

CONFIDENCE = 0.95
NOTABLE = 1.2
"""The least ratio of shares that is a change."""
NOTABLY_LONGER = 4 / 3
"""The least ratio of lengths: code on a CPU takes longer beside a busy neighbour."""
MATTERS = 0.0005
"""The least difference of shares that is one, and the least share of a row that is tested: every
further test costs all the others."""


class Verdict(Enum):
    """What a comparison says of a row; in the order in which they are shown."""

    NEW = "new"
    WORSE = "worse"
    GONE = "gone"
    BETTER = "better"
    SAME = "no difference"
    SMALL = "too little to tell"
    """Below ``MATTERS`` on both sides."""


class Change(NamedTuple):
    """The same code in two runs."""

    verdict: Verdict
    before: Side | None
    """None = it did not block."""
    after: Side | None
    share: Interval | None
    """Of worker time, after less before; None = a run is too short to say."""
    length: Interval | None
    """The ratio of an episode's own time, after to before."""

    @property
    def side(self) -> Side:
        """The newer one that there is."""
        side = self.after or self.before
        assert side is not None
        return side

    @property
    def shares(self) -> tuple[float, float]:
        return _share(self.before), _share(self.after)


class Comparison(NamedTuple):
    before: Snapshot
    after: Snapshot
    why_not: tuple[str, ...]
    """Sentences: why the runs cannot be compared. Nothing is ranked then."""
    whole: Change | None
    """All blocked time; None = there is none on either side."""
    changes: tuple[Change, ...]


def compare(before: Snapshot, after: Snapshot) -> Comparison:
    """Two runs of the same service; the order of the changes is that in which they matter."""
    reasons = why_not(before, after)
    if reasons:
        return Comparison(before, after, reasons, None, ())
    pairs = matched(parts.sides(before), parts.sides(after))
    tests = 2 * sum(max(map(_share, pair)) >= MATTERS for pair in pairs) or 1
    level = 1 - (1 - CONFIDENCE) / tests
    found = [_change(one, other, before, after, level) for one, other in pairs]
    order = list(Verdict)
    found.sort(key=lambda change: (order.index(change.verdict), -max(change.shares)))
    all_of = parts.whole(before), parts.whole(after)
    whole = _change(*all_of, before, after, CONFIDENCE) if any(all_of) else None
    return Comparison(before, after, (), whole, tuple(found))


def matched(
    before: dict[str, Side], after: dict[str, Side]
) -> list[tuple[Side | None, Side | None]]:
    """Of one name; what is left, by the call it blocks in, its cause and its file: it was renamed,
    or inlined into another function there.
    """
    pairs: list[tuple[Side | None, Side | None]] = [
        (side, after[name]) for name, side in before.items() if name in after
    ]
    rest = {_deed(side): side for name, side in after.items() if name not in before}
    for name, side in before.items():
        if name not in after:
            pairs.append((side, rest.pop(_deed(side), None)))
    return pairs + [(None, side) for side in rest.values()]


def _deed(side: Side) -> tuple[str, ...]:
    row = side.row
    if not row.file or not row.operation:
        return (parts.plain(row.function),)
    return row.operation, row.cause.value, row.file


def _change(
    one: Side | None, other: Side | None, before: Snapshot, after: Snapshot, level: float
) -> Change:
    first = one.blocks if one else parts.nothing(before, other.durations) if other else None
    second = other.blocks if other else parts.nothing(after, one.durations) if one else None
    share = length = None
    surely = False
    if first and second:
        share = difference(first.shares, second.shares, level)
        surely = _only_in_one(first, second) < 1 - level
    if one and other and one.lengths and other.lengths:
        length = Interval(*map(exp, difference(one.lengths, other.lengths, level)))
    return Change(_verdict(one, other, share, length, surely), one, other, share, length)


def _only_in_one(first: Blocks, second: Blocks) -> float:
    """How likely that is by chance, twice for both directions; 1 where it blocks in both."""
    if first.touched and second.touched:
        return 1.0
    if second.touched:
        first, second = second, first
    return 2 * all_in_one(first.touched, first.number, second.number)


def _verdict(
    one: Side | None,
    other: Side | None,
    share: Interval | None,
    length: Interval | None,
    surely: bool,
) -> Verdict:
    """``surely``: it is no chance that it blocks in one of the runs only."""
    first, second = _share(one), _share(other)
    if max(first, second) < MATTERS:
        return Verdict.SMALL
    if share and abs(second - first) >= MATTERS:
        if (share.above or surely) and second >= NOTABLE * first:
            return Verdict.WORSE if one else Verdict.NEW
        if (share.below or surely) and first >= NOTABLE * second:
            return Verdict.BETTER if other else Verdict.GONE
    if length and length.low > 1 and length.best >= NOTABLY_LONGER:
        return Verdict.WORSE
    if length and length.high < 1 and length.best <= 1 / NOTABLY_LONGER:
        return Verdict.BETTER
    return Verdict.SAME


def _share(side: Side | None) -> float:
    return side.share if side else 0.0
