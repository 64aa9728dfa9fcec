"""Tell a recording again: to the same analysis, at the same moments, with the same result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.recording import Recording
from hud.analysis.snapshot import Analyzer
from hud.errors import FormatError
from hud.model import Batch, RunInfo
from hud.record.format import End, Look, Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hud.model import Snapshot
    from hud.record.format import Tale


class Replay:
    """What a run knew at one moment; it only moves forward."""

    def __init__(self, info: RunInfo) -> None:
        self.analyzer = Analyzer(Recording(info))
        self.now_ns = info.start_monotonic_ns
        """The latest moment that was told."""

    @property
    def recording(self) -> Recording:
        return self.analyzer.recording

    def take(self, tale: Tale) -> None:
        """The next one."""
        if isinstance(tale, Batch):
            self.recording.take(tale)
            self.now_ns = max(self.now_ns, tale.time_ns)
        elif isinstance(tale, Look):
            self.now_ns = max(self.now_ns, tale.time_ns)
            self.analyzer.absorb(tale.time_ns)
        elif isinstance(tale, End):
            self.recording.finish(tale.time_ns, tale.reason)
        elif isinstance(tale, Window):
        else:
            self.analyzer = Analyzer(Recording(tale))

    def snapshot(self, *, live: bool = False) -> Snapshot:
        """What a screen showed then; ``live``: as long as the run goes on."""
        over = self.recording.ended_ns
        return self.analyzer.snapshot(over or self.now_ns, live and not over)


def replay(tales: Iterable[Tale]) -> Replay:
    """The whole of it. FormatError where not even a run's begin is told."""
    run: Replay | None = None
    for tale in tales:
        if run is not None:
            run.take(tale)
        elif isinstance(tale, RunInfo):
            run = Replay(tale)
        else:
            break
    if run is None:
        raise FormatError("recording: no run in it", "it was cut off before anything was written")
    return run
