"""The options of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run."""

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
    exact: bool = False
    """See every poll, by uprobes."""
    max_overhead: float = 0.03
    """The share of the workers' CPU time that exact mode may cost."""
    auto_threshold: bool = False
    """Choose the threshold by the polls that are seen; ``threshold_ns`` holds until then."""
    use_cache: bool = True
    """False reads every file anew and caches nothing."""
    code: bool = False
    """Source and machine code of the heaviest blockers are wanted."""
    starters: bool = False
    """The names of the threads that start others are wanted."""
