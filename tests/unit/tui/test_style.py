"""What a style looks like."""

from __future__ import annotations

import pytest
from draw import drawn, style_of
from screen_build import (
    snapshot,
)

from hud.analysis.cause import Cause
from hud.export.blockers import COLOURS
from hud.tui.state import Size
from hud.tui.style import HUES, THEMES, theme_for


def test_every_cause_has_a_hue_that_the_screen_knows() -> None:
    assert {cause.hue for cause in Cause if cause is not Cause.UNKNOWN} == HUES.keys()
    assert COLOURS.keys() == HUES.keys() - {"grey"}


def test_colour_means_the_cause_and_nothing_else() -> None:
    for theme in THEMES.values():
        coloured = {name for name, look in theme.items() if look.colour >= 0 or look.basic >= 0}
        assert all(name.startswith("cause.") for name in coloured)
    lines = drawn(snapshot(), Size(120, 32))
    assert style_of(lines, "fsync") == "cause.fsync"
    assert style_of(lines[21:], "api::login::{async fn}") == "user"
    assert style_of(lines, "bcrypt::hash") == "dim"


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({}, ""),
        ({"NO_COLOR": "1"}, "none"),
        ({"NO_COLOR": ""}, ""),
        ({"COLORFGBG": "0;15"}, "light"),
        ({"COLORFGBG": "15;default;0"}, "dark"),
        ({"NO_COLOR": "1", "COLORFGBG": "0;15"}, "none"),
    ],
)
def test_themes(environ: dict[str, str], theme: str) -> None:
    assert theme_for(environ) == theme


@pytest.mark.parametrize(("theme", "paper"), [("light", (255, 255, 255)), ("dark", (30, 30, 30))])
def test_causes_are_readable_on_their_background(theme: str, paper: tuple[int, int, int]) -> None:
    """Contrast of 4.4 to 1 and more; WCAG 2.1 asks for 4.5 where text is small."""
    levels = (0, 95, 135, 175, 215, 255)

    def rgb(number: int) -> tuple[int, int, int]:
        if number >= 232:
            return (8 + 10 * (number - 232),) * 3
        red, green, blue = (number - 16) // 36, (number - 16) // 6 % 6, (number - 16) % 6
        return levels[red], levels[green], levels[blue]

    def light(colour: tuple[int, int, int]) -> float:
        parts = [value / 255 for value in colour]
        red, green, blue = (
            p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05

    for name, look in THEMES[theme].items():
        if name.startswith("cause."):
            pair = sorted((light(rgb(look.colour)), light(paper)))
            assert pair[1] / pair[0] >= 4.4, name
