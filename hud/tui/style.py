"""What a piece of the screen looks like: spans with style names, and one colour table per theme.

Terms: a *style* is a name or several separated by spaces (``"cause.cpu"``, ``"bold cause.cpu"``,
``""`` = plain); a *look* is what a name means on a terminal. Colour carries one thing only, the
cause; weight, dimness and reversal carry the rest, so that everything reads without colour too.
"""

from __future__ import annotations

from typing import NamedTuple

from hud.analysis.results import Cause


class Span(NamedTuple):
    """Text of one style; printable, without line breaks."""

    text: str
    style: str = ""


Line = tuple[Span, ...]


class Look(NamedTuple):
    """Colour numbers (-1 = the terminal's own) and attributes by their terminfo name."""

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


def _causes(colours: dict[Cause, tuple[int, int]]) -> dict[str, Look]:
    return {cause_style(cause): Look(*pair) for cause, pair in colours.items()}


def cause_style(cause: Cause) -> str:
    """The style name of a cause."""
    return f"cause.{cause.value}"


THEMES: dict[str, dict[str, Look]] = {
    "dark": _PLAIN
    | _causes(
        {
            Cause.CPU: (203, 9),
            Cause.LOCK: (214, 11),
            Cause.SLEEP: (221, 11),
            Cause.FILE: (75, 12),
            Cause.SYNC: (111, 12),
            Cause.NETWORK: (80, 14),
            Cause.DNS: (43, 14),
            Cause.CHILD: (141, 13),
            Cause.PIPE: (183, 13),
            Cause.FAULT: (207, 13),
            Cause.SYSCALL: (150, 10),
            Cause.WAITING: (247, 7),
            Cause.STOPPED: (247, 7),
        }
    ),
    "light": _PLAIN
    | _causes(
        {
            Cause.CPU: (160, 1),
            Cause.LOCK: (130, 3),
            Cause.SLEEP: (58, 3),
            Cause.FILE: (26, 4),
            Cause.SYNC: (61, 4),
            Cause.NETWORK: (23, 6),
            Cause.DNS: (29, 6),
            Cause.CHILD: (91, 5),
            Cause.PIPE: (96, 5),
            Cause.FAULT: (162, 5),
            Cause.SYSCALL: (22, 2),
            Cause.WAITING: (241, 8),
            Cause.STOPPED: (241, 8),
        }
    ),
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
