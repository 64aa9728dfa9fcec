"""The line on the terminal that says how far a run without a screen is."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from hud import figures
from hud.text import printable

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot


class Progress:
    """Written over and over on standard error, and gone at the end."""

    def __init__(self) -> None:
        self.seen = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        """There is a terminal for it."""
        self._shown = False

    def show(self, snapshot: Snapshot, left_s: float) -> None:
        """``left_s`` 0 = without end."""
        ends = f"{left_s:.0f} s left" if left_s else "Ctrl-C stops"
        found = figures.count(snapshot.episodes, "blocking poll")
        line = f"{figures.long_duration(round(snapshot.elapsed_ns, -9))}, {ends}: {found}"
        if snapshot.blockers:
            line += f", most in {printable(snapshot.blockers[0].function)}"
        from shutil import get_terminal_size

        self._write(line[: get_terminal_size().columns - 1])
        self._shown = True

    def close(self) -> None:
        if self._shown:
            self._write("")

    def _write(self, line: str) -> None:
        with suppress(OSError):  # the terminal has hung up
            sys.stderr.write(f"\r\x1b[K{line}")
            sys.stderr.flush()
