"""One side of a comparison: the rows of one run that are the same code, and their time in blocks.

Two builds call the same code by names that differ in hashes and generic arguments; hud numbers
namesakes. Rows that differ in nothing else are one.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import zip_longest
from math import log
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.comparison.intervals import Sample, sample
from hud.analysis.slices import together
from hud.model import bucket_floor_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hud.analysis.results import Blocker, Snapshot
    from hud.analysis.slices import History

_HASH = re.compile(r"::h[0-9a-f]{16}\b")
_NUMBER = re.compile(r"#\d+$")
_INNERMOST = re.compile(r"(?:::)?<[^<>]*>")
_BLOCK_EPISODES = 4
"""A block is so many times as long as an episode: longer ones lie in several blocks, which then
say the same twice, and the interval comes out too narrow."""
FEWEST_BLOCKS = 5


class Blocks(NamedTuple):
    """Equal blocks of the run."""

    number: int
    touched: int
    """Those in which it blocked."""
    shares: Sample
    """Of worker time, in each block."""


class Side(NamedTuple):
    """Rows of one run that are the same code."""

    row: Blocker
    """The heaviest of them."""
    share: float
    """Of the run's worker time, 0..1."""
    episodes: int
    per_second: float
    """Episodes a second, of all workers."""
    typical_ns: int
    """The median of the heaviest row."""
    blocks: Blocks | None
    """None = the run is too short for its episodes."""
    durations: tuple[int, ...]
    """Episodes by own time, as ``Blocker.durations``."""
    lengths: Sample | None
    """The natural logarithm of an episode's own time; None = there is one at most."""


def plain(function: str) -> str:
    """A name without what two builds of one source may have differently."""
    name = _NUMBER.sub("", _HASH.sub("", function)).removeprefix("~")
    if name.startswith("<"):  # <T as Trait>::method is a name, not an argument
        kind, _, method = name[1:].partition(" as ")
        return f"<{_bare(kind)} as {_bare(method)}" if method else _bare(name)
    return _bare(name)


def _bare(name: str) -> str:
    while (shorter := _INNERMOST.sub("", name)) != name:
        name = shorter
    return name


def sides(snapshot: Snapshot) -> dict[str, Side]:
    """By plain name, the heaviest first."""
    rows: dict[str, list[Blocker]] = {}
    for blocker in snapshot.blockers:
        rows.setdefault(plain(blocker.function), []).append(blocker)
    found = {name: side(group, snapshot) for name, group in rows.items()}
    return dict(sorted(found.items(), key=lambda item: (-item[1].share, item[0])))


def side(rows: list[Blocker], snapshot: Snapshot) -> Side:
    heaviest = max(rows, key=lambda row: row.total_ns)
    durations = together_from_left(row.durations for row in rows)
    count = sum(row.count for row in rows)
    return Side(
        row=heaviest,
        share=sum(row.total_ns for row in rows) / max(1, snapshot.worker_time_ns),
        episodes=count,
        per_second=count * 1e9 / snapshot.span_ns,
        typical_ns=heaviest.p50_ns,
        blocks=_blocks(together(row.history for row in rows), durations, snapshot),
        durations=durations,
        lengths=_lengths(durations),
    )


def whole(snapshot: Snapshot) -> Side | None:
    """All blockers of a run as one; None = it has none."""
    return side(list(snapshot.blockers), snapshot) if snapshot.blockers else None


def nothing(snapshot: Snapshot, durations: tuple[int, ...]) -> Blocks | None:
    """Of code that never blocked, where its episodes are like these in the other run."""
    number = _whole_slices(snapshot) // _each(durations, snapshot)
    return Blocks(number, 0, Sample(0.0, 0.0, number - 1)) if number >= FEWEST_BLOCKS else None


def together_from_left(histograms: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Sums of histograms that begin with the same bucket."""
    return tuple(map(sum, zip_longest(*histograms, fillvalue=0)))


def _whole_slices(snapshot: Snapshot) -> int:
    """As many as a history has without its last one."""
    return (snapshot.span_ns - 1) // max(1, snapshot.slices.length_ns)


def _each(durations: tuple[int, ...], snapshot: Snapshot) -> int:
    """Slices of a block."""
    return max(1, -(-_BLOCK_EPISODES * _mean_ns(durations) // max(1, snapshot.slices.length_ns)))


def _blocks(history: History, durations: tuple[int, ...], snapshot: Snapshot) -> Blocks | None:
    """Without the last slice, which is not over."""
    slices, each = history.over(snapshot.slices)[:-1], _each(durations, snapshot)
    number = len(slices) // each
    if number < FEWEST_BLOCKS:
        return None
    first = len(slices) - number * each
    sums = [sum(slices[at : at + each]) for at in range(first, len(slices), each)]
    time_ns = each * snapshot.slices.length_ns * snapshot.worker_time_ns / snapshot.span_ns
    shares = Counter(blocked_ns / max(1.0, time_ns) for blocked_ns in sums)
    return Blocks(number, number - sums.count(0), sample(shares))


def _mean_ns(durations: tuple[int, ...]) -> int:
    """Of a moment that is blocked: how long the episode is that it lies in, on average."""
    total = sum(ns * times for ns, times in _middles(durations))
    squares = sum(ns * ns * times for ns, times in _middles(durations))
    return round(squares / total) if total else 0


def _lengths(durations: tuple[int, ...]) -> Sample | None:
    if sum(durations) < 2:
        return None
    return sample({log(ns): times for ns, times in _middles(durations) if times})


def _middles(durations: tuple[int, ...]) -> Iterator[tuple[float, int]]:
    """(the middle of a bucket, how many are in it)."""
    for at, times in enumerate(durations):
        if times:
            yield (bucket_floor_ns(at) + bucket_floor_ns(at + 1)) / 2, times
