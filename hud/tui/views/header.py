"""The lines above every view: the target, the verdict, the views to choose from, what is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.model import Rung, Snapshot
from hud.tui.keys import Scope, footer
from hud.tui.layout import Item, block, clip, spread, width_of
from hud.tui.style import Line, Span
from hud.tui.text import cells, clean, clock, count, cut, spoken, spoken_percent
from hud.tui.verdict import caveats, is_stuck, verdict

if TYPE_CHECKING:
    from hud.tui.state import UiState

_TABS = (Scope.BLOCKERS, Scope.WORKERS)
_WIDEST_NAME = 32
_WIDEST_END = 46


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Target, verdict, tabs with the evidence, and with a fourth line the first caveat."""
    mark = state.glyphs.ellipsis
    words: Line = (Span(_sentences(verdict(snapshot), width), _verdict_style(snapshot)),)
    evidence = _evidence(snapshot)
    tabs = _tabs(state)
    beside = width_of(words) + sum(len(i.span.text) + 2 for i in evidence) + 2 <= width
    lines = [
        _target(snapshot, state, width),
        spread([Item(words[0], 0)], evidence if beside else [], width, mark),
        spread(tabs, [] if beside else evidence, width, mark),
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
    return "warn" if any(is_stuck(use, snapshot) for use in snapshot.workers) else "bold"


def _target(snapshot: Snapshot, state: UiState, width: int) -> Line:
    info = snapshot.info
    mark = state.glyphs.ellipsis
    workers = sum(use.alive for use in snapshot.workers)
    left = [
        Item(Span("hud", "title"), 0),
        Item(Span(cut(clean(info.target.name), min(_WIDEST_NAME, width // 3), mark), "bold"), 0),
        Item(Span(f"pid {info.target.pid}"), 1),
    ]
    if info.detection.tokio_versions:
        versions = ", ".join(clean(version) for version in info.detection.tokio_versions[:3])
        left.append(Item(Span(f"tokio {cut(versions, 24, mark)}"), 4))
    left.append(Item(Span("1 worker" if workers == 1 else f"{count(workers)} workers"), 3))
    window = spoken(info.window_ns) if info.window_ns else "all"
    status, style = _status(snapshot, state)
    right = [
        Item(Span(f"window {window}"), 6),
        Item(Span(f"at least {spoken(info.threshold_ns)}"), 5),
        Item(Span(clock(snapshot.elapsed_ns)), 2),
        Item(Span(cut(status, min(_WIDEST_END, width // 2), mark), style), 0),
    ]
    return spread(left, right, width, mark)


def _status(snapshot: Snapshot, state: UiState) -> tuple[str, str]:
    if not snapshot.live:
        return f"ENDED: {clean(snapshot.ended) or 'reason unknown'}", "warn"
    if state.paused is not None:
        return "PAUSED", "warn"
    return "LIVE", "bold"


def _evidence(snapshot: Snapshot) -> list[Item]:
    rung = snapshot.info.detection.rung
    sees = "sees polls (CONTEXT)" if rung is Rung.CONTEXT else f"polls not seen ({rung.name})"
    items = [Item(Span(sees, "dim" if rung is Rung.CONTEXT else "bold"), 1)]
    if snapshot.stacks_total:
        whole = spoken_percent(snapshot.stacks_complete / snapshot.stacks_total)
        items.append(Item(Span(f"stacks {whole} complete", "dim"), 5))
        items.append(Item(Span(f"named {spoken_percent(snapshot.frames_named)}", "dim"), 4))
    lost = snapshot.losses.total()
    items.append(Item(Span(f"lost {count(lost)}", "bold" if lost else "dim"), 2))
    own = spoken_percent(snapshot.hud_cpu_ns / max(snapshot.elapsed_ns, 1))
    items.append(Item(Span(f"hud {own}", "dim"), 3))
    return items


def _tabs(state: UiState) -> list[Item]:
    current = Scope.BLOCKERS if state.view is Scope.STACKS else state.view
    items = []
    for tab in _TABS:
        text, style = (f"[{tab.value}]", "tab") if tab is current else (f" {tab.value} ", "")
        items.append(Item(Span(text, style), 0))
    if state.view is Scope.BLOCKERS and state.sort != "total":
        items.append(Item(Span(f"by {state.sort}", "bold"), 0))
    return items


def _caveat(snapshot: Snapshot, width: int, mark: str) -> Line:
    said = caveats(snapshot)
    if not said:
        return ()
    more = f"  ({len(said) - 1} more: ?)" if len(said) > 1 else ""
    room = max(width - 2 - len(more), 8)
    return clip((Span(" "), Span(cut(said[0], room, mark)), Span(more, "dim")), width, mark)


def foot(state: UiState, width: int) -> Line:
    """The last line: the keys that matter here, or the search being typed."""
    mark = state.glyphs.ellipsis
    entries = [
        Item(Span(text), 0 if kept else at)
        for at, (text, kept) in enumerate(footer(state.scope), 1)
    ]
    if not state.searching and not state.search:
        return spread(entries, [], width, mark, gap=3)
    wanted = clean(state.search)
    room = max(width // 2, 10)
    typed = Span(f"/{wanted if len(wanted) <= room else wanted[-room:]}", "bold")
    if not state.searching:
        return spread([Item(typed, 0), Item(Span("c clears"), 0), *entries], [], width, mark)
    return spread([Item(Span(f"{typed.text}_", "bold"), 0), *entries], [], width, mark, gap=3)
