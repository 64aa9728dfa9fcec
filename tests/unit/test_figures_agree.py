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
from hud.analysis.advice.advise import advise, advise_case
from hud.analysis.cases import part, worth_a_fix
from hud.analysis.results import Snapshot
from hud.commands.contents import contents
from hud.export import summary, trace
from hud.record.reader import Reader
from hud.record.replay import Replay
from hud.tui.actions import Act
from hud.tui.frame import compose
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.update import update

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


def _line(lines: list[str], *words: str) -> list[str]:
    """The cells of the one line that has all of these words."""
    (found,) = [line for line in lines if set(words) <= set(line.split())]
    return found.split()


def test_the_verdict_is_the_same_everywhere(told: tuple[Snapshot, dict[str, Any]]) -> None:
    snapshot, exported = told
    first, second = exported["otherData"]["verdict"]
    assert f"\n  BLOCKED: {first}\n  {second}\n" in summary.text(snapshot)
    assert _screen(snapshot)[1].rstrip() == f"  BLOCKED  {first} {second}"
    share = re.match(r"(.+ %) of worker time was blocked, in (\d+) long polls", first)
    assert share
    (runtime,) = exported["otherData"]["runtimes"]
    assert figures.percent(runtime["blocked_share"]) == share[1]
    assert runtime["blocked_ns"] == exported["otherData"]["blocked_ns"]
    assert runtime["worker_time_ns"] == exported["otherData"]["worker_time_ns"]
    rows = sum(map(snapshot.share, snapshot.blockers))
    assert figures.percent(rows) == share[1], "the table adds up to it"
    assert sum(row.count for row in snapshot.blockers) == int(share[2]) == runtime["episodes"]
    graph = snapshot.graph
    assert sum(sum(values) for _, values in graph.causes) == runtime["blocked_ns"]
    assert sum(sum(snapshot.history(row)) for row in snapshot.blockers) == runtime["blocked_ns"]


def test_what_to_do_first_is_the_fix_of_the_heaviest_row(
    told: tuple[Snapshot, dict[str, Any]],
) -> None:
    snapshot, _ = told
    row = snapshot.blockers[0]
    fix = advise(row, snapshot.stacks).text
    text = summary.text(snapshot)
    assert f"\n  Start here: {fix}.\n" in text
    assert f"\n  1  {fix}\n" in text
    assert any(line.startswith(f" fix     {fix}") for line in _screen(snapshot))
    part = 100 * row.total_ns / snapshot.blocked_ns
    assert 30 <= round(part) <= 36, "a third"


def test_a_blocker_has_the_same_figures_everywhere(
    told: tuple[Snapshot, dict[str, Any]],
) -> None:
    snapshot, exported = told
    begins = [event for event in exported["traceEvents"] if event["ph"] == "B"]
    text = summary.text(snapshot).splitlines()
    screens = [_screen(snapshot, view) for view in ("blockers", "overview")]
    assert len({row.function for row in snapshot.blockers}) == len(snapshot.blockers) > 5
    for row in snapshot.blockers:
        mine = [event["args"] for event in begins if event["name"] == row.function]
        assert len(mine) == row.count
        assert sum(args["own_us"] for args in mine) == pytest.approx(row.total_ns / 1e3)
        assert max(args["own_us"] for args in mine) == pytest.approx(row.max_ns / 1e3)
        assert sum(args["waiting_us"] for args in mine) == pytest.approx(row.waiting_ns / 1e3)
        assert sum("in_progress" in args for args in mine) == row.lasting
        whole = exported["otherData"]["worker_time_ns"]
        assert snapshot.share(row) == pytest.approx(
            1e3 * sum(args["own_us"] for args in mine) / whole
        )
        assert snapshot.no_cpu(row) == pytest.approx(
            1e3 * sum(args["waiting_us"] for args in mine) / whole
        )
        cells = {
            figures.share(snapshot.share(row)),
            figures.share(snapshot.no_cpu(row)),
            figures.count(row.count),
            figures.duration(row.p50_ns),
            figures.duration(row.max_ns),
            row.cause.value,
        }
        short = row.function.removeprefix("demo_server::")
        key = figures.count(row.count), row.cause.value, short
        assert cells <= set(_line(text, *key))
        for screen in screens:
            assert cells | {figures.duration(row.total_ns)} <= set(_line(screen, *key))


def test_workers_and_pressure_agree(told: tuple[Snapshot, dict[str, Any]]) -> None:
    snapshot, exported = told
    other = exported["otherData"]
    (runtime,) = other["runtimes"]
    title, head = summary.text(snapshot).splitlines()[0], _screen(snapshot)[0]
    for line in (title, head):
        assert f" {runtime['workers']} workers" in line
    waiting = figures.percent(other["waiting_ns"] / other["worker_time_ns"])
    assert f"\n  no CPU   {waiting} of worker time: " in summary.text(snapshot)
    said = f"Workers were ready to run but had no CPU for {waiting} of their time"
    assert any(said in line for line in _screen(snapshot, "pressure"))
    assert any(f"no CPU {waiting}" in line for line in _screen(snapshot, "overview"))
    assert sum(one["blocked_ns"] for one in other["workers"]) == other["blocked_ns"]
    assert sum(one["worker_time_ns"] for one in other["workers"]) == other["worker_time_ns"]
    for one, use in zip(other["workers"], snapshot.workers, strict=True):
        assert one["blocked_ns"] == use.blocked_ns == sum(ns for _, ns in use.causes)
    allowed = figures.long_duration(other["allowed_ns"])
    assert f"\n  allowed  {allowed} in spawn_blocking" in summary.text(snapshot)
    assert any(f" {allowed} in spawn_blocking" in line for line in _screen(snapshot, "overview"))


def test_what_a_recording_is_said_to_hold_is_what_is_shown(
    told: tuple[Snapshot, dict[str, Any]],
) -> None:
    snapshot, exported = told
    info = dict(re.split(" +", line, maxsplit=1) for line in contents(str(RECORDING)))
    other = exported["otherData"]
    waits = sum(one["count"] for one in other["pressure"])
    assert info["found"] == f"{other['episodes']} episodes, {waits} waits for a CPU"
    assert info["length"] == figures.long_duration(round(other["duration_s"] * S))
    assert info["threshold"] == figures.long_duration(round(other["threshold_ms"] * 1e6))
    assert info["workers"] == str(len(other["workers"]))
    assert f", {info['workers']} workers, " in summary.text(snapshot)
    assert info["losses"] == "nothing lost"
    text = summary.text(snapshot)
    assert f", watched for {info['length']}; a long poll is one of {info['threshold']} or" in text
    assert ", nothing lost; hud used " in text
    assert any("nothing lost" in line for line in _screen(snapshot))
    assert set(other["losses"].values()) == {0}


def test_what_else_holds_a_row_up_is_the_same_on_screen_and_in_the_summary(
    told: tuple[Snapshot, dict[str, Any]],
) -> None:
    """Each such case with its part of the row, and its fix."""
    snapshot, _ = told
    text = " ".join(summary.text(snapshot).split())
    mixed = [at for at, row in enumerate(snapshot.blockers) if worth_a_fix(row)]
    assert mixed
    for at in mixed:
        row = snapshot.blockers[at]
        state = settle(UiState(view="blockers"), snapshot)
        for _ in range(at):
            state, _nothing = update(state, Act.DOWN, snapshot, WIDE)
        lines = ["".join(one.text for one in line) for line in compose(snapshot, state, WIDE)]
        for case in worth_a_fix(row):
            fix = advise_case(row, case, snapshot.stacks).text
            assert f"for {case.cause.value} ({part(case, row)}): {fix}" in text
            wanted = f"{case.cause.value} {part(case, row)}: {fix}"
            assert any(wanted in line for line in lines)
            marked = case.cause is not row.cause
            assert any(f" +{case.cause.value} " in line for line in lines) or not marked


def test_each_worker_and_task_has_the_same_figures_everywhere(
    told: tuple[Snapshot, dict[str, Any]],
) -> None:
    snapshot, exported = told
    workers, tasks = _screen(snapshot, "workers"), _screen(snapshot, "tasks")
    overview = _screen(snapshot, "overview")
    for one in exported["otherData"]["workers"]:
        blocked = figures.percent(one["blocked_ns"] / one["worker_time_ns"])
        waited = figures.percent(one["split_ns"]["waiting_ns"] / one["worker_time_ns"])
        name = f"W{one['worker_id']}"
        (row,) = [line.split() for line in workers if line[1:].startswith(f"{name} ")]
        assert {blocked.replace(" ", ""), waited.replace(" ", "")} <= set(row)
        assert any(f"{name} " in line and blocked in line and waited in line for line in overview)
    begins = [event["args"] for event in exported["traceEvents"] if event["ph"] == "B"]
    for use in snapshot.tasks:
        mine = [args for args in begins if args.get("task_type") == use.kind.name]
        assert use.episodes == len(mine)
        assert use.blocked_ns == pytest.approx(1e3 * sum(args["own_us"] for args in mine))
        short = use.kind.name.removeprefix("demo_server::")
        row = next(line.split() for line in tasks if short in line and use.kind.where in line)
        assert figures.duration(use.blocked_ns) in row or not mine


def test_a_long_run_has_one_form_of_each_figure(told: tuple[Snapshot, dict[str, Any]]) -> None:
    """Minutes, hours and thousands, where two writers would differ most."""
    snapshot, _ = told
    worst = replace(
        snapshot.blockers[0],
        count=12_204,
        total_ns=1_000 * S,
        p50_ns=99_960_000_000,
        p99_ns=99_960_000_000,
        max_ns=134 * S,
        waiting_ns=7_500 * S,
    )
    info = replace(snapshot.info, threshold_ns=12_500_000)
    long = replace(snapshot, info=info, blockers=(worst,), elapsed_ns=10_921 * S)
    text, screen = summary.text(long), _screen(long)
    same = {"12k", "1m40s", "2m14s", "cpu", "bcrypt::hash"}
    assert same <= set(_line(text.splitlines(), "12k"))
    assert {*same, "16.7m"} <= set(_line(screen, "12k", "2m14s"))
    assert "a long poll is one of 12.5 ms or more" in " ".join(text.split())
    assert "polls of 12.5 ms and more" in screen[0]
    more = summary.text(long, verbose=True)
    assert "16 min 40 s in all, and 2 h 5 min without a CPU; p99 1 min 40 s\n" in more


def test_the_time_of_blockers_is_that_of_their_polls(told: tuple[Snapshot, dict[str, Any]]) -> None:
    snapshot, _ = told
    polls = [one for one in snapshot.timeline if one.cause.blames_code]
    assert sum(one.on_cpu_ns for one in snapshot.blockers) == sum(one.on_cpu_ns for one in polls)
    assert sum(one.total_ns for one in snapshot.blockers) == sum(one.charged_ns for one in polls)
    assert all(0 <= one.on_cpu_ns <= one.total_ns for one in snapshot.blockers)
