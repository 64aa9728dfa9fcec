"""The timeline: frames at named sizes, and what is marked in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from draw import WHICH, GoldenCheck, drawn, text_of
from screen_build import INFO, MS, NOW, QUIET, RICH, S, crowd, episode, snapshot

from hud.analysis.cause import Cause
from hud.tui.actions import Act, Show
from hud.tui.glyphs import ASCII
from hud.tui.state import Size
from hud.tui.times import MARGIN

_KNOWN = snapshot(**RICH)
PAGES = [Size(60, 15), Size(80, 24), Size(120, 36), Size(200, 50)]


@WHICH
def test_timeline(size: Size, golden: GoldenCheck) -> None:
    lines = drawn(_KNOWN, size, Show("timeline"), Act.DOWN, Act.LEFT)
    golden(f"timeline-{size.width}x{size.height}", lines)


@pytest.mark.parametrize("size", PAGES, ids=lambda s: f"{s.width}x{s.height}")
def test_many_workers(size: Size, golden: GoldenCheck) -> None:
    name = f"timeline-64-{size.width}x{size.height}"
    golden(name, drawn(crowd(64), size, Show("timeline"), Act.DOWN))


def test_without_colour_letters_are_everywhere(golden: GoldenCheck) -> None:
    lines = drawn(_KNOWN, Size(120, 36), Show("timeline"), coloured=False, glyphs=ASCII)
    golden("timeline-plain-120x36", lines)


def test_the_selected_blocker_is_marked_in_the_timeline() -> None:
    lines = drawn(_KNOWN, Size(120, 32), Act.DOWN, Show("timeline"))
    marked = {span.style for line in lines for span in line if span.style.startswith("selected ")}
    assert "selected cause.fsync" in marked, "those of store::Index::save"
    lines = drawn(_KNOWN, Size(120, 32), Show("timeline"))
    assert not any(span.style.startswith("selected ") for line in lines for span in line)


@pytest.mark.parametrize("seconds", [1, 8, 134, 4_000])
def test_the_run_fills_the_width(seconds: int) -> None:
    length = seconds * S
    early, late = episode(0, 0, length - MS), episode(1, 0, 100 * MS)
    info = replace(INFO, start_monotonic_ns=NOW - length)
    seen = snapshot(elapsed_ns=length, span_ns=length, timeline=(early, late), info=info)
    row = text_of(drawn(seen, Size(120, 36), Show("timeline")))[5].rstrip()
    assert row[MARGIN] in "▁▂▃▄▅▆▇█"
    assert len(row) > 100


def test_no_time_before_the_start_is_named() -> None:
    axis = text_of(drawn(_KNOWN, Size(120, 36), Show("timeline")))[4]
    assert axis.split()[0] == "00:00"


def test_waiting_for_a_cpu_is_a_pattern() -> None:
    waited = episode(0, 0, 50 * MS, cause=Cause.WAITING, on_cpu_ns=0, waiting_ns=66 * MS)
    lines = drawn(snapshot(timeline=(waited,)), Size(120, 36), Show("timeline"))
    found = [span for line in lines for span in line if "▒" in span.text]
    assert {span.style for span in found} == {"wait"}
    assert "█" not in "".join(text_of(lines))


def test_nothing_found_is_said_in_words() -> None:
    lines = text_of(drawn(snapshot(**QUIET, timeline=()), Size(120, 36), Show("timeline")))
    assert any("No poll of 5 ms or more in 2 min 14 s" in line for line in lines[10:])
