"""Bounded reads of /proc files and the fields of ``/proc/PID/stat``.

Where /proc is mounted is a parameter everywhere, so that tests can build one in a directory. A
process's leader is the thread with the process's own number; it may end before the others.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hud.errors import FormatError

PROC = Path("/proc")

PF_KTHREAD = 0x0020_0000
"""include/linux/sched.h."""

_SMALL = 64 << 10
_CHUNK = 64 << 10


class Stat(NamedTuple):
    """The fields of proc_pid_stat(5) that hud uses."""

    pid: int
    comm: str
    state: str
    ppid: int
    flags: int
    threads: int
    start_ticks: int
    """Field 22, clock ticks after boot: with the pid it identifies a process."""
    start_stack: int
    """Field 28; 0 where the reader may not trace the process. Changes with each exec."""
    exit_code: int
    """Field 52, as waitpid(2) gives it; 0 where not permitted."""
    cpu_ticks: int = 0
    """Fields 14 and 15: on CPUs, its children's time not included."""

    @property
    def kernel_thread(self) -> bool:
        return bool(self.flags & PF_KTHREAD)

    @property
    def dead(self) -> bool:
        """A zombie or on its way out: nothing can be read from it any more."""
        return self.state in ("Z", "X", "x")


def read_bytes(path: Path, limit: int = _SMALL) -> bytes:
    """At most ``limit`` bytes of a file, in as many reads as that takes; OSError as it comes."""
    chunks: list[bytes] = []
    left = limit
    # many a second: a file object costs more than the reading
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while left > 0:
            chunk = os.read(descriptor, min(left, _CHUNK))
            if not chunk:
                break
            chunks.append(chunk)
            left -= len(chunk)
    finally:
        os.close(descriptor)
    return b"".join(chunks)


def read_text(path: Path, limit: int = _SMALL) -> str:
    """As ``read_bytes``, decoded; bytes that are not UTF-8 become surrogate escapes."""
    return read_bytes(path, limit).decode("utf-8", "surrogateescape")


def parse_stat(text: str) -> Stat:
    """The one line of /proc/PID/stat; a name may hold spaces, brackets and line ends.

    Raises FormatError for anything else.
    """
    opened, closed = text.find("("), text.rfind(")")
    fields = text[closed + 1 :].split()
    if not 0 < opened < closed or len(fields) < 20:
        raise FormatError("stat of a process: not in the form of proc_pid_stat(5)")
    try:
        return Stat(
            pid=int(text[:opened]),
            comm=text[opened + 1 : closed],
            state=fields[0],
            ppid=int(fields[1]),
            flags=int(fields[6]),
            threads=int(fields[17]),
            start_ticks=int(fields[19]),
            start_stack=int(fields[25]) if len(fields) > 25 else 0,
            exit_code=int(fields[49]) if len(fields) > 49 else 0,
            cpu_ticks=int(fields[11]) + int(fields[12]),
        )
    except ValueError as error:
        raise FormatError("stat of a process: a field is not a number") from error


def read_stat(pid: int, proc: Path = PROC) -> Stat | None:
    """The stat of a process; None if there is no such process (any more)."""
    return _stat(proc / str(pid) / "stat")


def read_thread_stat(pid: int, tid: int, proc: Path = PROC) -> Stat | None:
    """The stat of one thread: cheaper than the process's, which sums over all its threads."""
    return _stat(proc / str(pid) / "task" / str(tid) / "stat")


def living_thread(pid: int, proc: Path = PROC) -> int | None:
    """The leader, or the first thread that lives where it has ended; None = all have."""
    if not _has_ended(pid, pid, proc):
        return pid
    try:
        tids = numbers(proc / str(pid) / "task")
    except OSError:
        return None
    return next((tid for tid in tids if not _has_ended(pid, tid, proc)), None)


def proc_directory(pid: int, proc: Path = PROC) -> Path:
    """The directory with a process's memory, files and namespaces; that of a thread which lives.

    A leader that has called pthread_exit is a zombie until the other threads end, and /proc/PID
    shows of it what a zombie has: no maps, exe, root ... Another thread's directory has them all
    (not ``map_files``, see there). Where nothing lives it is the leader's.
    """
    leader = proc / str(pid)
    tid = living_thread(pid, proc)
    return leader if tid in (pid, None) else leader / "task" / str(tid)


def map_files(pid: int, proc: Path = PROC) -> Path:
    """The directory of links to what is mapped: /proc/PID/task/TID has none, /proc/TID has one."""
    return proc / proc_directory(pid, proc).name / "map_files"


def open_memory(pid: int, proc: Path = PROC) -> int:
    """A descriptor of the process's memory, to read only; OSError as it comes."""
    return os.open(proc_directory(pid, proc) / "mem", os.O_RDONLY | os.O_CLOEXEC)


def reader_of(memory: int) -> Callable[[int, int], bytes]:
    """What reads with such a descriptor: (address, size) -> that many bytes, or fewer where memory
    ends; it never raises."""

    def read(address: int, size: int) -> bytes:
        try:
            return os.pread(memory, size, address)
        except (OSError, OverflowError):
            return b""

    return read


def live_tids(pid: int, proc: Path = PROC) -> list[int]:
    """The threads of a process, without a leader that has ended; OSError if it is gone."""
    tids = numbers(proc / str(pid) / "task")
    return [tid for tid in tids if tid != pid or not _has_ended(pid, pid, proc)]


def _has_ended(pid: int, tid: int, proc: Path) -> bool:
    try:
        stat = read_thread_stat(pid, tid, proc)
    except (OSError, FormatError):
        return False
    return stat is not None and stat.dead


def numbers(directory: Path) -> list[int]:
    """The numeric names in a directory of /proc, sorted; OSError as it comes."""
    names = os.listdir(directory)  # noqa: PTH208 (names are enough)
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _stat(path: Path) -> Stat | None:
    try:
        text = read_text(path)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return parse_stat(text) if text else None


def tracer_of(pid: int, proc: Path = PROC) -> int:
    """The process that traces it by ptrace(2); 0 = none, or it is gone."""
    with suppress(OSError, IndexError, ValueError):
        return int(read_text(proc / str(pid) / "status").partition("\nTracerPid:")[2].split()[0])
    return 0
