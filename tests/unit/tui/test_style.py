"""What a style looks like."""

from __future__ import annotations

from hud.analysis.cause import Cause
from hud.export.blockers import COLOURS
from hud.tui.style import HUES


def test_every_cause_has_a_hue_that_the_screen_knows() -> None:
    assert {cause.hue for cause in Cause if cause is not Cause.UNKNOWN} == HUES.keys()
    assert COLOURS.keys() == HUES.keys() - {"grey"}
