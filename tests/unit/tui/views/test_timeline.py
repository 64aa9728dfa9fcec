"""The timeline: frames at named sizes, and what is marked in it."""

from __future__ import annotations

from draw import WHICH, GoldenCheck, drawn
from screen_build import RICH, snapshot

from hud.tui.actions import Act, Show
from hud.tui.state import Size

_KNOWN = snapshot(**RICH)


@WHICH
def test_timeline(size: Size, golden: GoldenCheck) -> None:
    lines = drawn(_KNOWN, size, Show("timeline"), Act.DOWN, Act.LEFT)
    golden(f"timeline-{size.width}x{size.height}", lines)


def test_the_selected_blocker_is_marked_in_the_timeline() -> None:
    lines = drawn(_KNOWN, Size(120, 32), Act.DOWN, Show("timeline"))
    marked = {span.text[0] for line in lines for span in line if span.style.startswith("reverse ")}
    assert marked == {"y"}, "those of store::Index::save"
