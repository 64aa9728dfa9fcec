"""What a piece of the screen looks like: spans with style names, and one colour table per theme.

A style is a name or several separated by spaces (``"cause.cpu"``, ``"bold cause.cpu"``, ``""`` =
plain). Colour carries one thing only, the
cause; weight, dimness and reversal carry the rest, so that everything reads without colour too.
"""

from __future__ import annotations

from typing import NamedTuple

from hud.analysis.cause import Cause


class Span(NamedTuple):
    """Text of one style; printable, without line breaks."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


class Look(NamedTuple):
    """What a style's name means on a terminal: colour numbers (-1 = the terminal's own) and
    attributes by their terminfo name.
    """

    colour: int = -1
    """Of a 256-colour terminal."""
    basic: int = -1
    """Of a 16-colour terminal; with 8 colours, its darker half is used."""
    attributes: tuple[str, ...] = ()


_PLAIN: dict[str, Look] = {
    "dim": Look(attributes=("dim",)),
    "bold": Look(attributes=("bold",)),
    "user": Look(attributes=("bold",)),
    "title": Look(attributes=("bold",)),
    "head": Look(attributes=("underline",)),
    "sorted": Look(attributes=("underline", "bold")),
    "reverse": Look(attributes=("reverse",)),
    "tab": Look(attributes=("reverse",)),
    "warn": Look(attributes=("bold", "reverse")),
}


class Hue(NamedTuple):
    """Colour numbers for text on a dark and on a light background."""

    dark: tuple[int, int]
    """Of a 256-colour and of a 16-colour terminal."""
    light: tuple[int, int]


HUES = {
    "red": Hue((203, 9), (160, 1)),
    "orange": Hue((214, 11), (130, 3)),
    "yellow": Hue((221, 11), (58, 3)),
    "blue": Hue((75, 12), (26, 4)),
    "indigo": Hue((111, 12), (61, 4)),
    "cyan": Hue((80, 14), (23, 6)),
    "teal": Hue((43, 14), (29, 6)),
    "violet": Hue((141, 13), (91, 5)),
    "mauve": Hue((183, 13), (96, 5)),
    "pink": Hue((207, 13), (162, 5)),
    "green": Hue((150, 10), (22, 2)),
    "grey": Hue((247, 7), (241, 8)),
}


def cause_style(cause: Cause) -> str:
    """The style name of a cause."""
    return f"cause.{cause.value}"


_HUED = [cause for cause in Cause if cause.hue]
THEMES: dict[str, dict[str, Look]] = {
    "dark": _PLAIN | {cause_style(cause): Look(*HUES[cause.hue].dark) for cause in _HUED},
    "light": _PLAIN | {cause_style(cause): Look(*HUES[cause.hue].light) for cause in _HUED},
    "none": _PLAIN,
}


def theme_for(environ: dict[str, str]) -> str:
    """``none`` where NO_COLOR is set (https://no-color.org), else by COLORFGBG; empty = not known.

    COLORFGBG is ``foreground;background`` as rxvt, Konsole and others set it.
    """
    if environ.get("NO_COLOR"):
        return "none"
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    if not background.isdecimal():
        return ""
    return "light" if background in ("7", "15") else "dark"


def theme_by_background(colour: str) -> str:
    """By ``ffff/ffff/ffff``, as a terminal answers OSC 11: one to four hex digits each."""
    try:
        parts = [int(part, 16) / (16 ** len(part) - 1) for part in colour.split("/")]
    except (ValueError, ZeroDivisionError):
        return "dark"
    if len(parts) != 3:
        return "dark"
    red, green, blue = parts
    # the luma of ITU-R BT.601
    return "light" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "dark"
