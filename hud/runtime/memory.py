"""Reads the memory of a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hud.errors import TargetError
from hud.process.procfs import open_memory, reader_of

Read = Callable[[int, int], bytes]
"""(address, size) -> that many bytes, or fewer where memory ends; never raises."""


def memory_reader(pid: int, proc: Path = Path("/proc")) -> tuple[int, Read]:
    """A descriptor that the caller closes, and a function that reads the process's memory with it.

    Raises TargetError if the memory may not be read.
    """
    try:
        descriptor = open_memory(pid, proc)
    except OSError as error:
        raise TargetError(
            f"memory of process {pid}: {(error.strerror or 'unreadable').lower()}",
            "run as root, or grant CAP_SYS_PTRACE",
        ) from error
    return descriptor, reader_of(descriptor)
