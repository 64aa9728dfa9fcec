"""A terminal that is too small."""

from __future__ import annotations

import pytest
from draw import drawn, text_of
from screen_build import (
    snapshot,
)

from hud.tui.state import Size


@pytest.mark.parametrize("size", [Size(20, 9), Size(59, 15), Size(60, 14), Size(300, 1)])
def test_below_the_minimum_it_says_so(size: Size) -> None:
    text = " ".join(text_of(drawn(snapshot(), size)))
    assert text.startswith("hud needs 60 x 15"[: size.width])
