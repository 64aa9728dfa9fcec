"""What a real run records is enough to tell it again: to the byte, and however the run ended."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import program
import pytest
import targets

from hud.model import Batch
from hud.record.reader import Reader, open_recording

pytestmark = pytest.mark.e2e


def without_files(summary: str) -> str:
    return "".join(
        line for line in summary.splitlines(keepends=True) if not line.startswith("  written ")
    )


@pytest.mark.parametrize(
    "options",
    [
        ("--duration", "3"),
        ("--duration", "2.5", "--window", "1"),
        ("--duration", "3", "--no-context"),
    ],
    ids=["whole", "window", "samples"],
)
def test_an_export_of_a_recording_is_that_of_the_run(
    server: targets.Running, tmp_path: Path, options: tuple[str, ...]
) -> None:
    recording, live, later = tmp_path / "run.hud", tmp_path / "live.json", tmp_path / "later.json"
    told = program.run(
        *("--headless", "--pid", server.pid, *options, "--record", recording, "--export", live)
    )
    again = program.run("export", recording, "-o", later)
    assert later.read_bytes() == live.read_bytes()
    assert program.begins(program.trace(later))
    assert without_files(again.stdout) == without_files(told.stdout)
    assert f"{live} (" in told.stdout
    assert f"{recording} (" in told.stdout
    assert again.stderr == ""

    piped = program.run("export", recording, "-o", "-", "--format", "trace")
    assert json.loads(piped.stdout) == json.loads(live.read_text("utf-8"))
    shown = program.run("info", recording).stdout
    assert "integrity  whole\n" in shown
    assert f"(pid {server.pid})" in shown
    assert "ended      duration over\n" in shown


def test_a_run_that_is_killed_has_recorded_all_but_the_last_second(
    server: targets.Running, tmp_path: Path
) -> None:
    file = tmp_path / "run.hud"
    with program.attached("--pid", server.pid, "--record", file) as hud:
        time.sleep(2.5)
        hud.process.kill()
        killed_ns = time.monotonic_ns()
        hud.process.wait()
    with open_recording(str(file)) as source:
        reader = Reader(source)
        told = [entry.time_ns for entry in reader.entries() if isinstance(entry, Batch)]
    assert reader.lacks
    assert told[-1] > killed_ns - 1_000_000_000
    assert told[-1] - told[0] > 1_000_000_000
    shown = program.run("info", file).stdout
    assert "integrity  no end: hud was killed" in shown or "integrity  cut off at byte" in shown
    again = program.run("export", file)
    assert f"hud: {file} is incomplete, " in again.stderr
    assert "  ended    the recording breaks off here\n" in again.stdout
    assert "handlers::" in again.stdout


def test_a_full_disk_ends_the_recording_and_not_the_run(
    server: targets.Running, tmp_path: Path, need: Callable[[object, str], None]
) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", place], check=False
    )
    need(mounted.returncode == 0, "mount of a tmpfs")
    try:
        file, export = place / "run.hud", tmp_path / "live.json"
        told = program.run(
            *("--headless", "--pid", server.pid, "--duration", "4"),
            *("--record", file, "--export", export),
            code=4,
        )
        assert f"hud: write {file}: no space left on device\n" in told.stderr
        assert "free some space" in told.stderr
        assert ", incomplete)" in told.stdout
        assert f"the recording has stopped: write {file}: no space" in " ".join(told.stdout.split())
        assert "of worker time was blocked" in told.stdout
        assert program.trace(export)["otherData"]["duration_s"] >= 4
        shown = program.run("info", file).stdout
        assert "integrity  no end" in shown
        assert 1_000 < file.stat().st_size <= 16_384
    finally:
        subprocess.run(["umount", place], check=True)


def test_under_sudo_a_recording_belongs_to_the_caller(
    server: targets.Running, tmp_path: Path
) -> None:
    file = tmp_path / "run.hud"
    program.run(
        *("--headless", "--pid", server.pid, "--duration", "0.5", "--record", file, "--quiet"),
        env=program.environment(SUDO_UID="1234", SUDO_GID="2345"),
    )
    status = file.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1234, 2345, 0o644)


def test_where_a_recording_cannot_be_is_said_before_anything_is_attached(
    server: targets.Running, tmp_path: Path
) -> None:
    for place in ("-", "/dev/null", tmp_path, tmp_path / "absent" / "run.hud"):
        told = program.run("--headless", "--pid", server.pid, "--record", place, code=2)
        assert told.stderr.startswith("hud: cannot record to ")
        assert len(told.stderr.splitlines()) == 2
    both = tmp_path / "one"
    told = program.run("--pid", server.pid, "--record", both, "--export", both, code=2)
    assert told.stderr.startswith("hud: --record and --export to the same file\n")


def test_a_recording_without_a_terminal(tmp_path: Path) -> None:
    file = targets.ROOT / "tests" / "data" / "demo.hud"
    told = program.run("view", file)
    assert told.stderr == "hud: no screen, because stdin is not a terminal; here is the summary\n"
    assert told.stdout == program.run("export", file).stdout
    assert "of worker time was blocked" in told.stdout
