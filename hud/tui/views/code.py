"""Source lines and machine code around the place that blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.blame import culpable, short_place
from hud.tui.style import Line, Span
from hud.tui.text import clean

if TYPE_CHECKING:
    from hud.analysis.results import Blocker, Snapshot
    from hud.model import Code
    from hud.tui.glyphs import Glyphs


MACHINE_CODE = "machine code"


_HEAVIEST = 8
"""Stacks whose code is looked for."""


def of(blocker: Blocker, snapshot: Snapshot) -> Code | None:
    """What is known of the code at the blamed frame of the heaviest stack that has any."""
    for key, _ in blocker.stacks[:_HEAVIEST] if snapshot.code else ():
        stack = snapshot.stacks.get(key)
        frames = (stack.frames if stack else None) or ()
        at = culpable(frames)
        if at >= 0 and frames[at].address in snapshot.code:
            return snapshot.code[frames[at].address]
    return None


def source(blocker: Blocker, snapshot: Snapshot, glyphs: Glyphs) -> tuple[str, list[Line]]:
    """A title and the lines around the call; why there are none, if that is known."""
    found = of(blocker, snapshot)
    if found is None:
        return "source", []
    if not found.source:
        return "source", _none(found)
    lines: list[Line] = []
    for number, text in found.source:
        here = number == found.line
        mark = glyphs.line if here else " "
        shown = clean(text.expandtabs(4).rstrip())
        style = "own" if here else ""
        lines.append((Span(f" {mark}{number:>6}  ", style or "label"), Span(shown, style)))
    return f"source {glyphs.dot} {clean(short_place(found.source_file, 0))}", lines


def instructions(blocker: Blocker, snapshot: Snapshot, glyphs: Glyphs) -> list[Line]:
    """The machine code around the call; in any case a line."""
    found = of(blocker, snapshot)
    if found is None:
        return [(Span("   not known for this blocker", "label"),)]
    if not found.instructions:
        return _none(found)
    lines: list[Line] = []
    for address, text, target in found.instructions:
        here = address == found.at
        mark = glyphs.line if here else " "
        called = f"   -> {clean(target)}" if target else ""
        lines.append(
            (
                Span(f" {mark}{address:>10x}  ", "" if here else "label"),
                Span(clean(text.expandtabs(8)), "own" if here else ""),
                Span(called, "label"),
            )
        )
    return lines


def _none(found: Code) -> list[Line]:
    return [(Span(f"   {clean(found.note) or 'not known'}", "label"),)]
