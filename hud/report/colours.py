"""The colours of the screen, as a style sheet has them: a hue is a cause."""

from __future__ import annotations

from hud.analysis.cause import Cause
from hud.tui.style import HUES, THEMES

_STEPS = (0, 95, 135, 175, 215, 255)
"""Of a channel in the cube of 6 x 6 x 6 colours of a terminal with 256, as xterm has them."""
_BADGES = ("ok", "slow", "blocked", "starved")


def style() -> str:
    """Variables for each cause and each badge, for both themes, and a class for each cause."""
    lines = [f"--{name}: {_both(*colour)};" for name, colour in _named().items()]
    classes = [f".c-{cause.value} {{ --c: var(--{cause.value}, var(--ink)); }}" for cause in Cause]
    return "\n".join([":root {", *lines, "}", *classes])


def _named() -> dict[str, tuple[int, int]]:
    """Numbers of colours on a light and on a dark ground."""
    causes = {
        cause.value: (HUES[cause.hue].light[0], HUES[cause.hue].dark[0])
        for cause in Cause
        if cause.hue
    }
    badges = {
        f"verdict-{name}": (
            THEMES["light"][f"verdict.{name}"].back,
            THEMES["dark"][f"verdict.{name}"].back,
        )
        for name in _BADGES
    }
    return causes | badges


def _both(light: int, dark: int) -> str:
    return f"light-dark({hexadecimal(light)}, {hexadecimal(dark)})"


def hexadecimal(number: int) -> str:
    """``#rrggbb`` of a colour of the cube or of the row of greys: 16 to 255."""
    if number >= 232:
        channels = [8 + 10 * (number - 232)] * 3
    else:
        cube = number - 16
        channels = [_STEPS[cube // 36], _STEPS[cube // 6 % 6], _STEPS[cube % 6]]
    return "#" + "".join(f"{channel:02x}" for channel in channels)
