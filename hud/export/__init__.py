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
    """The module's as well."""
    suffixes: tuple[str, ...]
    says: str
    """A few words for the help."""

    def writer(self) -> Write:
        """Its function ``write``; the table costs a start nothing of what that imports."""
        write: Write = import_module(f"{__name__}.{self.name}").write
        return write


FORMATS: dict[str, Format] = {
    row.name: row
    for row in (
        Format("trace", (".json",), "Chrome Trace Event JSON for Perfetto, speedscope, jq"),
        Format("summary", (".txt",), "plain text"),
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
