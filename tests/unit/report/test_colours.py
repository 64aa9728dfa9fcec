"""The colours of a terminal as a style sheet has them."""

from __future__ import annotations

import re

import pytest

from hud.analysis.cause import Cause
from hud.report import colours


@pytest.mark.parametrize(
    ("number", "wanted"),
    [(16, "#000000"), (203, "#ff5f5f"), (160, "#d70000"), (231, "#ffffff"), (247, "#9e9e9e")],
)
def test_a_colour_is_what_xterm_shows(number: int, wanted: str) -> None:
    assert colours.hexadecimal(number) == wanted


def test_each_cause_has_its_hue_and_its_class() -> None:
    text = colours.style()
    for cause in Cause:
        assert f".c-{cause.value} {{ --c: var(--{cause.value}, var(--ink)); }}" in text
    named = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", text))
    assert named["cpu"] == "#d70000, #ff5f5f"
    assert named.keys() >= {cause.value for cause in Cause if cause.hue}
