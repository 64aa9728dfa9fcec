"""The results of a finished run: its export, then its summary, which no failed export prevents."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.verdict import sentences
from hud.commands.streams import show
from hud.errors import ExportError
from hud.export import choose, summary
from hud.export.write import write_atomically, write_text
from hud.process.rights import invoking_user
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.commands.output import Output
    from hud.tui.effects import Export


def prepare(output: Output) -> None:
    """Import what will write it: hud may be replaced by a newer one while a run goes on."""
    if output.export is not None:
        choose(output.export, output.format).writer()


def deliver(
    analyzer: Analyzer, snapshot: Snapshot, output: Output, also_written: Sequence[str] = ()
) -> None:
    """Write the export, show the summary. A run whose export cannot be written still has one.

    ``also_written``: other files of the run, in words. Raises ExportError after the summary.
    """
    written: list[str] = []
    trouble: ExportError | None = None
    if output.export is not None:
        write = choose(output.export, output.format).writer()
        try:
            write_atomically(
                output.export, lambda out: write(analyzer, snapshot, out), invoking_user()
            )
        except ExportError as error:
            trouble = error
        else:
            written.append(f"{printable(output.export)} ({_count(analyzer)})")
    if not output.quiet and output.export != "-":
        files = ", ".join([*written, *also_written])
        brief = output.brief and not output.verbose
        show(_in_brief(snapshot, files) if brief else _summary(snapshot, files, output.verbose))
    if trouble is not None:
        raise trouble


def _in_brief(snapshot: Snapshot, written: str) -> str:
    """Which run, its verdict, and where more is to be had."""
    info = snapshot.info
    target = f"{printable(info.target.name)} (pid {info.target.pid})"
    more = f"written: {written}" if written else "--record FILE.hud keeps a run"
    return (
        f"{target}, watched for {figures.long_duration(snapshot.elapsed_ns)}, {snapshot.ended}\n"
        f"  {printable(sentences(snapshot)[0])}\n"
        f"  {more}; -v prints the whole summary\n"
    )


def _summary(snapshot: Snapshot, written: str, verbose: bool) -> str:
    """As standard output can show it."""
    terminal = sys.stdout.isatty()
    return summary.text(
        snapshot,
        color=terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
        width=get_terminal_size().columns if terminal else None,
        ascii_only=(sys.stdout.encoding or "").lower().replace("-", "") != "utf8",
        written=written,
        verbose=verbose,
    )


def write_selection(effect: Export) -> str:
    """Write what was chosen on the screen to a new file; what to say about it."""
    if os.path.lexists(effect.path):
        return f"{printable(effect.path)} already exists; choose another name (e)"
    try:
        write_text(effect.path, effect.text, invoking_user())
    except ExportError as error:
        return f"{error}; {error.hint}" if error.hint else str(error)
    return f"written to {printable(str(Path(effect.path).absolute()))}"


def _count(analyzer: Analyzer) -> str:
    blocking = sum(episode.cause.blames_code for episode in analyzer.episodes())
    return figures.count(blocking, "episode")
