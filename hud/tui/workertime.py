"""Where a worker's time went: its shares, and all of it as a meter.

Blocked is on the CPU and asleep inside long polls. Without a CPU it was ready to run: that is in no
share of what is blocked, and drawn as a pattern.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.model import Rung
from hud.tui.style import Line, Span, cause_style

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hud.analysis.cause import Cause
    from hud.analysis.results import Snapshot, WorkerUse
    from hud.tui.glyphs import Glyphs

_ALL_PARKED = 0.9995
"""From this part of its time on a worker has slept all the time."""


_SHORT = {True: "▪", False: "o"}
"""Busy without blocking."""


class Part(NamedTuple):
    """A part of a worker's time."""

    name: str
    ns: int
    style: str
    glyph: str


def blocked(use: WorkerUse) -> float:
    """The part of its time for which it was blocked, 0..1."""
    return min(1.0, use.blocked_ns / use.time_ns) if use.time_ns else 0.0


def waiting(use: WorkerUse) -> float:
    """The part of its time for which it was ready but had no CPU, 0..1."""
    return min(1.0, use.split.waiting_ns / use.time_ns) if use.time_ns else 0.0


def cause(use: WorkerUse) -> Cause | None:
    """Of most of its blocked time; None = it never was."""
    return use.causes[0][0] if use.causes else None


def has_blocked(use: WorkerUse) -> bool:
    return bool(use.episodes or use.blocked_ns or use.doing)


def is_idle(use: WorkerUse) -> bool:
    """It slept all the time, and does still."""
    split = use.split
    asleep = split.parked_ns + split.outside_ns + split.unknown_asleep_ns
    return not has_blocked(use) and asleep >= _ALL_PARKED * split.total_ns()


def sees_polls(snapshot: Snapshot) -> bool:
    """Without CONTEXT nobody knows which of the time was spent in polls."""
    return snapshot.info.detection.rung is Rung.CONTEXT


def parts(use: WorkerUse, sees_polls: bool, glyphs: Glyphs) -> list[Part]:
    """All of its time; what is blocked is one part."""
    split = use.split
    waits = Part("no CPU", split.waiting_ns, "wait", glyphs.pattern)
    parked = Part("parked", split.parked_ns + split.outside_ns, "label", glyphs.dot)
    if not sees_polls:
        busy = split.poll_cpu_ns + split.runtime_ns + split.unknown_cpu_ns
        asleep = split.poll_asleep_ns + split.unknown_asleep_ns
        away = parked._replace(name="asleep", ns=parked.ns + asleep)
        return [Part("on the CPU", busy, "", _SHORT[glyphs.unicode]), waits, away]
    polls = split.poll_cpu_ns + split.poll_asleep_ns
    long_ns = min(use.blocked_ns, polls)
    return [
        Part("blocked", long_ns, "", glyphs.lengths[-1]),
        waits,
        Part("short polls", polls - long_ns, "", _SHORT[glyphs.unicode]),
        Part("Tokio", split.runtime_ns + split.unknown_cpu_ns, "label", _SHORT[glyphs.unicode]),
        Part("allowed", split.allowed_ns, "label", glyphs.rule),
        parked._replace(ns=parked.ns + split.unknown_asleep_ns),
    ]


def meter(use: WorkerUse, sees_polls: bool, width: int, glyphs: Glyphs) -> Line:
    """All of its time in ``width`` cells, what is blocked in the hues of its causes."""
    found: list[tuple[int, str, str]] = []
    for part in parts(use, sees_polls, glyphs):
        pieces = _by_cause(use, part) if part.name == "blocked" else [(part.ns, part.style)]
        found += [(ns, style, part.glyph) for ns, style in pieces]
    return _to_scale(found, _whole_ns(use), width)


def _by_cause(use: WorkerUse, part: Part) -> list[tuple[int, str]]:
    known = max(sum(ns for _, ns in use.causes), 1)
    return [(part.ns * ns // known, cause_style(one)) for one, ns in use.causes]


def _to_scale(found: Sequence[tuple[int, str, str]], whole: int, width: int) -> Line:
    """In whole cells; what is not known is blank."""
    spans: list[Span] = []
    done = before = 0
    for ns, style, glyph in found:
        done += ns
        end = min(round(done / whole * width), width)
        if end > before:
            spans.append(Span(glyph * (end - before), style))
        before = max(before, end)
    return tuple(spans)


def in_words(use: WorkerUse, sees_polls: bool, glyphs: Glyphs) -> list[Line]:
    """``█ blocked 14 %``, ``▒ no CPU 9 %``, ``· parked 77 %``: what there was of it."""
    return [
        (
            Span(part.glyph, part.style),
            Span(f" {part.name} ", "label"),
            Span(f"{figures.percent(part.ns / _whole_ns(use))}  "),
        )
        for part in parts(use, sees_polls, glyphs)
        if part.ns or part.name in ("blocked", "no CPU")
    ]


def _whole_ns(use: WorkerUse) -> int:
    """All of its time, as a worker and otherwise."""
    return max(use.time_ns + use.split.no_worker_ns(), use.split.total_ns(), 1)


def numbers(uses: Iterable[WorkerUse], dash: str) -> str:
    """``W0 W7-W39``: their numbers, three and more in a row joined."""
    known = sorted({use.worker.worker_id for use in uses})
    runs = [[number for _, number in run] for _, run in groupby(enumerate(known), _distance)]
    return " ".join(
        f"W{run[0]}{dash}W{run[-1]}" if len(run) > 2 else " ".join(f"W{one}" for one in run)
        for run in runs
    )


def _distance(numbered: tuple[int, int]) -> int:
    """The same for numbers that follow one another."""
    at, number = numbered
    return number - at
