"""One recording, and its figures in the summary, on the screen and in the trace: they agree."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from hud import figures
from hud.analysis.results import Snapshot
from hud.export import summary, trace
from hud.record.reader import Reader
from hud.record.replay import Replay
from hud.tui.frame import compose
from hud.tui.settle import settle
from hud.tui.state import Size, UiState

RECORDING = Path(__file__).resolve().parents[1] / "data" / "demo.hud"
WIDE = Size(200, 50)
S = 1_000_000_000


@pytest.fixture(scope="module")
def told() -> tuple[Snapshot, dict[str, Any]]:
    """At the end of a run of the demo beside a build, and its trace."""
    run = Replay(Reader(BytesIO(RECORDING.read_bytes())).entries())
    run.advance()
    snapshot, out = run.snapshot(), BytesIO()
    trace.write(run.analyzer, snapshot, out)
    return snapshot, json.loads(out.getvalue())


def _screen(snapshot: Snapshot, view: str = "blockers") -> list[str]:
    state = settle(UiState(view=view), snapshot)
    return ["".join(span.text for span in line) for line in compose(snapshot, state, WIDE)]


def test_the_verdict_is_the_same_everywhere(told: tuple[Snapshot, dict[str, Any]]) -> None:
    snapshot, exported = told
    first = exported["otherData"]["verdict"][0]
    assert f"\n  {first}\n" in summary.text(snapshot)
    assert _screen(snapshot)[1].startswith(f"  BLOCKED  {first}")
    share = re.match(r"(.+ %) of worker time was blocked", first)
    assert share
    (runtime,) = exported["otherData"]["runtimes"]
    assert figures.percent(runtime["blocked_share"]) == share[1]
    assert runtime["blocked_ns"] == exported["otherData"]["blocked_ns"]
    assert runtime["worker_time_ns"] == exported["otherData"]["worker_time_ns"]
    rows = sum(row.share for row in snapshot.blockers)
    assert figures.percent(rows) == share[1], "the table adds up to it"


def test_a_blocker_has_the_same_figures_everywhere(
    told: tuple[Snapshot, dict[str, Any]],
) -> None:
    snapshot, exported = told
    begins = [event for event in exported["traceEvents"] if event["ph"] == "B"]
    text, screen = summary.text(snapshot), _screen(snapshot)
    assert len({row.function for row in snapshot.blockers}) == len(snapshot.blockers) > 5
    for row in snapshot.blockers:
        mine = [event["args"] for event in begins if event["name"] == row.function]
        assert len(mine) == row.count
        assert sum(args["own_us"] for args in mine) == pytest.approx(row.total_ns / 1e3)
        assert max(args["own_us"] for args in mine) == pytest.approx(row.max_ns / 1e3)
        assert sum(args["waiting_us"] for args in mine) == pytest.approx(row.waiting_ns / 1e3)
        assert sum("in_progress" in args for args in mine) == row.lasting
        shown = {
            figures.share(row.share),
            figures.duration(row.total_ns),
            figures.duration(row.max_ns),
            figures.duration(row.waiting_ns),
            figures.count(row.count),
        }
        line = next(one for one in text.splitlines() if row.function in one and row.cause in one)
        assert shown <= set(line.split()), line
        short = row.function.removeprefix("demo_server::")
        line = next(one for one in screen if short in one and row.cause in one)
        waiting = figures.share(row.share * row.waiting_ns / row.total_ns)
        listed = shown - {figures.duration(row.waiting_ns)} | {waiting}
        assert listed <= set(line.split()), line


def test_workers_and_pressure_agree(told: tuple[Snapshot, dict[str, Any]]) -> None:
    snapshot, exported = told
    other = exported["otherData"]
    (runtime,) = other["runtimes"]
    title, head = summary.text(snapshot).splitlines()[0], _screen(snapshot)[0]
    for line in (title, head):
        assert f" {runtime['workers']} workers " in line
    waiting = figures.percent(other["waiting_ns"] / other["worker_time_ns"])
    assert f"{waiting} of worker time ready but without a CPU" in summary.text(snapshot)
    said = f"Workers were ready to run but had no CPU for {waiting} of their time"
    assert any(said in line for line in _screen(snapshot, "pressure"))
    assert sum(one["blocked_ns"] for one in other["workers"]) == other["blocked_ns"]
    assert sum(one["worker_time_ns"] for one in other["workers"]) == other["worker_time_ns"]


def test_a_long_run_has_one_form_of_each_figure(told: tuple[Snapshot, dict[str, Any]]) -> None:
    """Minutes, hours and thousands, where two writers would differ most."""
    snapshot, _ = told
    worst = replace(
        snapshot.blockers[0],
        count=12_204,
        total_ns=1_000 * S,
        max_ns=134 * S,
        p99_ns=99_960_000_000,
        waiting_ns=7_500 * S,
    )
    info = replace(snapshot.info, threshold_ns=12_500_000)
    long = replace(snapshot, info=info, blockers=[worst], elapsed_ns=10_921 * S)
    text, screen = summary.text(long), _screen(long)
    line = next(one for one in text.splitlines() if worst.function in one and "12k" in one)
    assert {"12k", "16.7m", "2m14s", "1m40s", "2h05m"} <= set(line.split())
    line = next(one for one in screen if "hash_password" in one and "12k" in one)
    assert {"12k", "16.7m", "2m14s"} <= set(line.split())
    assert "polls of 12.5 ms and more" in text.splitlines()[0]
    assert "polls of 12.5 ms and more" in screen[0]
