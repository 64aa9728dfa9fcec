"""The selected blocker in as many lines as there are: what to do, what it costs, where it blocks.

Each line has a rank: where there is no room for all of them those with the highest go, and the
others stay in their order. Room to spare becomes blank lines between the groups.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis import cases, lasting
from hud.analysis.advice.advise import advise, advise_case
from hud.analysis.shortnames import shorten
from hud.model import bucket_floor_ns
from hud.tui import bars, groups
from hud.tui.layout import block, clip, width_of
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, clean, pad, pieces, worker
from hud.tui.views import code, shortstack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hud.analysis.results import Blocker, Snapshot
    from hud.tui.glyphs import Glyphs

_LABEL = 9
_METER = 20
"""Cells of a worker's bar that stands for all of the blocker's time."""
_SPREAD = 24
_FEW = 3


class _Part(NamedTuple):
    """What stands behind one label."""

    label: str
    group: int
    ranks: Sequence[int]
    """Of its lines; they rise."""
    draw: Callable[[int], Sequence[Line]]
    """So many of its lines."""


class _About(NamedTuple):
    """Which blocker, and the cells behind a label."""

    snapshot: Snapshot
    selected: Blocker
    largest: Blocker
    """Of a group; else the selected one."""
    room: int
    glyphs: Glyphs

    def short(self, name: str, room: int) -> str:
        return shorten([clean(name)], room, self.glyphs.ellipsis, keep_crate=True)[0]


def view(
    snapshot: Snapshot, selected: Blocker, width: int, height: int, glyphs: Glyphs
) -> list[Line]:
    """Exactly ``height`` lines about a blocker, or about a group and its largest one."""
    largest = groups.members(selected)[0][0]
    about = _About(snapshot, selected, largest, max(width - _LABEL - 1, 20), glyphs)
    parts = [part for part in _parts(about) if part.ranks]
    ranks = sorted(rank for part in parts for rank in part.ranks)
    kept = frozenset(ranks[: max(height, 0)])
    spare = height - len(ranks)
    lines: list[Line] = []
    group = 0
    for part in parts:
        number = sum(rank in kept for rank in part.ranks)
        if number and part.group != group and spare > 0:
            lines.append(())
            spare -= 1
        group = part.group
        lines += _labelled(part.label, part.draw(number) if number else ())
    return block(lines, width, height, glyphs.ellipsis)


def _labelled(label: str, lines: Sequence[Line]) -> list[Line]:
    first = Span(pad(f" {label}", _LABEL), "label")
    return [(Span(" " * _LABEL) if at else first, *line) for at, line in enumerate(lines)]


def _parts(about: _About) -> Iterator[_Part]:
    """In their order on the screen; no rank is given twice."""
    if len(groups.members(about.selected)) > 1:
        largest = members(about.selected, about.glyphs.ellipsis)[:_FEW]
        yield _plain("mostly", 0, 2, largest)
    advice = advise(about.largest, about.snapshot.stacks)
    yield _plain("fix", 0, 0, _wrapped(advice.text, about.room, "bold"))
    yield _plain("", 0, 40, _wrapped(advice.code, about.room))
    yield _plain("why", 0, 30, _wrapped(advice.reason, about.room))
    yield _plain("also", 0, 15, _also(about))
    yield _plain("cost", 0, 10, _cost(about))
    called = shortstack.Calls.of(about.snapshot.stacks.get(about.largest.example))
    ranks = [*range(20, 23), *range(43, 60)][: len(called)]
    draw = partial(called.lines, width=about.room, glyphs=about.glyphs)
    yield _Part("stack", 1, ranks, draw)
    yield _plain("spread", 2, 60, _spread(about))
    yield _plain("workers", 2, 61, _workers(about))
    yield _plain("causes", 2, 62, _causes(about))
    yield _plain("task", 2, 63, _task(about))
    yield _plain("about", 2, 66, _details(about))
    yield from _holder(about)
    yield _plain("source", 3, 26, _source(about))


def _plain(label: str, group: int, rank: int, lines: Sequence[Line]) -> _Part:
    """Of lines that do not depend on how many of them there are."""
    return _Part(label, group, range(rank, rank + len(lines)), lambda number: lines[:number])


# --------------------------------------------------------------------------- what to do, the cost


def members(group: Blocker, ellipsis: str) -> list[Line]:
    """The largest of a group, a line each."""
    whole = max(group.total_ns, 1)
    found = groups.members(group)
    names = [shortstack.marked(clean(one.function), one.inferred) for one, _ in found]
    return [
        (
            Span(f"{figures.share(min(ns / whole, 1.0)):>5} of it  "),
            Span(pad(one.cause.value, 7), cause_style(one.cause)),
            Span(name, "own"),
            Span(f"  {clean(one.where)}" if one.where else "", "label"),
        )
        for (one, ns), name in zip(found, shorten(names, 60, ellipsis), strict=True)
    ]


def _also(about: _About) -> list[Line]:
    """What else holds it up, and what to do about that."""
    lines: list[Line] = []
    for case in cases.worth_a_fix(about.largest):
        fix = clean(advise_case(about.largest, case, about.snapshot.stacks).text)
        call = about.short(case.operation, about.room // 2) if case.operation else ""
        said = f" {cases.part(case, about.largest)}: {fix or call or f'in {cases.NO_CALL}'}"
        lines.append((Span(case.cause.value, cause_style(case.cause)), Span(said)))
    return lines


def _wrapped(text: str, room: int, style: str = "") -> list[Line]:
    return [(Span(part, style),) for part in pieces(clean(text), room)[:2]] if text else []


def _cost(about: _About) -> list[Line]:
    blocker = about.selected
    lines: list[Line] = []
    if not lasting.all_last(blocker):
        lines.append((Span(_worker_time(about)),))
    lines += [(Span(said),) for said in lasting.in_words(blocker)]
    if blocker.waiting_ns:
        meter = Span(about.glyphs.pattern * 2, "wait")
        waited = f" {figures.long_duration(blocker.waiting_ns)} without a CPU in these polls"
        lines.append((meter, Span(waited), Span(", counted apart", "label")))
    return lines


def _worker_time(about: _About) -> str:
    """The median of a group is read off a histogram: it is the end of its bucket."""
    blocker = about.selected
    span = figures.long_duration(about.snapshot.span_ns)
    worst = figures.long_duration(blocker.max_ns)
    if not blocker.count:
        total = figures.long_duration(blocker.total_ns)
        return f"{total} of worker time in {span}; how many polls is not counted separately"
    if blocker.count == 1:
        return f"{worst} of a worker, once in {span}"
    most = "at most " if len(groups.members(blocker)) > 1 else ""
    typical = f"typically {most}{figures.long_duration(blocker.p50_ns)}"
    times = f", {figures.count(blocker.count)} times in {span}; {worst} at worst"
    said = f"{typical} of a worker{times}"
    return said if cells(said) <= about.room else f"{typical}{times}"


# --------------------------------------------------------------------------- how it is spread


def _spread(about: _About) -> list[Line]:
    counts = about.selected.durations
    first = next((at for at, number in enumerate(counts) if number), len(counts))
    counts = counts[first:]
    if len(counts) < 2:
        return []
    low, high = bucket_floor_ns(first), bucket_floor_ns(first + len(counts))
    drawn = bars.spark(counts, _SPREAD, about.glyphs)
    return [
        (
            Span(f"{figures.duration(low)} "),
            Span(drawn, cause_style(about.selected.cause)),
            Span(f" {figures.duration(high)}"),
        )
    ]


def _workers(about: _About) -> list[Line]:
    """As many as fit, those with most of the blocker's time first."""
    blocker, style = about.selected, cause_style(about.selected.cause)
    whole = max(sum(ns for _, ns in blocker.workers), 1)
    line: Line = ()
    for at, (number, ns) in enumerate(blocker.workers):
        said = f" {figures.percent(ns / whole)}{'' if at else ' of it'}"
        drawn = bars.bar(ns / whole, _METER, about.glyphs)
        item = (Span(f"{worker(number)} ", "label"), Span(drawn, style), Span(said))
        longer = (*line, *((Span("  "),) if line else ()), *item)
        left = len(blocker.workers) - at - 1
        more = f"  and {left} more" if left else ""
        if width_of(longer) + len(more) > about.room and line:
            return [(*line, Span(f"  and {left + 1} more", "label"))]
        line = longer
    return [line] if line else []


def _causes(about: _About) -> list[Line]:
    causes = about.selected.causes
    whole = max(sum(ns for _, ns in causes), 1)
    spans: list[Span] = []
    for cause, ns in causes if len(causes) > 1 else ():
        said = f" {figures.percent(ns / whole)}{'' if spans else ' of it'}   "
        spans += [Span(cause.value, cause_style(cause)), Span(said)]
    return [tuple(spans)] if spans else []


# --------------------------------------------------------------------------- who runs it, and where


def _task(about: _About) -> list[Line]:
    """What runs it, and how many it held up."""
    blocker = about.largest
    lines: list[Line] = []
    if blocker.types:
        more = figures.count(len(blocker.types) - 1, "other type")
        also = f", and {more}" if len(blocker.types) > 1 else ""
        name = about.short(blocker.types[0][0], about.room - len(also))
        lines.append((Span(name), Span(also, "label")))
    if blocker.task_ids:
        numbers = ", ".join(str(number) for number in blocker.task_ids)
        lines.append((Span("the latest: ", "label"), Span(numbers)))
    if blocker.behind >= 0.5:
        ready = figures.count(round(blocker.behind), "ready task")
        lines.append((Span(f"held up about {ready} of the same worker"),))
    return lines


def _details(about: _About) -> list[Line]:
    """The files, peers or programs it is about."""
    found = about.largest.details
    also = f"  and {len(found) - 1} more" if len(found) > 1 else ""
    return [(Span(clean(found[0][0])), Span(also, "label"))] if found else []


def _holder(about: _About) -> Iterator[_Part]:
    """Who held the lock, or woke the sleeper."""
    for use in cases.held_up_by(about.largest)[:1]:
        name = shortstack.marked(use.function or "(not known)", use.inferred)
        where = f"  {clean(use.where)}" if use.where else ""
        said = (Span(about.short(name, about.room), "own"), Span(f"{where}  {clean(use.role)}"))
        yield _plain("held by" if use.held else "waker", 2, 24, [said])


def _source(about: _About) -> list[Line]:
    where = clean(about.largest.where)
    found = code.of(about.largest, about.snapshot)
    lines: list[Line] = [(Span(where),)] if where else []
    for number, text in found.source if found else ():
        if found and number == found.line:
            shown = clean(text.expandtabs(4).strip())
            lines.append((Span(f"{about.glyphs.line} ", "label"), Span(shown, "own")))
    return [clip(line, about.room, about.glyphs.ellipsis) for line in lines]
