"""Remembers what the target's own numbers say that cannot be: it is not shown any more, and why.

They are read while the target changes them, so that one reading may be of two moments. What cannot
be in STRIKES of them is no chance: the memory is not what hud takes it for, or somebody writes
there who should not.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum

STRIKES = 3


class About(Enum):
    """What is left out, and why, for people."""

    LIST = "the list of tasks is not shown: it does not hold together"
    POOL = "the blocking pool is not shown: it counts more threads than the process has"
    QUEUES = "the tasks in queues are not shown: they count more than are alive"


class Contradictions:
    """Those of one process."""

    def __init__(self) -> None:
        self._strikes: Counter[About] = Counter()

    def see(self, about: About) -> None:
        """One reading contradicted itself."""
        self._strikes[about] += 1

    def believed(self, about: About) -> bool:
        return self._strikes[about] < STRIKES

    @property
    def said(self) -> str:
        """What is left out; empty = nothing."""
        return "; ".join(about.value for about in About if not self.believed(about))
