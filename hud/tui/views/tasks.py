"""The tasks: per type of future what is alive of it, how long its polls take, how it blocked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.model import bucket_floor_ns
from hud.tui.groups import bucket_percentile
from hud.tui.layout import Column, Table, block
from hud.tui.state import Opened, Page, first_shown, pane_height
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, clean, cut_left, name, pad, sparkline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Snapshot, TaskUse
    from hud.model import PollStats
    from hud.tui.state import UiState

_MARGIN = 3
_UNKNOWN = "-"
_NAMED = (
    Column("name", "task type", 22, grow=3, widest=90),
    Column("where", "declared at", 16, drop=5, grow=1, widest=40),
)
_ALIVE = (
    Column("alive", "alive", 5, right=True, drop=2),
    Column("ready", "ready", 5, right=True, drop=6),
    Column("stuck", "stuck", 5, right=True, drop=7),
)
_POLLS = (
    Column("polls", "polls", 5, right=True),
    Column("busy", "busy", 5, right=True, drop=3),
    Column("p50", "p50", 5, right=True, drop=4),
    Column("p99", "p99", 5, right=True),
    Column("longest", "max", 5, right=True, drop=1),
    Column("histogram", "polls by time", 16, drop=8),
)
_BLOCKED = (
    Column("episodes", "long", 5, right=True),
    Column("blocked", "blocked", 7, right=True),
)
_LONGEST = Column("worst", "longest", 7, right=True)
_HISTOGRAM = 16
_NOT_EXACT = "Only polls over the threshold are seen; --exact adds all polls of each type."

SORTS = {
    "blocked": lambda use: -use.blocked_ns,
    "episodes": lambda use: -use.episodes,
    "busy": lambda use: -(use.polls.busy_ns if use.polls else 0),
    "polls": lambda use: -(use.polls.polls if use.polls else 0),
    "alive": lambda use: -alive(use),
    "name": lambda use: use.kind.name,
}


def alive(use: TaskUse) -> int:
    """Tasks of that type that there are; 0 where they are not read."""
    return use.count.idle + use.count.ready + use.count.running if use.count else 0


def listed(state: UiState, snapshot: Snapshot) -> Sequence[TaskUse]:
    """The rows: those that the search finds, in the chosen order."""
    uses: Sequence[TaskUse] = snapshot.tasks
    if state.search and state.view == "tasks":
        wanted = state.search.casefold()
        uses = [u for u in uses if wanted in f"{u.kind.name} {u.kind.where}".casefold()]
    order = state.order("tasks", SORTS)
    uses = uses if order == "blocked" else sorted(uses, key=SORTS[order])
    return uses[::-1] if "tasks" in state.turned else uses


def opened(state: UiState, snapshot: Snapshot) -> Opened:
    """The blockers of the chosen type."""
    uses = listed(state, snapshot)
    at = state.at("tasks").cursor
    return Opened(only={"task_type": uses[at].kind.name}) if at < len(uses) else Opened()


def table(snapshot: Snapshot, width: int) -> Table:
    """The columns that are known, as far as there is room."""
    columns = [*_NAMED]
    if snapshot.tasks_read is not None:
        columns += _ALIVE
    if any(use.polls is not None for use in snapshot.tasks):
        columns += _POLLS
    else:
        columns.append(_LONGEST)
    return Table((*columns, *_BLOCKED), width, _MARGIN)


def page(snapshot: Snapshot, state: UiState, _: int, height: int) -> Page:
    """The rows between what is known of all and the lower pane."""
    head = len(_summary(snapshot)) + 1
    shown = max(height - head - _pane(snapshot, height), 0)
    return Page(shown, len(listed(state, snapshot)), head)


def _pane(snapshot: Snapshot, body: int) -> int:
    return 0 if body < 16 or not snapshot.tasks else min(pane_height(body), 9)


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """What is known of all, the types, and the chosen one explained."""
    mark = state.glyphs.ellipsis
    columns = table(snapshot, width)
    uses = listed(state, snapshot)
    at = state.at("tasks")
    shown = page(snapshot, state, width, height).shown
    top = first_shown(at.scroll, at.cursor, shown, len(uses))
    sorted_by = state.order("tasks", SORTS)
    lines = [*_summary(snapshot), columns.head(sorted_by, mark)]
    for number, use in enumerate(uses[top : top + shown], start=top):
        lines.append(_row(columns, use, number == at.cursor, state))
    if not uses:
        lines += [(), *((Span(f"   {said}", "dim"),) for said in _nothing(snapshot, state))]
    pane = _pane(snapshot, height)
    lines = block(lines, width, height - pane, mark)
    if pane:
        chosen = uses[at.cursor] if at.cursor < len(uses) else None
        lines += _details(snapshot, state, chosen, width, pane)
    return block(lines, width, height, mark)


def _nothing(snapshot: Snapshot, state: UiState) -> list[str]:
    if snapshot.tasks and state.search:
        return ["no task type matches the search"]
    ids = {task for blocker in snapshot.blockers for task in blocker.task_ids}
    said = ["The types of this program's tasks are not known."]
    if ids:
        said.append(f"Tasks that blocked lately, by Tokio's number: {_numbers(sorted(ids)[-12:])}")
    return said


def _numbers(ids: Sequence[int]) -> str:
    return ", ".join(str(one) for one in ids)


def _summary(snapshot: Snapshot) -> list[Line]:
    lines: list[Line] = []
    read = snapshot.tasks_read
    if read is not None:
        ready = sum(number for _, number in read.queued)
        shared = f", {figures.count(read.injected)} in the shared one" if read.injected >= 0 else ""
        said = [f"ready: {figures.count(ready)} in the workers' queues{shared}"]
        if read.pool_threads >= 0:
            idle = f", {read.pool_idle} idle" if read.pool_idle >= 0 else ""
            jobs = (
                f", {figures.count(read.pool_queue, 'job')} waiting" if read.pool_queue >= 0 else ""
            )
            said.append(f"pool: {figures.count(read.pool_threads, 'thread')}{idle}{jobs}")
        if not read.whole:
            said.append("list incomplete")
        lines.append((Span("   "), Span("   ".join(said))))
    if any(use.polls is not None for use in snapshot.tasks):
        lines.append((Span(f"   exact: {clean(snapshot.exact) or 'on'}", "dim"),))
    else:
        lines.append((Span(f"   {_NOT_EXACT}", "dim"),))
    return lines


def _row(columns: Table, use: TaskUse, chosen: bool, state: UiState) -> Line:
    mark = state.glyphs.ellipsis
    widths = columns.widths
    style = "bold" if chosen else ""
    called = name(use.kind.name or "(type not known)", use.kind.inferred, widths["name"], mark)
    known = use.count
    values: dict[str, Line] = {
        "name": (Span(called, style),),
        "where": (Span(cut_left(clean(use.kind.where), widths.get("where", 0), mark), "dim"),),
        "alive": (Span(figures.short_count(alive(use)) if known else _UNKNOWN),),
        "ready": (Span(figures.short_count(known.ready) if known else _UNKNOWN),),
        "stuck": _stuck(use),
        "worst": (Span(figures.duration(use.max_ns) if use.max_ns else _UNKNOWN),),
        "episodes": (Span(figures.short_count(use.episodes)),),
        "blocked": (Span(figures.duration(use.blocked_ns)),),
        **_polls(use.polls, state),
    }
    marker = Span(" >" if chosen else "  ", style)
    return columns.row(marker, values, mark)


def _stuck(use: TaskUse) -> Line:
    if use.count is None:
        return (Span(_UNKNOWN),)
    return (Span(figures.short_count(use.count.stuck), "warn" if use.count.stuck else ""),)


def _polls(stats: PollStats | None, state: UiState) -> dict[str, Line]:
    if stats is None:
        return {column.name: (Span(_UNKNOWN),) for column in _POLLS}
    return {
        "polls": (Span(figures.short_count(stats.polls)),),
        "busy": (Span(figures.duration(stats.busy_ns)),),
        "p50": (Span(figures.duration(min(bucket_percentile(stats.buckets, 50), stats.max_ns))),),
        "p99": (Span(figures.duration(min(bucket_percentile(stats.buckets, 99), stats.max_ns))),),
        "longest": (Span(figures.duration(stats.max_ns)),),
        "histogram": (Span(sparkline(decades(stats.buckets), state.glyphs.ramp)),),
    }


_DECADE = 8
"""Buckets to one character: a factor of four."""
_SCALE = 8
"""Columns for each of them in the lower pane."""
_FIRST = 40
"""The bucket that begins at 1,024 ns; shorter polls count with it."""


def decades(buckets: Sequence[int]) -> list[int]:
    """From 1 us on, each a factor of 4 longer than the one before; the last one is open."""
    sums = [0] * _HISTOGRAM
    for at, number in enumerate(buckets):
        sums[max(0, min((at - _FIRST) // _DECADE, _HISTOGRAM - 1))] += number
    return sums


# --------------------------------------------------------------------------- the lower pane


def _details(
    snapshot: Snapshot, state: UiState, use: TaskUse | None, width: int, height: int
) -> list[Line]:
    glyphs = state.glyphs
    if use is None:
        return block([(Span(glyphs.rule * width, "dim"),)], width, height, glyphs.ellipsis)
    known = use.kind.name or "(type not known)"
    called = name(known, use.kind.inferred, width - 8, glyphs.ellipsis)
    rule = Span(f" {glyphs.rule * max(width - cells(called) - 4, 0)}", "dim")
    lines: list[Line] = [(Span(f"{glyphs.rule * 2} ", "dim"), Span(called, "title"), rule)]
    if use.kind.where:
        lines.append(_labelled("declared", (Span(clean(use.kind.where)),)))
    if use.count is not None:
        c = use.count
        said = f"{c.idle} idle, {c.ready} ready, {c.running} running"
        warn = (Span(f"   {c.stuck} that nothing can wake any more", "warn"),) if c.stuck else ()
        lines.append(_labelled("alive", (Span(said), *warn)))
    if use.polls is not None:
        lines += _histogram(use.polls, state)
    blockers = [b for b in snapshot.blockers[:_SEARCHED] if _reaches(b.types, use)]
    for at, blocker in enumerate(blockers[:3]):
        part = dict(blocker.types)[use.kind.name] / max(use.blocked_ns, 1)
        lines.append(
            _labelled(
                "" if at else "blocked in",
                (
                    Span(f"{figures.share(min(part, 1.0)):>5}  "),
                    Span(f"{blocker.cause.value:<7}", cause_style(blocker.cause)),
                    Span(f"{clean(blocker.function)}  {clean(blocker.where)}"),
                ),
            )
        )
    if use.task_ids:
        lines.append(_labelled("task ids", (Span(_numbers(use.task_ids), "dim"),)))
    return block(lines, width, height, glyphs.ellipsis)


_SEARCHED = 500
"""Blockers looked through for those of a type."""


def _reaches(types: tuple[tuple[str, int], ...], use: TaskUse) -> bool:
    return any(known == use.kind.name for known, _ in types)


def _histogram(stats: PollStats, state: UiState) -> list[Line]:
    """Two lines: how many polls took how long, on a scale of factors of four."""
    parts = decades(stats.buckets)
    last = max((at for at, number in enumerate(parts) if number), default=0) + 1
    ramp = state.glyphs.ramp
    line = sparkline(parts, ramp)
    bars = "".join(
        pad(f"{line[at]} {figures.short_count(parts[at])}" if parts[at] else ramp[0], _SCALE)
        for at in range(last)
    )
    scale = "".join(
        pad(figures.duration(bucket_floor_ns(_FIRST + at * _DECADE)), _SCALE) for at in range(last)
    )
    return [_labelled("polls", (Span(bars),)), _labelled("from", (Span(scale, "dim"),))]


def _labelled(label: str, spans: Line) -> Line:
    return (Span(pad(f"   {label}", 14), "dim"), *spans)
