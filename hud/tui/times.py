"""The timeline's time: which part of the run is shown, and the episode under the cursor.

As it opens, the run or the window fills the width. While the run goes on its columns begin at
multiples of their length, and are made longer by a tenth at a time, so that they hardly ever move.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.blame import blame_of
from hud.analysis.cause import Cause
from hud.analysis.snapshot import TIMELINE
from hud.tui import listing
from hud.tui.actions import Act
from hud.tui.state import Span
from hud.tui.workerlist import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hud.analysis.results import Blocker, Episode, Snapshot
    from hud.tui.state import UiState

MARGIN = 6
"""Columns for the worker's number."""
_MS, _S = 1_000_000, 1_000_000_000
ZOOMS = (
    *(n * _MS for n in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(n * _S for n in (1, 2, 5, 10, 30, 60, 300, 600, 1_800, 3_600)),
)
"""Lengths of a column, when a part of the run is shown."""
_SHORTEST_NS = 100_000
_TENTHS = (
    *(10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30),
    *(33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91),
)
"""Each about a tenth more than the one before, the last a tenth less than ten times the first."""
_PAN = 2
"""A pan moves by one part of this of what is shown."""


class Shown(NamedTuple):
    """What part of the run is on the screen; times as in the snapshot."""

    start_ns: int
    cell_ns: int
    columns: int
    begin_ns: int
    """What lies before is not known, though a part of the first column may."""
    now_ns: int

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.cell_ns * self.columns

    @property
    def known(self) -> range:
        """The columns of which anything is known."""
        first = max((self.begin_ns - self.start_ns) // self.cell_ns, 0)
        return range(first, min(-(-(self.now_ns - self.start_ns) // self.cell_ns), self.columns))

    def column(self, time_ns: int) -> int:
        """The column of a moment; it may lie beside the screen."""
        return (time_ns - self.start_ns) // self.cell_ns


def columns(width: int) -> int:
    return max(width - MARGIN - 1, 1)


def covered(snapshot: Snapshot) -> tuple[int, int]:
    """The time of which the episodes are there: the run or the window, up to now."""
    begin = max(snapshot.info.start_monotonic_ns, snapshot.now_ns - snapshot.span_ns)
    if len(snapshot.timeline) >= TIMELINE:
        begin = max(begin, snapshot.timeline[0].start_ns)
    return min(begin, snapshot.now_ns - _SHORTEST_NS), snapshot.now_ns


def shown(span: Span, snapshot: Snapshot, width: int) -> Shown:
    """All that is covered, or of it the columns that end where the span says."""
    room = columns(width)
    begin, now = covered(snapshot)
    zero = snapshot.info.start_monotonic_ns
    cell = span.cell_ns
    if not cell and not snapshot.live and begin == zero:
        return Shown(begin, max(-(-(now - begin) // room), _SHORTEST_NS), room, begin, now)
    if not cell:
        cell = _fitting(begin - zero, now - zero, room)
        return Shown(zero + (begin - zero) // cell * cell, cell, room, begin, now)
    end = min(span.end_ns, now) if span.end_ns else now
    first = (begin - zero) // cell
    last = max(-(-(end - zero) // cell), first + room)  # the beginning is never left of the margin
    return Shown(zero + (last - room) * cell, cell, room, begin, now)


def _fitting(begin_ns: int, end_ns: int, room: int) -> int:
    """The shortest column of which so many hold this part of the run, from a multiple of it on."""
    unit = _SHORTEST_NS // 10
    while True:
        for tenths in _TENTHS:
            cell = tenths * unit
            if -(-end_ns // cell) - begin_ns // cell <= room:
                return cell
        unit *= 10


def function_of(episode: Episode, snapshot: Snapshot) -> listing.Key:
    """What a blocker of this episode is known by."""
    return blame_of(episode.stack, snapshot.stacks).key


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
    tid = tid_of(state, snapshot)
    found = [episode for episode in snapshot.timeline if episode.tid == tid]
    found.sort(key=lambda episode: episode.start_ns)
    return found


def tid_of(state: UiState, snapshot: Snapshot) -> int:
    """The thread of the chosen worker; -1 = there is none."""
    uses = listed(state, snapshot)
    return uses[min(state.at("workers").cursor, len(uses) - 1)].worker.tid if uses else -1


def chosen(state: UiState, snapshot: Snapshot) -> Episode | None:
    """The episode under the cursor; else the worker's latest."""
    tid = tid_of(state, snapshot)
    if state.span.episode is not None and state.span.episode[0] == tid:
        start_ns = state.span.episode[1]
        for episode in reversed(snapshot.timeline):
            if episode.start_ns == start_ns and episode.tid == tid:
                return episode
    return next((one for one in reversed(snapshot.timeline) if one.tid == tid), None)


def around(episode: Episode, snapshot: Snapshot, most: int) -> list[Episode]:
    """Those of other workers that were nearest to it in time, by start."""
    timeline, tid, most = snapshot.timeline, episode.tid, max(most, 0)
    at = bisect_left(timeline, _end_ns(episode), key=_end_ns)
    before = (one for one in map(timeline.__getitem__, range(at - 1, -1, -1)) if one.tid != tid)
    after = (one for one in islice(timeline, at, None) if one.tid != tid)
    near = [*islice(before, most), *islice(after, most)]
    near.sort(key=lambda one: apart_ns(one, episode))
    return sorted(near[:most], key=lambda one: (one.start_ns, one.tid))


def apart_ns(one: Episode, other: Episode) -> int:
    """How far apart they were; 0 = at the same time."""
    return max(one.start_ns - _end_ns(other), other.start_ns - _end_ns(one), 0)


def _end_ns(episode: Episode) -> int:
    return episode.start_ns + episode.duration_ns


def beside(state: UiState, span: Span, snapshot: Snapshot) -> Span:
    """The cursor on another worker: at the episode nearest to where it was."""
    if span.episode is None:
        return span
    found = of_worker(state, snapshot)
    return span._replace(episode=_nearest(found, span.episode[1])) if found else span


def _nearest(episodes: Iterable[Episode], time_ns: int) -> tuple[int, int]:
    return key_of(min(episodes, key=lambda episode: abs(episode.start_ns - time_ns)))


# --------------------------------------------------------------------------- keys


def moved(state: UiState, act: Act, snapshot: Snapshot, width: int) -> Span:
    """The span after a key of the timeline."""
    span = state.span
    now = shown(span, snapshot, width)
    if act is Act.END:
        return span._replace(end_ns=0, episode=None)
    if act is Act.HOME:
        return _ending(span, now.begin_ns + now.cell_ns * now.columns, snapshot)
    if act in (Act.LEFT, Act.RIGHT):
        return _stepped(state, 1 if act is Act.RIGHT else -1, snapshot, width)
    if act in (Act.PAN_LEFT, Act.PAN_RIGHT):
        step = now.cell_ns * max(now.columns // _PAN, 1)
        return _ending(span, now.end_ns + (step if act is Act.PAN_RIGHT else -step), snapshot)
    return _zoomed(state, act is Act.ZOOM_IN, snapshot, width)


def _zoomed(state: UiState, closer: bool, snapshot: Snapshot, width: int) -> Span:
    """The next length of a column; beyond the longest that shows a part, all of it."""
    span, now = state.span, shown(state.span, snapshot, width)
    whole = shown(span._replace(cell_ns=0), snapshot, width)
    others = [cell for cell in ZOOMS if cell < whole.cell_ns]
    at = bisect_right(others, now.cell_ns)
    if closer:
        at = max(at - (now.cell_ns in others) - 1, 0)
    if at >= len(others):
        return span._replace(cell_ns=0, end_ns=0)
    episode, cell = chosen(state, snapshot), others[at]
    if span.episode is None or episode is None:
        if not span.end_ns:
            return span._replace(cell_ns=cell)
        middle = now.start_ns + now.cell_ns * now.columns // 2
    else:
        middle = episode.start_ns + episode.duration_ns // 2
    return _ending(span._replace(cell_ns=cell), middle + cell * now.columns // 2, snapshot)


def _ending(span: Span, end_ns: int, snapshot: Snapshot) -> Span:
    """Shown up to there; the present where all is shown."""
    past = 0 < end_ns < snapshot.now_ns and span.cell_ns
    return span._replace(end_ns=end_ns if past else 0)


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
