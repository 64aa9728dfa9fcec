"""The upper part of the overview: its figures are those of the other pages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from draw import text_of
from screen_build import MS, NOW, RICH, S, service, snapshot

from hud import figures
from hud.analysis.cause import Cause
from hud.analysis.results import NO_GRAPH, Graph
from hud.tui.glyphs import ASCII, UNICODE
from hud.tui.layout import width_of
from hud.tui.style import Span
from hud.tui.views import band

FOUR = service(3, 4)


@pytest.mark.parametrize(("largest", "top"), [(0.0, 0.01), (0.13, 0.15), (0.3, 0.3), (0.9, 1.0)])
def test_a_scale_is_a_round_figure_that_holds_the_largest(largest: float, top: float) -> None:
    assert band.scale(largest) == top


def test_a_column_is_as_high_as_its_share_and_has_the_colour_of_most_of_it() -> None:
    slices = (
        ((Cause.CPU, 40 * MS),),
        (),
        ((Cause.LOCK, 60 * MS), (Cause.CPU, 20 * MS)),
    )
    seen = replace(FOUR, graph=Graph(NOW - 150 * MS, 50 * MS, slices, NOW, 4.0))
    lines = band.graph(seen, 60, 5, UNICODE)
    assert text_of(lines)[:2] == [" 40%   █", "  0% █ █"]
    assert lines[0][-1] == Span("█", "cause.lock")
    assert lines[1][1].style == "cause.cpu"
    assert text_of(lines)[2] == "     150 ms ago"


def test_slices_that_share_a_cell_are_averaged() -> None:
    slices = tuple(((Cause.CPU, (at % 2) * 200 * MS),) for at in range(200))
    seen = replace(FOUR, graph=Graph(NOW - 10 * S, 50 * MS, slices, NOW, 4.0))
    (line,) = band.graph_line(seen, 60, 1, UNICODE)
    scale, columns = "".join(span.text for span in line).split()
    assert (scale, len(columns), set(columns)) == ("0-60%", 51, {"▇"})


def test_the_last_slice_counts_for_as_long_as_it_is() -> None:
    slices = (((Cause.CPU, 50 * MS),), ((Cause.CPU, 10 * MS),))
    seen = replace(FOUR, graph=Graph(NOW - 60 * MS, 50 * MS, slices, NOW, 1.0))
    (line,) = band.graph_line(seen, 60, 1, UNICODE)
    assert "".join(span.text for span in line).split() == ["0-100%", "██"]


def test_without_a_graph_there_are_still_axes() -> None:
    lines = text_of(band.graph(replace(FOUR, graph=NO_GRAPH), 60, 6, UNICODE))
    assert len(lines) == 6
    assert lines[0].startswith("  1%")


def test_the_parts_of_the_time_are_those_of_the_verdict_and_make_up_all_of_it() -> None:
    line = text_of(band.graph(FOUR, 110, 6, UNICODE))[4]
    whole = FOUR.worker_time_ns
    assert f"█ blocked {figures.percent(FOUR.blocked_ns / whole)} " in line
    assert f"▒ no CPU {figures.percent(FOUR.waiting_ns / whole)} " in line
    said = [float(word) for word in line.replace("%", "").split() if word[0].isdigit()]
    assert sum(said) == pytest.approx(100, abs=1.5)


@pytest.mark.parametrize("width", range(30, 120, 7))
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_it_keeps_to_its_width(width: int, glyphs: object) -> None:
    assert isinstance(glyphs, type(UNICODE))
    for seen in (FOUR, service(40, 64), snapshot(**RICH)):
        for line in band.graph(seen, width, 6, glyphs)[:-1]:
            assert width_of(line) <= width
        for line in band.workers(seen, width, 6, glyphs)[1:]:
            assert width_of(line) <= width


def test_workers_have_their_share_a_meter_by_cause_and_what_they_do() -> None:
    lines = band.workers(FOUR, 60, 6, UNICODE)
    text = text_of(lines)
    assert "0-15%" in text[0]
    assert text[2].split()[:3] == ["W1", "13", "%"]
    assert "hash_password 17ms" in text[2]
    assert {"cause.cpu", "cause.lock", "wait"} <= {span.style for span in lines[2]}
    assert text[1].rstrip().endswith("parked")


def test_of_many_workers_the_most_blocked_are_shown_and_the_others_counted() -> None:
    text = text_of(band.workers(service(3, 64), 60, 6, UNICODE))
    assert [line.split()[0] for line in text[1:5]] == ["W0", "W1", "W2", "W3"]
    assert text[5].startswith(" 60 more, at most 31 %")
    line = "".join(span.text for span in band.worker_line(service(3, 64), 80, UNICODE))
    assert line.split()[0] == "W0"
    assert width_of(band.worker_line(service(3, 64), 80, UNICODE)) == 80


def test_with_room_each_fact_has_a_line() -> None:
    text = text_of(band.workers(replace(FOUR, tasks_read=RICH["tasks_read"]), 60, 12, UNICODE))
    assert [line.strip() for line in text[5:]] == [
        "longest poll 310 ms",
        "10 tasks ready",
        "3 of 9 blocking threads busy",
    ]
