"""JSON Lines: one episode a line, by the time of its begin; `hud help exports` has the fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.export.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from hud.analysis.results import Episode, Snapshot
    from hud.analysis.snapshot import Analyzer


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    told = Telling(analyzer, snapshot)
    out.writelines(_line(told, one) for one in told.episodes)


class Lines:
    """The same while the run goes on: each episode once, as soon as it is over and has its names;
    by their ends.
    """

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put = put
        self._told: Telling | None = None
        self._next = 0
        """Number of the first episode that is not written."""

    def take(self, analyzer: Analyzer, *, last: bool = False) -> None:
        """Write what is new; ``last``: what has no names as well."""
        if self._told is None or self._told.recording is not analyzer.recording:
            self._told, self._next = Telling(analyzer, None), 0  # the run has begun anew
        self._next, found = analyzer.settled(self._next, last=last)
        lines = [_line(self._told, one) for one in found if one.cause.blames_code]
        if lines:
            self._put(b"".join(lines))


def _line(told: Telling, episode: Episode) -> bytes:
    import msgspec

    return msgspec.json.encode({**told.row(episode), "stack": told.lines(episode.stack)}) + b"\n"
