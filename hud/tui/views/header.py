"""The three lines above every view: the target, the verdict, the views to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.results import Snapshot
from hud.analysis.verdict import Badge, badge, living
from hud.model import Rung
from hud.tui import sorting
from hud.tui.layout import Item, block, clip, facts, spread, width_of
from hud.tui.listing import Group
from hud.tui.state import FILTERED
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, clean, cut, cut_left, worker
from hud.tui.verdict import how_sure, verdict
from hud.tui.views.table import TABS, VIEWS, View

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.tui.state import UiState

TABS_LINE = 2
"""Where the names of the views are."""
_WIDE = 100
_WIDEST_NAME = 32
_WIDEST_END = 46
_WIDEST_CRUMB = 24


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Exactly ``height`` lines."""
    lines = [
        _target(snapshot, state, width),
        _verdict(snapshot, width),
        _third(snapshot, state, width),
    ]
    return block(lines, width, height, state.glyphs.ellipsis)


# --------------------------------------------------------------------------- the target


def _target(snapshot: Snapshot, state: UiState, width: int) -> Line:
    info = snapshot.info
    mark, dot = state.glyphs.ellipsis, state.glyphs.dot
    name = cut(clean(info.target.name), min(_WIDEST_NAME, width // 3), mark)
    left = [
        Item(Span("hud", "title"), 0),
        Item(Span(f" {name}", "own"), 0),
        Item(Span(f" pid {info.target.pid}", "label"), 4),
    ]
    if info.detection.tokio_versions:
        versions = ", ".join(clean(version) for version in info.detection.tokio_versions[:3])
        left.append(Item(Span(f"{dot} tokio {cut(versions, 24, mark)}", "label"), 6))
    workers = figures.count(living(snapshot), "worker")
    left.append(Item(Span(f"{dot} {workers}", "label"), 3))
    window = f"last {figures.long_duration(info.window_ns)}" if info.window_ns else "whole run"
    status, style = _status(snapshot, state)
    right = [
        Item(Span(_threshold(snapshot, state, width), "label"), 1),
        *_threshold_before(state),
        Item(Span(f"{dot} {window}", "label"), 1 if info.window_ns else 5),
        Item(Span(f" {figures.clock(snapshot.elapsed_ns)}", "label"), 2),
        Item(Span(f" {cut(status, min(_WIDEST_END, width // 2), mark)}", style), 0),
    ]
    return spread(left, right, width, mark, gap=1)


def _threshold(snapshot: Snapshot, state: UiState, width: int) -> str:
    least = figures.long_duration(snapshot.info.threshold_ns)
    polls = snapshot.info.detection.rung is Rung.CONTEXT
    if width < _WIDE or not polls:
        return f"{state.glyphs.at_least} {least}"
    return f"polls of {least} and more"


def _threshold_before(state: UiState) -> list[Item]:
    _, before, since_ns = state.threshold
    said = f"({figures.long_duration(before)} until {figures.clock(since_ns)})"
    return [Item(Span(said, "label"), 7)] if before else []


def _status(snapshot: Snapshot, state: UiState) -> tuple[str, str]:
    if state.playback is not None:
        return "REPLAY", "own"
    if not snapshot.live:
        return f"ENDED: {clean(snapshot.ended) or 'reason unknown'}", "reverse"
    if state.paused is not None:
        return "FROZEN", "reverse"
    return "LIVE", "own"


# --------------------------------------------------------------------------- the verdict


_BADGES = {
    Badge.OK: "verdict.ok",
    Badge.SLOW: "verdict.slow",
    Badge.BLOCKED: "verdict.blocked",
    Badge.NO_CPU: "verdict.starved",
    Badge.STUCK: "alarm",
}


def _verdict(snapshot: Snapshot, width: int) -> Line:
    word = badge(snapshot)
    shown = (Span(f" {word.value} ", _BADGES[word]), Span(" ")) if word is not None else ()
    room = width - 1 - width_of(shown)
    return (Span(" "), *shown, Span(_sentences(verdict(snapshot, room), room), "bold"))


def _sentences(said: list[str], width: int) -> str:
    """As many whole ones as fit, the first in any case; none without the one before, of which it
    speaks.
    """
    kept = said[0]
    for sentence in said[1:]:
        if cells(kept) + 1 + cells(sentence) > width:
            break
        kept = f"{kept} {sentence}"
    return kept


# --------------------------------------------------------------------------- the views


class _Tabs(NamedTuple):
    """Names of views as the third line has them, by view, and the blanks between them."""

    texts: dict[str, str]
    gap: int


def _third(snapshot: Snapshot, state: UiState, width: int) -> Line:
    tabs = _tabs(snapshot, state, width)
    spans: list[Span] = []
    for name, text in tabs.texts.items():
        spans += [Span(" " * (tabs.gap if spans else 1))]
        spans += [Span(text, "tab" if name == _current(state) else "label")]
    for crumb in _crumbs(state):
        spans += [Span("  "), crumb]
    spans[-1] = spans[-1]._replace(text=spans[-1].text.rstrip())
    left = clip(spans, width, state.glyphs.ellipsis)
    right = facts(how_sure(snapshot), width - width_of(left) - 2, state.glyphs.dot)
    spare = width - 1 - width_of(left) - width_of(right)
    return (*left, Span(" " * spare), *right) if right else left


_TABS = (
    (False, True, 1, 2),
    (False, True, 0, 2),
    (False, True, 1, 1),
    (False, True, 0, 1),
    (True, True, 0, 1),
    (True, False, 0, 1),
    (True, True, 0, 0),
    (True, False, 0, 0),
)
"""What is tried: short names, counts, blanks between them, and up to which ``drop`` there is room
for what shows how sure the figures are.
"""


def _tabs(snapshot: Snapshot, state: UiState, width: int) -> _Tabs:
    """The first that fits."""
    sure = how_sure(snapshot)
    width -= sum(2 + cells(crumb.text) for crumb in _crumbs(state))
    tabs = _Tabs({}, 0)
    for short, counted, gap, drop in _TABS:
        of = snapshot if counted else None
        texts = {tab.name: _title(number, tab, short, of) for number, tab in enumerate(TABS, 1)}
        tabs = _Tabs(texts, gap)
        beside = sum(cells(item.span.text) + 3 for item in sure if item.drop <= drop)
        if sum(cells(text) + gap for text in texts.values()) + beside <= width:
            break
    return tabs


def _title(number: int, tab: View, short: bool, snapshot: Snapshot | None) -> str:
    count = tab.many(snapshot) if snapshot is not None else ""
    name = tab.short if short else tab.title
    return f" {number} {name} {count}".rstrip() + " "


def _current(state: UiState) -> str:
    return state.view if VIEWS[state.view].tab else state.opened_from


def tab_at(snapshot: Snapshot, state: UiState, width: int, x: int) -> str:
    """The view whose name is at column ``x`` of ``TABS_LINE``; empty = none."""
    tabs = _tabs(snapshot, state, width)
    at = 1
    for name, text in tabs.texts.items():
        if at <= x < at + cells(text):
            return name
        at += cells(text) + tabs.gap
    return ""


def _crumbs(state: UiState) -> Iterator[Span]:
    """What the rows are limited to, and how they are put together."""
    if state.view == "blockers" and state.group is not Group.FUNCTION:
        yield Span(f"per {state.group.value}", "own")
    if sorting.list_of(state) in state.turned:
        yield Span("reversed", "own")
    if state.view in FILTERED:
        yield from _filters(state)
    if state.search:
        yield _crumb(f"/{state.search}", state)


def _filters(state: UiState) -> Iterator[Span]:
    wanted, clears = state.filter, state.glyphs.times
    if wanted.cause is not None:
        yield Span(f"{wanted.cause.value} {clears}", cause_style(wanted.cause))
    if wanted.worker is not None:
        yield Span(f"{worker(wanted.worker)} {clears}", "own")
    if wanted.task_type:
        yield _crumb(wanted.task_type, state)


def _crumb(text: str, state: UiState) -> Span:
    glyphs = state.glyphs
    return Span(f"{cut_left(clean(text), _WIDEST_CRUMB, glyphs.ellipsis)} {glyphs.times}", "own")
