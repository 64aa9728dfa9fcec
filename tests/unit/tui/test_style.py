"""What a style looks like."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hud.analysis.cause import Cause
from hud.export.blockers import COLOURS
from hud.tui import style as style_module
from hud.tui.layout import selected, width_of
from hud.tui.style import HUES, THEMES, Look, Span, numbers, theme_for

COLOURED = ("dark", "light")
VERDICTS = ("verdict.ok", "verdict.slow", "verdict.blocked", "verdict.starved")


def test_every_style_that_a_view_names_has_a_look() -> None:
    known = THEMES["dark"].keys() & THEMES["light"].keys()
    named = {
        style
        for path in Path(style_module.__file__).parent.rglob("*.py")
        for words in re.findall(
            r'Span\([^()]*(?:\([^()]*\)[^()]*)*, "([a-z. ]+)"\)', path.read_text()
        )
        for style in words.split()
    }
    assert {"label", "own", "wait"} <= named <= known


def test_every_cause_has_a_hue_that_the_screen_knows() -> None:
    assert {cause.hue for cause in Cause if cause is not Cause.UNKNOWN} == HUES.keys()
    assert COLOURS.keys() == HUES.keys() - {"grey"}


def test_the_theme_without_colours_has_none() -> None:
    assert all(numbers(look, 256) == (-1, -1) for look in THEMES["none"].values())


@pytest.mark.parametrize("theme", COLOURED)
def test_a_hue_means_a_cause_and_a_fill_the_verdict(theme: str) -> None:
    hued = {name for name, look in THEMES[theme].items() if 16 < look.colour < 231}
    filled = {name for name, look in THEMES[theme].items() if look.back >= 0}
    assert all(name.startswith("cause.") for name in hued)
    assert filled == {*VERDICTS, "alarm", "selected"}


@pytest.mark.parametrize("theme", COLOURED)
@pytest.mark.parametrize("name", [*VERDICTS, "alarm"])
def test_a_badge_stands_out_with_colours_and_without(theme: str, name: str) -> None:
    for colours in (8, 16, 256):
        ink, ground = numbers(THEMES[theme][name], colours)
        assert ground >= 0
        assert ink != ground
    assert "reverse" in THEMES["none"][name].attributes


@pytest.mark.parametrize("theme", COLOURED)
def test_verdicts_are_told_apart_by_their_ground(theme: str) -> None:
    assert len({numbers(THEMES[theme][name], 256)[1] for name in VERDICTS}) == len(VERDICTS)
    assert len({numbers(THEMES[theme][name], 16)[1] for name in VERDICTS}) == len(VERDICTS)


def test_fewer_colours_have_the_darker_half_but_for_dark_grey() -> None:
    look = Look(203, 9, (), 240, 8)
    assert numbers(look, 256) == (203, 240)
    assert numbers(look, 16) == (9, 8)
    assert numbers(look, 8) == (1, -1)


def test_a_selected_row_has_its_ground_across_the_screen_and_keeps_its_colours() -> None:
    row = selected((Span(" 4.6% "), Span("cpu", "cause.cpu")), 20)
    assert width_of(row) == 20
    assert [span.style for span in row] == ["selected", "selected cause.cpu", "selected"]


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
