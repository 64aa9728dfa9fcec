"""The drill-down: all that is known of one blocker, on one page that scrolls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.advice.advise import advise
from hud.analysis.cause import Cause
from hud.analysis.results import Blocker, Snapshot
from hud.model import bucket_floor_ns
from hud.tui import folding, frames, groups
from hud.tui.layout import block
from hud.tui.state import Page
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import clean, cut_left, name, pad, pieces, worker
from hud.tui.views import code
from hud.tui.views.detail import members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.tui.state import UiState

HEAD = 3
"""Lines that do not scroll."""
ANY_WIDTH = 100
"""The number of lines hardly depends on the width; that of the advice does."""
_WEIGHT = 7
_BAR = 30
_FEW = 8


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Name and figures above, everything else below, scrolled; a blocker must be open."""
    blocker = state.opened
    mark = state.glyphs.ellipsis
    if blocker is None:
        return block([], width, height, mark)
    lines = head(blocker, width, mark)
    below = max(height - HEAD, 0)
    rest = document(snapshot, state, width)
    top = max(min(state.stack_scroll, len(rest) - below), 0)
    shown = [marked(line, state.search) for line in rest[top : top + below]]
    return block([*lines, *shown], width, height, mark)


def page(snapshot: Snapshot, state: UiState, width: int, height: int) -> Page:
    """The lines below the head."""
    return Page(max(height - HEAD, 1), len(document(snapshot, state, width)), HEAD)


def head(blocker: Blocker, width: int, mark: str) -> list[Line]:
    """The lines that do not scroll."""
    title = name(blocker.function, blocker.inferred, max(width - 34, 20), mark)
    at = Span(f"  {cut_left(clean(blocker.where), 30, mark)}")
    return [(Span(f" {title}", "user"), at), _figures(blocker), ()]


def _figures(blocker: Blocker) -> Line:
    parts = (
        f"  {figures.count(blocker.count, 'time')}",
        f"total {figures.duration(blocker.total_ns)}",
        f"max {figures.duration(blocker.max_ns)}",
        f"p99 {figures.duration(blocker.p99_ns)}",
        f"p50 {figures.duration(blocker.p50_ns)}",
        f"{figures.percent(blocker.share)} of worker time",
        *([f"no CPU {figures.duration(blocker.waiting_ns)}"] if blocker.waiting_ns else []),
    )
    below = f"   in {clean(blocker.operation)}" if blocker.operation else ""
    cause = Span(f" {blocker.cause.value}", cause_style(blocker.cause))
    return (cause, Span("  ".join(parts)), Span(below, "dim"))


def document(snapshot: Snapshot, state: UiState, width: int) -> list[Line]:
    """Every line below the head."""
    blocker = state.opened
    if blocker is None:
        return []
    sections = (
        _parts(blocker, state),
        _advice(blocker, snapshot, width),
        _stacks(blocker, snapshot, state, width),
        _holders(blocker, snapshot, state, width),
        _details(blocker),
        _durations(blocker, state),
        _workers(blocker, state),
        _tasks(blocker),
        code.source(blocker, snapshot),
        code.instructions(blocker, snapshot) if state.code else [],
    )
    lines: list[Line] = []
    for section in sections:
        if section:
            lines += [*section, ()]
    return lines[:-1]


def marked(line: Line, search: str) -> Line:
    """``line`` with what the search found in it reversed."""
    if not search:
        return line
    wanted = search.casefold()
    spans: list[Span] = []
    for span in line:
        low = span.text.casefold()
        at = low.find(wanted) if len(low) == len(span.text) else -1
        if at < 0:
            spans.append(span)
            continue
        end = at + len(wanted)
        spans += [Span(span.text[:at], span.style), Span(span.text[at:end], "tab")]
        spans.append(Span(span.text[end:], span.style))
    return tuple(span for span in spans if span.text)


def heading(text: str, note: str = "") -> Line:
    """The title of a section; ``note`` is dim beside it, and comes first in the line."""
    if not note:
        return (Span(" "), Span(text, "title"))
    return (Span(" "), Span(text, "title"), Span(f"  {note}", "dim"))


# --------------------------------------------------------------------------- sections


def _parts(blocker: Blocker, state: UiState) -> list[Line]:
    rows = members(blocker, state.glyphs.ellipsis)
    return [heading("functions", "the largest"), *rows] if len(rows) > 1 else []


def _advice(blocker: Blocker, snapshot: Snapshot, width: int) -> list[Line]:
    parts = groups.members(blocker)
    largest = parts[0][0]
    advice = advise(largest, snapshot.stacks)
    whose = f"{largest.function}: " if len(parts) > 1 and advice.text else ""
    said = (
        ("fix", whose + advice.text, ""),
        ("", advice.code, "dim"),
        ("why", advice.reason, "dim"),
    )
    lines: list[Line] = []
    for label, text, style in said:
        for at, part in enumerate(pieces(clean(text), max(width - 8, 20)) if text else ()):
            lines.append((Span(f" {'' if at else label:<5}", "dim"), Span(part, style)))
    return lines


def _stacks(blocker: Blocker, snapshot: Snapshot, state: UiState, width: int) -> list[Line]:
    number = len(blocker.stacks)
    if not number:
        return [heading("stack"), (Span("   none was caught in any of these episodes", "dim"),)]
    rows = folding.tree(blocker.stacks, snapshot.stacks, state.unfold, state.glyphs.unicode)
    note = "outermost call first" + (f"; {number} distinct ones, joined" if number > 1 else "")
    lines: list[Line] = [heading("stacks" if number > 1 else "stack", note)]
    return lines + tree_lines(rows, width, state.glyphs.ellipsis)


def tree_lines(rows: Sequence[folding.Row], width: int, mark: str) -> list[Line]:
    """Rows of a tree as lines, their weights in a column of their own."""
    drawn = frames.lines(rows, width - _WEIGHT - 2, mark)
    return [
        (Span(pad(row.weight, _WEIGHT, right=True) + "  "), *line)
        for row, line in zip(rows, drawn, strict=True)
    ]


def _holders(blocker: Blocker, snapshot: Snapshot, state: UiState, width: int) -> list[Line]:
    lines: list[Line] = []
    mark = state.glyphs.ellipsis
    if not blocker.holders:
        if blocker.cause is Cause.LOCK:
            return [heading("lock holder"), (Span("   not known", "dim"),)]
        return []
    whole = max(sum(use.total_ns for use in blocker.holders), 1)
    lines.append(heading("lock holder", "who let go when the wait ended"))
    for use in blocker.holders:
        part = figures.share(use.total_ns / whole)
        at = f"  {clean(use.where)}" if use.where else ""
        lines.append(
            (
                Span(f"{part:>{_WEIGHT}}  "),
                Span(name(use.function or "(not known)", use.inferred, width, mark), "user"),
                Span(f"{at}  {clean(use.role)}", "dim"),
            )
        )
        stack = snapshot.stacks.get(use.stack) if use.stack else None
        if stack is not None:
            rows = [row._replace(blocking=False) for row in folding.outline(stack, state.unfold)]
            drawn = frames.lines(rows, width - _WEIGHT - 6, state.glyphs.ellipsis)
            lines += [(Span(" " * (_WEIGHT + 4)), *line) for line in drawn]
    return lines


def _details(blocker: Blocker) -> list[Line]:
    if not blocker.details:
        return []
    lines: list[Line] = [heading("about")]
    total = max(blocker.total_ns, 1)
    for detail, ns in blocker.details[:_FEW]:
        lines.append(
            (Span(f"{figures.share(min(ns / total, 1.0)):>{_WEIGHT}}  "), Span(clean(detail)))
        )
    return lines


def _durations(blocker: Blocker, state: UiState) -> list[Line]:
    rows = histogram(blocker.durations)
    if not rows:
        return []
    most = max(number for _, _, number in rows)
    glyph = "█" if state.glyphs.unicode else "#"
    lines: list[Line] = [heading("durations", "episodes by how long they lasted")]
    for low, high, number in rows:
        cells = -(-number * _BAR // most)
        lines.append(
            (
                Span(f"   {figures.duration(low):>5} - {figures.duration(high):<5}  ", "dim"),
                Span(glyph * cells, cause_style(blocker.cause)),
                Span(f"{' ' if cells else ''}{figures.short_count(number) if number else ''}"),
            )
        )
    return lines


def histogram(durations: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(from, to, how many): the buckets that hold any, joined until there are at most 12 rows."""
    first = next((at for at, number in enumerate(durations) if number), None)
    if first is None:
        return []
    step = 1
    while -(-(len(durations) - first // step * step) // step) > 12:
        step *= 2
    start = first // step * step
    return [
        (bucket_floor_ns(at), bucket_floor_ns(at + step), sum(durations[at : at + step]))
        for at in range(start, len(durations), step)
    ]


def _workers(blocker: Blocker, state: UiState) -> list[Line]:
    glyph = "█" if state.glyphs.unicode else "#"
    total = max(sum(ns for _, ns in blocker.workers), 1)
    lines: list[Line] = [heading("workers")]
    for one, ns in blocker.workers[:_FEW]:
        cells = round(ns / total * _BAR)
        bar = Span(glyph * cells, "dim")
        said = f"   {pad(worker(one), 6)}{figures.share(ns / total):>6}  "
        lines.append((Span(said), bar, Span(f" {figures.duration(ns)}")))
    if len(blocker.workers) > _FEW:
        lines.append((Span(f"   and {len(blocker.workers) - _FEW} more", "dim"),))
    if len(blocker.causes) > 1:
        whole = max(sum(ns for _, ns in blocker.causes), 1)
        spans = [
            Span(f"{cause.value} {figures.share(ns / whole)}   ", cause_style(cause))
            for cause, ns in blocker.causes
        ]
        lines += [(), heading("causes"), (Span("   "), *spans)]
    return lines


def _tasks(blocker: Blocker) -> list[Line]:
    lines: list[Line] = []
    total = max(blocker.total_ns, 1)
    for kind, ns in blocker.types[:_FEW]:
        lines.append(
            (Span(f"{figures.share(min(ns / total, 1.0)):>{_WEIGHT}}  "), Span(clean(kind)))
        )
    if blocker.behind >= 0:
        ready = f"about {blocker.behind:.1f}".removesuffix(".0")
        said = f"   held up {ready} ready tasks of the same worker each time"
        lines.append((Span(said),))
    if blocker.task_ids:
        numbers = ", ".join(str(one) for one in blocker.task_ids)
        lines.append((Span(f"   task ids, the latest: {numbers}", "dim"),))
    return [heading("tasks"), *lines] if lines else []
