"""The timeline's cells: for how much of each column's time a worker was blocked, and by what.

An episode is added up once, however often the screen is drawn: from one snapshot to the next only
those that are new. Its own time is spread evenly over its length, for nobody knows in which part of
it the worker had no CPU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.cause import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hud.analysis.results import Episode, Snapshot

ALL = -1
"""Instead of a thread: all of them together."""
_MOST = 200_000
"""Cells that are kept; beyond these all are added up anew."""


class Cell:
    """What happened to a worker in one column."""

    __slots__ = ("blocked_ns", "cause", "causes")

    def __init__(self) -> None:
        self.causes: dict[Cause, int] = {}
        """Nanoseconds by cause; waits for a CPU too."""
        self.blocked_ns = 0
        """Without them."""
        self.cause = Cause.WAITING
        """Of most of what was blocked; that one where nothing was."""

    def add(self, cause: Cause, ns: int) -> None:
        total = self.causes[cause] = self.causes.get(cause, 0) + ns
        if cause is not Cause.WAITING:
            self.blocked_ns += ns
            if self.cause is Cause.WAITING or total > self.causes[self.cause]:
                self.cause = cause

    def copy(self) -> Cell:
        made = Cell()
        made.causes, made.blocked_ns, made.cause = {**self.causes}, self.blocked_ns, self.cause
        return made


class Row(dict[int, Cell]):
    """The cells of one worker, or of all, by column; columns count from the run's start."""

    version = 0
    """How often it has changed."""

    def add(self, parts: Iterable[tuple[int, int]], cause: Cause) -> int:
        """(column, ns); the number of cells that are new."""
        before = len(self)
        for column, ns in parts:
            cell = self.get(column)
            if cell is None:
                cell = self[column] = Cell()
            cell.add(cause, ns)
        self.version += 1
        return len(self) - before

    def apart(self, columns: Iterable[int]) -> Row:
        """A copy of which the cells in these columns may be changed."""
        made = Row(self)
        made.update((column, self[column].copy()) for column in columns if column in self)
        return made


class Cells:
    """The cells of all episodes of a part of the run, in columns of one length."""

    def __init__(self, start_ns: int, cell_ns: int, columns: range, window_ns: int) -> None:
        self.key = start_ns, cell_ns, columns, window_ns
        """What they were made for."""
        self._rows = {ALL: Row()}
        self._last: Episode | None = None
        """The latest of those that have ended and are in."""
        self._number = 0

    def take(self, timeline: Sequence[Episode]) -> bool:
        """Add what has ended since; False = it is not what was here before, or too much."""
        new: list[Episode] = []
        for episode in reversed(timeline):
            if episode is self._last:
                break
            if not episode.in_progress:
                new.append(episode)
        else:
            if self._last is not None:
                return False
        for episode in reversed(new):
            for tid in (episode.tid, ALL):
                self._number += _add(self._rows.setdefault(tid, Row()), self, episode)
        self._last = new[0] if new else self._last
        return self._number <= _MOST

    def row(self, tid: int, lasting: Iterable[Episode] = ()) -> Row:
        """Of a thread, or of ``ALL``, with those of ``lasting``, which are not in, added."""
        row = self._rows.setdefault(tid, Row())
        more = [episode for episode in lasting if tid in (episode.tid, ALL)]
        for episode in more:
            row = row.apart(column for column, _ in self.parts(episode))
            _add(row, self, episode)
        return row

    def parts(self, episode: Episode) -> Iterator[tuple[int, int]]:
        """(column, ns): of its own time; of a wait for a CPU, of that."""
        start_ns, cell, columns, _ = self.key
        length = max(episode.duration_ns, 1)
        own = length if episode.cause is Cause.WAITING else max(episode.charged_ns, 0)
        start = episode.start_ns - start_ns
        first = max(start // cell, columns.start)
        for column in range(first, min((start + length - 1) // cell + 1, columns.stop)):
            part = min(start + length, (column + 1) * cell) - max(start, column * cell)
            yield column, part * own // length


def _add(row: Row, of: Cells, episode: Episode) -> int:
    return row.add(of.parts(episode), episode.cause)


def in_progress(timeline: Sequence[Episode]) -> list[Episode]:
    """Those that have not ended: they stand at the end."""
    found = []
    for episode in reversed(timeline):
        if not episode.in_progress:
            break
        found.append(episode)
    return found


_cells = [Cells(0, 1, range(0), 0)]
"""Those drawn last, alone."""


def of(snapshot: Snapshot, cell_ns: int, columns: range) -> Cells:
    """The cells of a snapshot's timeline, in columns of this length: these and some around them."""
    size = 1 << len(columns).bit_length()
    first = columns.start // size * size
    around = range(first, first + 2 * size)
    key = snapshot.info.start_monotonic_ns, cell_ns, around, snapshot.info.window_ns
    if _cells[0].key != key or not _cells[0].take(snapshot.timeline):
        _cells[0] = Cells(*key)
        _cells[0].take(snapshot.timeline)
    return _cells[0]
