"""What comes from outside is told as pressure, and the code to blame stays the same."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import program
import pytest
import targets

sys.path.insert(0, str(targets.ROOT / "tools"))

from benchmarks.truth import judge, read_deeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e

SPIN = "while True: pass"


@contextlib.contextmanager
def spinners(count: int) -> Iterator[None]:
    """Another program that keeps as many CPUs busy."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", SPIN]))
            stack.callback(process.kill)
        yield


def waits(trace: dict[str, Any]) -> list[dict[str, Any]]:
    """Episodes that blame no code."""
    found = (event for event in trace["traceEvents"] if event["ph"] == "X")
    return [event for event in found if "cause" in event["args"]]


def test_a_busy_neighbour_changes_no_hotspot(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    kinds = "bcrypt,json,mutex,pipe,yield_now,timers,spawn_blocking"
    truth, export = tmp_path / "truth", tmp_path / "trace.json"
    zoo = targets.zoo(build_target("zoo"), truth, "--seconds", "40", "--kinds", kinds)
    with spinners(2 * (os.cpu_count() or 1)), zoo as running:
        arguments = ("--pid", running.pid, "--headless", "--duration", 5)
        done = program.run(*arguments, "--export", export)
    trace = program.trace(export)
    verdict = judge(read_deeds(truth), trace)
    total = verdict.total()
    assert total.expected >= 20
    assert total.found >= 0.95 * total.expected, total.missed
    assert total.blamed >= 0.95 * total.found, total.wrong
    assert total.cause >= 0.95 * total.found, total.wrong
    assert verdict.allowed_alarms == []
    functions = {event["name"].rpartition("::")[2] for event in program.begins(trace)}
    assert functions >= {"hash_password", "parse_document", "update_shared", "read_answer"}
    # what was long only for lack of a CPU is there, and blames nobody
    assert waits(trace)
    assert trace["otherData"]["waiting_ns"] > 0.05 * trace["otherData"]["worker_time_ns"]
    culprits = {
        event["args"]["culprit_pid"]: event["args"]["culprit"]
        for event in trace["traceEvents"]
        if event["ph"] == "X" and event["args"].get("culprit_pid", 0) != running.pid
        and "culprit" in event["args"]
    }  # fmt: skip
    assert any(name.startswith("python") for name in culprits.values()), culprits
    assert done.returncode == 0


def test_a_stopped_process_has_no_new_hotspot(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    export = tmp_path / "trace.json"
    options = ("--seconds", "40", "--kinds", "thread_sleep,cpu,mutex", "--pause-ms", "1")
    with targets.zoo(build_target("zoo"), tmp_path / "truth", *options) as zoo:
        arguments = ("--pid", zoo.pid, "--duration", 4, "--export", export)
        with program.attached(*arguments) as hud:
            for _ in range(3):
                time.sleep(0.3)
                os.kill(zoo.pid, signal.SIGSTOP)
                time.sleep(0.4)
                os.kill(zoo.pid, signal.SIGCONT)
            hud.end()
        os.kill(zoo.pid, signal.SIGSTOP)
        late = program.run("--headless", "--pid", zoo.pid, "--duration", 0.3).stdout
    assert "a signal had stopped the target when hud attached" in late
    trace = program.trace(export)
    stopped = [event for event in waits(trace) if event["args"]["cause"] == "stopped"]
    assert stopped
    events = (event for event in trace["traceEvents"] if event["ph"] != "E")
    polls = [event for event in events if "stopped_us" in event.get("args", {})]
    assert trace["otherData"]["stopped"] == len(polls) >= len(stopped)
    whole = sum(event["args"]["stopped_us"] for event in polls)
    assert abs(trace["otherData"]["stopped_ns"] / 1e3 - whole) < 1
    assert whole > 0.3e6
    # that it writes down what it did may last, too
    own = [event for event in program.begins(trace) if "truth" not in event["name"].lower()]
    assert {event["args"]["cause"] for event in own} <= {"sleep", "cpu", "lock"}


@pytest.fixture
def group(need: Callable[[object, str], None]) -> Iterator[Path]:
    """A cgroup that gets a fifth of one CPU."""
    for top, limits in (
        ("/sys/fs/cgroup/cpu", {"cpu.cfs_period_us": "50000", "cpu.cfs_quota_us": "10000"}),
        ("/sys/fs/cgroup", {"cpu.max": "10000 50000"}),
    ):
        path = Path(top) / f"hud-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            path.mkdir()
            for name, value in limits.items():
                (path / name).write_text(value)
            break
        with contextlib.suppress(OSError):
            path.rmdir()
    else:
        need(False, "a cgroup hierarchy with the cpu controller that can be written")
    yield path
    until = time.monotonic() + 10
    while path.exists() and time.monotonic() < until:
        with contextlib.suppress(OSError):
            path.rmdir()
        time.sleep(0.05)


def test_a_quota_is_told(build_target: Callable[..., Path], group: Path, tmp_path: Path) -> None:
    export = tmp_path / "trace.json"
    options = ("--seconds", "40", "--kinds", "cpu,sort", "--block-ms", "30", "--pause-ms", "5")
    with targets.zoo(build_target("zoo"), tmp_path / "truth", *options) as zoo:
        (group / "cgroup.procs").write_text(str(zoo.pid))
        arguments = ("--pid", zoo.pid, "--headless", "--duration", 3, "--export", export)
        program.run(*arguments)
        done = program.run("--pid", zoo.pid, "--headless", "--duration", 2)
    host = json.loads(export.read_text())["otherData"]["host"]
    assert host["throttled_periods"] >= 5
    assert host["throttled_ns"] > 0.3e9
    assert host["quota"] == f"0.2 CPUs in /{group.name}"
    said = " ".join(done.stdout.split())
    assert f"A CPU quota (0.2 CPUs in /{group.name}) stopped the service for" in said
    where = re.escape(f"(0.2 CPUs in /{group.name})")
    assert re.search(rf"stopped +by a CPU quota for [\d.]+ \w+ in \d+ periods {where}", said)
