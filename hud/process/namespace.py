"""Which namespaces hud and the target live in, and whether the target is in a container.

The kernel side of hud sees pids and clocks of the initial namespaces only, so hud must run in them;
the target may be in any.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from hud.errors import KernelError
from hud.process.procfs import PROC, numbers, proc_directory, read_text

if TYPE_CHECKING:
    from pathlib import Path

PROC_PID_INIT_INO = 0xEFFF_FFFC
"""include/linux/proc_ns.h: inode of the initial pid namespace."""

PROC_TIME_INIT_INO = 0xEFFF_FFFA
"""Likewise, of the initial time namespace."""
CLONE_NEWTIME = 0x80

_CONTAINERS = (
    ("kubernetes", re.compile(r"kubepods.*[-/]([0-9a-f]{12})[0-9a-f]{52}")),
    ("docker", re.compile(r"docker[-/]([0-9a-f]{12})[0-9a-f]{52}")),
    ("podman", re.compile(r"libpod-([0-9a-f]{12})[0-9a-f]{52}")),
    ("containerd", re.compile(r"cri-containerd-([0-9a-f]{12})[0-9a-f]{52}")),
    ("lxc", re.compile(r"/lxc(?:\.payload)?[./]([^/\s]+)")),
    ("systemd-nspawn", re.compile(r"/machine\.slice/systemd-nspawn@([^/\s]+)\.service")),
)


def in_initial_pid_namespace(proc: Path = PROC) -> bool:
    """Whether this process's pids are those that the kernel side sees.

    True also where /proc has no ``ns`` (CONFIG_NAMESPACES off).
    """
    try:
        return (proc / "self/ns/pid").stat().st_ino == PROC_PID_INIT_INO
    except OSError:
        return True


def require_initial_pid_namespace(proc: Path = PROC) -> None:
    """Raise KernelError (exit 4) where hud runs in a pid namespace of its own."""
    if not in_initial_pid_namespace(proc):
        raise KernelError(
            "hud sees other pids than the kernel: it runs in a pid namespace of its own",
            hint="run it in the host's pid namespace (docker run --pid=host)",
        )


def join_initial_time_namespace(proc: Path = PROC) -> None:
    """Have the kernel's clocks from here on, in which its events are timed; before any thread is
    started. KernelError (exit 4) where that cannot be.
    """
    if _has_initial_clock(proc, "self"):
        return
    for pid in numbers(proc):
        if _has_initial_clock(proc, str(pid)):
            _join(proc / str(pid) / "ns/time", CLONE_NEWTIME)
            break
    if not _has_initial_clock(proc, "self"):
        raise KernelError(
            "hud has another clock than the kernel: it runs in a time namespace of its own",
            hint="run it in the host's time namespace (nsenter --time=/proc/1/ns/time)",
        )


def _has_initial_clock(proc: Path, process: str) -> bool:
    """True also where the kernel has no time namespaces; False where it is not to be seen."""
    try:
        return (proc / process / "ns/time").stat().st_ino == PROC_TIME_INIT_INO
    except FileNotFoundError:
        return process == "self"
    except OSError:
        return False


def _join(namespace: Path, kind: int) -> None:
    import ctypes

    with suppress(OSError), namespace.open("rb") as opened:
        ctypes.CDLL(None).setns(opened.fileno(), kind)


def shares_mounts(pid: int, proc: Path = PROC) -> bool:
    """Whether a process sees the same file systems as hud; False where that is not to be seen."""
    try:
        theirs, ours = (proc_directory(pid, proc) / "ns/mnt").stat(), (proc / "self/ns/mnt").stat()
    except OSError:
        return False
    return os.path.samestat(theirs, ours)


def container_name(pid: int, proc: Path = PROC) -> str:
    """``docker 0123456789ab`` or the like from the target's cgroup path; empty if in none."""
    try:
        cgroup = read_text(proc_directory(pid, proc) / "cgroup")
    except OSError:
        return ""
    for engine, pattern in _CONTAINERS:
        found = pattern.search(cgroup)
        if found:
            return f"{engine} {found[1]}"
    return ""
