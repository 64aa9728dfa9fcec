"""The drill-down: frames at named sizes, and what it says."""

from __future__ import annotations

from draw import SIZES, WHICH, GoldenCheck, drawn, text_of
from screen_build import RICH, snapshot

from hud.tui.actions import Act
from hud.tui.state import Size

_KNOWN = snapshot(**RICH)


@WHICH
def test_stacks(size: Size, golden: GoldenCheck) -> None:
    golden(f"stacks-{size.width}x{size.height}", drawn(snapshot(), size, Act.OPEN))


def test_the_last_line_can_be_scrolled_to() -> None:
    for size in SIZES[:4]:
        lines = text_of(drawn(snapshot(), size, Act.OPEN, Act.END))
        body = [line for line in lines[:-1] if line.strip()]
        assert body[-1].split() == ["0", "s", "2", "min", "14", "s"], size


def test_unfolded_stacks(golden: GoldenCheck) -> None:
    golden("stacks-unfolded-80x24", drawn(snapshot(), Size(80, 24), Act.OPEN, Act.UNFOLD))


def test_a_blocker_with_everything_known(golden: GoldenCheck) -> None:
    golden("stacks-rich-100x60", drawn(_KNOWN, Size(100, 60), Act.OPEN, Act.CODE, Act.HOME))
    holders = drawn(_KNOWN, Size(120, 50), Act.DOWN, Act.DOWN, Act.OPEN)
    golden("stacks-holders-120x50", holders)
    golden("blockers-rich-120x40", drawn(_KNOWN, Size(120, 40)))
