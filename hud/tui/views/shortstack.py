"""A stack in a few lines: the user's own calls down to the one that blocks, and what that called.

Where there is no room for all of them the outermost calls go first, the blocking one last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.blame import frame_name
from hud.analysis.shortnames import shorten
from hud.model import Frame, Origin
from hud.tui import folding, frames
from hud.tui.style import Line, Span
from hud.tui.text import cells, clean, pad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.model import Stack
    from hud.tui.glyphs import Glyphs

_HERE = "your code blocks here"
_WIDEST_REMARK = 30


class _Row(NamedTuple):
    name: str
    style: str
    remark: str = ""
    remark_style: str = "label"


class Calls(NamedTuple):
    """What is shown of one stack; its length is how many lines it would take."""

    own: Sequence[Frame] = ()
    """Outermost first; the last one blocks."""
    called: Frame | None = None
    below: str = ""
    """``4 frames of blowfish``, in the call."""
    missing: str = ""
    """Why there is nothing to show."""

    @classmethod
    def of(cls, stack: Stack | None) -> Calls:
        """Of the stack that explains most; None = none was caught."""
        if stack is None:
            return cls(missing="none was caught")
        if stack.frames is None:
            return cls(missing="names not known yet")
        called, more, crate = folding.below(stack)
        below = f"{figures.count(more, 'frame')} of {clean(crate)}" if more else ""
        return cls(folding.callers(stack), called, below)

    def __len__(self) -> int:
        return len(self.own) + (self.called is not None) + bool(self.below or self.missing)

    def lines(self, number: int, width: int, glyphs: Glyphs) -> list[Line]:
        """In at most ``number`` lines of ``width`` cells."""
        if self.missing:
            return [(Span(self.missing, "label"),)]
        rows = self._rows(number, glyphs)
        widest = max((cells(row.remark) for row in rows), default=0)
        room = max(width - min(widest, _WIDEST_REMARK) - 2, width // 2)
        whose = _own_crate(self.own)
        names = [
            _short(row, whose, room - _indent(at), glyphs.ellipsis) for at, row in enumerate(rows)
        ]
        column = max((cells(name) + _indent(at) for at, name in enumerate(names)), default=0)
        return [
            _line(row, name, at, column, glyphs)
            for at, (row, name) in enumerate(zip(rows, names, strict=True))
        ]

    def _rows(self, number: int, glyphs: Glyphs) -> list[_Row]:
        whole = number >= len(self)
        calls = self.called is not None and number > 1
        own = self.own if whole else self.own[-max(number - calls, 1) :]
        rows = [_own_row(frame, frame is self.own[-1], glyphs) for frame in own]
        if self.called is not None and calls:
            rest = "" if whole or not self.below else f"+ {self.below}"
            rows.append(_Row(_name(self.called), "", rest or frames.location(self.called)))
            rows += [_Row(self.below, "label")] if whole and self.below else []
        return rows


def marked(name: str, inferred: bool) -> str:
    """With a ``~`` before it where it was inferred."""
    return f"~{name}" if inferred else name


def _own_crate(own: Sequence[Frame]) -> str:
    """With its colons, that of all the user's calls; empty = there are several."""
    crates = {frame.function.partition("::")[0] for frame in own if frame.origin is Origin.USER}
    return f"{crates.pop()}::" if len(crates) == 1 else ""


def _short(row: _Row, whose: str, room: int, ellipsis: str) -> str:
    """Of own calls in modules the crate goes without saying; of others it says whose they are."""
    mark = "~" if row.name.startswith("~") else ""
    name = row.name.removeprefix(mark)
    inside = name.removeprefix(whose) if row.style == "own" and whose else name
    name = inside if "::" in inside else name
    return shorten([mark + name], room, ellipsis, keep_crate=True)[0]


def _name(frame: Frame) -> str:
    return marked(clean(frame_name(frame)), frame.inferred)


def _own_row(frame: Frame, blocks: bool, glyphs: Glyphs) -> _Row:
    mine = frame.origin is Origin.USER
    style = "own" if mine else ""
    if blocks:
        said = f"{glyphs.here} {_HERE if mine else 'it blocks here'}"
        return _Row(_name(frame), style, said, "own")
    return _Row(_name(frame), style, frames.location(frame))


def _indent(at: int) -> int:
    """Cells before the name of a row."""
    return 2 * at


def _line(row: _Row, name: str, at: int, column: int, glyphs: Glyphs) -> Line:
    branch = f"{' ' * (_indent(at) - 2)}{glyphs.branch} " if at else ""
    if not row.remark:
        return (Span(branch, "rule"), Span(name, row.style))
    return (
        Span(branch, "rule"),
        Span(pad(name, column - _indent(at)), row.style),
        Span(f"  {row.remark}", row.remark_style),
    )
