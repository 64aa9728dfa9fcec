"""The processes that the target has started, and how much CPU time they use.

Source: proc(5), /proc/PID/task/TID/children, which needs CONFIG_PROC_CHILDREN; without it no child
is known.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from hud.errors import HudError
from hud.model import Child
from hud.process.procfs import PROC, read_stat, read_text

LIST_S = 30.0
"""How often children are looked for: it takes a file for each thread of the target."""
MOST = 64
"""Processes that are looked at."""
MOST_TOLD = 8
_DEEPEST = 3
"""Generations."""
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class Children:
    """Those of one process. Everything unreadable is no child."""

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self._pid = pid
        self._proc = proc
        self._before: dict[int, int] = {}
        self._pids: list[int] = []
        self._listed = float("-inf")
        for child in self.read():
            self._before[child.pid] = child.cpu_ns

    def read(self, *, last: bool = False) -> tuple[Child, ...]:
        """The busiest since the watch began; ``last`` = those of now, whatever it costs."""
        if last or time.monotonic() - self._listed >= LIST_S:
            self._listed = time.monotonic()
            self._pids = descendants(self._pid, self._proc)
        found = [child for pid in self._pids if (child := self._child(pid)) is not None]
        return tuple(sorted(found, key=lambda one: (-one.cpu_ns, one.pid))[:MOST_TOLD])

    def _child(self, pid: int) -> Child | None:
        try:
            stat = read_stat(pid, self._proc)
        except (OSError, HudError):
            return None
        if stat is None or stat.state == "Z":
            return None
        return Child(pid, stat.comm, max(0, stat.cpu_ticks * _TICK_NS - self._before.get(pid, 0)))


def descendants(pid: int, proc: Path = PROC) -> list[int]:
    """The children of a process and theirs, a few generations; at most ``MOST``."""
    found: list[int] = []
    parents = [pid]
    for _ in range(_DEEPEST):
        born = [child for parent in parents for child in _children(parent, proc)]
        parents = [one for one in dict.fromkeys(born) if one != pid and one not in found]
        parents = parents[: MOST - len(found)]
        found += parents
    return found


def _children(pid: int, proc: Path) -> list[int]:
    found: list[int] = []
    try:
        threads = sorted((proc / str(pid) / "task").iterdir())
    except OSError:
        return found
    for thread in threads:
        try:
            text = read_text(thread / "children", 4096)
        except OSError:
            continue
        found += [int(word) for word in text.split()[:MOST] if word.isdecimal()]
    return found[:MOST]
