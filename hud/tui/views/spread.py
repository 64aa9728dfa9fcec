"""How a blocker's time is spread: over its polls, causes, workers, tasks, and over the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis import lasting
from hud.analysis.spread import NO_CPU, between, histogram, marks, parts
from hud.tui import bars
from hud.tui.layout import wrapped
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, clean, pad, worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Blocker, Snapshot
    from hud.tui.glyphs import Glyphs

_FEW = 8
_RANGE = 14


class Panel(NamedTuple):
    """A part of a page with its title."""

    title: str
    lines: list[Line]


def panels(blocker: Blocker, width: int, glyphs: Glyphs) -> list[Panel]:
    """For a column of their own: those with something in them."""
    found = (
        Panel("how long", _histogram(blocker, width, glyphs) + _unended(blocker)),
        Panel("where the time went", _time(blocker, width, glyphs)),
        Panel("workers", wrapped(_workers(blocker, glyphs), width)),
        Panel("about", _weighed(blocker.details)),
        Panel("tasks", _tasks(blocker)),
    )
    return [one for one in found if one.lines]


def compact(blocker: Blocker, width: int, glyphs: Glyphs) -> list[Panel]:
    """The same in fewer lines."""
    time: list[Line] = [
        (Span(f" {said} ", "label"), Span(f"{_long(ns)}  ")) for said, ns, _ in _parts(blocker)
    ]
    workers = wrapped(_workers(blocker, glyphs), width)
    found = (
        Panel("how long", [*_line(blocker, glyphs), *_unended(blocker)]),
        Panel("where the time went", [*wrapped(time, width), *_causes(blocker), *workers]),
        Panel("about", _weighed(blocker.details)),
        Panel("tasks", _tasks(blocker)),
    )
    return [one for one in found if one.lines]


# --------------------------------------------------------------------------- how long


def _histogram(blocker: Blocker, width: int, glyphs: Glyphs) -> list[Line]:
    rows = histogram(blocker.durations)
    most = max((number for _, _, number in rows), default=1)
    said = [
        ", ".join(word for word, ns in marks(blocker) if low <= ns < high) for low, high, _ in rows
    ]
    room = max(width - _RANGE - 8 - max(map(len, said), default=0), 8)
    return [
        (
            Span(pad(f" {between(low, high)}", _RANGE), "label"),
            Span(pad(bars.bar(number / most, room, glyphs), room), cause_style(blocker.cause)),
            Span(f" {figures.short_count(number) if number else '':>5}"),
            Span(f" {words}" if words else "", "label"),
        )
        for (low, high, number), words in zip(rows, said, strict=True)
    ]


def _line(blocker: Blocker, glyphs: Glyphs) -> list[Line]:
    rows = histogram(blocker.durations, 24)
    if not rows:
        return []
    drawn = bars.spark([number for _, _, number in rows], len(rows), glyphs)
    spans = [
        Span(f" {figures.duration(rows[0][0])} ", "label"),
        Span(drawn, cause_style(blocker.cause)),
        Span(f" {figures.duration(rows[-1][1])}", "label"),
    ]
    for word, ns in marks(blocker):
        spans += [Span(f"   {word} ", "label"), Span(figures.long_duration(ns))]
    return [tuple(spans)]


def _unended(blocker: Blocker) -> list[Line]:
    return [(Span(f" {said}"),) for said in lasting.in_words(blocker)]


# --------------------------------------------------------------------------- where the time went


def _parts(blocker: Blocker) -> list[tuple[str, int, str]]:
    """(what, ns, style)."""
    hue = cause_style(blocker.cause)
    return [(said, ns, "wait" if said == NO_CPU else hue) for said, ns in parts(blocker)]


def _time(blocker: Blocker, width: int, glyphs: Glyphs) -> list[Line]:
    parts = _parts(blocker)
    most = max(max(ns for _, ns, _ in parts), 1)
    room = max(width - 24, 8)
    lines: list[Line] = []
    for said, ns, style in parts:
        bar = bars.bar(ns / most, room, glyphs)
        if style == "wait":
            bar = glyphs.pattern * len(bar)
        lines.append(
            (
                Span(pad(f" {said}", 12), "label"),
                Span(pad(bar, room), style),
                Span(f"  {_long(ns)}"),
            )
        )
    return lines + _causes(blocker)


def _long(ns: int) -> str:
    return figures.long_duration(ns) if ns else "0"


def _causes(blocker: Blocker) -> list[Line]:
    if len(blocker.causes) < 2:
        return []
    spans: list[Span] = [Span(" ")]
    for cause, ns in blocker.causes:
        spans += [Span(cause.value, cause_style(cause)), Span(f" {figures.duration(ns)}   ")]
    return [tuple(spans)]


def _workers(blocker: Blocker, glyphs: Glyphs) -> list[Line]:
    most = max((ns for _, ns in blocker.workers), default=1)
    hue = cause_style(blocker.cause)
    items: list[Line] = [
        (
            Span(f" {worker(one)} ", "label"),
            Span(bars.bar(ns / max(most, 1), 5, glyphs), hue),
            Span(f" {figures.duration(ns)} "),
        )
        for one, ns in blocker.workers[:_FEW]
    ]
    left = len(blocker.workers) - _FEW
    return items + ([(Span(f" and {left} more", "label"),)] if left > 0 else [])


def _weighed(pairs: Sequence[tuple[str, int]]) -> list[Line]:
    """Each with the time that it took."""
    return [(Span(f"{figures.duration(ns):>6}  "), Span(clean(said))) for said, ns in pairs[:_FEW]]


def _tasks(blocker: Blocker) -> list[Line]:
    lines = _weighed(blocker.types)
    if blocker.behind >= 0.5:
        ready = figures.count(round(blocker.behind), "ready task")
        lines.append((Span(f" held up about {ready} of the same worker"),))
    if blocker.task_ids:
        numbers = ", ".join(str(one) for one in blocker.task_ids)
        lines.append((Span(" task ids, the latest: ", "label"), Span(numbers)))
    return lines


# --------------------------------------------------------------------------- when


def when(blocker: Blocker, snapshot: Snapshot, width: int, tall: int, glyphs: Glyphs) -> list[Line]:
    """Its blocked time over the span in so many lines, and from when to when that is."""
    history = snapshot.history(blocker)
    if not history:
        return []
    room = max(width - 2, 1)
    hue = cause_style(blocker.cause)
    stretched = [float(history[at * len(history) // room]) for at in range(room)]
    values = [(value, hue) for value in stretched]
    drawn = bars.columns(values, tall, max(history, default=0), glyphs)
    begin = snapshot.elapsed_ns - snapshot.span_ns
    first, last = f"{figures.long_duration(begin)}", f"{figures.long_duration(snapshot.elapsed_ns)}"
    axis = f" {pad(first, room - cells(last))}{last}"
    return [*((Span(" "), *line) for line in drawn), (Span(axis, "label"),)]
