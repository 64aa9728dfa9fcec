"""Exact mode on real Tokio programs: each poll's time, harmless to the target, or refused."""

from __future__ import annotations

import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import program
import pytest
import targets

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks.truth import judge, read_deeds  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e

LTO: dict[str, Any] = {"config": targets.LTO_ABORT}
KINDS = "cpu,thread_sleep,mutex,spawn_blocking,timer"
POLLS = ("--kinds", "polls", "--block-ms", "50", "--pause-ms", "1", "--workers", "2")


def code_of(pid: int, binary: Path) -> tuple[bytes, bytes]:
    """The executable's machine code in memory and in its file."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        words = line.split()
        if words[1].startswith("r-x") and words[-1].startswith("/"):
            start, end = (int(word, 16) for word in words[0].split("-"))
            with open(f"/proc/{pid}/mem", "rb") as memory, binary.open("rb") as file:
                memory.seek(start)
                file.seek(int(words[2], 16))
                return memory.read(end - start), file.read(end - start)
    raise AssertionError("no code mapped")


def is_intact(pid: int, binary: Path) -> bool:
    memory, file = code_of(pid, binary)
    return memory[: len(file)] == file[: len(memory)]


@pytest.mark.parametrize(
    ("settings", "flavor"),
    [({}, "multi_thread"), ({"profile": "dev"}, "current_thread"), (LTO, "multi_thread")],
    ids=["release", "dev", "fat LTO, panic=abort"],
)
def test_every_poll_is_timed(
    build_target: Callable[..., Path], settings: dict[str, Any], flavor: str, tmp_path: Path
) -> None:
    built = build_target("zoo", **settings)
    # the path leads to another program by the time hud comes
    binary, moved = tmp_path / "zoo", tmp_path / "running"
    shutil.copy2(built, binary)
    truth, trace = tmp_path / "truth", tmp_path / "trace.json"
    with targets.zoo(
        binary, truth, "--flavor", flavor, "--kinds", KINDS, "--seconds", "20"
    ) as zoo:  # fmt: skip
        binary.rename(moved)
        shutil.copy2("/bin/true", binary)
        program.run(
            "--pid", zoo.pid, "--headless", "--quiet", "--exact", "--duration", 4,
            "--max-overhead", 50, "--export", trace,
        )  # fmt: skip
        assert is_intact(zoo.pid, moved)
    told = program.trace(trace)
    other = told["otherData"]
    assert other["exact"] == "every poll"
    # one type for each kind, and none for the jobs of spawn_blocking
    assert len(other["polls"]) == len(KINDS.split(","))
    for kind in other["polls"]:
        assert kind["polls"] == sum(kind["buckets"]) > 10
        assert kind["busy_us"] / kind["polls"] <= kind["max_us"]
        assert kind["p50_us"] <= kind["p90_us"] <= kind["p99_us"] <= kind["max_us"]
    blocking = [kind for kind in other["polls"] if kind["p50_us"] > 1000]
    assert len(blocking) <= 3
    verdict = judge(read_deeds(truth), told)
    total = verdict.total()
    assert total.found >= 0.95 * total.expected > 20
    assert verdict.allowed_alarms == []
    errors = sorted(abs(error) for error in total.errors_ms)
    assert errors[len(errors) // 2] < 0.2
    sure = [
        event["args"]["begin_uncertainty_us"] == event["args"]["end_uncertainty_us"] == 0
        for event in program.begins(told)
        if event["ts"] > 2e6  # attached by then
    ]
    assert sum(sure) >= 0.9 * len(sure)


def test_too_many_polls_are_timed_in_bursts(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    """A million polls a second and more; a probe costs more than such a poll."""
    binary, trace = build_target("zoo"), tmp_path / "trace.json"
    with targets.zoo(binary, tmp_path / "truth", *POLLS, "--seconds", "20") as zoo:
        done = program.run(
            "--pid", zoo.pid, "--headless", "--exact", "--duration", 5, "--export", trace
        )
        assert is_intact(zoo.pid, binary)
    other = program.trace(trace)["otherData"]
    found = re.fullmatch(r"bursts, ([\d.]+) % of the time", other["exact"])
    assert found, other["exact"]
    assert 0.5 < float(found[1]) < 30
    (kind,) = other["polls"]
    assert kind["polls"] > 1000
    assert kind["p50_us"] < 20
    assert "polls seen" in done.stdout


def test_a_killed_hud_leaves_the_target_as_it_was(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    binary = build_target("zoo")
    with (
        targets.zoo(binary, tmp_path / "truth", "--kinds", "timer", "--seconds", "30") as zoo,
        program.attached("--pid", zoo.pid, "--exact") as hud,
    ):
        assert program.within(10, lambda: not is_intact(zoo.pid, binary))
        hud.process.send_signal(signal.SIGKILL)
        hud.process.wait()
        assert program.within(10, lambda: is_intact(zoo.pid, binary))
        time.sleep(0.3)
        assert zoo.process.poll() is None


def test_a_stripped_program_is_refused(build_target: Callable[..., Path], tmp_path: Path) -> None:
    binary, trace = targets.stripped(build_target("zoo")), tmp_path / "trace.json"
    with targets.zoo(binary, tmp_path / "truth", "--kinds", "cpu", "--seconds", "20") as zoo:
        done = program.run(
            "--pid", zoo.pid, "--headless", "--duration", 2, "--threshold", "auto",
            "--exact", "--export", trace,
        )  # fmt: skip
        assert is_intact(zoo.pid, binary)
    other = program.trace(trace)["otherData"]
    why = "no symbols of Tokio's task functions (stripped, or no Tokio)"
    assert other["exact"] == f"off: {why}"
    assert other["threshold_ms"] == 5.0
    assert other["threshold_from"] == f"the default, because polls cannot be timed: {why}"
    assert "a long poll is one of 5 ms or more (auto: the default" in " ".join(done.stdout.split())


def test_the_threshold_is_chosen_by_the_polls(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    binary, trace = build_target("zoo"), tmp_path / "trace.json"
    with targets.zoo(binary, tmp_path / "truth", *POLLS, "--seconds", "20") as zoo:
        program.run(
            "--pid", zoo.pid, "--headless", "--quiet", "--duration", 5,
            "--threshold", "auto", "--export", trace,
        )  # fmt: skip
        assert is_intact(zoo.pid, binary)
    other = program.trace(trace)["otherData"]
    assert re.fullmatch(r"3 x p99 [\d.]+ (ns|us), at least 1 ms", other["threshold_from"])
    assert other["threshold_ms"] == 1.0
    # only for that: the figures are not what was asked for
    assert (other["exact"], other["polls"]) == ("", [])


def test_without_context_there_is_no_exact_mode(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    binary, trace = build_target("zoo"), tmp_path / "trace.json"
    with targets.zoo(binary, tmp_path / "truth", "--kinds", "cpu", "--seconds", "20") as zoo:
        program.run(
            "--pid", zoo.pid, "--headless", "--quiet", "--exact", "--no-context",
            "--duration", 1, "--export", trace,
        )  # fmt: skip
    other = program.trace(trace)["otherData"]
    assert other["exact"].startswith("off: polls are not seen: ")
