"""Panels side by side: rules, dividers, and where they meet."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from hud.tui.glyphs import ASCII, UNICODE
from hud.tui.layout import width_of
from hud.tui.panel import CLOSES, CROSSES, OPENS, beside, rule
from hud.tui.style import Line, Span


def text(line: Sequence[Span]) -> str:
    return "".join(span.text for span in line)


def test_a_rule_carries_the_titles_of_the_panels_below_it() -> None:
    assert text(rule([("blocked", 16), ("workers", 14)], UNICODE)) == (
        "── blocked ─────┬── workers ───"
    )
    assert text(rule([("blockers", 16), ("", 4)], UNICODE, CLOSES)) == "── blockers ────┴────"
    assert text(rule([("one", 9), ("two", 9)], ASCII, CROSSES)) == "-- one --+-- two --"


def test_a_title_without_room_is_cut_and_the_line_stays_whole() -> None:
    assert text(rule([("a long title", 10)], UNICODE)) == "── a lo… ─"
    assert text(rule([("a long title", 4)], UNICODE)) == "────"


@given(st.text("abc ", max_size=12), st.integers(0, 30), st.sampled_from([OPENS, CLOSES]))
def test_a_rule_is_as_wide_as_its_panels(title: str, width: int, joint: int) -> None:
    assert width_of(rule([(title, width), (title, 7)], UNICODE, joint)) == width + 8


def test_the_shorter_panel_is_filled_up() -> None:
    left: list[Line] = [(Span("cpu", "cause.cpu"),)]
    right: list[Line] = [(Span("one"),), (Span("two"),)]
    assert [text(line) for line in beside(left, right, 5, UNICODE)] == ["cpu  │one", "     │two"]
    assert [text(line) for line in beside(right, left, 2, ASCII)] == ["..|cpu", "..|"]


def test_a_rule_inside_a_panel_meets_the_divider() -> None:
    across = rule([("", 4)], UNICODE)
    left: list[Line] = [(), across, across, ()]
    right: list[Line] = [across, (), across, ()]
    assert [text(line)[4] for line in beside(left, right, 4, UNICODE)] == ["├", "┤", "┼", "│"]
