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

PAGE = 4096


class Ration:
    """A reader that ends after ``most`` reads, as if memory did: a read of several pages counts as
    so many. What is read says where to read on, and whoever writes it may lead in circles."""

    def __init__(self, read: Read, most: int) -> None:
        self._read = read
        self._left = most

    def __call__(self, address: int, size: int) -> bytes:
        self._left -= 1 + size // PAGE
        return b"" if self.spent else self._read(address, size)

    @property
    def spent(self) -> bool:
        """Whether something was asked for that it did not give."""
        return self._left < 0


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


class Memory:
    """A process's memory, opened when it is first read: mostly there is nothing new to look at."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._opened: tuple[int, Read] | None = None

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._opened is not None:
            os.close(self._opened[0])

    def read(self, address: int, size: int) -> bytes:
        """As ``Read``; TargetError if the memory may not be read."""
        if self._opened is None:
            self._opened = memory_reader(self._pid)
        return self._opened[1](address, size)


def _remedy(pid: int, proc: Path) -> str:
    """The file belongs to the process's user, mode 0600; who may open it, has to be allowed to
    trace the process as well (fs/proc/base.c, mem_open)."""
    with suppress(OSError):
        others = (proc_directory(pid, proc) / "mem").stat().st_uid != os.geteuid()
        if others and not (holds(CAP_DAC_READ_SEARCH) or holds(CAP_DAC_OVERRIDE)):
            return "run as root, or grant CAP_DAC_READ_SEARCH"
    return "run as root, or grant CAP_SYS_PTRACE; hud doctor says what forbids it"
