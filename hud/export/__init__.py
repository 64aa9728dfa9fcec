"""Results for other programs and for people: one file per format, one row in ``FORMATS``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.errors import UsageError
from hud.export import summary, trace

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from hud.analysis.snapshot import Analyzer
    from hud.model import Snapshot


class Format(NamedTuple):
    """One way to write a run down."""

    name: str
    suffixes: tuple[str, ...]
    write: Callable[[Analyzer, Snapshot, BinaryIO], None]
    """Writes what the analyzer held when it gave this snapshot."""
    says: str
    """One line for the help."""


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format(
            "trace",
            (".json",),
            trace.write,
            "Chrome Trace Event JSON: Perfetto, chrome://tracing, speedscope, jq",
        ),
        Format("summary", (".txt",), summary.write, "the summary as plain text"),
    )
}
DEFAULT = "trace"


def choose(path: str, format_name: str = "") -> Format:
    """The format that was asked for, else the one that the name of the file suggests.

    A name that suggests none gets ``DEFAULT``. Raises UsageError for a format that is not there.
    """
    if format_name:
        if format_name not in FORMATS:
            known = ", ".join(FORMATS)
            raise UsageError(f"no export format named {format_name!r}", f"known formats: {known}")
        return FORMATS[format_name]
    for row in FORMATS.values():
        if path.lower().endswith(row.suffixes):
            return row
    return FORMATS[DEFAULT]
