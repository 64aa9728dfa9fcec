"""hud as a command, on what needs neither root nor a running service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "tests" / "data" / "demo.hud"


def hud(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the command printed, and its exit code."""
    return subprocess.run(
        [sys.executable, "-m", "hud", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_malformed_sudo_uid_loses_no_result(tmp_path: Path) -> None:
    out = tmp_path / "trace.json"
    ran = hud("export", RECORDING, "-o", out, SUDO_UID="99999999999", SUDO_GID="1")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"written  {out}" in ran.stdout
    assert json.loads(out.read_bytes())["traceEvents"]


def test_an_error_is_one_line_and_a_remedy() -> None:
    ran = hud("info", ROOT)
    assert (ran.returncode, ran.stdout) == (2, "")
    what, remedy = ran.stderr.splitlines()
    assert what == f"hud: {ROOT}: not a file"
    assert remedy.startswith("     ")


def test_an_error_names_the_file() -> None:
    ran = hud("info", __file__)
    assert (ran.returncode, ran.stdout) == (4, "")
    assert ran.stderr.startswith(f"hud: {__file__}: not a recording of hud\n")


def test_without_arguments_the_usage_and_the_code_of_wrong_usage() -> None:
    ran = hud()
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("usage: hud [options] PROCESS\n")
    assert ran.stderr.endswith("\nhud --help lists the options; hud help, longer texts\n")


def test_what_is_in_a_recording() -> None:
    ran = hud("info", RECORDING)
    assert (ran.returncode, ran.stderr) == (0, "")
    labels = [line.split()[0] for line in ran.stdout.splitlines()]
    assert labels[:4] == ["file", "integrity", "target", "recorded"]
    assert labels[-1] == "ended"
