"""The drill-down: all that is known of one blocker, on one page that scrolls.

From 110 columns on in two: code on the left, figures on the right. In one column, and while a text
is searched, so that its lines come one after the other: stacks, how long, where, when.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.advice.advise import advise
from hud.analysis.cause import Cause
from hud.analysis.shortnames import shorten
from hud.tui import bars, folding, frames, groups, panel
from hud.tui.layout import block
from hud.tui.state import Page
from hud.tui.style import Line, Span, cause_style
from hud.tui.text import cells, clean, cut_left, name, pad, pieces
from hud.tui.views import code, episode, spread
from hud.tui.views.spread import Panel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hud.analysis.results import Blocker, Snapshot
    from hud.tui.glyphs import Glyphs
    from hud.tui.state import UiState

HEAD = 1
"""Lines that do not scroll."""
ANY_WIDTH = 100
"""Of one column: the number of lines hardly depends on the width; that of the advice does."""
_TWO_FROM = 110
_LEFT = 7, 11
"""The part of the width that the left column takes."""
_BAR = 8
_TALL = 3
"""Lines of the last graph."""
_POLLS = 3
"""Long polls that are listed in any case; where there is room, more."""
_LABEL = 7
_LEAST_NAME = 24
"""Cells for a function's name, for which figures are left out."""
_PLACE = 12
"""Cells: in fewer a file and line say nothing."""


class _About(NamedTuple):
    """Which blocker, drawn how wide."""

    blocker: Blocker
    snapshot: Snapshot
    state: UiState
    width: int

    @property
    def glyphs(self) -> Glyphs:
        return self.state.glyphs


def view(snapshot: Snapshot, state: UiState, width: int, height: int) -> list[Line]:
    """Name and figures above, everything else below, scrolled; a blocker must be open."""
    blocker = state.opened
    mark = state.glyphs.ellipsis
    if blocker is None:
        return block([], width, height, mark)
    below = max(height - HEAD, 0)
    rest = document(snapshot, state, width, below)
    top = max(min(state.stack_scroll, len(rest) - below), 0)
    shown = [marked(line, state.search) for line in rest[top : top + below]]
    return block([head(blocker, snapshot, width, state.glyphs), *shown], width, height, mark)


def page(snapshot: Snapshot, state: UiState, width: int, height: int) -> Page:
    """The lines below the head."""
    return Page(max(height - HEAD, 1), len(document(snapshot, state, width, height - HEAD)), HEAD)


def head(blocker: Blocker, snapshot: Snapshot, width: int, glyphs: Glyphs) -> Line:
    """``hash_password     28 long polls · 1.46 s · 4.6 % of worker time · cpu``."""
    facts = [
        figures.count(blocker.count, "long poll"),
        figures.long_duration(blocker.total_ns),
        f"{figures.percent(snapshot.share(blocker))} of worker time",
    ]
    full = ("~" if blocker.inferred else "") + clean(blocker.function)
    said, room = "", 0
    while facts and (not said or room < min(cells(full), _LEAST_NAME)):
        said = f" {glyphs.dot} ".join([*facts, ""])
        room = width - cells(said) - len(blocker.cause.value) - 4
        facts.pop(1 if len(facts) > 2 else 0)
    called = shorten([full], max(room, 8), glyphs.ellipsis, keep_crate=True)[0]
    spare = room - cells(called)
    where = cut_left(f"  {clean(blocker.where)}", spare, glyphs.ellipsis) if spare > _PLACE else ""
    blanks = Span(" " * max(spare - cells(where) + 2, 1))
    cause = Span(blocker.cause.value, cause_style(blocker.cause))
    return (Span(f" {called}", "own"), Span(where), blanks, Span(said, "label"), cause)


def document(snapshot: Snapshot, state: UiState, width: int, least: int = 0) -> list[Line]:
    """Every line below the head; where they are fewer than ``least``, with more of its polls."""
    blocker, glyphs = state.opened, state.glyphs
    if blocker is None:
        return []
    two = width >= _TWO_FROM and not state.search
    left = width * _LEFT[0] // _LEFT[1] if two else width
    lines = _advice(_About(blocker, snapshot, state, width))
    panels = _code_panels(_About(blocker, snapshot, state, left))
    right = width - left - 1
    room = least - len(lines) - sum(len(one.lines) + 1 for one in panels) - _TALL - 3
    if two:
        panels.append(_latest(_About(blocker, snapshot, state, left), room))
        lines += _beside((panels, spread.panels(blocker, right, glyphs)), left, width, glyphs)
        lines.append(panel.rule([("when", left), ("", right)], glyphs, panel.CLOSES))
    else:
        figured = spread.compact(blocker, width, glyphs)
        room -= sum(len(one.lines) + 1 for one in figured)
        panels.append(_latest(_About(blocker, snapshot, state, left), room))
        lines += _stacked([panels[0], *figured, *panels[1:], Panel("when", [])], width, glyphs)
    return lines + spread.when(blocker, snapshot, width, _TALL, glyphs)


def _latest(about: _About, room: int) -> Panel:
    """Its latest long polls: as many as there is room for, but a few."""
    found = episode.of_blocker(about.blocker, about.snapshot, max(room, _POLLS))
    drawn = episode.rows(found, about.snapshot, about.width, about.glyphs, code=False)
    return Panel("its latest long polls", drawn)


def _beside(
    columns: tuple[Sequence[Panel], Sequence[Panel]], left: int, width: int, glyphs: Glyphs
) -> list[Line]:
    """Two columns, each of panels one below the other."""
    first, second = columns
    right = width - left - 1
    titles = [(first[0].title, left), (second[0].title, right)]
    _, *one = _stacked(first, left, glyphs)
    _, *other = _stacked(second, right, glyphs)
    return [panel.rule(titles, glyphs), *panel.beside(one, other, left, glyphs)]


def _stacked(panels: Iterable[Panel], width: int, glyphs: Glyphs) -> list[Line]:
    lines: list[Line] = []
    for title, inside in panels:
        lines += [panel.rule([(title, width)], glyphs), *inside]
    return lines


def marked(line: Line, search: str) -> Line:
    """``line`` with what the search found in it reversed."""
    if not search:
        return line
    wanted = search.casefold()
    spans: list[Span] = []
    for span in line:
        low = span.text.casefold()
        at = low.find(wanted) if len(low) == len(span.text) else -1
        if at < 0:
            spans.append(span)
            continue
        end = at + len(wanted)
        spans += [Span(span.text[:at], span.style), Span(span.text[at:end], "reverse")]
        spans.append(Span(span.text[end:], span.style))
    return tuple(span for span in spans if span.text)


# --------------------------------------------------------------------------- what to do


def _advice(about: _About) -> list[Line]:
    """What to do, an example of it, and why; of a group about its largest part."""
    parts = groups.members(about.blocker)
    largest = parts[0][0]
    advice = advise(largest, about.snapshot.stacks)
    whose = f"{largest.function}: " if len(parts) > 1 and advice else ""
    said = (("fix", whose + advice.text, "bold"), ("", advice.code, ""), ("why", advice.reason, ""))
    lines: list[Line] = []
    for label, text, style in said:
        room = max(about.width - _LABEL - 1, 20)
        for at, part in enumerate(pieces(clean(text), room) if text else ()):
            lines.append((Span(pad(f" {'' if at else label}", _LABEL), "label"), Span(part, style)))
    return lines


# --------------------------------------------------------------------------- code


def _code_panels(about: _About) -> list[Panel]:
    """Those with something in them, the stacks first."""
    shown = code.instructions(about.blocker, about.snapshot, about.glyphs)
    found = (
        _stacks(about),
        _members(about),
        _holders(about),
        Panel(*code.source(about.blocker, about.snapshot, about.glyphs)),
        Panel(code.MACHINE_CODE, shown if about.state.code else []),
    )
    return [one for one in found if one.lines]


def _stacks(about: _About) -> Panel:
    blocker, number = about.blocker, len(about.blocker.stacks)
    if not number:
        return Panel("stack", [(Span("   no stack was caught in any of these polls", "label"),)])
    rows = folding.tree(
        blocker.stacks, about.snapshot.stacks, about.state.unfold, about.glyphs.unicode
    )
    parted = sum(row.part is not None for row in rows) > 1
    title = f"stacks {about.glyphs.dot} {number}, joined, by their share of its time"
    return Panel(title if number > 1 else "stack", _tree(rows, about, parted))


def _tree(rows: Sequence[folding.Row], about: _About, parted: bool) -> list[Line]:
    """Where stacks part, how much of the time went which way, and a bar."""
    hue = cause_style(about.blocker.cause)
    margin = 6 + _BAR + 1 if parted else 1
    drawn = frames.lines(rows, about.width - margin, about.glyphs)
    lines = []
    for row, line in zip(rows, drawn, strict=True):
        part = "" if row.part is None else figures.share(row.part)
        bar = bars.bar(row.part or 0.0, _BAR, about.glyphs)
        before = (Span(f"{part:>5} "), Span(pad(bar, _BAR + 1), hue)) if parted else (Span(" "),)
        lines.append((*before, *line))
    return lines


def _members(about: _About) -> Panel:
    """Of a group, the largest."""
    found = groups.members(about.blocker)
    lines: list[Line] = [
        (
            Span(f"{figures.duration(ns):>6}  "),
            Span(pad(one.cause.value, 8), cause_style(one.cause)),
            Span(name(one.function, one.inferred, 90, about.glyphs.ellipsis), "own"),
            Span(f"  {clean(one.where)}" if one.where else "", "label"),
        )
        for one, ns in found
    ]
    return Panel("functions, the largest", lines if len(found) > 1 else [])


def _holders(about: _About) -> Panel:
    """Who let go of the lock when the wait ended, or ended it otherwise, and where."""
    blocker, mark = about.blocker, about.glyphs.ellipsis
    lines: list[Line] = []
    for use in blocker.holders:
        lines.append(
            (
                Span(f"{figures.duration(use.total_ns):>6}  "),
                Span(name(use.function or "(not known)", use.inferred, about.width, mark), "own"),
                Span(f"  {clean(use.where)}" if use.where else "", "label"),
                Span(f"  {clean(use.role)}"),
            )
        )
        stack = about.snapshot.stacks.get(use.stack) if use.stack else None
        if stack is not None:
            rows = [r._replace(blocking=False) for r in folding.outline(stack, about.state.unfold)]
            drawn = frames.lines(rows, about.width - 10, about.glyphs)
            lines += [(Span(" " * 10), *line) for line in drawn]
    if not lines and blocker.cause is Cause.LOCK:
        lines.append((Span("   not known", "label"),))
    held = not blocker.holders or any(use.held for use in blocker.holders)
    return Panel("who held the lock" if held else "who ended the wait", lines)
