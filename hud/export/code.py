"""The raw symbol, the source and the machine code around a blocker's call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.blame import short_place
from hud.analysis.spots import blamed_frame
from hud.text import printable

if TYPE_CHECKING:
    from hud.analysis.results import Blocker, Snapshot
    from hud.model import Code, Precision

LINES = 2
"""Of the source, before and after the one."""
INSTRUCTIONS = 4
"""Before and after the one."""
TAB = 4


def lines(blocker: Blocker, snapshot: Snapshot) -> list[str]:
    """One string a line, safe to show; empty where nothing is known."""
    frame = blamed_frame(blocker, snapshot.stacks)
    if frame is None:
        return []
    found = [f"symbol: {printable(frame.raw)}"] if frame.raw else []
    code = snapshot.code.get(frame.address)
    if code is not None:
        found += [*_source(code, frame.precision), *_instructions(code)]
        if code.note and (
            code.source_file or not code.instructions
        ):  # else a note of the run says it
            found.append(f"note: {printable(code.note)}")
    return found


def _source(code: Code, precision: Precision) -> list[str]:
    rows = [row for row in code.source if abs(row[0] - code.line) <= LINES]
    if not rows:
        return []
    digits = len(str(rows[-1][0]))
    return [
        f"source: {printable(short_place(code.source_file, code.line, precision))}",
        *(
            f"{_mark(number == code.line)}{number:>{digits}}  "
            f"{printable(text.expandtabs(TAB))}".rstrip()
            for number, text in rows
        ),
    ]


def _instructions(code: Code) -> list[str]:
    at = next((at for at, row in enumerate(code.instructions) if row[0] == code.at), -1)
    if at < 0:
        return []
    rows = code.instructions[max(0, at - INSTRUCTIONS) : at + INSTRUCTIONS + 1]
    room = max(len(text) for _, text, called in rows if called) if any(r[2] for r in rows) else 0
    return [
        "machine code:",
        *(
            f"{_mark(address == code.at)}{address:x}  {printable(text):<{room}}  "
            f"{printable(called)}".rstrip()
            for address, text, called in rows
        ),
    ]


def _mark(here: bool) -> str:
    return "> " if here else "  "
