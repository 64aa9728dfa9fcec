"""Which pid namespace hud and the target live in, and whether the target is in a container.

The kernel side of hud sees pids of the initial namespace only, so hud must run in it; the
target may be in any.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from hud.errors import KernelError
from hud.process.procfs import PROC, proc_directory, read_text

if TYPE_CHECKING:
    from pathlib import Path

PROC_PID_INIT_INO = 0xEFFF_FFFC
"""include/linux/proc_ns.h: inode of the initial pid namespace."""

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
