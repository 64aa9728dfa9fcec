"""The system calls that a child which reads others' bytes may make, and no others (seccomp(2)).

It computes, and talks through the one socket that it has. It can open no file and no socket, start
no process and no thread, reach no other process and have no new code. The child that downloads may
also read files and be the client of a server. What is not in the table is answered with EPERM and
the child lives on: a C library that hud has not met tries another call where one is missing, and a
call that was refused has done no harm. A call by another processor's numbers ends it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import NamedTuple

from hud.process.classicbpf import (
    ALLOW,
    AND,
    ARCHITECTURE,
    AUDIT,
    EPERM,
    IF_EQUAL,
    KILL_PROCESS,
    LOAD,
    NUMBER,
    RETURN,
    argument,
    filter_of,
    step,
)


class Machine(NamedTuple):
    """What the filter must know of a processor."""

    audit: int
    """AUDIT_ARCH_..., linux/audit.h."""
    column: int
    """Of its numbers in CALLS."""


MACHINES = {name: Machine(AUDIT[name], at) for at, name in enumerate(("x86_64", "aarch64"))}

CALLS: dict[str, tuple[int | None, int | None]] = {
    # arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h
    # what it was given, and memfds for long answers
    "read": (0, 63),
    "pread64": (17, 67),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "newfstatat": (262, 79),  # the C library's fstat; it can see that a path is there
    "fcntl": (72, 25),
    "memfd_create": (319, 279),
    # the socket
    "recvmsg": (47, 212),
    "sendmsg": (46, 211),
    "select": (23, None),
    "pselect6": (270, 72),
    # memory
    "brk": (12, 214),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "munmap": (11, 215),
    "madvise": (28, 233),
    # time, signals, the end
    "clock_gettime": (228, 113),
    "setitimer": (38, 103),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128),
    "futex": (202, 98),
    "getppid": (110, 173),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
DOWNLOADS: dict[str, tuple[int | None, int | None]] = {
    # names of servers, their certificates
    "open": (2, None),
    "openat": (257, 56),
    "stat": (4, None),
    "lstat": (6, None),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "ioctl": (16, 29),
    "uname": (63, 160),
    # the file that it writes to
    "lseek": (8, 62),
    "ftruncate": (77, 46),
    # a client's socket
    "socket": (41, 198),
    "bind": (49, 200),  # netlink's, to learn which addresses this machine has
    "connect": (42, 203),
    "getsockname": (51, 204),
    "getpeername": (52, 205),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "setsockopt": (54, 208),
    "getsockopt": (55, 209),
    "shutdown": (48, 210),
    "sendmmsg": (307, 269),
    "recvmmsg": (299, 243),
    "poll": (7, None),
    "ppoll": (271, 73),
    # keys, and who and when it is
    "getrandom": (318, 278),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "gettimeofday": (96, 169),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
}
"""What a download needs besides."""
PROT_EXEC = 0x4
O_WRONLY, O_RDWR = 0x1, 0x2
O_CREAT = 0x40
"""The same on both processors."""
SHARED_ANONYMOUS = 0x21
"""MAP_SHARED and MAP_ANONYMOUS: such memory is not counted by RLIMIT_DATA."""
REFUSED = {
    "mmap": ((2, PROT_EXEC), (3, SHARED_ANONYMOUS)),
    "mprotect": ((2, PROT_EXEC),),
    "open": tuple((1, flag) for flag in (O_WRONLY, O_RDWR, O_CREAT)),
    "openat": tuple((2, flag) for flag in (O_WRONLY, O_RDWR, O_CREAT)),
}
"""(argument, bits that must not all be set in it)."""

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
"""linux/prctl.h, linux/seccomp.h."""


def program(machine: Machine, calls: Mapping[str, tuple[int | None, int | None]]) -> bytes:
    """The filter that allows these calls, as classic BPF."""
    code = [
        step(LOAD, ARCHITECTURE),
        step(IF_EQUAL, machine.audit, if_so=1),
        step(RETURN, KILL_PROCESS),
        step(LOAD, NUMBER),
    ]
    for name, numbers in calls.items():
        number = numbers[machine.column]
        if number is not None:
            rule = [*_refusals(name), step(RETURN, ALLOW)]
            code += [step(IF_EQUAL, number, if_not=len(rule)), *rule]
    return b"".join([*code, step(RETURN, EPERM)])


def _refusals(name: str) -> list[bytes]:
    found = []
    for number, bits in REFUSED.get(name, ()):
        found += [
            step(LOAD, argument(number)),
            step(AND, bits),
            step(IF_EQUAL, bits, if_not=1),
            step(RETURN, EPERM),
        ]
    return found


def allow_only_the_table(*, downloads: bool = False) -> None:
    """For this process, for good; it must have PR_SET_NO_NEW_PRIVS. OSError where refused."""
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        raise OSError(0, f"the system calls of {os.uname().machine} are not known")
    calls = CALLS | DOWNLOADS if downloads else CALLS
    wanted = filter_of(program(machine, calls))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), wanted.fprog, 0, 0):
        error = ctypes.get_errno()
        raise OSError(error, f"seccomp: {os.strerror(error)}")
