"""A run without a screen on the demo server: what it finds, what it writes, and what it leaves out.

Times are not judged: the machine may be busy. What is judged is who is named and that the parts of
one result agree with each other.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import program
import pytest
import targets

pytestmark = pytest.mark.e2e

WORKERS = 3
NAMED = ("hash_password", "compress_payload", "parse_report", "read_config", "update_cache")
SECONDS = 8
EXPORTS = """
.traceEvents | length
[.traceEvents[] | select(.ph=="B")] | length
.traceEvents[] | select(.ph=="B") | .name
"""
"""The jq programs of the original's docs/EXPORTS.md."""


class Result(NamedTuple):
    out: str
    err: str
    file: Path
    trace: dict[str, Any]
    threads: dict[int, str]
    """Of the server, after the run."""
    before_ns: int
    after_ns: int
    """CLOCK_MONOTONIC around the run."""

    @property
    def other(self) -> dict[str, Any]:
        other: dict[str, Any] = self.trace["otherData"]
        return other


@pytest.fixture(scope="module")
def result(prebuilt_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    file = tmp_path_factory.mktemp("headless") / "trace.json"
    with targets.demo_server(prebuilt_demo, "--workers", str(WORKERS)) as server:
        with program.load(server.port):
            time.sleep(0.3)
            before = time.monotonic_ns()
            done = program.run(
                *("--headless", "--pid", server.pid, "--duration", SECONDS, "--export", file)
            )
            after = time.monotonic_ns()
            threads = {
                int(path.name): (path / "comm").read_text().strip()
                for path in Path(f"/proc/{server.pid}/task").iterdir()
            }
        yield Result(done.stdout, done.stderr, file, program.trace(file), threads, before, after)


def test_the_summary_names_the_blocking_functions(result: Result) -> None:
    lines = result.out.splitlines()
    assert lines[0].startswith("demo-server-x86 (pid ")
    assert f", tokio 1.54.1, {WORKERS} workers, watched for " in lines[0]
    assert lines[2].startswith(("  BLOCKED: ", "  NO CPU: "))
    assert any("of worker time was blocked, in " in line for line in lines[2:5])
    for name in NAMED:
        assert f"handlers::{name}" in result.out
    assert "call bcrypt::hash in spawn_blocking" in result.out
    assert lines[-1].startswith(f"  written  {result.file} (")
    assert lines[-1].endswith(" episodes)")
    assert lines[-2] == "  ended    duration over"
    assert "\x1b" not in result.out + result.err


def test_async_code_is_told_from_closures_without_debug_info(result: Result) -> None:
    found = {
        function
        for event in program.begins(result.trace)
        for function in event["args"]["stack"]
        if function.startswith("demo_server::connection::")
    }
    assert found == {"demo_server::connection::{async}"}
    assert " connection::{async} " in result.out


def test_the_causes_are_told(result: Result) -> None:
    causes = {
        name: {event["args"]["cause"] for event in events}
        for name, events in program.blocked_in(result.trace).items()
    }
    assert causes["hash_password"] == {"cpu"}
    assert "cpu" in causes["compress_payload"]
    assert "lock" in causes["update_cache"]


def test_every_begin_has_its_end(result: Result) -> None:
    open_ones: dict[int, list[str]] = {}
    last = 0.0
    for event in result.trace["traceEvents"]:
        if event["ph"] == "M":
            continue
        assert event["ph"] in "BEX", event
        assert event["ts"] >= last
        last = event["ts"]
        stack = open_ones.setdefault(event["tid"], [])
        if event["ph"] == "B":
            assert stack == [], "episodes of one thread overlap"
            stack.append(event["name"])
        elif event["ph"] == "E":
            assert stack.pop() == event["name"]
    assert not any(open_ones.values())
    assert len(program.begins(result.trace)) == result.other["episodes"]


def test_times_are_absolute(result: Result) -> None:
    other = result.other
    assert result.before_ns <= other["start_monotonic_ns"] <= result.after_ns
    offset = time.time_ns() - time.monotonic_ns()
    assert abs(other["start_unix_ns"] - other["start_monotonic_ns"] - offset) < 1_000_000_000
    # An episode may have begun before the attach, and none ends after the run.
    last = max(event["ts"] for event in result.trace["traceEvents"])
    assert other["start_monotonic_ns"] + last * 1000 <= result.after_ns
    assert SECONDS * 0.98 <= other["duration_s"] <= (result.after_ns - result.before_ns) / 1e9


def test_only_the_runtimes_workers_are_workers(result: Result) -> None:
    workers = result.other["workers"]
    assert [worker["worker_id"] for worker in workers] == list(range(WORKERS))
    # The pool has threads of the same name, and there is the main thread and the refresher.
    assert len(result.threads) > WORKERS + 2
    lowest = sorted(tid for tid, name in result.threads.items() if name == "tokio-rt-worker")
    assert sorted(worker["tid"] for worker in workers) == lowest[:WORKERS]
    assert {event["tid"] for event in program.begins(result.trace)} <= set(lowest[:WORKERS])
    assert all(worker["alive"] for worker in workers)


def test_episodes_carry_what_scripts_need(result: Result) -> None:
    for event in program.begins(result.trace):
        args = event["args"]
        assert event["cat"] == "execution"
        assert event["pid"] == result.other["target"]["pid"]
        assert args["worker_id"] in range(WORKERS)
        assert args["detection_method"] == 4
        whole = args["on_cpu_us"] + args["asleep_us"] + args["waiting_us"]
        assert whole > 4_900, event
    waits = [event for event in result.trace["traceEvents"] if event["ph"] == "X"]
    assert {event["cat"] for event in waits} <= {"scheduling"}
    assert all(event["dur"] > 0 for event in waits)


def test_other_data_has_every_promised_field(result: Result) -> None:
    other = result.other
    assert other["hud"]
    assert other["target"]["name"] == "demo-server-x86"
    assert other["target"]["executable"].endswith("/demo-server-x86_64")
    assert other["threshold_ms"] == 5
    assert other["detection"]["rung"] == "context"
    assert other["detection"]["tokio_versions"] == ["1.54.1"]
    assert "confirmed" in other["detection"]["reason"]
    assert set(other["losses"]) == {
        "ring_full", "stacks_full", "stacks_gone", "threads_full", "context_unreadable",
        "stacks_skipped", "recording_full", "symbols_late", "polls_uncounted", "polls_bare",
    }  # fmt: skip
    # a busy machine may leave no time for a stack
    of_the_load = ("stacks_skipped", "polls_bare")
    assert not any(n for name, n in other["losses"].items() if name not in of_the_load)
    assert 0 < other["stacks_complete"] <= other["stacks_total"]
    assert other["stacks_complete"] >= 0.95 * other["stacks_total"]
    assert 0 < other["hud_cpu_ns"] < SECONDS * 1e9
    assert other["hud_rss_bytes"] > 1 << 20


def test_the_originals_jq_lines_work(
    result: Result, need: Callable[[object, str], None], tmp_path: Path
) -> None:
    import shutil

    need(shutil.which("jq"), "jq")

    def jq(line: str) -> list[str]:
        command = ["jq", "-r", line, result.file]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    total, blocking, names = (jq(line) for line in EXPORTS.split("\n") if line)
    assert total == [str(len(result.trace["traceEvents"]))]
    assert blocking == [str(result.other["episodes"])]
    assert len(names) == result.other["episodes"]
    assert names.count("demo_server::handlers::hash_password") >= 2


def test_thread_names_are_in_the_trace(result: Result) -> None:
    named = {
        event["tid"]: event["args"]["name"]
        for event in result.trace["traceEvents"]
        if event["ph"] == "M" and event["name"] == "thread_name"
    }
    for worker in result.other["workers"]:
        assert named[worker["tid"]] == f"W{worker['worker_id']} tokio-rt-worker"


# --------------------------------------------------------------------------- what must not show


def test_the_same_jobs_done_right_are_no_blockers(prebuilt_demo: Path, tmp_path: Path) -> None:
    """One client, so that a worker's polls are not stretched by another one's."""
    file = tmp_path / "trace.json"
    with (
        targets.demo_server(prebuilt_demo, "--workers", "2") as server,
        program.attached("--pid", server.pid, "--export", file) as hud,
    ):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for _ in range(2):
            for path in program.BAD:
                connection.request("POST", f"/good{path}", b"a password")
                assert connection.getresponse().read()
        connection.close()
        hud.process.terminate()
        hud.end()
    found = [
        (event["name"], event["args"]["cause"], event["args"]["on_cpu_us"])
        for event in program.begins(program.trace(file))
    ]
    assert found == []
    assert program.trace(file)["otherData"]["allowed_ns"] > 50_000_000


def test_a_quiet_run_says_so_and_what_the_longest_was(prebuilt_demo: Path) -> None:
    with targets.demo_server(prebuilt_demo, "--workers", "2") as server:
        done = program.run("--headless", "--pid", server.pid, "--duration", 0.5)
        assert "No poll of 5 ms or more in " in done.stdout
        assert "Try --threshold 1." in done.stdout
        quiet = program.run("-q", "--headless", "--pid", server.pid, "--duration", 0.3)
        assert (quiet.stdout, quiet.stderr) == ("", "")


# --------------------------------------------------------------------------- where it is written


def test_exports_to_standard_output_and_as_text(prebuilt_demo: Path, tmp_path: Path) -> None:
    with targets.demo_server(prebuilt_demo, "--workers", "2") as server:
        base = ("--headless", "--pid", server.pid, "--duration", 0.3)
        done = program.run(*base, "--export", "-")
        assert json.loads(done.stdout)["otherData"]["ended"] == "duration over"
        text = tmp_path / "run.txt"
        done = program.run(*base, "--export", text)
        assert text.read_text().splitlines()[0] == done.stdout.splitlines()[0]
        done = program.run(*base, "--export", "-", "--format", "summary")
        assert "  ended    duration over" in done.stdout


def test_under_sudo_the_export_belongs_to_the_caller(prebuilt_demo: Path, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    caller = program.environment(SUDO_UID="1234", SUDO_GID="2345")
    with targets.demo_server(prebuilt_demo, "--workers", "2") as server:
        program.run(
            *("-q", "--headless", "--pid", server.pid, "--duration", 0.3, "--export", file),
            env=caller,
            umask=0o027,
        )
    found = file.stat()
    assert (found.st_uid, found.st_gid) == (1234, 2345)
    assert found.st_mode & 0o777 == 0o640


def test_a_window_covers_the_end_only(prebuilt_demo: Path, tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    with targets.demo_server(prebuilt_demo, "--workers", "2") as server:
        command = ("--pid", server.pid, "--window", 1, "--export", file)
        with program.attached(*command) as hud:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            for path in ("/hash", "/sleep"):
                connection.request("POST", path, b"a password")
                assert connection.getresponse().read()
                if path == "/hash":
                    time.sleep(1.5)
            hud.process.terminate()
            out, _ = hud.end()
            connection.close()
    assert "hash_password" not in out
    assert "figures of the last 1 s; " in out
    (event,) = program.begins(program.trace(file))
    assert event["args"]["cause"] == "sleep"
