"""The characters the screen is drawn with: those of Unicode terminals, and ASCII for all others.

Each takes one cell, but for the names of keys and ``ellipsis``, ``at_least`` in ASCII.
"""

from __future__ import annotations

from typing import NamedTuple


class Glyphs(NamedTuple):
    """One set of them."""

    unicode: bool
    ellipsis: str
    levels: str
    """Heights of a cell from nothing at all to full."""
    lengths: str
    """Parts of a cell from the left, up to full."""
    rule: str
    divider: str
    joints: str
    """Where a divider meets a rule: ``┬┴┼├┤``."""
    pattern: str
    """Time without a CPU."""
    cursor: str
    """Before the selected row."""
    here: str
    """Behind the frame that is to blame."""
    line: str
    """Before the line of code that is."""
    peak: str
    dot: str
    """Between two facts."""
    branch: str
    times: str
    """It clears a filter."""
    at_least: str
    up_down: str
    left_right: str
    enter: str


UNICODE = Glyphs(
    unicode=True,
    ellipsis="…",
    levels=" ▁▂▃▄▅▆▇█",
    lengths="▏▎▍▌▋▊▉█",
    rule="─",
    divider="│",
    joints="┬┴┼├┤",
    pattern="▒",
    cursor="▌",
    here="◀",
    line="▶",
    peak="▲",
    dot="·",
    branch="└",
    times="✕",
    at_least="≥",
    up_down="↑↓",
    left_right="←→",
    enter="⏎",
)
ASCII = Glyphs(
    unicode=False,
    ellipsis="..",
    levels=" .:|",
    lengths="#",
    rule="-",
    divider="|",
    joints="+++++",
    pattern="/",
    cursor=">",
    here="<",
    line=">",
    peak="^",
    dot="-",
    branch="`",
    times="x",
    at_least=">=",
    up_down="up/down",
    left_right="left/right",
    enter="enter",
)
