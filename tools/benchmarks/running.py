"""Starts the programs that are measured, hud among them, and reads what they used.

Terms: *ticks* are CPU time as in /proc/PID/stat, in units of 1/CLK_TCK s; *slices* are the exact
CPU time of /proc/PID/task/TID/schedstat.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hud.profiler import Profiler

ROOT = Path(__file__).resolve().parents[2]
DEMO_SERVER = ROOT / "prebuilt" / "demo-server-x86_64"
SOURCE = (sys.executable, "-m", "hud")


def profile(pid: int, seconds: float, *options: str) -> dict[str, Any]:
    """One headless run of hud; what it exported."""
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(scratch) / "trace.json"
        command = [*SOURCE, "--pid", str(pid), "--headless", "--quiet"]
        command += ["--duration", str(seconds), "--export", str(trace), *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"bench: hud ended with {done.returncode}: {done.stderr.strip()}")
        loaded: dict[str, Any] = json.loads(trace.read_text())
        return loaded


@contextlib.contextmanager
def attached(pid: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    """hud, watching the process all the while."""
    command = [*SOURCE, "--pid", str(pid), "--headless", *options]
    with started(command, until="watching") as process:
        yield process


@contextlib.contextmanager
def started(
    command: Sequence[str | Path], until: str, stream: str = "stderr"
) -> Iterator[subprocess.Popen[str]]:
    """A process that has said ``until`` on its standard error (or output); ended by SIGINT."""
    others = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(
        [*map(str, command)], cwd=ROOT, text=True, **{**others, stream: subprocess.PIPE}
    )
    try:
        said = ""
        for line in process.stdout or process.stderr or ():
            said += line
            if until in line:
                break
        else:
            raise SystemExit(f"bench: {command[0]} ended: {said.strip()}")
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_to_pump(profiler: Profiler, end: float = float("inf")) -> None:
    """As the session does; not beyond ``end`` of the monotonic clock."""
    patience = min(profiler.patience_s, end - time.monotonic())
    select.select(profiler.filenos(), [], [], max(0.0, patience))


def cpu_ns(pid: int) -> int:
    """CPU time of all living threads of a process, exact."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(path.read_text().split()[0])
    return total


def family(pid: int) -> list[int]:
    """The process and its children: hud's resolver is one."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text().split())
    return found


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb(pid: int) -> float:
    """The largest RSS so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def pss_mb(pid: int) -> float:
    """As RSS, but what processes share is divided among them."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def maps_mb(pid: int) -> float:
    """The kernel's memory for the BPF maps that the process has descriptors of."""
    found = {}
    for path in Path(f"/proc/{pid}/fdinfo").iterdir():
        fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        if "map_id" in fields:
            found[fields["map_id"]] = int(fields["memlock"])
    return sum(found.values()) / 1e6


def load_average() -> str:
    return f"load average {Path('/proc/loadavg').read_text().split()[0]}, {os.cpu_count()} CPUs"


def have(command: str) -> bool:
    return shutil.which(command) is not None


def wait_until(when: float) -> None:
    time.sleep(max(0.0, when - time.monotonic()))


def stolen_ms() -> float:
    """Time that the hypervisor gave to others, all CPUs, since boot (/proc/stat)."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(fields[8]) * 1000 / os.sysconf("SC_CLK_TCK")
