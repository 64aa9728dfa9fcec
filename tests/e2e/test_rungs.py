"""The fallback ladder on real builds: every Tokio with CONTEXT, and what is left without it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import program
import pytest
import targets

pytestmark = pytest.mark.e2e

HANDLERS = targets.CRATES / "demo-server" / "src" / "handlers.rs"
BLAMED = ("hash_password", "compress_payload")


def lines_of(function: str) -> range:
    """The lines of a function of handlers.rs, from its ``fn`` to its closing brace."""
    lines = HANDLERS.read_text().splitlines()
    first = next(at for at, line in enumerate(lines, 1) if f"fn {function}(" in line)
    last = next(at for at in range(first, len(lines) + 1) if lines[at - 1] == "}")
    return range(first, last + 1)


def profile(
    binary: Path, file: Path, *options: str, seconds: float = 3, server: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The trace of a run on a server under load."""
    with targets.demo_server(binary, *(server or ("--workers", "3"))) as running:
        with program.load(running.port):
            time.sleep(0.5)  # until the blocking pool is there
            program.run(
                *("--headless", "--pid", running.pid, "--duration", seconds, "--export", file),
                *options,
            )
        main = running.pid
    written = program.trace(file)
    written["main"] = main
    return written


def check_workers(written: dict[str, Any], count: int) -> None:
    workers = written["otherData"]["workers"]
    assert [worker["worker_id"] for worker in workers] == list(range(count))
    # The runtime starts them before anything else starts a thread.
    assert all(written["main"] < worker["tid"] <= written["main"] + 500 for worker in workers)


# --------------------------------------------------------------------------- CONTEXT


@pytest.mark.parametrize(
    ("tokio", "profile_name"),
    [
        *((tokio, "release") for tokio in targets.TOKIO_VERSIONS),
        (targets.TOKIO_VERSIONS[0], "dev"),
        (targets.TOKIO_VERSIONS[-1], "dev"),
    ],
)
def test_with_debug_info_blockers_have_function_file_and_line(
    build_target: Callable[..., Path], tmp_path: Path, tokio: str, profile_name: str
) -> None:
    binary = build_target("demo-server", tokio=tokio, profile=profile_name, debug=2)
    # A dev build hashes for seconds, and a poll is blamed when it ends.
    written = profile(binary, tmp_path / "x.json", seconds=8 if profile_name == "dev" else 3)
    other = written["otherData"]
    assert other["detection"]["rung"] == "context"
    assert other["detection"]["tokio_versions"] == [tokio]
    assert {name: n for name, n in other["losses"].items() if n and name != "stacks_skipped"} == {}
    check_workers(written, 3)
    found = program.blocked_in(written)
    for function in BLAMED:
        events = found[function]
        for event in events:
            assert event["name"] == f"demo_server::handlers::{function}"
            assert event["args"]["file"].endswith("src/handlers.rs"), event
            assert event["args"]["line"] in lines_of(function), event
            assert event["args"]["detection_method"] == 4
    operations = {event["args"].get("operation") for event in found["hash_password"]}
    assert any("bcrypt" in (operation or "") for operation in operations)


@pytest.mark.parametrize("context", [True, False])
def test_a_current_thread_runtime_has_one_worker(
    prebuilt_demo: Path, tmp_path: Path, context: bool
) -> None:
    options = () if context else ("--no-context",)
    server = ("--flavor", "current_thread")
    written = profile(prebuilt_demo, tmp_path / "x.json", *options, server=server, seconds=4)
    other = written["otherData"]
    assert other["detection"]["rung"] == ("context" if context else "stacks")
    assert [worker["tid"] for worker in other["workers"]] == [written["main"]]
    assert "hash_password" in program.blocked_in(written)


# --------------------------------------------------------------------------- below it


def test_without_context_samples_name_the_blockers(prebuilt_demo: Path, tmp_path: Path) -> None:
    written = profile(prebuilt_demo, tmp_path / "x.json", "--no-context", seconds=4)
    other = written["otherData"]
    assert other["detection"]["rung"] in ("stacks", "names")
    assert "polls not seen: switched off" in other["detection"]["reason"]
    # A pool thread that slept while hud looked cannot be told apart: it has the same name.
    assert {worker["name"] for worker in other["workers"]} == {"tokio-rt-worker"}
    tids = sorted(worker["tid"] for worker in other["workers"])
    assert all(written["main"] < tid <= written["main"] + 20 for tid in tids[:3])
    hashed = program.blocked_in(written)["hash_password"]
    assert {event["args"]["detection_method"] for event in hashed} == {3}
    assert {event["args"]["cause"] for event in hashed} == {"cpu"}


def test_renamed_workers_are_found_by_their_stacks(prebuilt_demo: Path, tmp_path: Path) -> None:
    server = ("--workers", "3", "--thread-name", "api")
    written = profile(prebuilt_demo, tmp_path / "x.json", "--no-context", server=server, seconds=4)
    other = written["otherData"]
    assert other["detection"]["rung"] == "stacks"
    check_workers(written, 3)
    assert {worker["name"] for worker in other["workers"]} == {"api"}
    assert "hash_password" in program.blocked_in(written)


@pytest.mark.parametrize("context", [True, False])
def test_workers_by_prefix(prebuilt_demo: Path, tmp_path: Path, context: bool) -> None:
    """Below CONTEXT the blocking pool, which has the same name, cannot be told apart."""
    server = ("--workers", "2", "--thread-name", "api")
    options = ("--workers", "ap", *(() if context else ("--no-context",)))
    written = profile(prebuilt_demo, tmp_path / "x.json", *options, server=server, seconds=2)
    other = written["otherData"]
    assert other["detection"]["rung"] == ("context" if context else "names")
    assert {worker["name"] for worker in other["workers"]} == {"api"}
    assert "hash_password" in program.blocked_in(written)
    if context:
        check_workers(written, 2)


@pytest.mark.parametrize("context", [True, False])
def test_a_prefix_that_matches_nothing_is_refused(prebuilt_demo: Path, context: bool) -> None:
    options = () if context else ("--no-context",)
    with targets.demo_server(prebuilt_demo, "--workers", "2", "--thread-name", "api") as server:
        done = program.run(
            *("--headless", "--pid", server.pid, "--workers", "web", "--duration", "1", *options),
            code=3,
        )
    *_, what, hint = done.stderr.splitlines()
    assert what.startswith('hud: no thread\'s name begins with "web": ')
    assert "api" in what
    assert hint == "     try --workers api"
    assert done.stdout == ""


def test_a_process_without_tokio_has_scheduling_delays_only(tmp_path: Path) -> None:
    import subprocess

    file = tmp_path / "x.json"
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            done = program.run(
                *("--headless", "--pid", process.pid, "--duration", "0.5", "--export", file)
            )
        finally:
            process.kill()
    assert program.trace(file)["otherData"]["detection"]["rung"] == "latency"
    assert "No worker is known: only waits for a CPU were seen" in done.stdout
