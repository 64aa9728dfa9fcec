"""The tasks: per type of future what is alive of it, how long its polls take, how it blocked.

What is cut first: the chosen type, then rows, those that blocked least.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.shortnames import shorten
from hud.model import quantile_ns
from hud.tui import bars
from hud.tui.layout import Column, Table, block, selected
from hud.tui.state import Opened, Page, first_shown
from hud.tui.style import Line, Span
from hud.tui.text import clean, cut_left
from hud.tui.views import tasktype

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Snapshot, TaskUse
    from hud.model import PollStats, TasksRead
    from hud.tui.state import UiState

_MARGIN = 2
_LOW, _PANE = 14, 7
_UNKNOWN = "-"
NO_NAME = "(type not known)"
_NAMED = (
    Column("name", "task type", 22, grow=3, widest=70),
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
    Column("p50", "typical", 7, right=True, drop=4),
    Column("p99", "p99", 5, right=True),
    Column("histogram", "by time", 16, drop=8),
)
_BLOCKED = (
    Column("episodes", "long", 5, right=True),
    Column("blocked", "blocked", 7, right=True),
    Column("bar", "", 6, drop=9, grow=1, widest=20),
    Column("worst", "worst", 5, right=True, drop=1),
)
_NOT_EXACT = "Only polls over the threshold are seen; --exact adds all polls of each type."

SORTS = {
    "blocked": lambda use: -use.blocked_ns,
    "episodes": lambda use: -use.episodes,
    "worst": lambda use: -_worst_ns(use),
    "busy": lambda use: -(use.polls.busy_ns if use.polls else 0),
    "polls": lambda use: -(use.polls.polls if use.polls else 0),
    "alive": lambda use: -alive(use),
    "name": lambda use: use.kind.name,
}


def alive(use: TaskUse) -> int:
    """Tasks of that type that there are; 0 where they are not read."""
    return use.count.idle + use.count.ready + use.count.running if use.count else 0


def _worst_ns(use: TaskUse) -> int:
    """The longest poll that is known."""
    return max(use.max_ns, use.polls.max_ns if use.polls else 0)


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
    return Table((*columns, *_BLOCKED), width, _MARGIN)


def page(snapshot: Snapshot, state: UiState, _: int, height: int) -> Page:
    """The rows between what is known of all and the chosen one."""
    total = len(listed(state, snapshot))
    head = len(_summary(snapshot)) + 1
    pane = _PANE if height >= _LOW else 0
    return Page(max(min(total, height - head - pane), 0), total, head)


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """What is known of all, the types, and the chosen one explained."""
    mark = state.glyphs.ellipsis
    uses = listed(state, snapshot)
    at = state.at("tasks")
    shown = page(snapshot, state, width, height).shown
    top = first_shown(at.scroll, at.cursor, shown, len(uses))
    columns = table(snapshot, width)
    lines = [*_summary(snapshot), columns.head(state.order("tasks", SORTS), mark)]
    lines += _rows(columns, uses[top : top + shown], at.cursor - top, state, width)
    if not uses:
        lines += [(), *((Span(f"   {said}", "label"),) for said in _nothing(snapshot, state))]
        return block(lines, width, height, mark)
    if height < _LOW:
        return block(lines, width, height, mark)
    lines = block(lines, width, len(lines), mark)
    below = height - len(lines)
    return lines + tasktype.pane(uses[at.cursor], snapshot, state, width, below)


def _nothing(snapshot: Snapshot, state: UiState) -> list[str]:
    if snapshot.tasks and state.search:
        return ["no task type matches the search"]
    ids = {task for blocker in snapshot.blockers[:100] for task in blocker.task_ids}
    said = ["The types of this program's tasks are not known."]
    if ids:
        numbers = ", ".join(map(str, sorted(ids)[-12:]))
        said.append(f"Tasks that blocked lately, by Tokio's number: {numbers}")
    return said


def _summary(snapshot: Snapshot) -> list[Line]:
    read = snapshot.tasks_read
    lines = [_queues(read)] if read is not None else []
    exact = any(use.polls is not None for use in snapshot.tasks)
    said = f"exact: {clean(snapshot.exact) or 'on'}" if exact else _NOT_EXACT
    return [*lines, (Span(f" {said}", "label"),)]


def _queues(read: TasksRead) -> Line:
    """Tasks that are ready, and the blocking pool."""
    ready = sum(number for _, number in read.queued)
    shared = f", {figures.count(read.injected)} in the shared one" if read.injected >= 0 else ""
    spans = [
        Span(" ready ", "label"),
        Span(f"{figures.count(ready)} in the workers' queues{shared}"),
    ]
    if read.pool_threads >= 0:
        idle = f", {read.pool_idle} idle" if read.pool_idle >= 0 else ""
        jobs = f", {figures.count(read.pool_queue, 'job')} waiting" if read.pool_queue >= 0 else ""
        said = f"{figures.count(read.pool_threads, 'thread')}{idle}{jobs}"
        spans += [Span("   blocking pool ", "label"), Span(said)]
    if not read.whole:
        spans.append(Span("   list incomplete", "label"))
    return tuple(spans)


# --------------------------------------------------------------------------- rows


def _rows(
    columns: Table, uses: Sequence[TaskUse], cursor: int, state: UiState, width: int
) -> list[Line]:
    glyphs = state.glyphs
    names = [("~" if u.kind.inferred else "") + clean(u.kind.name or NO_NAME) for u in uses]
    short = shorten(names, columns.widths["name"], glyphs.ellipsis)
    top = max((use.blocked_ns for use in uses), default=0)
    lines = []
    for at, (use, called) in enumerate(zip(uses, short, strict=True)):
        marker = Span(glyphs.cursor if at == cursor else " ")
        values = _values(columns, use, state) | {"name": (Span(called),)}
        bar = bars.bar(use.blocked_ns / top if top else 0.0, columns.widths.get("bar", 0), glyphs)
        line = columns.row(marker, values | {"bar": (Span(bar),)}, glyphs.ellipsis)
        lines.append(selected(line, width) if at == cursor else line)
    return lines


def _values(columns: Table, use: TaskUse, state: UiState) -> dict[str, Line]:
    mark, known, worst = state.glyphs.ellipsis, use.count, _worst_ns(use)
    where = cut_left(clean(use.kind.where), columns.widths.get("where", 0), mark)
    return {
        "where": (Span(where, "label"),),
        "alive": (Span(figures.short_count(alive(use)) if known else _UNKNOWN),),
        "ready": (Span(figures.short_count(known.ready) if known else _UNKNOWN),),
        "stuck": _stuck(use),
        "worst": (Span(figures.duration(worst) if worst else _UNKNOWN),),
        "episodes": (Span(figures.short_count(use.episodes)),),
        "blocked": (Span(figures.duration(use.blocked_ns)),),
        **_polls(use.polls, state),
    }


def _stuck(use: TaskUse) -> Line:
    if use.count is None:
        return (Span(_UNKNOWN),)
    return (Span(figures.short_count(use.count.stuck), "own" if use.count.stuck else ""),)


def _polls(stats: PollStats | None, state: UiState) -> dict[str, Line]:
    if stats is None:
        return {column.name: (Span(_UNKNOWN),) for column in _POLLS}
    drawn = bars.spark(tasktype.decades(stats.buckets), tasktype.DECADES, state.glyphs)
    return {
        "polls": (Span(figures.short_count(stats.polls)),),
        "busy": (Span(figures.duration(stats.busy_ns)),),
        "p50": (Span(figures.duration(quantile_ns(stats, 0.5))),),
        "p99": (Span(figures.duration(quantile_ns(stats, 0.99))),),
        "histogram": (Span(drawn),),
    }
