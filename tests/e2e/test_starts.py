"""Programs that /proc/PID says little of: started by their loader, left by their main thread."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import program
import pytest
import targets

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.e2e

LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")


def loader() -> str:
    return next(path for path in LOADERS if Path(path).exists())


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def binary(build_target: Callable[..., Path], tmp_path: Path) -> Path:
    """Under a name that no other process has."""
    return shutil.copy2(build_target("nap", features="multi"), tmp_path / "nap-of-starts")


def watch(name: str, trace: Path) -> None:
    """hud finds it by this name, and sees its polls."""
    program.run(name, "--headless", "--duration", 1, "--export", trace)
    written = program.trace(trace)
    target = written["otherData"]["target"]
    assert target["name"] == Path(target["executable"]).name == "nap-of-starts"
    assert written["otherData"]["detection"]["rung"] == "context"
    found = [event["args"] for event in program.begins(written)]
    assert found
    assert all(one["stack_complete"] for one in found)


def test_started_through_the_loader(binary: Path, tmp_path: Path) -> None:
    options = (loader(), "--argv0", "worker", "--library-path", "/nowhere")
    with targets.nap(binary, loader=options) as running:
        assert Path(f"/proc/{running.pid}/exe").readlink() != binary
        watch("nap-of-starts", tmp_path / "trace.json")


def test_left_by_its_main_thread(binary: Path, tmp_path: Path) -> None:
    with targets.nap(binary, "leave") as running:
        assert program.within(10, lambda: state(running.pid) == "Z")
        watch("nap-of-starts", tmp_path / "trace.json")
        assert program.run("doctor", running.pid).stdout.count("sees polls (CONTEXT)") == 1
