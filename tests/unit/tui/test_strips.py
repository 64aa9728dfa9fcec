"""Cells as lines."""

from __future__ import annotations

from dataclasses import replace

from screen_build import MS, START, S, episode, snapshot

from hud.analysis.cause import Cause
from hud.analysis.results import Episode
from hud.tui.glyphs import UNICODE
from hud.tui.strips import Strips
from hud.tui.style import Line
from hud.tui.times import Shown

SHOWN = Shown(START, 100 * MS, 20, START, START + 2 * S)


def at(column: int, length_ns: int, **changes: object) -> Episode:
    start = START + column * 100 * MS
    length = {"start_ns": start, "duration_ns": length_ns, "on_cpu_ns": length_ns}
    return replace(episode(0, 0, 0), **{**length, **changes})


def text(line: Line) -> str:
    return "".join(span.text for span in line)


def strips(*episodes: Episode, tall: int = 1, marked: frozenset[int] = frozenset()) -> Strips:
    return Strips(snapshot(timeline=episodes), SHOWN, tall, UNICODE, marked)


def test_height_is_how_much_of_the_cell_was_blocked() -> None:
    found = strips(at(0, 100 * MS), at(2, 50 * MS), at(3, MS)).of(22969)
    assert text(found.heights[0]) == "█ ▄▁"
    assert text(found.letters) == "c cc"
    assert found.heights[0][0].style == "cause.cpu"


def test_two_lines_have_twice_the_steps() -> None:
    found = strips(at(0, 100 * MS), at(1, 60 * MS), at(2, 25 * MS), tall=2).of(22969)
    assert [text(line) for line in found.heights] == ["█▂", "██▄"]


def test_a_wait_for_a_cpu_is_a_pattern_at_the_foot() -> None:
    waited = at(1, 90 * MS, cause=Cause.WAITING, on_cpu_ns=0, waiting_ns=90 * MS)
    found = strips(waited, tall=2).of(22969)
    assert [text(line) for line in found.heights] == ["", " ▒"]
    assert found.heights[1][-1].style == "wait"


def test_all_workers_are_scaled_to_their_highest_cell() -> None:
    found = strips(at(0, 40 * MS), at(1, 20 * MS)).all()
    assert text(found[0]) == "█▄"


def test_the_episodes_of_a_stack_are_marked() -> None:
    found = strips(at(0, 50 * MS, stack=1), at(2, 50 * MS, stack=3), marked=frozenset({3}))
    assert [span.style for span in found.of(22969).heights[0]] == [
        "cause.cpu",
        "",
        "selected cause.cpu",
    ]
