"""When it blocked: cells and columns add up to what was blocked, and never grow with the run."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hud.analysis.snapshot import Analyzer
from hud.report import times
from hud.report.times import WHOLE

if TYPE_CHECKING:
    from types import ModuleType

S = 1_000_000_000


@pytest.fixture(params=["rich", "demo", "crowd"])
def run(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def lanes(run: Any, snapshot: Any = None) -> dict[str, Any]:
    shown = snapshot or run.snapshot
    return times.lanes(times.drawn(run.analyzer, shown), shown)


def heat(run: Any, snapshot: Any = None) -> dict[str, Any] | None:
    shown = snapshot or run.snapshot
    return times.heat(times.drawn(run.analyzer, shown), shown)


def cells_of(worker: dict[str, Any]) -> list[tuple[int, int, int]]:
    """(slice, part, row), unpacked."""
    numbers, found, at = worker["cells"], [], 0
    for gap, part, row in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
        found.append((at + gap, part, row))
        at += gap + 1
    return found


@pytest.mark.parametrize("name", ["demo", "crowd"])
def test_the_lanes_add_up_to_what_was_blocked(request: pytest.FixtureRequest, name: str) -> None:
    run = request.getfixturevalue(name)
    drawn = lanes(run)
    parts = sum(part for worker in drawn["workers"] for _, part, _ in cells_of(worker))
    assert parts * drawn["slice_ns"] / WHOLE == pytest.approx(run.snapshot.blocked_ns, rel=0.01)
    assert drawn["left"] == ""
    assert len(drawn["workers"]) + drawn["others"] == len(run.snapshot.workers)


def test_a_cell_names_the_row_of_most_of_it(rich: Any, build: ModuleType) -> None:
    drawn = lanes(rich)
    first = next(worker for worker in drawn["workers"] if worker["id"] == 0)
    at, part, row = cells_of(first)[0]
    assert (at * drawn["slice_ns"], part) == (0, WHOLE)
    assert rich.snapshot.blockers[row].function == "api::login::hash_password"


def test_longer_runs_have_longer_cells(rich: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = lanes(rich)
    monkeypatch.setattr(times, "_MOST_CELLS", 500)
    coarse = lanes(rich)
    assert coarse["slice_ns"] > fine["slice_ns"]
    assert sum(len(cells_of(worker)) for worker in coarse["workers"]) <= 500


def test_the_columns_of_the_graph_are_those_of_the_screen(run: Any) -> None:
    drawn, graph = times.graph(run.snapshot), run.snapshot.graph
    assert len(drawn["slices"]) == graph.slices
    for at, parts in enumerate(drawn["slices"]):
        assert sum(part for _, part in parts) == pytest.approx(WHOLE * graph.share(at), abs=3)


def test_the_heat_map_adds_up(rich: Any) -> None:
    drawn = heat(rich)
    assert drawn is not None
    cell_ns = drawn["column_ns"] / drawn["cells"]
    ns = sum(map(sum, drawn["columns"])) / 100 * cell_ns * rich.snapshot.graph.workers
    assert len(drawn["columns"]) == 30
    assert ns == pytest.approx(rich.snapshot.blocked_ns, rel=0.05)


@pytest.mark.parametrize(
    ("seconds", "column_s", "columns"),
    [(600, 1, 600), (601, 10, 61), (3600, 10, 360), (86_400, 600, 144), (60 * 86_400, 86_400, 60)],
)
def test_the_columns_of_the_heat_map_grow_with_the_run(
    rich: Any, seconds: int, column_s: int, columns: int
) -> None:
    longer = replace(rich.snapshot, span_ns=seconds * S)
    drawn = heat(rich, longer)
    assert drawn is not None
    assert (drawn["column_ns"], len(drawn["columns"])) == (column_s * S, columns)


def test_a_run_of_a_few_seconds_has_no_pattern(rich: Any) -> None:
    assert heat(rich, replace(rich.snapshot, span_ns=4 * S)) is None


def test_of_a_window_only_what_lies_in_it_is_drawn(rich: Any) -> None:
    half = replace(rich.snapshot, span_ns=15 * S)
    drawn = lanes(rich, half)
    assert len(cells_of(drawn["workers"][0])) < len(cells_of(lanes(rich)["workers"][0]))
    last = max(at for worker in drawn["workers"] for at, _, _ in cells_of(worker))
    assert last * drawn["slice_ns"] < 15 * S


def test_what_is_no_longer_held_is_not_drawn_as_nothing(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeline begins where episodes are known one by one."""
    monkeypatch.setattr("hud.analysis.snapshot._MAX_HELD", 200)
    analyzer = Analyzer(build.demo_recording())
    snapshot = analyzer.snapshot(build.START_NS + 30 * S, False)
    drawn = times.drawn(analyzer, snapshot)
    assert len(drawn.pieces) == 200 - sum(not one.cause.blames_code for one in analyzer.episodes())
    assert 10 * S < drawn.start_ns < 20 * S
    assert drawn.start_ns + drawn.length_ns == 30 * S
    assert re.match(r"Of 379 long polls the latest 1\d\d are drawn, from 1[\d.]+ s on", drawn.left)
