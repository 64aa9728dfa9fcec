"""The timeline: for each worker how much of each slice of time it was blocked, and by what.

What is cut first where the terminal is low: taller rows, the episode below, then the workers that
were blocked least.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.cause import Cause
from hud.tui import listing, panel, times
from hud.tui.filters import NO_FILTER
from hud.tui.layout import block
from hud.tui.state import HEADER_HEIGHT, At, Opened, Page, body_height, first_shown
from hud.tui.strips import Strips
from hud.tui.style import Line, Span
from hud.tui.text import cells, pad
from hud.tui.verdict import verdict
from hud.tui.views import episode
from hud.tui.workerlist import idle, listed, not_shown

if TYPE_CHECKING:
    from hud.analysis.results import Episode, Snapshot
    from hud.tui.actions import Click
    from hud.tui.state import Size, UiState

_TALLEST = 3
_LOW = 13
"""Lines of a view below which the workers take all of it."""
_PANE, _ROOMY_PANE = 7, 14
_APART = 12
"""Columns from one time of the axis to the next, at least."""
_S, _MS = 1_000_000_000, 1_000_000
_STEPS = (
    *(n * _MS for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(n * _S for n in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600)),
    86_400 * _S,
)
"""From one of these times to the next."""


class Plan(NamedTuple):
    """How many lines there are for what."""

    workers: int
    """How many are shown."""
    tall: int
    """Lines of each, and of all together."""
    lettered: bool
    """There are letters below each of them; else below the chosen one."""
    rest: int
    """1 = a line says who is not shown."""
    pane: int


def plan(state: UiState, snapshot: Snapshot, body: int) -> Plan:
    """For a view of ``body`` lines: besides the workers it has a rule, times, and the cursor."""
    total = len(listed(state, snapshot))
    lettered = not state.coloured
    fixed = 3 if lettered else 4
    room = body - fixed - (_PANE if body >= _LOW else 0)
    each = 2 if lettered else 1
    rest = int(total * each + 1 > room or bool(idle(state, snapshot)))
    shown = max(min(total, (room - rest - 1) // each), 1)
    pane = min(_ROOMY_PANE, body // 2) if body >= _LOW and shown >= total else _PANE
    spare = body - fixed - rest - pane - shown * lettered
    tall = max(min(spare // (shown + 1), _TALLEST), 1)
    left = body - fixed - rest - shown * (tall + lettered) - tall
    return Plan(shown, tall, lettered, rest, left if body >= _LOW else 0)


def page(snapshot: Snapshot, state: UiState, _: int, height: int) -> Page:
    """The workers below the axis."""
    found = plan(state, snapshot, height)
    return Page(found.workers, len(listed(state, snapshot)), 2 + found.tall)


def opened(state: UiState, snapshot: Snapshot) -> Opened:
    """The blocker of the episode under the cursor."""
    found = times.chosen(state, snapshot)
    if found is None:
        return Opened()
    blocker = times.blocker_of(found, snapshot)
    waited = found.cause is Cause.WAITING
    why = "it waited for a CPU: see Pressure" if waited else "its blocker is no longer kept"
    return Opened(blocker, notice="" if blocker else f"no stacks to open: {why}")


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Times, all workers, each of them, and the episode under the cursor."""
    mark = state.glyphs.ellipsis
    shown = times.shown(state.span, snapshot, width)
    lines: list[Line] = [panel.rule([(_title(shown, snapshot), width)], state.glyphs)]
    if not snapshot.timeline:
        return block([*lines, *_nothing(snapshot, width, height)], width, height, mark)
    chosen = times.chosen(state, snapshot)
    planned = plan(state, snapshot, height)
    strips = Strips(snapshot, shown, planned.tall, state.glyphs, _marked(state))
    lines += [_axis(shown, snapshot), *_all(strips), *_workers(strips, state, snapshot, planned)]
    if planned.rest:
        said = not_shown(state, snapshot, planned.workers)
        lines.append((Span(f" {said}", "label"),))
    lines.append(_pointer(chosen, shown, snapshot, state.glyphs.peak))
    lines = block(lines, width, height - planned.pane, mark)
    return lines + episode.pane(chosen, snapshot, state, width, planned.pane)


def _nothing(snapshot: Snapshot, width: int, height: int) -> list[Line]:
    """In the middle, why there is nothing to see."""
    said = "no long poll is kept one by one any more"
    if not snapshot.episodes:
        said = " ".join(verdict(snapshot))
    blanks = Span(" " * max((width - cells(said)) // 2, 1))
    return [()] * (height // 2 - 1) + [(blanks, Span(said))]


def _title(shown: times.Shown, snapshot: Snapshot) -> str:
    begin, now = times.covered(snapshot)
    seen = min(shown.end_ns, now) - max(shown.begin_ns, shown.start_ns)
    part = f"{figures.long_duration(seen)} of " if seen + shown.cell_ns < now - begin else ""
    latest = "the latest " if begin > now - snapshot.span_ns else ""
    cell = f"one cell = {figures.long_duration(shown.cell_ns)}"
    return f"{part}{latest}{figures.long_duration(now - begin)}, {cell}"


def _axis(shown: times.Shown, snapshot: Snapshot) -> Line:
    """Times of the run, from the columns on in which they are."""
    zero = snapshot.info.start_monotonic_ns
    step = _step_ns(shown.cell_ns * _APART)
    text = ""
    for at_ns in range(-(-(shown.start_ns - zero) // step) * step, shown.now_ns - zero, step):
        column, moment = shown.column(zero + at_ns), _moment(at_ns, step, snapshot.elapsed_ns)
        if shown.known.start <= column and column + len(moment) <= shown.columns:
            text = pad(text, column) + moment
    return (Span(" " * times.MARGIN + text, "label"),)


def _step_ns(least_ns: int) -> int:
    """A round time that is at least as long."""
    longest = _STEPS[-1]
    return next((step for step in _STEPS if step >= least_ns), -(-least_ns // longest) * longest)


def _moment(ns: int, step_ns: int, longest_ns: int) -> str:
    """``2 s``, ``0.25 s``, in a longer run ``12:30``, ``12:30.25``."""
    digits = 0 if step_ns >= _S else 1 if step_ns >= 100 * _MS else 2 if step_ns >= 10 * _MS else 3
    if longest_ns < episode.CLOCK_FROM_NS:
        return f"{ns / _S:.{digits}f} s"
    part = f"{ns % _S / _S:.{digits}f}"[1:] if digits else ""
    return figures.clock(ns).removeprefix("00:") + part


def _all(strips: Strips) -> list[Line]:
    """All workers together."""
    *above, last = strips.all()
    blank = Span(" " * times.MARGIN)
    return [*((blank, *line) for line in above), (Span(pad(" all", times.MARGIN), "label"), *last)]


def _workers(strips: Strips, state: UiState, snapshot: Snapshot, planned: Plan) -> list[Line]:
    uses = listed(state, snapshot)
    at = state.at("workers")
    top = first_shown(at.scroll, at.cursor, planned.workers, len(uses))
    blank = Span(" " * times.MARGIN)
    lines: list[Line] = []
    for number, use in enumerate(uses[top : top + planned.workers], start=top):
        chosen = number == at.cursor
        label = f"{state.glyphs.cursor if chosen else ' '}W{use.worker.worker_id}"
        strip = strips.of(use.worker.tid)
        lines += [(blank, *line) for line in strip.heights[:-1]]
        margin = Span(pad(label, times.MARGIN), "bold" if chosen else "")
        lines.append((margin, *strip.heights[-1]))
        if chosen or planned.lettered:
            lines.append((blank, *strip.letters))
    return lines


def _marked(state: UiState) -> set[int]:
    """The stacks of the blocker that was chosen; with a search, of all that it finds."""
    rows = state.rows[state.cursor : state.cursor + 1]
    if state.search:
        rows = listing.matching(state.rows, state.search)
    if state.search or state.cursor or state.filter != NO_FILTER:
        return {key for row in rows for key, _ in row.stacks}
    return set()


def _pointer(chosen: Episode | None, shown: times.Shown, snapshot: Snapshot, peak: str) -> Line:
    """``7.951 s  45 ms ▲``, below the cell in which the episode begins."""
    if chosen is None or not 0 <= (column := shown.column(chosen.start_ns)) < shown.columns:
        return ()
    lasted = figures.long_duration(episode.own_ns(chosen))
    said = f"{episode.moment(chosen, snapshot)}  {lasted}"
    room = times.MARGIN + column
    if len(said) < room:
        return (Span(f"{pad(said, room - 1, right=True)} ", "label"), Span(peak, "bold"))
    return (Span(" " * room), Span(peak, "bold"), Span(f" {said}", "label"))


# --------------------------------------------------------------------------- the mouse


def clicked(state: UiState, snapshot: Snapshot, size: Size, click: Click) -> UiState | None:
    """The worker and the episode at a cell; None = nothing is there."""
    number = _worker_at(state, snapshot, size, click.y)
    if number is None:
        return None
    now = times.shown(state.span, snapshot, size.width)
    time_ns = now.start_ns + (click.x - times.MARGIN) * now.cell_ns
    changed = state.put("workers", At(number, state.at("workers").scroll))
    changed = replace(changed, worker=times.tid_of(changed, snapshot))
    near = [
        one
        for one in times.of_worker(changed, snapshot)
        if one.start_ns < time_ns + now.cell_ns and one.start_ns + one.duration_ns > time_ns
    ]
    if not near:
        return changed
    longest = max(near, key=lambda one: one.duration_ns)
    return replace(changed, span=state.span._replace(episode=times.key_of(longest)))


def _worker_at(state: UiState, snapshot: Snapshot, size: Size, y: int) -> int | None:
    """The row of the worker that is drawn in a line."""
    planned = plan(state, snapshot, body_height(size, state))
    total, at = len(listed(state, snapshot)), state.at("workers")
    top = first_shown(at.scroll, at.cursor, planned.workers, total)
    line = HEADER_HEIGHT + 2 + planned.tall
    for number in range(top, min(top + planned.workers, total)):
        lettered = planned.lettered or number == at.cursor
        if line <= y < line + planned.tall + lettered:
            return number
        line += planned.tall + lettered
    return None
