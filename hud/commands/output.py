"""What is to become of a finished run, and whether it can be written at all."""

from __future__ import annotations

from typing import NamedTuple

from hud.export import choose


class Output(NamedTuple):
    """What becomes of a finished run."""

    export: str | None = None
    """Where to; None = nowhere."""
    format: str = ""
    """Empty = by the name of the export."""
    quiet: bool = False
    """No summary."""
    verbose: bool = False
    """All there is to say in the summary."""
    brief: bool = False
    """Three lines in its place: the screen has shown the rest."""

    @property
    def streams(self) -> bool:
        """Without a screen it is written while the run goes on."""
        return self.export == "-" and self.format == "jsonl"


def check(output: Output) -> None:
    """Can it be written? UsageError if not; before anything is attached."""
    if output.export is None:
        return
    from hud.export.write import check_writable

    choose(output.export, output.format)
    check_writable(output.export)
