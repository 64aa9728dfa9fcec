"""Who had no CPU: the workers, and the code whose long polls had to wait for one."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.shortnames import shorten
from hud.tui import bars, workertime
from hud.tui.style import Line, Span
from hud.tui.text import clean, cut, pad, worker
from hud.tui.views import episode

if TYPE_CHECKING:
    from hud.analysis.results import Blocker, Latency, Snapshot, WorkerUse
    from hud.tui.glyphs import Glyphs

_BAR, _SHORT_BAR = 40, 12
_MOST = 12
NOT_KNOWN = "(idle CPU, or not known)"


def pattern(fraction: float, width: int, glyphs: Glyphs) -> str:
    """A bar of time without a CPU: in whole cells."""
    return glyphs.pattern * len(bars.bar(fraction, width, glyphs))


def ranked(snapshot: Snapshot) -> list[WorkerUse]:
    """The workers that waited, the largest share first."""
    found = [use for use in snapshot.workers if use.split.waiting_ns]
    return sorted(found, key=lambda use: (-workertime.waiting(use), use.worker.worker_id))


def workers(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """A line each, with bars of one scale; the last line counts those left out."""
    found = ranked(snapshot)
    top = max(map(workertime.waiting, found), default=0.0) or 1.0
    shown = len(found) if len(found) <= height else max(height - 1, 0)
    room = min(max(width - 24, 8), _BAR)
    lines: list[Line] = []
    for use in found[:shown]:
        share = workertime.waiting(use)
        lines.append(
            (
                Span(pad(f" W{use.worker.worker_id}", 7)),
                Span(f"{figures.share(share):>5}  "),
                Span(pad(pattern(share / top, room, glyphs), room), "wait"),
                Span(f"  {figures.duration(use.split.waiting_ns):>5}"),
            )
        )
    if shown < len(found):
        lowest = figures.percent(workertime.waiting(found[-1]))
        left = len(found) - shown
        lines.append((Span(f" {glyphs.ellipsis} {left} more, down to {lowest}", "label"),))
    return lines or [(Span("   none", "label"),)]


def blockers(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """The code whose long polls were without a CPU for longest; empty = none was."""
    most = max(min(height, _MOST), 0)
    found = nlargest(most, snapshot.blockers, key=lambda one: one.waiting_ns)
    found = [one for one in found if one.waiting_ns]
    names = shorten([_name(one) for one in found], width - _SHORT_BAR - 10, glyphs.ellipsis)
    return [
        (
            Span(f" {figures.duration(one.waiting_ns):>6}  "),
            Span(
                pad(pattern(one.waiting_ns / found[0].waiting_ns, _SHORT_BAR, glyphs), 14), "wait"
            ),
            Span(name, "own"),
        )
        for one, name in zip(found, names, strict=True)
    ]


def latest(snapshot: Snapshot, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """The latest waits that are counted: when, which worker, for how long, and who ran instead."""
    found = snapshot.waits[: max(height, 0)]
    pid = snapshot.info.target.pid
    return [
        (
            Span(f" {episode.moment(one, snapshot).removesuffix(' s'):>9} ", "label"),
            Span(pad(worker(one.worker_id), 5)),
            Span(f"{figures.duration(one.duration_ns):>5}  "),
            Span(
                cut(_instead(one, pid), width - 24, glyphs.ellipsis), "" if one.culprit else "label"
            ),
        )
        for one in found
    ]


def _instead(one: Latency, pid: int) -> str:
    if not one.culprit:
        return NOT_KNOWN
    if one.culprit_pid == pid:
        return f"{clean(one.culprit)}, of this process"
    return f"{clean(one.process or one.culprit)}, pid {one.culprit_pid}"


def _name(blocker: Blocker) -> str:
    return ("~" if blocker.inferred else "") + (clean(blocker.function) or "(no name)")
