"""The timeline's time: which part of the run is shown, and the episode under the cursor.

Its columns begin at multiples of their length, so that they do not change while time moves on.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.blame import blame
from hud.analysis.cause import Cause
from hud.tui import listing
from hud.tui.actions import Act
from hud.tui.state import Span
from hud.tui.views import workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Blocker, Episode, Snapshot
    from hud.tui.state import UiState

MARGIN = 6
"""Columns for the worker's number."""
_MS, _S = 1_000_000, 1_000_000_000
CELLS = (
    *(n * _MS for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(n * _S for n in (1, 2, 5, 10, 30, 60, 300, 600, 1_800, 3_600)),
)
_PAN = 2
"""A pan moves by one part of this of what is shown."""


_DISORDER = 256
"""A snapshot's episodes come in the order of their ends, threads not quite in step: so many in a
row that ended too early say that all before them did."""


class Shown(NamedTuple):
    """What part of the run is on the screen; times as in the snapshot."""

    start_ns: int
    cell_ns: int
    columns: int

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.cell_ns * self.columns


def columns(width: int) -> int:
    return max(width - MARGIN - 1, 1)


def shown(span: Span, snapshot: Snapshot, width: int) -> Shown:
    """The cells that the timeline has room for; the last one ends at the present or later."""
    room = columns(width)
    begin = snapshot.info.start_monotonic_ns
    cell = span.cell_ns
    end = min(span.end_ns, snapshot.now_ns) if span.end_ns else snapshot.now_ns
    last = max(-(-(end - begin) // cell), room)  # the beginning is never left of the margin
    return Shown(begin + (last - room) * cell, cell, room)


def function_of(episode: Episode, snapshot: Snapshot) -> listing.Key:
    """What a blocker of this episode is known by."""
    return blame(snapshot.stacks.get(episode.stack)).key


def blocker_of(episode: Episode, snapshot: Snapshot) -> Blocker | None:
    """The blocker that counts this episode; None = it is pressure, or no more there."""
    if episode.cause is Cause.WAITING:
        return None
    wanted = function_of(episode, snapshot)
    found = (one for one in snapshot.blockers if listing.key_of(one) == wanted)
    return next(found, None)


def key_of(episode: Episode) -> tuple[int, int]:
    return (episode.tid, episode.start_ns)


def of_worker(state: UiState, snapshot: Snapshot) -> Sequence[Episode]:
    """The episodes of the chosen worker, by start."""
    tid = _tid(state, snapshot)
    found = [episode for episode in snapshot.timeline if episode.tid == tid]
    found.sort(key=lambda episode: episode.start_ns)
    return found


def _tid(state: UiState, snapshot: Snapshot) -> int:
    uses = workers.listed(state, snapshot)
    return uses[min(state.at("workers").cursor, len(uses) - 1)].worker.tid if uses else -1


def chosen(state: UiState, snapshot: Snapshot) -> Episode | None:
    """The episode under the cursor; else the worker's latest."""
    tid = _tid(state, snapshot)
    if state.span.episode is not None and state.span.episode[0] == tid:
        start_ns = state.span.episode[1]
        for episode in reversed(snapshot.timeline):
            if episode.start_ns == start_ns and episode.tid == tid:
                return episode
    return next((one for one in reversed(snapshot.timeline) if one.tid == tid), None)


def within(shown: Shown, snapshot: Snapshot) -> list[Episode]:
    """The episodes that are on the screen, the latest first."""
    found = []
    older = 0
    start_ns, end_ns = shown.start_ns, shown.end_ns
    for episode in reversed(snapshot.timeline):
        if episode.start_ns + episode.duration_ns <= start_ns:
            older += 1
            if older > _DISORDER:
                break
        else:
            older = 0
            if episode.start_ns < end_ns:
                found.append(episode)
    return found


def beside(state: UiState, span: Span, snapshot: Snapshot) -> Span:
    """The cursor on another worker: at the episode nearest to where it was."""
    if span.episode is None:
        return span
    found = of_worker(state, snapshot)
    if not found:
        return span
    was_ns = span.episode[1]
    nearest = min(found, key=lambda episode: abs(episode.start_ns - was_ns))
    return span._replace(episode=key_of(nearest))


def moved(state: UiState, act: Act, snapshot: Snapshot, width: int) -> Span:
    """The span after a key of the timeline."""
    span = state.span
    now = shown(span, snapshot, width)
    if act is Act.END:
        return span._replace(end_ns=0, episode=None)
    if act is Act.HOME:
        first = snapshot.info.start_monotonic_ns + now.cell_ns * now.columns
        return span._replace(end_ns=first if first < snapshot.now_ns else 0)
    if act in (Act.LEFT, Act.RIGHT):
        return _stepped(state, 1 if act is Act.RIGHT else -1, snapshot, width)
    if act in (Act.PAN_LEFT, Act.PAN_RIGHT):
        step = now.cell_ns * max(now.columns // _PAN, 1)
        return _ending(span, now.end_ns + (step if act is Act.PAN_RIGHT else -step), snapshot)
    at = bisect_left(CELLS, span.cell_ns) + (1 if act is Act.ZOOM_OUT else -1)
    cell = CELLS[max(0, min(at, len(CELLS) - 1))]
    episode = chosen(state, snapshot)
    if span.episode is None or episode is None:
        if not span.end_ns:
            return span._replace(cell_ns=cell)
        middle = now.start_ns + now.cell_ns * now.columns // 2
    else:
        middle = episode.start_ns + episode.duration_ns // 2
    return _ending(span._replace(cell_ns=cell), middle + cell * now.columns // 2, snapshot)


def _ending(span: Span, end_ns: int, snapshot: Snapshot) -> Span:
    return span._replace(end_ns=0 if end_ns >= snapshot.now_ns else max(end_ns, 1))


def _stepped(state: UiState, step: int, snapshot: Snapshot, width: int) -> Span:
    found = of_worker(state, snapshot)
    if not found:
        return state.span
    keys = [key_of(episode) for episode in found]
    here = keys.index(state.span.episode) if state.span.episode in keys else len(found) - 1
    at = max(0, min(here + step, len(found) - 1))
    episode = found[at]
    span = state.span._replace(episode=keys[at])
    now = shown(span, snapshot, width)
    if now.start_ns <= episode.start_ns < now.end_ns:
        return span
    return _ending(span, episode.start_ns + now.cell_ns * now.columns // 2, snapshot)
