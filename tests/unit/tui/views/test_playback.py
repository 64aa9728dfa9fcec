"""The bar of a replay."""

from __future__ import annotations

from draw import GoldenCheck, drawn, text_of
from screen_build import (
    RICH,
    S,
    snapshot,
)

from hud.tui.effects import Playback
from hud.tui.glyphs import ASCII
from hud.tui.state import Size

_KNOWN = snapshot(**RICH)


def test_a_replay_has_a_bar(golden: GoldenCheck) -> None:
    playback = Playback(42 * S, 134 * S, 4.0, True)
    golden("replay-80x24", drawn(_KNOWN, Size(80, 24), playback=playback))
    ascii_only = drawn(_KNOWN, Size(100, 24), playback=playback, glyphs=ASCII)
    assert text_of(ascii_only)[-2].startswith(" play  00:00:42  ==")
    assert all(line.isascii() for line in text_of(ascii_only))
