"""The names of processes whose threads ran while workers waited for a CPU.

A thread is often called otherwise than its process (``opt cgu.03`` of ``rustc``), and a build
is many processes of one name: pressure is reported by process.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from hud.model import Culprit
from hud.process.procfs import PROC, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 1_024


class Programs:
    """Names of processes, each looked up once: it may be gone at any moment."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._names: OrderedDict[int, str] = OrderedDict()

    def named(self, culprits: Iterable[Culprit]) -> list[Culprit]:
        """With the names of their processes, as far as these are still there."""
        return [Culprit(one.tid, one.pid, one.name, self._name(one)) for one in culprits]

    def _name(self, culprit: Culprit) -> str:
        if culprit.tid == culprit.pid:
            return culprit.name
        name = self._names.get(culprit.pid)
        if name is None:
            name = self._names[culprit.pid] = self._read(culprit.pid)
            if len(self._names) > MOST:
                self._names.popitem(last=False)
        return name

    def _read(self, pid: int) -> str:
        try:
            return read_text(self._proc / str(pid) / "comm", 64).rstrip("\n")
        except OSError:
            return ""
