"""``hud run``: a program is seen from its first poll on, and hud ends as it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import program
import pytest
import targets

sys.path.insert(0, str(targets.ROOT / "tools"))

from benchmarks.truth import judge, read_deeds

pytestmark = pytest.mark.e2e

WAIT = "trap 'exit 7' TERM; sleep 0.01; echo ready; while :; do sleep 0.05; done"


def started(*arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*program.COMMAND, "run", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=program.environment(),
        **options,  # type: ignore[call-overload]
    )


def test_every_poll_from_the_first_on(build_target: Callable[..., Path], tmp_path: Path) -> None:
    truth, trace = tmp_path / "truth", tmp_path / "trace.json"
    zoo = [build_target("zoo"), "--truth", truth, "--dir", tmp_path, "--seconds", 3]
    done = program.run("run", "--export", trace, "--", *zoo)
    assert "every long poll seen" in done.stderr
    assert "stopped the target" not in done.stderr
    deeds, written = read_deeds(truth), json.loads(trace.read_text())
    verdict = judge(deeds, written)
    total = verdict.total()
    assert total.expected >= 50
    assert total.found >= 0.95 * total.expected, total.missed
    first = min(deeds, key=lambda deed: deed.begin)
    assert first not in total.missed


def test_the_streams_are_the_programs_own() -> None:
    done = program.run("run", "--", "sh", "-c", "echo its own; sleep 0.1; exit 3", code=3)
    assert done.stdout == "its own\n"
    assert "target exited (status 3)" in done.stderr


def test_what_starts_nothing_and_ends() -> None:
    done = program.run("run", "--", "sh", "-c", "echo its own; exit 5", code=5)
    assert done.stdout == "its own\n"
    assert done.stderr == "hud: sh has ended: there was nothing to watch\n"


def test_a_signal_ends_both(tmp_path: Path) -> None:
    with started("--", "sh", "-c", WAIT) as hud:
        assert hud.stdout
        assert hud.stdout.readline() == "ready\n"
        hud.terminate()
        _, said = hud.communicate(timeout=30)
    assert hud.returncode == 7, "what the program made of it"
    assert "stopped by SIGTERM" in said


def test_what_ends_by_a_signal(tmp_path: Path) -> None:
    done = program.run("run", "--", "sh", "-c", "sleep 0.2; kill -9 $$", code=128 + signal.SIGKILL)
    assert "killed by SIGKILL" in done.stderr


def test_a_duration_ends_the_program() -> None:
    assert program.run("run", "--duration", "0.3", "--", "sleep", "60").returncode == 0
    assert (
        program.run("run", "--duration", "0.5", "--", "sh", "-c", WAIT, code=7).stdout == "ready\n"
    )


@pytest.mark.parametrize(
    ("command", "why"),
    [("/nothing/here", "no such file or directory"), ("/etc/passwd", "permission denied")],
)
def test_what_cannot_be_started(command: str, why: str) -> None:
    said = program.run("run", "--", command, code=3).stderr
    assert said.startswith(f"hud: start {command}: {why}\n")


def test_nothing_runs_where_hud_cannot_attach(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    missing = ("--btf", tmp_path / "none")
    program.run("run", *missing, "--", "sh", "-c", f"touch {mark}", code=4)
    assert not mark.exists()


def test_who_called_sudo_runs_it() -> None:
    sudo = program.environment(SUDO_UID="65534", SUDO_GID="65534", HOME="/root")
    done = program.run(
        "run", "--", "sh", "-c", "id -u; id -g; id -G; echo $HOME$SUDO_UID", env=sudo
    )
    uid, gid, groups, home = done.stdout.splitlines()
    assert (uid, gid, groups) == ("65534", "65534", "65534")
    assert home == "/nonexistent"


def test_a_killed_hud_leaves_no_tracer(build_target: Callable[..., Path], tmp_path: Path) -> None:
    """The program runs on as if hud had never been there."""
    with started("--", build_target("nap"), start_new_session=True) as hud:
        assert hud.stdout
        pid = int(hud.stdout.readline().split()[1])
        try:
            hud.kill()
            hud.wait()
            status = Path(f"/proc/{pid}/status").read_text()
            assert "TracerPid:\t0\n" in status
            before = targets_time(pid)
            assert program.within(20, lambda: targets_time(pid) > before)
        finally:
            os.kill(pid, signal.SIGKILL)


def targets_time(pid: int) -> int:
    """Switches of its main thread so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_an_export_to_standard_output_is_refused() -> None:
    started_at = time.monotonic()
    said = program.run("run", "--export", "-", "--", "sleep", "60", code=2).stderr
    assert "the program uses standard output" in said
    assert time.monotonic() - started_at < 30
