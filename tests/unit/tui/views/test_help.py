"""The help: of this run and this view."""

from __future__ import annotations

from draw import GoldenCheck, drawn, text_of
from screen_build import (
    S,
    snapshot,
)

from hud.model import (
    Losses,
)
from hud.tui.actions import Act, Show
from hud.tui.effects import Playback
from hud.tui.glyphs import UNICODE
from hud.tui.state import Size


def test_help(golden: GoldenCheck) -> None:
    golden("help-120x32", drawn(snapshot(losses=Losses(ring_full=7)), Size(120, 32), Act.HELP))


def test_the_help_is_about_this_run_and_this_view() -> None:
    text = text_of(drawn(snapshot(), Size(80, 60), Show("timeline"), Act.HELP))
    assert "previous long poll" in text[1]
    assert not any("(replay)" in line for line in text)
    playback = Playback(42 * S, 134 * S, 4.0, True)
    text = text_of(drawn(snapshot(), Size(80, 60), Act.HELP, playback=playback))
    assert "play or pause" in text[1]
    assert not any(line.split()[:1] in (["t"], ["r"]) for line in text)


def test_no_key_is_cut_short_on_a_page_of_two_columns() -> None:
    lines = text_of(drawn(snapshot(), Size(120, 36), Act.HELP))
    assert any("sort by a column's letter" in line for line in lines)
    assert not any(UNICODE.ellipsis in line for line in lines)
