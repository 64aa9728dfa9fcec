"""Reads the memory of a process."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hud.errors import TargetError
from hud.process.procfs import open_memory, proc_directory, reader_of
from hud.process.rights import CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, holds

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
            _remedy(pid, proc),
        ) from error
    return descriptor, reader_of(descriptor)


def _remedy(pid: int, proc: Path) -> str:
    """The file belongs to the process's user, mode 0600; who may open it, has to be allowed to
    trace the process as well (fs/proc/base.c, mem_open)."""
    with suppress(OSError):
        others = (proc_directory(pid, proc) / "mem").stat().st_uid != os.geteuid()
        if others and not (holds(CAP_DAC_READ_SEARCH) or holds(CAP_DAC_OVERRIDE)):
            return "run as root, or grant CAP_DAC_READ_SEARCH"
    return "run as root, or grant CAP_SYS_PTRACE; hud doctor says what forbids it"
