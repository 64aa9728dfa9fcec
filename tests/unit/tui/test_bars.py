"""Lengths and heights are those of the figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud.tui.bars import bar, columns, resampled, scale, segments, spark
from hud.tui.glyphs import ASCII, UNICODE, Glyphs
from hud.tui.layout import width_of
from hud.tui.style import Span

fractions = st.floats(0, 1)
amounts = st.lists(st.integers(0, 10**12), max_size=60)
widths = st.integers(1, 40)
sets = st.sampled_from([UNICODE, ASCII])


@pytest.mark.parametrize(
    ("fraction", "drawn", "ascii_only"),
    [
        (0.0, "", ""),
        (0.001, "▏", "#"),
        (0.5, "██", "##"),
        (0.6, "██▍", "##"),
        (0.99, "████", "####"),
        (1.0, "████", "####"),
        (1.7, "████", "####"),
    ],
)
def test_a_bar_is_as_long_as_its_fraction(fraction: float, drawn: str, ascii_only: str) -> None:
    assert bar(fraction, 4, UNICODE) == drawn
    assert bar(fraction, 4, ASCII) == ascii_only


def test_segments_stand_one_after_the_other_and_the_last_has_the_eighths() -> None:
    parts = [(0.5, "cause.cpu"), (0.2, "cause.file"), (0.06, "cause.dns")]
    assert segments(parts, 10, UNICODE) == (
        Span("█████", "cause.cpu"),
        Span("██", "cause.file"),
        Span("▋", "cause.dns"),
    )
    assert segments(parts, 10, ASCII) == (
        Span("#####", "cause.cpu"),
        Span("##", "cause.file"),
        Span("#", "cause.dns"),
    )
    assert segments([(0.01, "cause.cpu"), (0.001, "cause.dns")], 10, UNICODE) == (
        Span("▏", "cause.dns"),
    )
    assert segments([], 10, UNICODE) == ()


@given(st.lists(st.floats(0, 0.3), max_size=4), widths, sets)
def test_segments_are_as_long_as_one_bar_of_their_sum(
    parts: list[float], width: int, glyphs: Glyphs
) -> None:
    drawn = segments([(part, f"s{at}") for at, part in enumerate(parts)], width, glyphs)
    assert "".join(span.text for span in drawn) == bar(sum(parts), width, glyphs)


@given(amounts, widths)
def test_resampling_loses_nothing(values: list[int], width: int) -> None:
    found = resampled(values, width)
    assert len(found) == min(len(values), width)
    assert sum(found) == pytest.approx(sum(values))


def test_a_slice_that_lies_across_two_cells_counts_in_both() -> None:
    assert resampled([6, 6, 6], 2) == pytest.approx([9, 9])
    assert resampled([0, 6, 0], 2) == pytest.approx([3, 3])
    assert resampled([1, 2, 3, 4], 2) == pytest.approx([3, 7])


def test_sparks_show_little_and_nothing_apart() -> None:
    assert spark((0, 1, 50, 100), 10, UNICODE) == " ▁▄█"
    assert spark((0, 1, 50, 100), 10, ASCII) == " .:|"
    assert spark((0, 0), 10, UNICODE) == "  "
    assert spark((), 10, UNICODE) == ""
    assert spark((1, 1, 4, 4), 2, UNICODE) == "▂█"


def test_a_graph_has_the_height_of_its_values_and_their_colours() -> None:
    values = [(0.0, "a"), (1.0, "a"), (2.0, "a"), (4.0, "b")]
    assert columns(values, 2, 4.0, UNICODE) == [
        (Span("   "), Span("█", "b")),
        (Span(" "), Span("▄█", "a"), Span("█", "b")),
    ]
    assert columns(values, 2, 4.0, ASCII) == [
        (Span("   "), Span("|", "b")),
        (Span(" "), Span(":|", "a"), Span("|", "b")),
    ]
    assert columns([], 2, 4.0, UNICODE) == [(), ()]


@given(st.lists(fractions, max_size=50), st.integers(1, 5), sets)
def test_a_graph_fills_its_box(values: list[float], height: int, glyphs: Glyphs) -> None:
    drawn = columns([(value, "cause.cpu") for value in values], height, 1.0, glyphs)
    assert [width_of(line) for line in drawn] == [len(values)] * height


@pytest.mark.parametrize(("largest", "top"), [(0.0, 0.01), (0.13, 0.15), (0.3, 0.3), (0.9, 1.0)])
def test_a_scale_is_a_round_figure_that_holds_the_largest(largest: float, top: float) -> None:
    assert scale(largest) == top
