"""One type of task."""

from __future__ import annotations

from dataclasses import replace

from draw import text_of
from screen_build import RICH, TASKS, S, snapshot, task

from hud.analysis.results import TaskUse
from hud.tui.state import UiState
from hud.tui.views import tasktype

KNOWN = snapshot(**RICH)


def pane(use: TaskUse, width: int = 120, height: int = 20) -> list[str]:
    return text_of(tasktype.pane(use, KNOWN, UiState(), width, height))


def test_where_it_blocked_is_said_in_time_not_in_percent() -> None:
    line = next(line for line in pane(TASKS[0]) if line.startswith(" blocked in"))
    assert line.split()[2:5:2] == ["13.0s", "cpu"]
    assert "%" not in line


def test_all_its_polls_have_a_row_for_each_factor_of_four() -> None:
    lines = [line.partition("│")[2].split() for line in pane(TASKS[0])[1:8]]
    assert [(row[0], row[-1]) for row in lines if len(row) > 2] == [
        ("16us-66us", "9,000"),
        ("1.0ms-4.2ms", "90"),
        ("67ms-268ms", "9"),
    ]


def test_without_exact_mode_its_latest_long_polls_stand_there() -> None:
    mine = tuple(replace(one, vtable=7) for one in KNOWN.timeline[:4])
    seen = replace(KNOWN, timeline=(*mine, *KNOWN.timeline[4:]))
    lines = text_of(tasktype.pane(task(7, "a", S, polls=False), seen, UiState(), 120, 20))
    assert "its latest long polls" in lines[0]
    assert sum(bool(line[73:].strip()) for line in lines[1:]) == 4


def test_what_nothing_can_wake_is_said() -> None:
    assert any("2 that nothing can wake any more" in line for line in pane(TASKS[2]))
    assert not any("nothing can wake" in line for line in pane(TASKS[0]))


def test_decades_hold_every_poll() -> None:
    buckets = tuple(range(160))
    assert sum(tasktype.decades(buckets)) == sum(buckets)
