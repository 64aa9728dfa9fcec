"""The latest long polls, the newest first: when, on which worker, why, for how long, in what."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.blame import blame_of
from hud.analysis.shortnames import shorten
from hud.tui.layout import block
from hud.tui.style import Line, Span
from hud.tui.text import clean, pad, worker
from hud.tui.views import episode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.analysis.results import Episode, Snapshot
    from hud.tui.filters import Filter
    from hud.tui.glyphs import Glyphs
    from hud.tui.state import UiState

_FIXED = 19
"""Cells between the time and the name."""
_SHORT_RUN_NS = 100_000_000_000
"""Of such a run the times are seconds with two decimals."""
_LOOKED_AT = 2_000
"""Episodes, where a filter leaves few."""


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Exactly ``height`` lines; of what the filters leave."""
    mark = state.glyphs.ellipsis
    shown = list(islice(_found(snapshot, state.filter), height))
    names = tuple(_name(one, snapshot) for one in shown)
    when = 6 if snapshot.elapsed_ns < _SHORT_RUN_NS else 9
    short = _short(names, width - when - _FIXED - len(mark) - 1, mark)
    lines = [
        (Span(_moment(one, snapshot).rjust(when), "label"), *_row(one, name, state.glyphs))
        for one, name in zip(shown, short, strict=True)
    ]
    return block(lines, width, height, mark)


def _found(snapshot: Snapshot, wanted: Filter) -> Iterator[Episode]:
    for one in islice(reversed(snapshot.timeline), _LOOKED_AT):
        if wanted.cause not in (None, one.cause):
            continue
        if wanted.worker in (None, one.worker_id):
            yield one


def _name(one: Episode, snapshot: Snapshot) -> str:
    at = blame_of(one.stack, snapshot.stacks)
    return ("~" if at.inferred else "") + clean(at.function)


_short = lru_cache(maxsize=16)(shorten)


def _row(one: Episode, name: str, glyphs: Glyphs) -> Line:
    lasts = f" {glyphs.ellipsis}" if one.in_progress else ""
    return (
        Span(f" {pad(worker(one.worker_id), 4)}"),
        Span(pad(one.cause.value, 7), episode.style(one.cause)),
        Span(f"{figures.duration(episode.own_ns(one)):>5}  "),
        Span(name),
        Span(lasts, "label"),
    )


def _moment(one: Episode, snapshot: Snapshot) -> str:
    """Since the run began: ``7.98``, in a long run ``00:02:14``."""
    ns = max(one.start_ns - snapshot.info.start_monotonic_ns, 0)
    if snapshot.elapsed_ns < _SHORT_RUN_NS:
        return f"{ns / 1e9:.2f}"
    return figures.clock(ns)
