"""A child process that talks to its parent through one socket: how it starts, its use, its end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, NoReturn

ENTRY = 3
"""The descriptor at which a program that was spawned finds its end of the socket."""
CLOSE_TIMEOUT_S = 1.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Child(NamedTuple):
    """The process, and the parent's non-blocking end."""

    pid: int
    socket: socket.socket

    def cpu_ns(self) -> int:
        """CPU time that it has used, nanoseconds (proc(5), schedstat); 0 once it is dead."""
        return self._from_proc("schedstat", 0)

    def rss_bytes(self) -> int:
        """Its resident memory, mapped files included; 0 once it is dead."""
        return self._from_proc("statm", 1) * _PAGE

    def _from_proc(self, name: str, index: int) -> int:
        try:
            with open(f"/proc/{self.pid}/{name}", "rb", buffering=0) as file:
                return int(file.read().split()[index])
        except (OSError, IndexError, ValueError):
            return 0

    def end(self, *, at_once: bool) -> str:
        """Kill it, wait for it at most CLOSE_TIMEOUT_S, and close the socket. Returns how it ended:
        by itself, if it is given a moment for that, and not ``at_once``."""
        end = time.monotonic() + CLOSE_TIMEOUT_S
        done, status = _reap(self.pid)
        if not done and not at_once:
            time.sleep(0.01)  # the socket closes a moment before the status is there
            done, status = _reap(self.pid)
        self.socket.close()
        while not done and time.monotonic() < end:
            # without CAP_KILL root may not: the socket's end, or hud's own, ends it
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.002)
            done, status = _reap(self.pid)
        return _ending(status)


def fork(life: Callable[[socket.socket, int], NoReturn]) -> Child:
    """``life`` is the child's whole life: it is called with the child's end and the parent's pid,
    and must not return. OSError if refused."""
    ours, theirs = _pair()
    parent = os.getpid()
    # a signal's Python function must not run in the child, where it would act for the parent
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            life(theirs, parent)
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        theirs.close()
    return Child(pid, ours)


def spawn(statement: str) -> Child:
    """The same as a program of its own, which has nothing of the parent's memory and threads.

    It is this Python, and imports what the parent can import; ``statement`` is its whole life, and
    finds the child's end at descriptor ENTRY. OSError if refused.
    """
    ours, theirs = _pair()
    places = [place for place in sys.path if os.path.isabs(place)]  # noqa: PTH117
    script = f"import sys; sys.path[:] = {places!a}; {statement}"
    arguments = [sys.executable, "-I", "-S", "-c", script]
    handed = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), ENTRY)]
    try:
        pid = os.posix_spawn(sys.executable, arguments, os.environ, file_actions=handed)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Child(pid, ours)


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs


def _reap(pid: int) -> tuple[bool, int]:
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # someone else's waitpid took it
        return True, 0
    return found == pid, status


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit status {os.WEXITSTATUS(status)}"
