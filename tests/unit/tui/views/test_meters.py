"""The workers of the overview."""

from __future__ import annotations

from dataclasses import replace

import pytest
from draw import text_of
from screen_build import RICH, service, snapshot

from hud.tui.glyphs import ASCII, UNICODE, Glyphs
from hud.tui.layout import width_of
from hud.tui.views import meters

FOUR = service(3, 4)


@pytest.mark.parametrize("width", range(30, 120, 7))
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_it_keeps_to_its_width(width: int, glyphs: Glyphs) -> None:
    for seen in (FOUR, service(40, 64), snapshot(**RICH)):
        for line in meters.view(seen, width, 6, glyphs)[1:]:
            assert width_of(line) <= width


def test_workers_have_their_share_a_meter_by_cause_and_what_they_do() -> None:
    lines = meters.view(FOUR, 60, 6, UNICODE)
    text = text_of(lines)
    assert "0-15%" in text[0]
    assert text[2].split()[:3] == ["W1", "13", "%"]
    assert "hash_password 17ms" in text[2]
    assert {"cause.cpu", "cause.lock", "wait"} <= {span.style for span in lines[2]}
    assert text[1].rstrip().endswith("parked")


def test_of_many_workers_the_most_blocked_are_shown_and_the_others_counted() -> None:
    text = text_of(meters.view(service(3, 64), 60, 6, UNICODE))
    assert [line.split()[0] for line in text[1:5]] == ["W0", "W1", "W2", "W3"]
    assert text[5].startswith(" 60 more, at most 31 %")
    line = "".join(span.text for span in meters.line(service(3, 64), 80, UNICODE))
    assert line.split()[0] == "W0"
    assert width_of(meters.line(service(3, 64), 80, UNICODE)) == 80


def test_with_room_each_fact_has_a_line() -> None:
    text = text_of(meters.view(replace(FOUR, tasks_read=RICH["tasks_read"]), 60, 12, UNICODE))
    assert [line.strip() for line in text[5:]] == [
        "longest poll 310 ms",
        "10 tasks ready",
        "3 of 9 blocking threads busy",
    ]
