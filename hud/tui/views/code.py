"""Source lines and machine code around the place that blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.blame import culpable, short_place
from hud.tui.style import Line, Span
from hud.tui.text import clean

if TYPE_CHECKING:
    from hud.analysis.results import Blocker, Snapshot
    from hud.model import Code


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


def source(blocker: Blocker, snapshot: Snapshot) -> list[Line]:
    """The lines around the call; why there are none, if that is known."""
    found = of(blocker, snapshot)
    if found is None:
        return []
    if not found.source:
        return _none("source", found)
    file = clean(short_place(found.source_file, 0))
    lines: list[Line] = [(Span(" "), Span("source", "title"), Span(f"  {file}", "dim"))]
    for number, text in found.source:
        here = number == found.line
        mark = ">" if here else " "
        shown = clean(text.expandtabs(4).rstrip())
        style = "user" if here else ""
        lines.append((Span(f" {mark}{number:>6}  ", style or "dim"), Span(shown, style)))
    return lines


def instructions(blocker: Blocker, snapshot: Snapshot) -> list[Line]:
    """The machine code around the call."""
    title: Line = (Span(" "), Span(MACHINE_CODE, "title"))
    found = of(blocker, snapshot)
    if found is None:
        return [title, (Span("   not known for this blocker", "dim"),)]
    if not found.instructions:
        return _none(MACHINE_CODE, found)
    lines: list[Line] = [title]
    for address, text, target in found.instructions:
        here = address == found.at
        mark = ">" if here else " "
        called = f"   -> {clean(target)}" if target else ""
        lines.append(
            (
                Span(f" {mark}{address:>10x}  ", "" if here else "dim"),
                Span(clean(text.expandtabs(8)), "user" if here else ""),
                Span(called, "dim"),
            )
        )
    return lines


def _none(what: str, found: Code) -> list[Line]:
    why = clean(found.note) or "not known"
    return [(Span(" "), Span(what, "title")), (Span(f"   {why}", "dim"),)]
