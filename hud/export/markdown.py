"""Markdown for pull requests and chats: the verdict, a table of the blockers, how sure it is.

What comes from the target stands in code spans, where no markup and no mention works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.export import facts, summary
from hud.export.json import blocker_row
from hud.export.sure import how_sure
from hud.text import printable

if TYPE_CHECKING:
    from typing import BinaryIO

    from hud.analysis.results import Blocker, Snapshot
    from hud.analysis.snapshot import Analyzer

MOST_ROWS = 20
_HEAD = (
    "| | share | blocked | count | worst | cause | function | where | what to do |\n"
    "|--:|--:|--:|--:|--:|---|---|---|---|\n"
)


def write(_analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    out.write(text(snapshot).encode())


def text(snapshot: Snapshot) -> str:
    """The whole page, ending in a newline."""
    info = snapshot.info
    length = figures.long_duration(snapshot.elapsed_ns)
    title = f"### hud: {code(info.target.name)}, watched for {length}"
    said = [title, "\n".join(map(plain, summary.verdict(snapshot)))]
    if snapshot.blockers:
        shown = enumerate(snapshot.blockers[:MOST_ROWS], 1)
        said.append(_HEAD + "\n".join(_row(at, one, snapshot) for at, one in shown))
    hidden = len(snapshot.blockers) - MOST_ROWS
    if hidden > 0:
        said.append(f"and {figures.count(hidden)} more")
    return "\n\n".join([*said, f"How sure: {plain(how_sure(snapshot))}"]) + "\n"


def _row(number: int, blocker: Blocker, snapshot: Snapshot) -> str:
    row = blocker_row(blocker, snapshot)
    call = code(row.get("operation", ""))
    cells = [
        str(number),
        figures.share(snapshot.share(blocker)),
        figures.long_duration(blocker.total_ns),
        figures.count(blocker.count),
        figures.long_duration(blocker.max_ns),
        blocker.cause.value,
        code(row["function"]) + (f" in {call}" if call else ""),
        code(facts.place_of(blocker)),
        plain(row.get("advice", "")),
    ]
    return f"| {' | '.join(cells)} |"


def code(name: str) -> str:
    """A code span in a table; empty for nothing."""
    safe = printable(name).replace("`", "'").replace("|", "\\|")
    return f"`{safe}`" if safe else ""


def plain(sentence: str) -> str:
    """A sentence of hud's, with names of the target in it, as nothing but text."""
    safe = printable(sentence)
    for mark in "\\`*_[]|~#@!":
        safe = safe.replace(mark, f"&#{ord(mark)};" if mark in "@#" else f"\\{mark}")
    return safe.replace("<", "&lt;").replace(">", "&gt;")
