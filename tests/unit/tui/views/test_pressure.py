"""The pressure: frames at named sizes."""

from __future__ import annotations

from draw import WHICH, GoldenCheck, drawn
from screen_build import RICH, snapshot

from hud.tui.actions import Show
from hud.tui.state import Size

_KNOWN = snapshot(**RICH)


@WHICH
def test_pressure(size: Size, golden: GoldenCheck) -> None:
    golden(f"pressure-{size.width}x{size.height}", drawn(_KNOWN, size, Show("pressure")))
