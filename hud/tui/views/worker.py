"""One worker: all of its time, its blockers and its latest long polls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.shortnames import shorten
from hud.tui import bars, doing, panel, workertime
from hud.tui.cache import OfEach
from hud.tui.layout import block, wrapped
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import clean, pad
from hud.tui.views import episode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Blocker, Episode, Snapshot, WorkerUse
    from hud.tui.glyphs import Glyphs
    from hud.tui.state import UiState

_LABEL = 10
_SEARCHED = 500
"""Blockers, the largest ones, that are looked through for those of a worker."""
_BAR, _ROOMY = 10, 64
"""Cells of a bar where a line has at least so many."""


def pane(
    use: WorkerUse | None,
    snapshot: Snapshot,
    state: UiState,
    size: tuple[int, int],
    joint: int = panel.OPENS,
) -> list[Line]:
    """Exactly as many lines as the second number of ``size``; ``joint`` as of ``panel.rule``."""
    width, height = size
    glyphs = state.glyphs
    if use is None:
        return block([panel.rule([("", width)], glyphs)], width, height, glyphs.ellipsis)
    title = f"W{use.worker.worker_id} {clean(use.worker.name)}, tid {use.worker.tid}"
    if width < panel.BESIDE_FROM:
        lines = [panel.rule([(title, width)], glyphs), *_itself(use, snapshot, state, width)]
        polls = _polls(use, snapshot, height - len(lines) - 1)
        if polls:
            lines.append(panel.rule([("its latest long polls", width)], glyphs))
            lines += episode.rows(polls, snapshot, width, glyphs, worker=False)
        return block(lines, width, height, glyphs.ellipsis)
    half = (width - 1) // 2
    polls = _polls(use, snapshot, height - 1)
    right = episode.rows(polls, snapshot, width - half - 1, glyphs, worker=False)
    left = block(_itself(use, snapshot, state, half), half, height - 1, glyphs.ellipsis)
    parts = [(title, half), ("its latest long polls", width - half - 1)]
    head = panel.rule(parts, glyphs, joint)
    return block([head, *panel.beside(left, right, half, glyphs)], width, height, glyphs.ellipsis)


def _polls(use: WorkerUse, snapshot: Snapshot, most: int) -> list[Episode]:
    return episode.latest(snapshot, most, lambda one: one.tid == use.worker.tid)


def _itself(use: WorkerUse, snapshot: Snapshot, state: UiState, width: int) -> list[Line]:
    glyphs = state.glyphs
    sees = workertime.sees_polls(snapshot)
    said, style = doing.now(use, snapshot, width - _LABEL, glyphs.ellipsis)
    lines = [_labelled("now", (Span(said, style),))] if said else []
    meter = workertime.meter(use, sees, min(width - _LABEL - 1, 60), glyphs)
    lines.append(_labelled("time", meter))
    words = wrapped(workertime.in_words(use, sees, glyphs), width - _LABEL)
    lines += [_labelled("", line) for line in words]
    return lines + _blockers(use, snapshot, state, width)


def _blockers(use: WorkerUse, snapshot: Snapshot, state: UiState, width: int) -> list[Line]:
    """Those that held it up longest, each with its time."""
    number = use.worker.worker_id
    blockers = snapshot.blockers[:_SEARCHED]
    known = zip(_by_worker.of(blockers, None), blockers, strict=True)
    found = [(by[number], one) for by, one in known if number in by]
    found.sort(key=lambda pair: -pair[0])
    drawn = weighed(found[:_MOST], width - _LABEL, state.glyphs)
    return [_labelled("" if at else "blockers", line) for at, line in enumerate(drawn)]


def weighed(blockers: Sequence[tuple[int, Blocker]], width: int, glyphs: Glyphs) -> list[Line]:
    """A line for each (ns, blocker), the largest first, with a bar; where there is room, with the
    call that it blocks in.
    """
    bar = _BAR if width >= _ROOMY else _BAR // 2
    room = max(width - bar - 16, 8)
    own = room * 6 // 10 if width >= _ROOMY else room
    names = [("~" if one.inferred else "") + clean(one.function) for _, one in blockers]
    calls = [clean(one.operation) for _, one in blockers]
    short = zip(
        shorten(names, own, glyphs.ellipsis),
        shorten(calls, room - own - 2, glyphs.ellipsis, keep_crate=True),
        strict=True,
    )
    return [
        (
            Span(f"{figures.duration(ns):>5} "),
            Span(pad(bars.bar(ns / max(blockers[0][0], 1), bar, glyphs), bar + 1), style),
            Span(pad(one.cause.value, 8), style),
            Span(pad(name, own), "own"),
            Span(f"  {call}" if own < room else ""),
        )
        for (ns, one), (name, call) in zip(blockers, short, strict=True)
        for style in [cause_style(one.cause)]
    ]


_MOST = 20


_by_worker: OfEach[Blocker, None, dict[int, int]] = OfEach(lambda one, _: dict(one.workers))


def _labelled(label: str, spans: Line) -> Line:
    return (Span(pad(f" {label}", _LABEL), "label"), *spans)
