"""The workers: who is blocked for how much of its time, and the chosen one explained.

Up to 12 have a line each, with what they do now and all of their time. More have a wall, a cell for
each, and rows in two columns where there is room; those that slept all the time are only counted.
What is cut first: the chosen one's polls and blockers, then rows, the least blocked first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.tui import bars, doing, panel, workertime
from hud.tui.cache import IdentityCache
from hud.tui.layout import Column, Table, block, selected
from hud.tui.state import Opened, Page, first_shown
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import clean, pad
from hud.tui.verdict import is_stuck
from hud.tui.views import worker
from hud.tui.workerlist import FEW, asleep, idle, listed, most_blocked, not_shown, order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Snapshot, WorkerUse
    from hud.model import Worker
    from hud.tui.state import UiState

_TWO_FROM = 110
"""Columns of a terminal from which rows stand in two columns."""
_LOW, _PANE = 14, 6
_DENSE = 120
"""Workers from which a cell of the wall stands for two and more."""
_MARGIN = 6
_COLUMNS = (
    Column("blocked", "blocked", 7, right=True),
    Column("bar", "", 6, grow=1, widest=24, drop=4),
    Column("waiting", "no CPU", 6, right=True, drop=3),
    Column("cause", "cause", 7),
    Column("worst", "worst", 5, right=True),
)
_NOW = Column("now", "now", 16, grow=2, widest=44)
_TIME = Column("time", "all of its time", 16, grow=2, widest=60, drop=2)
_HISTORY = Column("history", "", 8, grow=1, widest=32, drop=5)


def opened(state: UiState, snapshot: Snapshot) -> Opened:
    """The blockers of the chosen worker."""
    uses = listed(state, snapshot)
    at = state.at("workers").cursor
    return Opened(only={"worker": uses[at].worker.worker_id}) if at < len(uses) else Opened()


# --------------------------------------------------------------------------- what goes where


class _Plan(NamedTuple):
    head: int
    """Lines above the rows, the columns' heads included."""
    lines: int
    """Lines of rows."""
    columns: int
    rest: int
    """1 = a line says who is not shown."""
    pane: int


def _plan(snapshot: Snapshot, state: UiState, width: int, height: int) -> _Plan:
    many = len(snapshot.workers) > FEW
    columns = 2 if many and width >= _TWO_FROM else 1
    head = 4 if many else 2
    total = len(listed(state, snapshot))
    need = -(-total // columns)
    least = _PANE if height >= _LOW else 0
    room = height - head - least
    rest = int(bool(idle(state, snapshot)) or need > room)
    lines = max(min(need, room - rest), 1)
    return _Plan(head, lines, columns, rest, max(height - head - lines - rest, 0) if least else 0)


def page(snapshot: Snapshot, state: UiState, width: int, height: int) -> Page:
    """The rows between the heads and the chosen one."""
    plan = _plan(snapshot, state, width, height)
    total = len(listed(state, snapshot))
    return Page(plan.lines * plan.columns, total, plan.head, plan.columns)


def table(snapshot: Snapshot, width: int) -> Table:
    """The columns there is room for; once the run is over there is no now."""
    few = len(snapshot.workers) <= FEW
    if few:
        columns = (*_COLUMNS, *((_NOW,) if snapshot.live else ()), _TIME)
    else:
        width = _left(width) if width >= _TWO_FROM else width
        columns = (*_COLUMNS, _HISTORY._replace(head=f"last {figures.duration(snapshot.span_ns)}"))
    return Table(columns, width, _MARGIN)


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """All of them in a line or two, the rows, and the chosen one."""
    mark = state.glyphs.ellipsis
    plan = _plan(snapshot, state, width, height)
    uses = listed(state, snapshot)
    at = state.at("workers")
    top = first_shown(at.scroll, at.cursor, plan.lines * plan.columns, len(uses))
    lines = [*_summary(snapshot, state, width), *_heads(snapshot, state, width, plan.columns)]
    lines += _rows(snapshot, state, uses[top : top + plan.lines * plan.columns], plan, width)
    if plan.rest:
        lines.append((Span(f" {not_shown(state, snapshot, plan.lines * plan.columns)}", "label"),))
    if not uses:
        said = "no worker matches the search" if snapshot.workers else "no worker so far"
        lines[plan.head :] = [(Span(f"   {said}", "label"),)]
    lines = block(lines, width, height - plan.pane, mark)
    chosen = uses[at.cursor] if at.cursor < len(uses) else None
    if plan.pane:
        joint = panel.CROSSES if plan.columns == 2 else panel.OPENS
        lines += worker.pane(chosen, snapshot, state, (width, plan.pane), joint)
    return lines


# --------------------------------------------------------------------------- all of them


def _summary(snapshot: Snapshot, state: UiState, width: int) -> list[Line]:
    """How blocked they are: with many of them a wall of cells, and how many have blocked."""
    uses, glyphs = snapshot.workers, state.glyphs
    runtimes = _runtimes(snapshot)
    if len(uses) <= FEW:
        return [(Span(f" {_average(snapshot, True)}"), *runtimes)]
    slept = len(asleep(uses))
    held_up = sum(workertime.has_blocked(use) for use in uses)
    others = len(uses) - slept - held_up
    said = [f"{held_up} were blocked"]
    said += [f"{others} were not ({glyphs.rule})"] if others else []
    said += [f"{slept} slept throughout ({glyphs.dot})"] if slept else []
    average = _average(snapshot, width >= _TWO_FROM)
    wall, each = _wall(snapshot, max(width - len(average) - 6, 10), state)
    many = f", one cell = {each} workers" if each > 1 else ""
    first: Line = (Span(" "), *wall, Span(f"  {average}"))
    return [first, (Span(f" {', '.join(said)}{many}", "label"), *runtimes)]


def _average(snapshot: Snapshot, roomy: bool) -> str:
    """``6.7 % blocked on average, 58 % at most (W57)``; of several runtimes there is no average."""
    worst = next(iter(most_blocked(snapshot)), None)
    if worst is None or not workertime.blocked(worst):
        return "none was blocked" if snapshot.workers else ""
    most = f"{figures.percent(workertime.blocked(worst))} at most (W{worst.worker.worker_id})"
    if len(snapshot.runtimes) != 1 or not roomy:
        return f"blocked {most}"
    return f"{figures.percent(snapshot.runtimes[0].share)} blocked on average, {most}"


def _runtimes(snapshot: Snapshot) -> Line:
    """Their names, number of workers and shares, where there are several."""
    if len(snapshot.runtimes) < 2:
        return ()
    said = [
        f"{clean(one.name) or 'without a name'} {figures.percent(one.share)} of {one.workers}"
        for one in snapshot.runtimes
    ]
    return (Span("   runtimes: ", "label"), Span(", ".join(said)))


def _wall(snapshot: Snapshot, room: int, state: UiState) -> tuple[Line, int]:
    """A cell for each, the most blocked first, and for how many workers one stands."""
    glyphs = state.glyphs
    ranked = most_blocked(snapshot)
    slept = set(map(id, asleep(snapshot.workers)))
    each = max(-(-len(ranked) // room), 2 if len(ranked) >= _DENSE else 1)
    top = workertime.blocked(ranked[0])
    spans: list[Span] = []
    for at in range(0, len(ranked), each):
        group = ranked[at : at + each]
        share = sum(map(workertime.blocked, group)) / len(group)
        cause = workertime.cause(group[0])
        if share and cause:
            level = bars.spark([share, top], 2, glyphs)[0]
            spans.append(Span(level, cause_style(cause)))
        else:
            all_slept = all(id(use) in slept for use in group)
            spans.append(Span(glyphs.dot if all_slept else glyphs.rule, "label"))
    return tuple(spans), each


# --------------------------------------------------------------------------- rows


def _heads(snapshot: Snapshot, state: UiState, width: int, columns: int) -> list[Line]:
    glyphs = state.glyphs
    head = table(snapshot, width).head(order(state, snapshot), glyphs.ellipsis)
    if len(snapshot.workers) <= FEW:
        return [head]
    if columns == 1:
        return [panel.rule([("", width)], glyphs), head]
    left = _left(width)
    rule = panel.rule([("", left), ("", width - left - 1)], glyphs)
    return [rule, *panel.beside([head], [head], left, glyphs)]


def _left(width: int) -> int:
    return (width - 1) // 2


def _rows(
    snapshot: Snapshot, state: UiState, uses: Sequence[WorkerUse], plan: _Plan, width: int
) -> list[Line]:
    columns = table(snapshot, width)
    chosen = listed(state, snapshot)[state.at("workers").cursor :][:1]
    widths = [_left(width), width - _left(width) - 1] if plan.columns == 2 else [width]
    top = workertime.blocked(most_blocked(snapshot)[0]) if uses else 0.0
    lines = []
    for at, use in enumerate(uses):
        here = bool(chosen) and use is chosen[0]
        marker = f"{state.glyphs.cursor if here else ' '}W{use.worker.worker_id}"
        margin = Span(pad(marker, columns.margin))
        line = (margin, *_cells(columns, use, top, snapshot, state))
        lines.append(selected(line, widths[at // plan.lines]) if here else line)
    if plan.columns == 1:
        return lines
    left, right = lines[: plan.lines], lines[plan.lines :]
    return panel.beside(left, right, widths[0], state.glyphs)


_kept: IdentityCache[Worker, Line] = IdentityCache(2048)


def _cells(columns: Table, use: WorkerUse, top: float, snapshot: Snapshot, state: UiState) -> Line:
    """Of a row; ``top`` is the share that fills a bar. What is as it was is not drawn again."""
    glyphs, share = state.glyphs, workertime.blocked(use)
    values = {
        "blocked": figures.share(share),
        "bar": bars.bar(share / top if top else 0.0, columns.widths.get("bar", 0), glyphs),
        "waiting": figures.share(workertime.waiting(use)),
        "worst": figures.duration(use.longest_ns) if use.longest_ns else "-",
    }
    if "history" not in columns:
        return columns.cells(_values(columns, use, values, snapshot, state), glyphs.ellipsis)
    stuck = is_stuck(use, snapshot)
    history = snapshot.history(use)
    key = *values.values(), workertime.cause(use), history, stuck, columns.key, glyphs

    def made() -> Line:
        return columns.cells(_values(columns, use, values, snapshot, state), glyphs.ellipsis)

    return _kept.get(use.worker, key, made)


def _values(
    columns: Table, use: WorkerUse, texts: dict[str, str], snapshot: Snapshot, state: UiState
) -> dict[str, Line]:
    glyphs, widths, cause = state.glyphs, columns.widths, workertime.cause(use)
    hue = cause_style(cause) if cause else ""
    values: dict[str, Line] = {
        "blocked": (Span(texts["blocked"]),),
        "bar": (Span(texts["bar"], hue),),
        "waiting": (Span(texts["waiting"], "wait"),),
        "cause": (Span(cause.value if cause else "", hue),),
        "worst": (Span(texts["worst"], "alarm" if is_stuck(use, snapshot) else ""),),
    }
    if "now" in columns:
        values["now"] = (Span(*doing.now(use, snapshot, widths["now"], glyphs.ellipsis)),)
    if "time" in columns:
        sees = workertime.sees_polls(snapshot)
        values["time"] = workertime.meter(use, sees, widths["time"], glyphs)
    if "history" in columns:
        history = snapshot.history(use)
        values["history"] = (Span(bars.spark(history, widths["history"], glyphs), hue),)
    return values
