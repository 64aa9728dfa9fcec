"""One type of task: what is alive of it, where it blocked, how long its polls take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.model import bucket_floor_ns
from hud.tui import bars, panel
from hud.tui.layout import block
from hud.tui.style import Line, Span
from hud.tui.text import clean, name, pad
from hud.tui.views import episode, worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Episode, Snapshot, TaskUse
    from hud.tui.glyphs import Glyphs
    from hud.tui.state import UiState

_LABEL = 12
_SEARCHED = 500
"""Blockers, the largest ones, that are looked through for those of a type."""
_MOST = 12
DECADES = 16
"""Rows of the histogram, at most."""
_DECADE = 8
"""Buckets in one of them: a factor of four."""
_FIRST = 40
"""The bucket that begins at 1,024 ns; shorter polls count with it."""


def pane(use: TaskUse, snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Exactly ``height`` lines."""
    glyphs = state.glyphs
    wide = width >= panel.BESIDE_FROM
    left = panel.left_of(width) if wide else width
    title = name(use.kind.name or "(type not known)", use.kind.inferred, left - 8, glyphs.ellipsis)
    itself = _itself(use, snapshot, left, glyphs)
    right = width - left - 1 if wide else width
    beside, lines = _beside(use, snapshot, right, height - 1, glyphs)
    if wide:
        head = panel.rule([(title, left), (beside, right)], glyphs)
        itself = block(itself, left, height - 1, glyphs.ellipsis)
        drawn = [head, *panel.beside(itself, lines, left, glyphs)]
    else:
        head = panel.rule([(title, width)], glyphs)
        drawn = [head, *itself, panel.rule([(beside, width)], glyphs), *lines]
    return block(drawn, width, height, glyphs.ellipsis)


def _beside(
    use: TaskUse, snapshot: Snapshot, width: int, height: int, glyphs: Glyphs
) -> tuple[str, list[Line]]:
    """All its polls by how long they took, where they are seen, and its latest long ones."""
    if use.polls is None or not any(use.polls.buckets):
        found = _latest(use, snapshot, height)
        return _LONG, episode.rows(found, snapshot, width, glyphs)
    lines = _histogram(use.polls.buckets, width, glyphs)
    if found := _latest(use, snapshot, height - len(lines) - 1):
        lines.append(panel.rule([(_LONG, width)], glyphs))
        lines += episode.rows(found, snapshot, width, glyphs)
    return "all its polls, by time", lines


_LONG = "its latest long polls"


def _latest(use: TaskUse, snapshot: Snapshot, most: int) -> list[Episode]:
    return episode.latest(snapshot, most, lambda one: one.vtable == use.kind.vtable)


def _itself(use: TaskUse, snapshot: Snapshot, width: int, glyphs: Glyphs) -> list[Line]:
    lines: list[Line] = []
    if use.kind.where:
        lines.append(_labelled("declared", (Span(clean(use.kind.where)),)))
    if use.count is not None:
        count = use.count
        said = f"{count.idle} idle, {count.ready} ready, {count.running} running"
        lines.append(_labelled("alive", (Span(said),)))
        if count.stuck:
            stuck = f"{count.stuck} that nothing can wake any more"
            lines.append(_labelled("stuck", (Span(stuck, "own"),)))
    if use.task_ids:
        numbers = ", ".join(str(one) for one in use.task_ids)
        lines.append(_labelled("blocked", (Span("the latest: ", "label"), Span(f"task {numbers}"))))
    return lines + _blockers(use, snapshot, width, glyphs)


def _blockers(use: TaskUse, snapshot: Snapshot, width: int, glyphs: Glyphs) -> list[Line]:
    """Those that held it up longest, each with its time."""
    found = [
        (ns, one)
        for one in snapshot.blockers[:_SEARCHED]
        if (ns := dict(one.types).get(use.kind.name, 0))
    ]
    found.sort(key=lambda pair: -pair[0])
    drawn = worker.weighed(found[:_MOST], width - _LABEL, glyphs)
    return [_labelled("" if at else "blocked in", line) for at, line in enumerate(drawn)]


def decades(buckets: Sequence[int]) -> list[int]:
    """From 1 us on, each a factor of 4 longer than the one before; the last one is open."""
    sums = [0] * DECADES
    for at, number in enumerate(buckets):
        sums[max(0, min((at - _FIRST) // _DECADE, DECADES - 1))] += number
    return sums


def _histogram(buckets: Sequence[int], width: int, glyphs: Glyphs) -> list[Line]:
    """A line for each factor of four, between the first and the last that there are polls of."""
    parts = decades(buckets)
    there = [at for at, number in enumerate(parts) if number]
    most, room = max(parts), max(width - 24, 8)
    lines: list[Line] = []
    for at in range(there[0], there[-1] + 1):
        low = figures.duration(bucket_floor_ns(_FIRST + at * _DECADE)) if at else "0"
        high = figures.duration(bucket_floor_ns(_FIRST + (at + 1) * _DECADE))
        said = f" {low}-{high}" if at + 1 < DECADES else f" {low} and more"
        bar = bars.bar(parts[at] / most, room, glyphs)
        number = figures.short_count(parts[at]) if parts[at] else ""
        lines.append((Span(pad(said, 15), "label"), Span(pad(bar, room)), Span(f"  {number:>5}")))
    return lines


def _labelled(label: str, spans: Line) -> Line:
    return (Span(pad(f" {label}", _LABEL), "label"), *spans)
