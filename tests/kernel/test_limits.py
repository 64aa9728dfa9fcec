"""hud where a limit of its process is too low: a remedy and exit code 4, never a traceback."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]


@contextmanager
def sleeping() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def hud(pid: int, limit: int, most: int, soft: int | None = None) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "hud", "--pid", str(pid), "--headless", "--duration", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(limit, (soft or most, most)),
    )
    return ran.returncode, ran.stderr


@pytest.mark.parametrize("most", [6, 10, 20, 30, 36, 44])
def test_descriptors(most: int) -> None:
    with sleeping() as pid:
        status, said = hud(pid, resource.RLIMIT_NOFILE, most)
    assert "Traceback" not in said
    assert f"hud may open {most} files at most: ulimit -n" in said
    assert status == 4


def test_a_low_soft_limit_does_not_matter() -> None:
    with sleeping() as pid:
        status, said = hud(pid, resource.RLIMIT_NOFILE, 1000, soft=20)
    assert "too many open files" not in said
    assert status == 0


@pytest.mark.parametrize("megabytes", [50, 80])
def test_addresses(megabytes: int) -> None:
    with sleeping() as pid:
        status, said = hud(pid, resource.RLIMIT_AS, megabytes << 20)
    assert "Traceback" not in said
    assert f"hud may have {megabytes} MB of addresses: ulimit -v" in said
    assert status == 4


@pytest.mark.parametrize("namespaces", ["-Ur", "-Urm"])
def test_a_user_namespace(namespaces: str) -> None:
    with sleeping() as pid:
        command = [sys.executable, "-m", "hud", "--pid", str(pid), "--headless"]
        ran = subprocess.run(
            ["unshare", namespaces, *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert "user namespace" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 4


MEMORY_V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


@contextmanager
def memory_group(megabytes: int) -> Iterator[Path]:
    """A cgroup of either version with that much memory."""
    v1 = (MEMORY_V1 / "memory.limit_in_bytes").exists()
    if not v1:
        with suppress(OSError):
            (V2 / "cgroup.subtree_control").write_text("+memory")
    group = (MEMORY_V1 if v1 else V2) / f"hud-test-{os.getpid()}"
    try:
        group.mkdir()
        limit = "memory.limit_in_bytes" if v1 else "memory.max"
        (group / limit).write_text(str(megabytes << 20))
    except OSError as error:
        pytest.skip(f"no memory cgroup: {error}")
    try:
        yield group
    finally:
        group.rmdir()


@pytest.mark.parametrize("megabytes", [40, 50])
def test_memory_of_a_cgroup(megabytes: int) -> None:
    with sleeping() as pid, memory_group(megabytes) as group:
        command = [sys.executable, "-m", "hud", "--pid", str(pid), "--headless", "--duration", "1"]
        ran = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: (group / "cgroup.procs").write_text("0"),
        )
        os.kill(pid, 0)
    assert ran.returncode == 4, ran.stderr
    assert "MB of memory are left in hud's cgroup" in ran.stderr
    assert "raise memory.max of its cgroup (MemoryMax=)" in ran.stderr
    assert "Traceback" not in ran.stderr
