"""The intervals of a trace, so that they nest: the viewers refuse what crosses.

A *bar* is one interval on a thread's track.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hud.analysis.results import Episode, Latency
    from hud.analysis.snapshot import Analyzer


class Bar(NamedTuple):
    begin_ns: int
    end_ns: int
    of: Episode | Latency
    blocking: bool


def nested(analyzer: Analyzer) -> list[Bar]:
    """Every interval, clipped where two of one thread would cross, by (begin, longest first)."""
    tracks: dict[int, tuple[list[Bar], list[Bar]]] = {}
    for episode in analyzer.episodes():
        blocking = episode.cause.blames_code
        bar = _bar(episode, blocking=blocking)
        tracks.setdefault(episode.tid, ([], []))[0 if blocking else 1].append(bar)
    for latency in analyzer.latencies():
        bar = _bar(latency, blocking=False)
        tracks.setdefault(latency.tid, ([], []))[1].append(bar)
    found: list[Bar] = []
    for blocking_bars, waiting_bars in tracks.values():
        solid = _apart(blocking_bars)
        found += solid
        found += _around(waiting_bars, solid)
    found.sort(key=lambda bar: (bar.begin_ns, -bar.end_ns, bar.of.tid))
    return found


def _bar(of: Episode | Latency, *, blocking: bool) -> Bar:
    return Bar(of.start_ns, of.start_ns + max(1, of.duration_ns), of, blocking)


def _apart(bars: list[Bar]) -> list[Bar]:
    """Episodes of one thread never overlap; their measured edges may, by an uncertainty."""
    result: list[Bar] = []
    end = 0
    for bar in sorted(bars, key=lambda bar: (bar.begin_ns, bar.end_ns)):
        begin = max(bar.begin_ns, end)
        end = max(bar.end_ns, begin + 1)
        result.append(bar._replace(begin_ns=begin, end_ns=end))
    return result


def _around(bars: list[Bar], solid: list[Bar]) -> list[Bar]:
    """Waits, cut where they would cross the edge of an episode or of another wait."""
    result: list[Bar] = []
    begins = [bar.begin_ns for bar in solid]
    ends = [bar.end_ns for bar in solid]
    enclosing: list[int] = []
    for bar in sorted(bars, key=lambda bar: (bar.begin_ns, -bar.end_ns)):
        begin, end = bar.begin_ns, bar.end_ns
        while enclosing and enclosing[-1] <= begin:
            enclosing.pop()
        if enclosing:
            end = min(end, enclosing[-1])
        first = bisect_left(ends, begin + 1)
        if first < len(solid) and begins[first] <= begin:
            end = min(end, ends[first])
        else:
            crossed = bisect_left(begins, end) - 1
            if crossed >= first and ends[crossed] > end:
                end = begins[crossed]
        if end > begin:
            enclosing.append(end)
            result.append(bar._replace(end_ns=end))
    return result
