"""Runtimes that are large, or that come and go, against the zoo's own truth."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import program
import pytest
import targets

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks.truth import Verdict, judge, read_deeds  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e


def watched(binary: Path, place: Path, *options: str) -> tuple[Verdict, dict[str, Any]]:
    """The verdict of six seconds of a zoo that lives for eight, and the trace."""
    truth, trace = place / "truth", place / "trace.json"
    with targets.zoo(binary, truth, "--seconds", "8", *options) as zoo:
        program.run("--pid", zoo.pid, "--headless", "-q", "--duration", 6, "--export", trace)
    told = json.loads(trace.read_text())
    return judge(read_deeds(truth), told), told


def test_a_runtime_of_two_hundred_workers(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    kinds = ("--workers", "200", "--kinds", "thread_sleep,mutex,sort,spawn_blocking,timers")
    verdict, told = watched(build_target("zoo"), tmp_path, *kinds)
    total = verdict.total()
    assert total.expected >= 100
    assert total.found >= 0.95 * total.expected, total.missed
    assert [(find.function, deed.kind) for find, deed in verdict.allowed_alarms] == []
    assert len(told["otherData"]["workers"]) == 200
    assert told["otherData"]["losses"]["threads_full"] == 0


def test_runtimes_that_follow_each_other(build_target: Callable[..., Path], tmp_path: Path) -> None:
    """Three, of four workers each: those that end are told as dead, the new ones are found."""
    kinds = ("--runtimes", "3", "--kinds", "thread_sleep,mutex,sort,spawn_blocking,timers")
    verdict, told = watched(build_target("zoo"), tmp_path, *kinds)
    total = verdict.total()
    assert total.expected >= 100
    assert total.found >= 0.95 * total.expected, total.missed
    assert [(find.function, deed.kind) for find, deed in verdict.allowed_alarms] == []
    workers = told["otherData"]["workers"]
    assert len(workers) == 12
    assert [worker["alive"] for worker in workers] == 8 * [False] + 4 * [True]
    assert len({worker["worker_id"] for worker in workers}) == 12
    runtimes = [worker["runtime"] for worker in workers]
    assert [runtimes.count(name) for name in dict.fromkeys(runtimes)] == [4, 4, 4]
    figures = {use["name"]: use for use in told["otherData"]["runtimes"]}
    assert figures.keys() == set(runtimes)
    assert sum(use["blocked_ns"] for use in figures.values()) == told["otherData"]["blocked_ns"]
    assert sorted(use["workers"] for use in figures.values()) == [0, 0, 4]
