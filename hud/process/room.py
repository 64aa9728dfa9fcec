"""How much memory the cgroups around a process leave it.

Sources: Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.current, memory.stat),
Documentation/admin-guide/cgroup-v1/memory.rst (memory.limit_in_bytes, memory.usage_in_bytes; the
sums with the groups below are ``total_...``).
"""

from __future__ import annotations

from pathlib import Path

from hud.process.pressure import Cgroup, Controller, groups_of
from hud.process.procfs import PROC, read_text

MEMORY = Controller("memory", ("memory.limit_in_bytes", "memory.max"))
_USED = ("memory.usage_in_bytes", "memory.current")
_PAGES_OF_FILES = (("total_inactive_file", "total_active_file"), ("inactive_file", "active_file"))
"""In memory.stat: used, and given back when others need them."""


def memory_left(pid: int, proc: Path = PROC) -> int | None:
    """Bytes that it can still take; None = there is no limit, or none that can be read."""
    left = [_left_in(group) for group in groups_of(pid, proc, MEMORY)]
    return min((one for one in left if one is not None), default=None)


def _left_in(group: Cgroup) -> int | None:
    version = group.version - 1
    try:
        limit = read_text(group.directory / MEMORY.files[version], 256).strip()
        used = int(read_text(group.directory / _USED[version], 256))
        stat = dict(
            line.split() for line in read_text(group.directory / "memory.stat").splitlines()
        )
        spare = sum(int(stat.get(name, 0)) for name in _PAGES_OF_FILES[version])
    except (OSError, ValueError):
        return None
    return max(0, int(limit) - used + spare) if limit.isdecimal() else None
