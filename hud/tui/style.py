"""What a piece of the screen looks like: spans with style names, and one colour table per theme.

A style is a name or several separated by spaces (``"cause.cpu"``, ``"selected cause.cpu"``, ``""``
= plain). One meaning each: a hue is a cause, a grey is a label or a line, a filled ground is the
verdict or the selected row. Everything reads without colour too.
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
    back: int = -1
    """The ground, of a 256-colour terminal."""
    basic_back: int = -1
    """Of one with fewer."""


_BOLD = Look(attributes=("bold",))
_REVERSE = Look(attributes=("reverse",))
_ALARM = Look(attributes=("bold", "reverse"))
_PLAIN: dict[str, Look] = {
    "bold": _BOLD,
    "reverse": _REVERSE,
    "own": _BOLD,
    "title": _BOLD,
    "selected": _BOLD,
    "tab": _REVERSE,
    "head": Look(attributes=("underline",)),
    "sorted": Look(attributes=("underline", "bold")),
    "verdict.ok": _REVERSE,
    "verdict.slow": _REVERSE,
    "verdict.blocked": _REVERSE,
    "verdict.starved": _REVERSE,
    "alarm": _ALARM,
}
"""Without colours. ``own`` is the target's code; ``selected`` goes with the other styles of a row;
``reverse`` is what a search has found, and a screen that stands still.
"""
_DARK = {
    "label": Look(245, 7),
    "rule": Look(240, 8),
    "title": Look(252, -1, ("bold",)),
    "head": Look(245, 7),
    "sorted": Look(252, -1, ("underline", "bold")),
    "selected": Look(attributes=("bold",), back=237),
    "wait": Look(247, 7),
    "verdict.ok": Look(16, 0, (), 71, 10),
    "verdict.slow": Look(16, 0, (), 214, 11),
    "verdict.blocked": Look(16, 0, (), 203, 9),
    "verdict.starved": Look(16, 0, (), 247, 7),
    "alarm": Look(231, 15, ("bold",), 160, 1),
}
_LIGHT = {
    "label": Look(243, 8),
    "rule": Look(250, 7),
    "title": Look(238, -1, ("bold",)),
    "head": Look(243, 8),
    "sorted": Look(238, -1, ("underline", "bold")),
    "selected": Look(attributes=("bold",), back=254),
    "wait": Look(241, 8),
    "verdict.ok": Look(231, 15, (), 28, 2),
    "verdict.slow": Look(231, 15, (), 130, 3),
    "verdict.blocked": Look(231, 15, (), 160, 1),
    "verdict.starved": Look(231, 15, (), 241, 0),
    "alarm": Look(231, 15, ("bold",), 160, 1),
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
    "dark": _PLAIN | _DARK | {cause_style(cause): Look(*HUES[cause.hue].dark) for cause in _HUED},
    "light": _PLAIN
    | _LIGHT
    | {cause_style(cause): Look(*HUES[cause.hue].light) for cause in _HUED},
    "none": _PLAIN,
}


FEWEST_COLOURS = 8
"""With fewer a terminal has the theme without colours."""
_DARK_GREY = 8


def numbers(look: Look, colours: int) -> tuple[int, int]:
    """The colours of ink and ground on a terminal that has so many; -1 = its own."""
    if colours >= 256:
        return look.colour, look.back
    return _basic(look.basic, colours), _basic(look.basic_back, colours)


def _basic(number: int, colours: int) -> int:
    if colours >= 16 or number < 0:
        return number
    # The darker half of dark grey is black, which a dark terminal does not show.
    return -1 if number == _DARK_GREY else number % 8


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
