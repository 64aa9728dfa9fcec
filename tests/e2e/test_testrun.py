"""``hud test`` on a package whose tests say by their names which of them block."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import program
import pytest
import targets

pytestmark = pytest.mark.e2e

SUITE = targets.CRATES / "suite" / "Cargo.toml"
BLOCKED = re.compile(r"hud: (\S+) \((\w+)\) blocked its runtime for (?:up to )?\d+")
BLOCKS = {
    "blocks_at_login", "blocks_while_it_computes",
    *(f"tests::blocks_{how}" for how in (
        "in_channel", "in_condition", "in_join", "in_local_task", "in_lock", "in_program",
        "in_sleep", "in_socket", "in_spawned_task", "on_a_worker",
    )),
}  # fmt: skip


@pytest.fixture(scope="module")
def cargo(build_target: object, pytestconfig: pytest.Config) -> list[str]:
    """The tests of the suite, built."""
    command = ["cargo", "test", "--quiet", "--locked", "--manifest-path", str(SUITE)]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(targets.CARGO_TARGET)}
    subprocess.run([*command, "--no-run"], check=True, env=environment)
    if pytestconfig.getoption("--build-only"):
        pytest.skip("built")
    return command


def run_tests(*words: object, code: int) -> subprocess.CompletedProcess[str]:
    environment = program.environment(CARGO_TARGET_DIR=str(targets.CARGO_TARGET))
    return program.run("test", *words, code=code, env=environment)


def named(said: str) -> set[str]:
    """The tests that are said to block; of a name that is cut off the only one that it can be."""
    found = set()
    for name, _ in BLOCKED.findall(said):
        whole = [one for one in BLOCKS if one.startswith(name.rstrip("\N{HORIZONTAL ELLIPSIS}"))]
        cut = name.endswith("\N{HORIZONTAL ELLIPSIS}")
        found.add(whole[0] if cut and len(whole) == 1 else name)
    return found


def test_each_test_that_blocks_is_named_and_no_other(cargo: list[str]) -> None:
    done = run_tests("--", *cargo, code=1)
    assert done.stdout.count("test result: ok") >= 2, "what the command writes is its own"
    assert named(done.stderr) == BLOCKS
    place = "called by suite::read_pipe src/lib.rs:53 (net)\n     fix: use UnixStream of tokio::net"
    assert place in done.stderr
    assert "not all was seen" not in done.stderr


def test_tests_that_do_not_block_pass(cargo: list[str]) -> None:
    done = run_tests("--", *cargo, "does_not", code=0)
    assert done.stderr.endswith("hud: nothing blocked in 2 programs with Tokio runtimes\n")


def test_a_process_of_one_test(cargo: list[str]) -> None:
    """As cargo-nextest starts it."""
    done = run_tests(
        "-v", "--", *cargo, "--lib", "--", "--exact", "tests::blocks_on_a_worker", code=1
    )
    assert BLOCKED.findall(done.stderr) == [("tests::blocks_on_a_worker", "suite")]
    assert "suite::tests::serve::{async fn}" in done.stderr, "its stack"


def test_in_a_step_of_github_actions_it_is_an_annotation(cargo: list[str]) -> None:
    environment = program.environment(
        CARGO_TARGET_DIR=str(targets.CARGO_TARGET),
        GITHUB_ACTIONS="true",
        GITHUB_WORKSPACE=str(SUITE.parent),
    )
    done = program.run("test", "--", *cargo, "blocks_at", code=1, env=environment)
    line = "::error file=src/lib.rs,line=10,title=hud%3A blocks_at_login failed::"
    assert line in done.stderr


def test_the_threshold_is_that_of_the_tests(cargo: list[str]) -> None:
    done = run_tests("--threshold", "2000", "--", *cargo, "--test", "api", code=0)
    assert "nothing blocked in 1 program" in done.stderr


def test_the_commands_own_failure_is_passed_on(cargo: list[str]) -> None:
    script = f"{' '.join(cargo)} --test api does_not_log_out; exit 9"
    assert "nothing blocked in 1 program" in run_tests("--", "sh", "-c", script, code=9).stderr


def test_nothing_seen_is_no_pass() -> None:
    done = run_tests("--", "sh", "-c", "echo its own", code=4)
    assert done.stdout == "its own\n"
    assert done.stderr.startswith("hud: no Tokio runtime began below this command")


def test_what_cannot_be_started() -> None:
    said = run_tests("--", "/nothing/here", code=3).stderr
    assert said.startswith("hud: start /nothing/here: no such file or directory\n")


def test_without_root_it_says_what_to_do(for_anyone: list[str]) -> None:
    done = subprocess.run([*for_anyone, "test", "--", "true"], capture_output=True, text=True)
    assert done.returncode == 4
    assert done.stderr == "hud: hold programs: seccomp: permission denied\n     run it with sudo\n"


def test_who_called_sudo_runs_it() -> None:
    sudo = program.environment(SUDO_UID="65534", SUDO_GID="65534")
    done = program.run("test", "--", "id", "-u", env=sudo, code=4)
    assert done.stdout == "65534\n"


def test_a_signal_ends_the_command(tmp_path: Path) -> None:
    mark = tmp_path / "ready"
    script = f"trap 'exit 7' TERM; touch {mark}; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [*program.COMMAND, "test", "--", "sh", "-c", script],
        stderr=subprocess.PIPE,
        text=True,
        env=program.environment(),
    ) as hud:
        until = time.monotonic() + 30
        while not mark.exists() and time.monotonic() < until:
            time.sleep(0.01)
        hud.send_signal(signal.SIGTERM)
        _, said = hud.communicate(timeout=30)
    assert hud.returncode == 4, said
    assert "nothing was tested" in said


def test_tests_go_on_where_hud_is_killed(cargo: list[str], tmp_path: Path) -> None:
    """Nobody else answers for it but its guard."""
    mark = tmp_path / "code"
    script = f"echo begun; {' '.join(cargo)}; echo $? > {mark}"
    with subprocess.Popen(
        [*program.COMMAND, "test", "--", "sh", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env=program.environment(CARGO_TARGET_DIR=str(targets.CARGO_TARGET)),
    ) as hud:
        assert hud.stdout
        assert hud.stdout.readline() == "begun\n"
        hud.kill()
        rest = hud.stdout.read()  # ends when the last of the tree has
    assert "test result: ok" in rest
    assert mark.read_text() == "0\n"
