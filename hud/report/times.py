"""When it blocked: over the run, on each worker, and within each second.

An episode's own time lies evenly over its length, as in `hud.analysis.slices`. However long the
run, the page gets so many cells and no more: they grow with it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.blame import Blames
from hud.report.blockers import MOST
from hud.report.trees import CAUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from hud.analysis.results import Episode, Snapshot
    from hud.analysis.snapshot import Analyzer

_MS, _S = 1_000_000, 1_000_000_000
_SLICES_NS = tuple(unit * _MS for unit in (1, 2, 5, 10, 20, 50, 100, 200, 500))
_MOST_CELLS = 30_000
"""Of all workers together."""
WHOLE = 10_000
"""A cell that is blocked all the time."""
_COLUMNS, _CELLS = 600, 20
"""Of the heat map, at most, and in each of its columns."""
_COLUMNS_S = (1, 10, 60, 600, 3600)
"""What a column may stand for, in seconds; longer runs go on with days."""
_FEWEST_COLUMNS = 5


class _Piece(NamedTuple):
    """What an episode is drawn of; from the begin of the span on."""

    worker: int
    start_ns: int
    length_ns: int
    own_ns: int
    blocker: int
    """Its row; -1 = it is not on the page."""


def graph(snapshot: Snapshot) -> dict[str, Any]:
    """Of each slice of the run (cause, part of the worker time in 1/10,000) and so on."""
    drawn = snapshot.graph
    slices = []
    for at in range(drawn.slices):
        causes, share = drawn.at(at), drawn.share(at)
        whole = sum(ns for _, ns in causes) or 1
        slices.append(
            [(CAUSES.index(cause), round(WHOLE * share * ns / whole)) for cause, ns in causes]
        )
    begin_ns = drawn.start_ns - snapshot.info.start_monotonic_ns
    return {"start_ns": begin_ns, "slice_ns": drawn.slice_ns, "slices": slices}


class Drawn(NamedTuple):
    """What of a run is held episode by episode: all of it, or its end."""

    pieces: Sequence[_Piece]
    start_ns: int
    """In the run."""
    length_ns: int
    left: str
    """What is not drawn, in words; empty = nothing."""


def drawn(analyzer: Analyzer, snapshot: Snapshot) -> Drawn:
    pieces = _pieces(analyzer, snapshot)
    start_ns, length_ns = snapshot.elapsed_ns - snapshot.span_ns, snapshot.span_ns
    if len(pieces) >= snapshot.episodes:
        return Drawn(pieces, start_ns, length_ns, "")
    first_ns = min((piece.start_ns for piece in pieces), default=0)
    moved = [piece._replace(start_ns=piece.start_ns - first_ns) for piece in pieces]
    polls = figures.count(snapshot.episodes, "long poll")
    left = (
        f"Of {polls} the latest {figures.count(len(pieces))} are drawn, from "
        f"{figures.long_duration(start_ns + first_ns)} on: earlier ones are only known as sums."
    )
    return Drawn(moved, start_ns + first_ns, length_ns - first_ns, left)


def lanes(drawn: Drawn, snapshot: Snapshot) -> dict[str, Any]:
    """Of each worker that blocked its cells: (cells without anything before it, blocked part in
    1/10,000, row of most of it), in one list.
    """
    pieces = drawn.pieces
    slice_ns = _slice_ns(pieces)
    cells: defaultdict[int, defaultdict[int, defaultdict[int, int]]]
    cells = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for piece in pieces:
        for at, ns in _spread(piece, slice_ns):
            cells[piece.worker][at][piece.blocker] += ns
    return {
        "start_ns": drawn.start_ns,
        "ns": drawn.length_ns,
        "slice_ns": slice_ns,
        "workers": [
            {"id": worker, "cells": list(_flat(cells[worker], slice_ns))}
            for worker in sorted(cells)
        ],
        "others": max(0, len(snapshot.workers) - len(cells)),
        "left": drawn.left,
    }


def heat(drawn: Drawn, snapshot: Snapshot) -> dict[str, Any] | None:
    """Percent of the worker time that were blocked, of each cell of each column; None = the run is
    too short for it.
    """
    column_ns = _column_ns(drawn.length_ns)
    cell_ns = column_ns // _CELLS
    number = -(-drawn.length_ns // column_ns)
    if number < _FEWEST_COLUMNS:
        return None
    sums = [0] * (number * _CELLS)
    for piece in drawn.pieces:
        for at, ns in _spread(piece, cell_ns):
            if at < len(sums):
                sums[at] += ns
    whole = max(snapshot.graph.workers, 1e-9) * cell_ns
    parts = [min(100, max(1, round(100 * ns / whole))) if ns else 0 for ns in sums]
    columns = [parts[at : at + _CELLS] for at in range(0, len(parts), _CELLS)]
    return {
        "start_ns": drawn.start_ns,
        "column_ns": column_ns,
        "cells": _CELLS,
        "columns": [_without_end(column) for column in columns],
    }


def _pieces(analyzer: Analyzer, snapshot: Snapshot) -> list[_Piece]:
    """Of all episodes that are held, what lies in the span."""
    rows = {one.key: at for at, one in enumerate(snapshot.blockers[:MOST])}
    blames = Blames(snapshot.stacks)
    begin_ns = snapshot.now_ns - snapshot.span_ns
    blocking = (one for one in analyzer.episodes() if one.cause.blames_code)
    found = (_piece(one, begin_ns, rows.get(blames.of(one.stack).key, -1)) for one in blocking)
    return [piece for piece in found if piece.length_ns > 0]


def _piece(episode: Episode, begin_ns: int, row: int) -> _Piece:
    start_ns, whole_ns = episode.start_ns - begin_ns, max(1, episode.duration_ns)
    length_ns = min(whole_ns, start_ns + whole_ns)
    own_ns = episode.charged_ns * max(length_ns, 0) // whole_ns
    return _Piece(episode.worker_id, max(start_ns, 0), length_ns, own_ns, row)


def _spread(piece: _Piece, slice_ns: int) -> Iterator[tuple[int, int]]:
    """(number of a slice, its part of the own time)."""
    first = piece.start_ns // slice_ns
    last = (piece.start_ns + piece.length_ns - 1) // slice_ns
    done = 0
    for at in range(first, last + 1):
        upto_ns = min((at + 1) * slice_ns - piece.start_ns, piece.length_ns)
        upto = piece.own_ns * upto_ns // piece.length_ns
        yield at, upto - done
        done = upto


def _slice_ns(pieces: Sequence[_Piece]) -> int:
    """The shortest with which there are few enough cells."""
    return next((one for one in _lengths() if _cells(pieces, one) <= _MOST_CELLS), _S)


def _lengths() -> Iterable[int]:
    return (*_SLICES_NS, *(_S << power for power in range(24)))


def _cells(pieces: Sequence[_Piece], slice_ns: int) -> int:
    """How many there are at most: several episodes may share one."""
    whole = {(piece.worker, piece.start_ns // slice_ns) for piece in pieces}
    return len(whole) + sum(
        (piece.start_ns % slice_ns + piece.length_ns - 1) // slice_ns for piece in pieces
    )


def _flat(cells: dict[int, defaultdict[int, int]], slice_ns: int) -> Iterator[int]:
    after = 0
    for at, rows in sorted(cells.items()):
        part = min(WHOLE, max(1, WHOLE * sum(rows.values()) // slice_ns))
        yield from (at - after, part, max(rows, key=rows.__getitem__))
        after = at + 1


def _column_ns(span_ns: int) -> int:
    days = (day * 86_400 for day in range(1, 10_000))
    lengths = (length * _S for length in (*_COLUMNS_S, *days))
    return next(length for length in lengths if span_ns <= _COLUMNS * length)


def _without_end(column: list[int]) -> list[int]:
    """Without zeros at its end."""
    last = max((at for at, part in enumerate(column) if part), default=-1)
    return column[: last + 1]
