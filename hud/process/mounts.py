"""Where the target sees its file systems, so that a place inside one becomes a path.

A device is (major, minor) as in /proc/PID/mountinfo (Documentation/filesystems/proc.rst,
3.5), the kernel's own ``s_dev``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from hud.process.procfs import proc_directory

_ESCAPE = re.compile(r"\\([0-7]{3})")
_MOST = 10_000


class Mount(NamedTuple):
    """One line of mountinfo."""

    device: tuple[int, int]
    root: str
    """What of the file system is mounted."""
    point: str
    kind: str
    """``ext4``, ``cgroup2`` ..."""
    options: str
    """Of the file system itself: ``rw,cpu,cpuacct``."""


def read_mounts(text: str) -> list[Mount]:
    """The lines of a mountinfo file; those that cannot be read are left out."""
    found = []
    for line in text.split("\n")[:_MOST]:
        fields = line.split(" ")
        numbers = fields[2].split(":") if len(fields) > 2 else []
        if "-" not in fields or len(fields) < 10 or not all(map(str.isdecimal, numbers)):
            continue
        kind, _, options = [*fields[fields.index("-", 6) + 1 :], "", "", ""][:3]
        device = int(numbers[0]), int(numbers[-1])
        found.append(Mount(device, _plain(fields[3]), _plain(fields[4]), kind, options))
    return found


def mounts_of(pid: int | str, proc: Path = Path("/proc")) -> list[Mount]:
    """Those of a process; none where they cannot be read."""
    try:
        directory = proc_directory(pid, proc) if isinstance(pid, int) else proc / pid
        return read_mounts((directory / "mountinfo").read_text("utf-8", "surrogateescape"))
    except OSError:
        return []


def path_at(mounts: list[Mount], device: tuple[int, int], inside: str) -> str:
    """The path of what is at ``inside`` in a file system; empty = it is not mounted there.

    Where several mounts show it, the one that shows least of the file system, the latest of these.
    """
    best = ""
    depth = -1
    for mount in mounts:
        root = mount.root.rstrip("/")
        if mount.device != device or not (inside + "/").startswith(root + "/"):
            continue
        if len(root) >= depth:
            depth = len(root)
            best = mount.point.rstrip("/") + inside[len(root) :]
    return best


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)
