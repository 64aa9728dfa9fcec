"""Rows of blockers, as the page of them and the overview list them.

What goes first on a narrow terminal, by the column's ``drop``: where (below 150 columns it stands
behind the function as far as there is room), total, history, no CPU, worst, count. Below 80 columns
there is no ``blocks in``.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis import lasting
from hud.analysis.cases import worth_a_fix
from hud.analysis.results import Blocker
from hud.analysis.shortnames import shorten
from hud.model import Rung
from hud.tui import bars, groups
from hud.tui.cache import IdentityCache, kept
from hud.tui.filters import NO_FILTER, Narrowed
from hud.tui.layout import Column, Table, clip, width_of
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, clean, cut_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hud.analysis.results import Snapshot
    from hud.tui.glyphs import Glyphs
    from hud.tui.listing import Group
    from hud.tui.state import UiState

COLUMNS = (
    Column("share", "share", 11, grow=3, widest=16),
    Column("waiting", "no CPU", 7, right=True, drop=3),
    Column("cause", "cause", 7),
    Column("function", "function", 18, grow=8),
    Column("operation", "blocks in", 16, grow=6),
    Column("count", "count", 5, right=True, drop=1),
    Column("total", "total", 6, right=True, drop=5),
    Column("typical", "typical", 7, right=True),
    Column("worst", "worst", 6, right=True, drop=2),
    Column("where", "where", 20, drop=6, grow=3, widest=40),
    Column("history", "last", 12, drop=4, grow=1, widest=32),
)
_MARGIN = 3
"""The cursor between two blanks."""
_LOOKED_AT = 100
"""Rows that say how wide a column is: more than a screen has."""
_WIDEST = 64
"""What a name may need."""
_NUMBER = 5
_FEWEST_COLUMNS = {"operation": 80, "where": 150, "total": 150}
"""Of the terminal, where a column is shown at all."""


def table(snapshot: Snapshot, state: UiState, width: int) -> Table:
    """The columns there is room for, without those that would be empty; names get what they need
    before histories do.
    """
    last = f"last {figures.duration(snapshot.span_ns)}"
    return _table(state.rows, state.group, last, width, state.glyphs)


@kept(8)
def _table(rows: Sequence[Blocker], group: Group, last: str, width: int, glyphs: Glyphs) -> Table:
    """``group`` and ``last`` are the heads of the names and of the histories."""
    seen = _looked_at(rows)
    places = max((one.place for one in seen), default=1)
    shown = {column.name: column for column in COLUMNS}
    for name, fewest in _FEWEST_COLUMNS.items():
        if width < fewest:
            del shown[name]
    for name, known in (
        ("where", places),
        ("waiting", any(one.waited for one in seen)),
        ("operation", any(one.call for one in seen) or not seen),
    ):
        if not known:
            shown.pop(name, None)
    beside = 0 if "where" in shown else places + 1
    widest = {
        "function": _need((one.name for one in seen), glyphs) + beside,
        "operation": _need((one.call for one in seen), glyphs, calls=True),
    }
    heads = {
        "function": group.value,
        "history": last,
    }
    shown["cause"] = shown["cause"]._replace(
        width=max([len("cause"), *(one.cause for one in seen)])
    )
    fitted = [
        one._replace(head=heads.get(one.name, one.head), widest=widest.get(one.name, one.widest))
        for one in shown.values()
    ]
    return Table(fitted, width, _MARGIN)


class _Wants(NamedTuple):
    """What a row wants of a table."""

    name: str
    call: str
    place: int
    """Cells, as of the cause."""
    cause: int
    waited: bool
    """It has been without a CPU."""


@kept(4)
def _looked_at(rows: Sequence[Blocker]) -> tuple[_Wants, ...]:
    """Of the first rows; once for each list, and for each row that is new in it."""
    return tuple(map(_wants_of, rows[:_LOOKED_AT]))


@kept(8 * _LOOKED_AT)
def _wants_of(blocker: Blocker) -> _Wants:
    call, place = clean(blocker.operation), cells(clean(blocker.where))
    cause, waited = width_of(_cause(blocker)), bool(blocker.waiting_ns)
    return _Wants(_name(blocker), call, place, cause, waited)


def lines(
    snapshot: Snapshot, state: UiState, columns: Table, top: int, shown: int, width: int
) -> list[Line]:
    """So many rows from ``top`` on, the selected one marked from edge to edge."""
    rows = state.rows[top : top + shown]
    glyphs, widths = state.glyphs, columns.widths
    names = _shortened(tuple(map(_name, rows)), widths["function"], glyphs.ellipsis)
    called = tuple(clean(blocker.operation) for blocker in rows)
    calls = _shortened(called, widths.get("operation", 0), glyphs.ellipsis, keep_crate=True)
    page = _Page(snapshot, columns, _largest_share(snapshot, state), width, glyphs)
    return [
        page.line(blocker, name, call, at == state.cursor)
        for at, (blocker, name, call) in enumerate(zip(rows, names, calls, strict=True), top)
    ]


def title(state: UiState, room: int) -> str:
    """The number and the name of the selected blocker, as the list shortens it; empty = none is."""
    if not state.rows:
        return ""
    name = _name(state.rows[state.cursor])
    known = tuple(sorted({name, *(one.name for one in _looked_at(state.rows))}))
    short = _shortened(known, room, state.glyphs.ellipsis)
    return f"{state.cursor + 1} {short[known.index(name)]}"


def empty(snapshot: Snapshot, state: UiState) -> str:
    """Why there is no row."""
    if state.search:
        return "Nothing matches the search (c clears it)."
    if state.filter.narrows():
        return "The filters hide everything (c clears them)."
    info = snapshot.info
    if info.detection.rung is not Rung.CONTEXT:
        return "No blocker so far."
    least, span = figures.long_duration(info.threshold_ns), figures.long_duration(snapshot.span_ns)
    longest = figures.long_duration(snapshot.longest_poll_ns)
    said = f"No poll of {least} or more in {span}."
    said += f" Longest: {longest}." if snapshot.longest_poll_ns else ""
    closer = snapshot.live and info.threshold_ns > 1_000_000
    return said + ("  t lowers the threshold" if closer else "")


def since(state: UiState) -> str:
    """What a changed threshold leaves unknown; empty = nothing."""
    now_ns, before_ns, at_ns = state.threshold
    if not before_ns:
        return ""
    low, high = (figures.long_duration(ns) for ns in sorted((now_ns, before_ns)))
    when = "since" if now_ns < before_ns else "until"
    return f"Polls of {low} to {high} are counted only {when} {figures.clock(at_ns)}."


def below(snapshot: Snapshot, state: UiState, top: int, shown: int) -> str:
    """Which rows are shown, and what the others below make up; empty = all are."""
    total = len(state.rows)
    if shown >= total:
        return ""
    last = min(top + shown, total)
    if state.filter == NO_FILTER and last < total - last:  # the fewer of many rows are added up
        rest = max(snapshot.blocked_ns - _total_ns(state.rows[:last]), 0)
    else:
        rest = _total_ns(state.rows[last:])
    share = figures.percent(rest / max(snapshot.worker_time_ns, 1))
    more = f", {figures.count(total - last)} below: together {share}" if last < total else ""
    return f"{top + 1}-{last} of {figures.count(total)}{more}"


def _total_ns(rows: Sequence[Blocker]) -> int:
    return sum(blocker.total_ns for blocker in rows)


def _largest_share(snapshot: Snapshot, state: UiState) -> float:
    """What fills a bar."""
    if state.sort == "share" and state.rows and "blockers" not in state.turned:
        return snapshot.share(state.rows[0])
    largest = max(state.rows, key=attrgetter("total_ns"), default=None)
    if largest is None or len(snapshot.runtimes) < 2:
        return snapshot.share(largest) if largest else 0.0
    return max(map(snapshot.share, state.rows))


# --------------------------------------------------------------------------- names


def _name(blocker: Blocker) -> str:
    return ("~" if blocker.inferred else "") + (clean(blocker.function) or "(no name)")


def _need(names: Iterable[str], glyphs: Glyphs, calls: bool = False) -> int:
    """Cells of the longest; of calls the crate says whose they are."""
    known = tuple(sorted(set(names)))  # rows change places more often than names
    whole = _shortened(known, _WIDEST, glyphs.ellipsis, calls)
    return max(map(cells, whole), default=0)


@lru_cache(maxsize=64)
def _shortened(
    names: tuple[str, ...], room: int, ellipsis: str, keep_crate: bool = False
) -> tuple[str, ...]:
    return tuple(shorten(names, room, ellipsis, keep_crate))


# --------------------------------------------------------------------------- a row

_rows: IdentityCache[Blocker, Line] = IdentityCache(512)


class _Timely(NamedTuple):
    """What a row says that may change while its blocker does not."""

    name: str
    call: str
    share: str
    bar: str
    waiting: str
    history: tuple[int, ...]
    chosen: bool


class _Page(NamedTuple):
    """What all rows are drawn with."""

    snapshot: Snapshot
    columns: Table
    scale: float
    """The share that fills a bar."""
    width: int
    """Cells of a line."""
    glyphs: Glyphs

    def line(self, blocker: Blocker, name: str, call: str, chosen: bool) -> Line:
        """A row; what did not change since the last frame is not made again."""
        snapshot, glyphs = self.snapshot, self.glyphs
        share = snapshot.share(blocker)
        part = share / self.scale if self.scale > 0 else 0.0
        said = _Timely(
            name,
            call,
            share=_share(blocker, share),
            bar=bars.bar(min(part, 1.0), self.columns.widths["share"] - _NUMBER - 1, glyphs),
            waiting=figures.share(snapshot.no_cpu(blocker)) if blocker.waiting_ns else "",
            history=snapshot.history(blocker) if "history" in self.columns else (),
            chosen=chosen,
        )
        key = said, self.width, glyphs, self.columns.key
        return _rows.get(blocker, key, lambda: self._made(blocker, said))

    def _made(self, blocker: Blocker, said: _Timely) -> Line:
        columns, glyphs, hue = self.columns, self.glyphs, cause_style(blocker.cause)
        known = {
            "share": (Span(f"{said.share:>{_NUMBER}} "), Span(said.bar, hue)),
            "waiting": _waiting(said.waiting, glyphs),
            "cause": _cause(blocker),
            "function": _function(blocker, said.name, columns),
            "operation": (Span(said.call),),
            **{name: (Span(text(blocker)),) for name, text in _FIGURES.items()},
            "where": _where(blocker, columns.widths.get("where", 0), glyphs),
            "history": _history(said.history, columns.widths.get("history", 0), hue, glyphs),
        }
        line = (Span(" " * _MARGIN), *columns.cells(known, glyphs.ellipsis))
        return _selected(line, blocker, self.width, glyphs) if said.chosen else line


def _selected(line: Line, blocker: Blocker, width: int, glyphs: Glyphs) -> Line:
    cursor = (Span(f" {glyphs.cursor} ", cause_style(blocker.cause)), *line[1:])
    rest = Span(" " * max(width - width_of(cursor), 0))
    kept = clip((*cursor, rest), width, glyphs.ellipsis)
    return tuple(Span(text, f"selected {style}".rstrip()) for text, style in kept)


def _cause(blocker: Blocker) -> Line:
    """That of its main case, and what else takes much of its time: ``sleep +dns``."""
    main = Span(blocker.cause.value, cause_style(blocker.cause))
    if isinstance(blocker, Narrowed | groups.Grouped):
        return (main,)
    others = dict.fromkeys(case.cause for case in worth_a_fix(blocker))
    others.pop(blocker.cause, None)
    return (main, *(Span(f" +{cause.value}", cause_style(cause)) for cause in others))


def _share(blocker: Blocker, share: float) -> str:
    number = figures.share(share)
    at_most = isinstance(blocker, Narrowed) and blocker.at_most
    return f"<{number.lstrip('<')}" if at_most else number


def _waiting(share: str, glyphs: Glyphs) -> Line:
    """As a part of the same worker time."""
    return (Span(f"{glyphs.pattern} ", "wait"), Span(share.rjust(_NUMBER))) if share else ()


def _function(blocker: Blocker, called: str, columns: Table) -> Line:
    """With the place behind it where it has no column, as far as there is room."""
    spare = columns.widths["function"] - cells(called) - 1
    where = clean(blocker.where) if "where" not in columns else ""
    fitting = next((at for at in (where, where.rpartition("/")[2]) if cells(at) <= spare), "")
    return (Span(called), Span(f" {fitting}", "label")) if fitting else (Span(called),)


def _where(blocker: Blocker, room: int, glyphs: Glyphs) -> Line:
    return (Span(cut_left(clean(blocker.where), room, glyphs.ellipsis), "label"),)


def _history(history: tuple[int, ...], room: int, hue: str, glyphs: Glyphs) -> Line:
    return (Span(bars.spark(history, room, glyphs), hue),) if room else ()


def _typical(blocker: Blocker) -> str:
    """A group's is read off a histogram: it is not above the end of the bucket."""
    if not blocker.p50_ns or lasting.all_last(blocker):
        return "-"
    several = len(groups.members(blocker)) > 1
    return f"{'<' if several else ''}{figures.duration(blocker.p50_ns)}"


_FIGURES: dict[str, Callable[[Blocker], str]] = {
    "count": lambda one: figures.short_count(one.count) if one.count else "-",
    "total": lambda one: figures.duration(one.total_ns),
    "typical": _typical,
    "worst": lambda one: figures.duration(one.max_ns) if one.max_ns else "-",
}
