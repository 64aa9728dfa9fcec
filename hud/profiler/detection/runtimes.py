"""Which runtime a thread drives, and what that is called.

The threads of a runtime share its handle, to which the scheduler in their CONTEXT leads
(hud.runtime.schedulers). It is called by what the names of its threads begin with.
"""

from __future__ import annotations

import os
from contextlib import suppress

from hud.errors import TargetError
from hud.runtime.memory import Read, memory_reader
from hud.runtime.schedulers import handle_of
from hud.runtime.workers import base_name

MOST_NAMES = 256
"""Runtimes of one program that are told apart: some begin one for each request."""
UNNAMED = "unnamed"


class Runtimes:
    """Those of one process, as far as its memory can be read. Close it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._descriptor = -1
        self._read: Read = _nothing
        self._by_handle: dict[int, str] = {}
        self._by_tid: dict[int, str] = {}

    def begin(self) -> None:
        """With the program that the process runs now."""
        self.close()
        self._by_handle.clear()
        self._by_tid.clear()
        with suppress(TargetError):  # else they are told apart by the names of their threads
            self._descriptor, self._read = memory_reader(self._pid)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._read = -1, _nothing

    def of(self, tid: int, thread_name: str, scheduler: int) -> str:
        """The runtime that the thread with this scheduler drives; it keeps the first one that is
        known. Until then, as when it is just letting go of its core, its threads' name has to do.
        """
        name = self._by_tid.get(tid)
        if name is None:
            name = base_name(thread_name) or UNNAMED
            handle = handle_of(scheduler, self._read)
            if handle:
                name = self._by_tid[tid] = self._named(handle, name)
        return name

    def forget(self, tid: int) -> None:
        """The thread is gone: its tid may come back as another thread."""
        self._by_tid.pop(tid, None)

    def _named(self, handle: int, base: str) -> str:
        known = self._by_handle.get(handle)
        if known is not None or len(self._by_handle) >= MOST_NAMES:
            return known or base
        taken = set(self._by_handle.values())
        name, number = base, 1
        while name in taken:
            number += 1
            name = f"{base} #{number}"
        self._by_handle[handle] = name
        return name


def _nothing(_address: int, _size: int) -> bytes:
    return b""
