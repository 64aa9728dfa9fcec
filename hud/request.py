"""What the command line asks of one run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Request:
    """One run: what to look for, and what to do with what is found."""

    threshold_ns: int
    """0 = chosen by the polls that are seen."""
    window_ns: int
    """0 = everything."""
    duration_s: float
    """0 = until somebody ends it."""
    workers: str | None
    executable: str | None
    debug_files: tuple[str, ...]
    btf: Path | None
    use_context: bool
    exact: bool
    max_overhead: float
    """The share of the workers' CPU time that exact mode may cost."""
    headless: bool
    theme: str
    """Empty = as environment and terminal say."""
    export: str | None
    record: str | None
    format: str
    """Empty = by the name of the export."""
    quiet: bool
    verbose: bool
