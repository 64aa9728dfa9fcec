"""Tokio inside shared objects that Python loaded: the zoo's truth against what hud reports."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import program
import pytest
import targets

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks.truth import Find, judge, read_deeds, read_finds  # noqa: E402

from hud.analysis.results import Method  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e

SECONDS = 5
INLINED = ("cpu", "root", "thread_sleep")
"""Kinds whose function has no symbol of its own in a release build without debug info."""


@pytest.fixture(scope="session")
def extension(build_target: Callable[..., Path]) -> Path:
    return build_target("zoo", shared=True)


def profile(pid: int, file: Path, seconds: float) -> dict[str, Any]:
    program.run("--headless", "--pid", pid, "--duration", seconds, "--export", file)
    return program.trace(file)


def by_poll(find: Find) -> bool:
    return find.args.get("detection_method") == int(Method.POLL)


def threads_of(truth: Path, *kinds: str) -> set[int]:
    """Where the zoo ran these kinds; without any: all that block a worker."""
    return {
        deed.tid
        for deed in read_deeds(truth)
        if (deed.kind in kinds if kinds else not deed.allowed)
    }


@pytest.mark.parametrize("stripped", [False, True])
def test_blockers_of_an_extension(extension: Path, tmp_path: Path, stripped: bool) -> None:
    library, truth = tmp_path / "libguest.so", tmp_path / "truth"
    shutil.copy(extension, library)
    if stripped:
        subprocess.run(["strip", library], check=True)
    options = ["--truth", truth, "--seconds", str(SECONDS + 3), "--workers", "3"]
    with targets.hosted_zoo([[library, *options]]) as running:
        assert program.within(10, lambda: truth.exists() and threads_of(truth, "root"))
        written = profile(running.pid, tmp_path / "trace.json", SECONDS)
    detection = written["otherData"]["detection"]
    assert detection["rung"] == "context"
    if stripped:
        assert "CONTEXT found by its contents at tls+" in detection["reason"]
        assert "of libguest.so (stripped)" in detection["reason"]
    else:
        assert "CONTEXT of 80 bytes in libguest.so, confirmed" in detection["reason"]
    # the workers of the beginning and those after a block_in_place; not the pool, not Python's own
    (root,) = threads_of(truth, "root")
    workers = {worker["tid"]: worker for worker in written["otherData"]["workers"]}
    assert workers.keys() <= threads_of(truth)
    assert len(workers.keys() - {root}) >= 3
    # one that began to poll at the very end is not known better yet
    runtimes = [worker["runtime"] for tid, worker in workers.items() if tid != root]
    assert runtimes.count("block_on") <= 1
    assert len(set(runtimes) - {"block_on"}) == 1

    verdict = judge(read_deeds(truth), written)
    total = verdict.total()
    assert total.expected >= 100
    assert total.found >= 0.95 * total.expected, total.missed
    assert [(find.function, deed.kind) for find, deed in verdict.allowed_alarms] == []
    if not stripped:
        named = [score for kind, score in verdict.scores.items() if kind not in INLINED]
        found = sum(score.found for score in named)
        assert sum(score.blamed for score in named) >= 0.9 * found, total.wrong
    taken = [event["args"] for event in program.begins(written) if event["args"]["stack"]]
    cut_off = [args["stack"] for args in taken if not args["stack_complete"]]
    assert len(cut_off) <= 0.01 * len(taken), cut_off
    # the root future runs below Python, and its stack leads through it to the thread's start
    below = [event["args"]["stack"] for event in program.begins(written) if event["tid"] == root]
    assert any("_PyEval_EvalFrameDefault" in frame for stack in below for frame in stack)


def test_two_extensions_loaded_after_the_attach(extension: Path, tmp_path: Path) -> None:
    visits: list[list[str | Path]] = []
    for name, flavor in (("one", "multi_thread"), ("two", "current_thread")):
        library = tmp_path / f"lib{name}.so"
        shutil.copy(extension, library)
        options = ["--flavor", flavor, "--seconds", "6", "--workers", "2"]
        options += ["--kinds", "sort,thread_sleep,spawn_blocking"]
        visits.append([library, "--truth", tmp_path / name, *options])
    trace, now = tmp_path / "trace.json", tmp_path / "now"
    with targets.hosted_zoo(visits, after=now) as running:
        options = ["--duration", "7", "--export", str(trace)]
        with program.attached("--pid", running.pid, *options) as hud:
            now.touch()
            hud.end()
    written = program.trace(trace)
    reason = written["otherData"]["detection"]["reason"]
    assert "in libone.so" in reason
    assert "in libtwo.so" in reason
    for name in ("one", "two"):
        said = rf"lib{name}\.so: polls before [\d.]+ s were not seen; found only then"
        assert any(re.fullmatch(said, note) for note in written["otherData"]["notes"])
    workers = {
        worker["tid"]: worker["runtime"].partition(": ")[0]
        for worker in written["otherData"]["workers"]
    }
    late = set()
    for name in ("one", "two"):
        deeds = read_deeds(tmp_path / name)
        tids = threads_of(tmp_path / name)
        assert {workers.get(tid, f"lib{name}.so") for tid in tids} == {f"lib{name}.so"}
        assert tids & workers.keys()
        # found in a tenth of a second where hud gets a CPU; those of then and later are all seen
        seen = [find for find in read_finds(written) if find.tid in tids and by_poll(find)]
        late.add(seen[0].begin - deeds[0].begin < 3e9)
        deeds = [deed for deed in deeds if deed.begin > seen[0].begin]
        verdict = judge(deeds, written)
        total = verdict.total()
        assert total.expected >= 30
        assert total.found >= 0.95 * total.expected, total.missed
    assert late == {True}
    assert not judge(
        [d for n in ("one", "two") for d in read_deeds(tmp_path / n)], written
    ).allowed_alarms
