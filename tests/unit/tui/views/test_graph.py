"""The graph of the overview: its figures are those of the other pages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from draw import text_of
from screen_build import MS, NOW, RICH, S, service, snapshot

from hud import figures
from hud.analysis.cause import Cause
from hud.analysis.results import NO_GRAPH, Graph
from hud.tui.glyphs import ASCII, UNICODE, Glyphs
from hud.tui.layout import width_of
from hud.tui.style import Span
from hud.tui.views import graph

FOUR = service(3, 4)


def test_a_column_is_as_high_as_its_share_and_has_the_colour_of_most_of_it() -> None:
    causes = ((Cause.CPU, (40 * MS, 0, 20 * MS)), (Cause.LOCK, (0, 0, 60 * MS)))
    seen = replace(FOUR, graph=Graph(NOW - 150 * MS, 50 * MS, 3, causes, NOW, 4.0))
    lines = graph.view(seen, 60, 5, UNICODE)
    assert text_of(lines)[:2] == [" 40%   █", "  0% █ █"]
    assert lines[0][-1] == Span("█", "cause.lock")
    assert lines[1][1].style == "cause.cpu"
    assert text_of(lines)[2] == "     150 ms ago"


def test_slices_that_share_a_cell_are_averaged() -> None:
    causes = ((Cause.CPU, tuple((at % 2) * 200 * MS for at in range(200))),)
    seen = replace(FOUR, graph=Graph(NOW - 10 * S, 50 * MS, 200, causes, NOW, 4.0))
    (line,) = graph.line(seen, 60, 1, UNICODE)
    scale, columns = "".join(span.text for span in line).split()
    assert (scale, len(columns), set(columns)) == ("0-60%", 51, {"▇"})


def test_the_last_slice_counts_for_as_long_as_it_is() -> None:
    causes = ((Cause.CPU, (50 * MS, 10 * MS)),)
    seen = replace(FOUR, graph=Graph(NOW - 60 * MS, 50 * MS, 2, causes, NOW, 1.0))
    (line,) = graph.line(seen, 60, 1, UNICODE)
    assert "".join(span.text for span in line).split() == ["0-100%", "██"]


def test_without_a_graph_there_are_still_axes() -> None:
    lines = text_of(graph.view(replace(FOUR, graph=NO_GRAPH), 60, 6, UNICODE))
    assert len(lines) == 6
    assert lines[0].startswith("  1%")


def test_the_parts_of_the_time_are_those_of_the_verdict_and_make_up_all_of_it() -> None:
    line = text_of(graph.view(FOUR, 110, 6, UNICODE))[4]
    whole = FOUR.worker_time_ns
    assert f"█ blocked {figures.percent(FOUR.blocked_ns / whole)} " in line
    assert f"▒ no CPU {figures.percent(FOUR.waiting_ns / whole)} " in line
    said = [float(word) for word in line.replace("%", "").split() if word[0].isdigit()]
    assert sum(said) == pytest.approx(100, abs=1.5)


@pytest.mark.parametrize("width", range(30, 120, 7))
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_it_keeps_to_its_width(width: int, glyphs: Glyphs) -> None:
    for seen in (FOUR, service(40, 64), snapshot(**RICH)):
        for line in graph.view(seen, width, 6, glyphs)[:-1]:
            assert width_of(line) <= width
