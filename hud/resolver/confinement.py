"""What a child that reads others' bytes gives up: all it has of its parent, and every privilege."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
from contextlib import suppress

from hud.errors import KernelError
from hud.process.rights import CAP_SETGID, CAP_SETUID, NOBODY, holds
from hud.resolver import landlock, messages, seccomp

NICE = 5
"""The target and the parent come first."""
DESCRIPTOR_LIMIT = 1024
MAPPED_LIMIT = 32 << 30
"""Bytes of files that may be mapped: a program, its debug file and its .dwp have gigabytes."""
EXIT_CRASHED = 70
"""The status of a child that could not give them up, or failed later."""

# <linux/prctl.h>, <linux/capability.h>
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
_LINUX_CAPABILITY_VERSION_3 = 0x20080522


def require_nobody() -> None:
    """KernelError where hud is root, and its child could not become another user."""
    if os.geteuid() == 0 and not (holds(CAP_SETUID) and holds(CAP_SETGID)):
        raise KernelError(
            "the child that reads files cannot become nobody: not permitted",
            "grant CAP_SETUID and CAP_SETGID, or run hud as an ordinary user with the "
            "capabilities that it needs",
        )


def leave_parent(given: socket.socket) -> socket.socket:
    """No signal, descriptor or standard stream of the parent is left, but the socket."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    # Terminal and service managers signal the whole group; the end of the socket ends the child.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    keep = fcntl.fcntl(given.detach(), fcntl.F_DUPFD_CLOEXEC, 3)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    top = 1 << 20 if soft == resource.RLIM_INFINITY else min(max(soft, 1 << 16), 1 << 20)
    os.closerange(3, keep)
    os.closerange(keep + 1, top)
    return socket.socket(fileno=keep)


def drop_privileges(memory_limit: int, file_limit: int = messages.BODY_LIMIT) -> None:
    """Irrevocably an ordinary user without capabilities, with limits; OSError where refused.

    Root becomes nobody, not the user who called sudo: a home is worth as much as root's.
    ``memory_limit``: bytes besides mapped files. ``file_limit``: bytes of each file that it writes;
    it counts for memfds, so it cannot be 0.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(*arguments: int) -> None:
        if libc.prctl(*(ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0))):
            code = ctypes.get_errno()
            raise OSError(code, f"prctl {arguments[0]}: {os.strerror(code)}")

    with suppress(OSError):
        os.nice(NICE)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    with suppress(OSError):  # one by one, until there is none of that number
        for capability in range(64):
            prctl(PR_CAPBSET_DROP, capability)
    if os.geteuid() == 0:
        uid, gid = NOBODY
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    header = struct.pack("<Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, bytes(24)):  # the ambient ones go with them
        code = ctypes.get_errno()
        raise OSError(code, f"capset: {os.strerror(code)}")
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_DUMPABLE, 0)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user clears it, so it comes last
    for kind, limit in (
        (resource.RLIMIT_DATA, memory_limit),
        (resource.RLIMIT_AS, memory_limit + MAPPED_LIMIT),
        (resource.RLIMIT_NOFILE, DESCRIPTOR_LIMIT),
        (resource.RLIMIT_FSIZE, file_limit),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(kind, (limit, limit))


def allow_nothing_new() -> None:
    """After ``drop_privileges``: no file, socket or process but those that it has, and no more code
    than is loaded. Whatever it may need is imported before. OSError where refused."""
    landlock.reach_nothing()
    seccomp.allow_only_the_table()


def allow_only_downloads() -> None:
    """After ``drop_privileges``: to read files that anybody may, and to ask servers; no process, no
    new file and no more code than is loaded. OSError where refused."""
    landlock.write_nothing()
    seccomp.allow_only_the_table(downloads=True)
