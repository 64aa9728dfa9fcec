"""Results for other programs and for people: one file per format, one row in ``FORMATS``.

To add a format, write a module of this package with a function ``write``, and its row.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from hud.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer

    Write = Callable[[Analyzer, Snapshot, BinaryIO], None]
    """Writes what the analyzer held when it gave this snapshot."""


class Format(NamedTuple):
    """One way to write a run down."""

    name: str
    suffixes: tuple[str, ...]
    module: str = ""
    """Where its function ``write`` is; empty = the module of this package that has its name."""

    def writer(self) -> Write:
        """Its function ``write``; the table costs a start nothing of what that imports."""
        write: Write = import_module(self.module or f"{__name__}.{self.name}").write
        return write


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format("trace", (".json",)),
        Format("summary", (".txt",)),
        Format("markdown", (".md",)),
        Format("html", (".html", ".htm"), "hud.report.page"),
        Format("json", (".hud.json",)),
        Format("jsonl", (".jsonl", ".ndjson")),
        Format("csv", (".csv",)),
        Format("folded", (".folded", ".collapsed")),
        Format("speedscope", (".speedscope.json",)),
        Format("firefox", (".firefox.json",)),
        Format("pprof", (".pprof", ".pb.gz")),
        Format("openmetrics", (".prom", ".om")),
        Format("perfetto", (".pftrace", ".perfetto-trace")),
        Format("sarif", (".sarif", ".sarif.json")),
    )
}
DEFAULT = "trace"


def choose(path: str, format_name: str = "") -> Format:
    """The format that was asked for, else the one that the name of the file suggests.

    The longest suffix counts; a name that suggests none gets ``DEFAULT``. Raises UsageError for a
    format that is not there.
    """
    if format_name:
        if format_name not in FORMATS:
            known = ", ".join(FORMATS)
            raise UsageError(f"no export format named {format_name!r}", f"known formats: {known}")
        return FORMATS[format_name]
    fits = [
        (len(suffix), row)
        for row in FORMATS.values()
        for suffix in row.suffixes
        if path.lower().endswith(suffix)
    ]
    return max(fits)[1] if fits else FORMATS[DEFAULT]
