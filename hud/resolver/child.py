"""Forks a child process that talks to its parent through one socket."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn


def fork(life: Callable[[socket.socket, int], NoReturn]) -> tuple[int, socket.socket]:
    """(pid, the parent's non-blocking end). ``life`` is the child's whole life: it is called with
    the child's end and the parent's pid, and must not return. OSError if refused."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
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
    ours.setblocking(False)
    return pid, ours
