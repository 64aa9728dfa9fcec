"""When it blocked: cells and columns add up to what was blocked, and never grow with the run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hud.report import times
from hud.report.times import WHOLE

if TYPE_CHECKING:
    from types import ModuleType

S = 1_000_000_000


@pytest.fixture(params=["rich", "demo", "crowd"])
def run(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


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
    drawn = times.lanes(run.analyzer, run.snapshot)
    parts = sum(part for worker in drawn["workers"] for _, part, _ in cells_of(worker))
    assert parts * drawn["slice_ns"] / WHOLE == pytest.approx(run.snapshot.blocked_ns, rel=0.01)
    assert drawn["drawn"] == drawn["episodes"] == run.snapshot.episodes
    assert len(drawn["workers"]) + drawn["others"] == len(run.snapshot.workers)


def test_a_cell_names_the_row_of_most_of_it(rich: Any, build: ModuleType) -> None:
    drawn = times.lanes(rich.analyzer, rich.snapshot)
    first = next(worker for worker in drawn["workers"] if worker["id"] == 0)
    at, part, row = cells_of(first)[0]
    assert (at * drawn["slice_ns"], part) == (0, WHOLE)
    assert rich.snapshot.blockers[row].function == "api::login::hash_password"


def test_longer_runs_have_longer_cells(rich: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = times.lanes(rich.analyzer, rich.snapshot)
    monkeypatch.setattr(times, "_MOST_CELLS", 500)
    coarse = times.lanes(rich.analyzer, rich.snapshot)
    assert coarse["slice_ns"] > fine["slice_ns"]
    assert sum(len(cells_of(worker)) for worker in coarse["workers"]) <= 500


def test_the_columns_of_the_graph_are_those_of_the_screen(run: Any) -> None:
    drawn, graph = times.graph(run.snapshot), run.snapshot.graph
    assert len(drawn["slices"]) == len(graph.causes)
    for at, parts in enumerate(drawn["slices"]):
        assert sum(part for _, part in parts) == pytest.approx(WHOLE * graph.share(at), abs=3)


def test_the_heat_map_adds_up(rich: Any) -> None:
    drawn = times.heat(rich.analyzer, rich.snapshot)
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
    drawn = times.heat(rich.analyzer, longer)
    assert drawn is not None
    assert (drawn["column_ns"], len(drawn["columns"])) == (column_s * S, columns)


def test_a_run_of_a_few_seconds_has_no_pattern(rich: Any) -> None:
    assert times.heat(rich.analyzer, replace(rich.snapshot, span_ns=4 * S)) is None


def test_of_a_window_only_what_lies_in_it_is_drawn(rich: Any) -> None:
    half = replace(rich.snapshot, span_ns=15 * S)
    drawn = times.lanes(rich.analyzer, half)
    assert 0 < drawn["drawn"] < rich.snapshot.episodes
    last = max(at for worker in drawn["workers"] for at, _, _ in cells_of(worker))
    assert last * drawn["slice_ns"] < 15 * S
