"""What keeps the target off the CPUs from outside: a CPU quota of its cgroup, the hypervisor.

Sources: Documentation/admin-guide/cgroup-v2.rst (cpu.max, cpu.stat: nr_throttled, throttled_usec),
Documentation/scheduler/sched-bwc.rst (version 1: cpu.cfs_quota_us, throttled_time in ns), proc(5)
(/proc/stat: steal is the 8th figure of the first line).

The quota of any cgroup around the target stops it, so all of them are watched, and the one that
stopped it longest is reported.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from hud.model import HostPressure
from hud.process.children import Children
from hud.process.mounts import Mount, mounts_of
from hud.process.procfs import PROC, proc_directory, read_text

_DEEPEST = 32
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Controller(NamedTuple):
    """What cgroups share out, and by which file, of versions 1 and 2, it is seen that they do."""

    name: str
    files: tuple[str, str]


CPU = Controller("cpu", ("cpu.stat", "cpu.stat"))


class Cgroup(NamedTuple):
    """A cgroup that may have a quota."""

    name: str
    """Its path below the hierarchy's mount."""
    directory: Path
    version: int


class Throttled(NamedTuple):
    """How often and how long a group was stopped since it exists."""

    periods: int
    time_ns: int


class HostWatch:
    """What happened since it was made. Everything unreadable counts as zero."""

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self._proc = proc
        self._groups = groups_of(pid, proc)
        self._throttled = [throttled(group) for group in self._groups]
        self._stolen = stolen_ns(proc)
        self._children = Children(pid, proc)

    def read(self, *, last: bool = False) -> HostPressure:
        """Since the watch began; ``last`` = no other reading follows."""
        worst = Throttled(0, 0)
        quota = ""
        for group, before in zip(self._groups, self._throttled, strict=True):
            limit = quota_of(group)
            now = throttled(group)
            since = Throttled(now.periods - before.periods, now.time_ns - before.time_ns)
            if limit and (not quota or since.time_ns > worst.time_ns):
                quota = f"{limit} in {group.name}"
            worst = max(worst, since, key=lambda one: one.time_ns)
        return HostPressure(
            throttled_ns=worst.time_ns,
            throttled_periods=worst.periods,
            stolen_ns=max(0, stolen_ns(self._proc) - self._stolen),
            quota=quota,
            children=self._children.read(last=last),
        )


def groups_of(pid: int, proc: Path = PROC, controller: Controller = CPU) -> list[Cgroup]:
    """The groups around a process that have the controller's file here, innermost first.

    They are looked for where this process sees the hierarchies, else where the target does (a
    container that mounts its own).
    """
    try:
        text = read_text(proc_directory(pid, proc) / "cgroup", 64 << 10)
    except OSError:
        return []
    mounts = mounts_of("self", proc)
    theirs = [mount._replace(root="/") for mount in mounts_of(pid, proc)]
    root = proc_directory(pid, proc) / "root"
    for line in text.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        version = 2 if not controllers else 1
        if version == 1 and controller.name not in controllers.split(","):
            continue
        found = _groups((version, controller), path, mounts, Path("/"))
        found = found or _groups((version, controller), "/", theirs, root)
        if found:
            return found
    return []


def _groups(
    kind: tuple[int, Controller], path: str, mounts: list[Mount], base: Path
) -> list[Cgroup]:
    version, (name, files) = kind
    for mount in mounts:
        if version == 2 and mount.kind != "cgroup2":
            continue
        if version == 1 and not (mount.kind == "cgroup" and name in mount.options.split(",")):
            continue
        inside = path.removeprefix(mount.root.rstrip("/"))
        parts = [part for part in inside.split("/") if part][:_DEEPEST]
        if ".." in parts:
            continue  # outside the part of the hierarchy that is visible
        top = base / mount.point.lstrip("/")
        found = []
        for depth in range(len(parts), -1, -1):
            directory = top.joinpath(*parts[:depth])
            if (directory / files[version - 1]).is_file():
                found.append(Cgroup("/" + "/".join(parts[:depth]), directory, version))
        if found:
            return found
    return []


def throttled(group: Cgroup) -> Throttled:
    """What its cpu.stat says."""
    fields = _fields(group.directory / "cpu.stat")
    if group.version == 2:
        return Throttled(fields.get("nr_throttled", 0), fields.get("throttled_usec", 0) * 1000)
    return Throttled(fields.get("nr_throttled", 0), fields.get("throttled_time", 0))


def quota_of(group: Cgroup) -> str:
    """``0.5 CPUs``; empty = no limit."""
    try:
        if group.version == 2:
            quota, period = read_text(group.directory / "cpu.max", 256).split()
        else:
            quota = read_text(group.directory / "cpu.cfs_quota_us", 256).strip()
            period = read_text(group.directory / "cpu.cfs_period_us", 256).strip()
    except (OSError, ValueError):
        return ""
    if not quota.isdecimal() or not period.isdecimal() or not int(period):
        return ""  # "max", -1
    share = int(quota) / int(period)
    return f"{share:.3g} CPU{'' if share == 1 else 's'}"


def stolen_ns(proc: Path = PROC) -> int:
    """Time that the hypervisor gave to others, all CPUs, since boot."""
    try:
        fields = read_text(proc / "stat", 4096).split("\n")[0].split()
        return int(fields[8]) * _TICK_NS
    except (OSError, ValueError, IndexError):
        return 0


def _fields(path: Path) -> dict[str, int]:
    try:
        lines = read_text(path, 4096).splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
