"""The threads of the target and their names, as /proc shows them at one moment.

A name (comm) is at most 15 bytes of anything; it is kept raw, bytes that are not UTF-8 as
surrogate escapes. Show it through ``hud.text.printable``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.errors import TargetError
from hud.model import ThreadName
from hud.process.procfs import PROC, live_tids, read_text

if TYPE_CHECKING:
    from pathlib import Path

COMM_BYTES = 15
"""TASK_COMM_LEN of include/linux/sched.h, less the NUL."""


def list_threads(pid: int, proc: Path = PROC) -> list[ThreadName]:
    """All threads by tid; those that end meanwhile are left out.

    Raises TargetError if the process is gone.
    """
    try:
        tids = live_tids(pid, proc)
    except OSError as error:
        raise TargetError(f"threads of process {pid}: the process is gone") from error
    named = ((tid, read_comm(pid, tid, proc)) for tid in tids)
    return [ThreadName(tid, name) for tid, name in named if name is not None]


def is_alive(pid: int, tid: int, proc: Path = PROC) -> bool:
    """Is it a thread of the process now?"""
    return (proc / str(pid) / "task" / str(tid)).exists()


def count_threads(pid: int, proc: Path = PROC) -> int:
    """How many threads the process has, by the links of the directory of them; 0 = it is gone."""
    try:
        return (proc / str(pid) / "task").stat().st_nlink - 2
    except OSError:
        return 0


class Call(NamedTuple):
    """What a thread that does not run is blocked in: proc_pid_syscall(5)."""

    number: int
    """Of the system call; -1 = in none, as in a page fault."""
    arguments: tuple[int, ...]
    """Six, or none."""
    sp: int
    pc: int


def read_call(pid: int, tid: int, proc: Path = PROC) -> Call | None:
    """None of a thread that runs, has ended, or may not be looked at."""
    try:
        words = read_text(proc / str(pid) / "task" / str(tid) / "syscall", 512).split()
        number, *arguments, sp, pc = (int(word, 0) for word in words)
    except (OSError, ValueError):
        return None
    return Call(number, tuple(arguments), sp, pc)


def read_comm(pid: int, tid: int, proc: Path = PROC) -> str | None:
    """The name of one thread; None if it has ended."""
    try:
        text = read_text(proc / str(pid) / "task" / str(tid) / "comm", 256)
    except OSError:
        return None
    return text.removesuffix("\n")
