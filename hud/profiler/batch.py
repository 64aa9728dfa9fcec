"""What a run can be told, and what it tells each time it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hud.model import Detection, Sample, Stack, Worker
from hud.probe.probe import Culprit


@dataclass(frozen=True, slots=True)
class Options:
    """What a run can be told."""

    threshold_ns: int = 5_000_000
    workers: str | None = None
    """Prefix of the workers' thread names; None = found by hud."""
    executable: str | None = None
    """A file with the target's symbols, of the same build."""
    btf: Path | None = None
    use_context: bool = True
    """False steps down the ladder on purpose (for tests and comparisons)."""
    sample_hz: int = 0
    """0 = by rung."""
    debug_files: tuple[str, ...] = ()
    """Files with debug information, for whichever module they were made from."""
    use_cache: bool = True
    """False reads every file anew and keeps nothing."""


@dataclass(slots=True)
class Batch:
    """What came since the last batch."""

    samples: list[Sample] = field(default_factory=list)
    stacks: dict[int, Stack] = field(default_factory=dict)
    """New ones, and known ones that have names now."""
    workers: list[Worker] = field(default_factory=list)
    """New or renamed."""
    names: dict[int, str] = field(default_factory=dict)
    """tid -> name, of threads born or renamed."""
    culprits: list[Culprit] = field(default_factory=list)
    died: list[int] = field(default_factory=list)
    ended: str = ""
    """Why the run is over: the target's end."""
    detection: Detection | None = None
    """Set when the rung has changed."""
