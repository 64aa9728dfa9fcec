"""Who started each thread of the target, by name: a runtime's workers belong to the test whose
thread made them.
"""

from __future__ import annotations

import os
import struct
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hud.errors import TargetError
from hud.model import Batch, Kind, Sample
from hud.runtime.memory import Read, memory_reader
from hud.runtime.threadname import COMM, full_name

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 16_384


class Starters:
    """Of one process. What a started thread starts counts as its starter's; what the main thread
    starts is nobody's.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._known: dict[int, str] = {}
        self.latest_s = float("-inf")
        """On the clock of time.monotonic(), of the latest start."""

    def take(self, events: Iterable[Sample], batch: Batch) -> list[Sample]:
        """The events but for those of starts, which become ``batch.starters``."""
        left: list[Sample] = []
        starts: list[Sample] = []
        for event in events:
            (starts if event.kind == Kind.START else left).append(event)
        if starts:
            self.latest_s = time.monotonic()
            self._take(starts, batch)
        return left

    def _take(self, starts: list[Sample], batch: Batch) -> None:
        with ExitStack() as stack:
            try:
                descriptor, read = memory_reader(self._pid)
                stack.callback(os.close, descriptor)
            except TargetError:  # it has ended
                read = _nothing
            for one in starts:
                known = self._known.get(one.other)
                if known is None and one.other != self._pid:
                    known = _name(one, read)
                if known and len(self._known) < MOST:
                    self._known[one.tid] = batch.starters[one.tid] = known


def _name(start: Sample, read: Read) -> str:
    """Of the starter; what the kernel has cut off and nobody knows any more is an ellipsis."""
    comm = struct.pack("<QQ", start.stack, start.value).partition(b"\0")[0]
    found = full_name(read, start.task_id, comm)
    cut = "\N{HORIZONTAL ELLIPSIS}" if found == comm and len(comm) == COMM else ""
    return found.decode("utf-8", "replace") + cut


def _nothing(_address: int, _size: int) -> bytes:
    return b""
