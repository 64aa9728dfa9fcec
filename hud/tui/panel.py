"""Panels: a rule with its title above each, and those side by side with a divider between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.tui.layout import clip, width_of
from hud.tui.style import Line, Span
from hud.tui.text import cells, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.tui.glyphs import Glyphs

BESIDE_FROM = 110
"""Columns of a terminal from which on there are panels side by side."""
_LEFT_PART = 0.57
"""Of the width, for the larger one of two."""
OPENS, CLOSES, CROSSES, _RIGHT, _LEFT = range(5)
"""What becomes of the divider at a rule, as in ``Glyphs.joints``: it begins there, it ends, it
goes on."""


def left_of(width: int) -> int:
    """Cells of the left one of two panels; the divider takes one of the others."""
    return round(width * _LEFT_PART)


def rule(
    parts: Sequence[tuple[str, int]], glyphs: Glyphs, joint: int = OPENS, style: str = "title"
) -> Line:
    """``── title ──┬── title ──``: (title, width in cells) of panels side by side; clean text. An
    empty title leaves the line alone. A joint takes one cell more.
    """
    spans: list[Span] = []
    for title, width in parts:
        if spans:
            spans.append(Span(glyphs.joints[joint], "rule"))
        spans += _titled(title, width, glyphs, style)
    return tuple(spans)


def _titled(title: str, width: int, glyphs: Glyphs, style: str) -> list[Span]:
    name = cut(title, width - 5, glyphs.ellipsis)
    if not name:
        return [Span(glyphs.rule * max(width, 0), "rule")]
    rest = width - cells(name) - 4
    return [
        Span(f"{glyphs.rule * 2} ", "rule"),
        Span(name, style),
        Span(f" {glyphs.rule * rest}", "rule"),
    ]


def beside(
    left: Sequence[Line], right: Sequence[Line], left_width: int, glyphs: Glyphs
) -> list[Line]:
    """Two panels side by side, the divider after ``left_width`` cells; the shorter one is filled up
    with blanks. A rule inside one of them meets the divider.
    """
    height = max(len(left), len(right))
    return [
        _joined(
            left[at] if at < len(left) else (),
            right[at] if at < len(right) else (),
            left_width,
            glyphs,
        )
        for at in range(height)
    ]


def _joined(left: Line, right: Line, left_width: int, glyphs: Glyphs) -> Line:
    fitted = clip(left, left_width, glyphs.ellipsis)
    spare = left_width - width_of(fitted)
    blanks = (Span(" " * spare),) if spare else ()
    return (*fitted, *blanks, Span(_divider(left, right, glyphs), "rule"), *right)


def _divider(left: Line, right: Line, glyphs: Glyphs) -> str:
    met = bool(left) and left[-1].style == "rule", bool(right) and right[0].style == "rule"
    joints = {(True, True): CROSSES, (False, True): _RIGHT, (True, False): _LEFT}
    return glyphs.joints[joints[met]] if met in joints else glyphs.divider
