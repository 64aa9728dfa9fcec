"""Hand a finished run over: the export, then the summary, whatever became of the export."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from hud.errors import ExportError
from hud.export import choose, summary
from hud.export.write import write_atomically
from hud.target.rights import invoking_user
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from hud.analysis.snapshot import Analyzer
    from hud.model import Snapshot
    from hud.wish import Export


def deliver(
    analyzer: Analyzer,
    snapshot: Snapshot,
    show: Callable[[str], None],
    *,
    export: str | None = None,
    form: str = "",
    quiet: bool = False,
    verbose: bool = False,
    also_written: tuple[str, ...] = (),
) -> None:
    """Write the export, show the summary. A run whose export cannot be written still tells.

    ``export``: where to, None = nowhere; ``form``: its format, empty = by name. ``verbose``: the
    summary has all there is to tell. ``also_written``: other files of the run, in words. Raises
    ExportError after the summary.
    """
    written: list[str] = []
    trouble: ExportError | None = None
    if export is not None:
        chosen = choose(export, form)
        try:
            write_atomically(
                export, lambda out: chosen.write(analyzer, snapshot, out), invoking_user()
            )
        except ExportError as error:
            trouble = error
        else:
            written.append(f"{printable(export)} ({_count(analyzer)})")
    if not quiet and export != "-":
        terminal = sys.stdout.isatty()
        text = summary.text(
            snapshot,
            color=terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
            width=get_terminal_size().columns if terminal else None,
            ascii_only=(sys.stdout.encoding or "").lower().replace("-", "") != "utf8",
            written=", ".join([*written, *also_written]),
            verbose=verbose,
        )
        show(text)
    if trouble is not None:
        raise trouble


def write_selection(wish: Export) -> str:
    """Write what was chosen on the screen to a new file; what to say about it."""
    if os.path.lexists(wish.path):
        return f"{printable(wish.path)} is there already: choose another name (e)"
    text = wish.text.encode("utf-8", "replace")
    try:
        write_atomically(wish.path, lambda out: _put(out, text), invoking_user())
    except ExportError as error:
        return f"{error}; {error.hint}" if error.hint else str(error)
    return f"written to {printable(str(Path(wish.path).absolute()))}"


def _put(out: BinaryIO, text: bytes) -> None:
    out.write(text)


def _count(analyzer: Analyzer) -> str:
    blocking = sum(episode.cause.blames_code for episode in analyzer.episodes())
    return f"{blocking} episode{'' if blocking == 1 else 's'}"
