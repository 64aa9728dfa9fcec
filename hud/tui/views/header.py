"""The lines above every view: the target, the verdict, the views to choose from, what is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.results import Snapshot
from hud.analysis.verdict import living, stuck_episodes
from hud.model import Rung
from hud.tui.keys import footer
from hud.tui.layout import Item, block, clip, spread, width_of
from hud.tui.listing import DEFAULT_SORT, Group
from hud.tui.style import Line, Span
from hud.tui.text import cells, clean, cut, cut_left
from hud.tui.verdict import caveats, verdict
from hud.tui.views.table import TABS, VIEWS

if TYPE_CHECKING:
    from hud.tui.state import UiState

TABS_LINE = 2
"""Where the names of the views are."""
_WIDEST_NAME = 32
_WIDEST_END = 46
_GAP = 1
_FILTERED = ("blockers", "stacks", "timeline")
_WIDE = 100


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Target, verdict, tabs with the evidence, and with a fourth line the first caveat."""
    mark = state.glyphs.ellipsis
    words: Line = (Span(_sentences(verdict(snapshot, width), width), _verdict_style(snapshot)),)
    evidence = _evidence(snapshot, width, mark)
    tabs = _tabs(state)
    beside = width_of(words) + sum(len(i.span.text) + 2 for i in evidence) + 2 <= width
    lines = [
        _target(snapshot, state, width),
        spread([Item(words[0], 0)], evidence if beside else [], width, mark),
        spread(tabs, [] if beside else _apart(evidence), width, mark, gap=_GAP),
        _caveat(snapshot, width, mark),
    ]
    return block(lines, width, height, mark)


def _sentences(said: list[str], width: int) -> str:
    """As many whole ones as fit; the first in any case."""
    kept = said[0]
    for sentence in said[1:]:
        if cells(kept) + 1 + cells(sentence) + 2 <= width:
            kept = f"{kept} {sentence}"
    return kept


def _verdict_style(snapshot: Snapshot) -> str:
    return "warn" if stuck_episodes(snapshot) else "bold"


def _target(snapshot: Snapshot, state: UiState, width: int) -> Line:
    info = snapshot.info
    mark = state.glyphs.ellipsis
    workers = living(snapshot)
    left = [
        Item(Span("hud", "title"), 0),
        Item(Span(cut(clean(info.target.name), min(_WIDEST_NAME, width // 3), mark), "bold"), 0),
        Item(Span(f"pid {info.target.pid}"), 3),
    ]
    if info.detection.tokio_versions:
        versions = ", ".join(clean(version) for version in info.detection.tokio_versions[:3])
        left.append(Item(Span(f"tokio {cut(versions, 24, mark)}"), 6))
    left.append(Item(Span(figures.count(workers, "worker")), 5))
    window = figures.long_duration(info.window_ns) if info.window_ns else "all"
    status, style = _status(snapshot, state)
    right = [
        Item(Span(f"window {window}"), 2 if info.window_ns else 7),
        Item(Span(f"at least {figures.long_duration(info.threshold_ns)}"), 4),
        *_threshold_before(state),
        Item(Span(figures.clock(snapshot.elapsed_ns)), 1),
        Item(Span(cut(status, min(_WIDEST_END, width // 2), mark), style), 0),
    ]
    return spread(left, right, width, mark)


def _threshold_before(state: UiState) -> list[Item]:
    _, before, since_ns = state.threshold
    said = f"({figures.long_duration(before)} until {figures.clock(since_ns)})"
    return [Item(Span(said, "dim"), 8)] if before else []


def _status(snapshot: Snapshot, state: UiState) -> tuple[str, str]:
    if state.playback is not None:
        return "REPLAY", "bold"
    if not snapshot.live:
        return f"ENDED: {clean(snapshot.ended) or 'reason unknown'}", "warn"
    if state.paused is not None:
        return "PAUSED", "warn"
    return "LIVE", "bold"


def _apart(items: list[Item]) -> list[Item]:
    """With a blank more before each than the views have, and the first to go."""
    return [Item(Span(f" {item.span.text}", item.span.style), item.drop + 1) for item in items]


def _evidence(snapshot: Snapshot, width: int, ellipsis: str) -> list[Item]:
    rung = snapshot.info.detection.rung
    known = "sees polls (CONTEXT)" if width >= _WIDE else "CONTEXT"
    sees = known if rung is Rung.CONTEXT else f"polls not seen ({rung.name})"
    sees += ", exact" if snapshot.exact else ""
    reason = cut(clean(snapshot.info.detection.reason), _WIDEST_END, ellipsis)
    items = [Item(Span(reason, "dim"), 6)] if reason and rung is Rung.CONTEXT else []
    items += [Item(Span(sees, "dim" if rung is Rung.CONTEXT else "bold"), 1)]
    if snapshot.stacks_total:
        whole = figures.percent(snapshot.stacks_complete / snapshot.stacks_total)
        items.append(Item(Span(f"stacks {whole} complete", "dim"), 5))
        items.append(Item(Span(f"named {figures.percent(snapshot.frames_named)}", "dim"), 4))
    lost = snapshot.losses.total()
    items.append(Item(Span(f"lost {figures.count(lost)}", "bold" if lost else "dim"), 2))
    own = figures.percent(snapshot.hud_cpu_ns / max(snapshot.elapsed_ns, 1))
    items.append(Item(Span(f"hud {own}", "dim"), 3))
    return items


def _tabs(state: UiState) -> list[Item]:
    current = _tab(state)
    items = []
    for tab in TABS:
        here = tab.name == current
        text, style = (f"[{tab.title}]", "tab") if here else (f" {tab.title} ", "")
        items.append(Item(Span(text, style), 0 if here else 1))
    if state.view == "blockers":
        if state.sort != DEFAULT_SORT:
            items.append(Item(Span(f"by {state.sort}", "bold"), 0))
        if state.group is not Group.FUNCTION:
            items.append(Item(Span(f"per {state.group.value}", "bold"), 0))
    left_out = state.filter.words()
    if left_out and state.view in _FILTERED:
        items.append(Item(Span(clean(left_out)[-_WIDEST_NAME:], "bold"), 0))
    return items


def _tab(state: UiState) -> str:
    return state.view if VIEWS[state.view].tab else state.opened_from


def tab_at(x: int) -> str:
    """The view whose name is at column ``x`` of ``TABS_LINE``, as far as none was left out;
    empty = none."""
    at = 1
    for tab in TABS:
        end = at + len(tab.title) + 2
        if at <= x < end:
            return tab.name
        at = end + _GAP
    return ""


def _caveat(snapshot: Snapshot, width: int, mark: str) -> Line:
    said = caveats(snapshot)
    if not said:
        return ()
    # What cannot be seen at all weighs most, then what was noticed last.
    first = said[0] if snapshot.info.detection.rung is not Rung.CONTEXT else said[-1]
    more = f"  ({len(said) - 1} more: ?)" if len(said) > 1 else ""
    room = max(width - 2 - len(more), 8)
    return clip((Span(" "), Span(cut(first, room, mark)), Span(more, "dim")), width, mark)


def foot(state: UiState, width: int) -> Line:
    """The last line: the keys that matter here, a line being typed, or a notice."""
    mark = state.glyphs.ellipsis
    if state.prompt is not None and not state.notice:
        asked = state.prompt.line.value
        room = max(width - cells(asked) - 3, 8)
        typed = cut_left(clean(state.prompt.text), room, mark)
        return clip((Span(f" {asked}"), Span(f"{typed}_", "bold")), width, mark)
    if state.notice:
        return clip((Span(" "), Span(clean(state.notice), "bold")), width, mark)
    entries = [
        Item(Span(text), 0 if kept else at)
        for at, (text, kept) in enumerate(footer(state.scope, state.playback is not None), 1)
    ]
    if not state.searching and not state.search:
        return spread(entries, [], width, mark, gap=3)
    wanted = clean(state.search)
    room = max(width // 2, 10)
    typed_text = f"/{wanted if len(wanted) <= room else wanted[-room:]}"
    if not state.searching:
        line = [Item(Span(typed_text, "bold"), 0), Item(Span("c clears"), 0), *entries]
        return spread(line, [], width, mark)
    return spread([Item(Span(f"{typed_text}_", "bold"), 0), *entries], [], width, mark, gap=3)
