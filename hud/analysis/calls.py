"""Names of the system calls that can hold a thread up, by machine, and what each waits for.

Numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux.
"""

from __future__ import annotations

import platform
import stat

from hud.model import Cause

NO_CALL = 0xFFFFFFFF
"""``event.info`` of a sleep outside every system call."""
STOPPED = 0xFFFFFFFE
"""``event.info`` of a thread that was stopped by a signal or a tracer."""

_SHARED = {
    426: "io_uring_enter",
    435: "clone3",
    437: "openat2",
    441: "epoll_pwait2",
    449: "futex_waitv",
    455: "futex_wait",
}
_X86_64 = {
    0: "read",
    1: "write",
    2: "open",
    3: "close",
    4: "stat",
    5: "fstat",
    6: "lstat",
    7: "poll",
    9: "mmap",
    10: "mprotect",
    11: "munmap",
    12: "brk",
    16: "ioctl",
    17: "pread64",
    18: "pwrite64",
    19: "readv",
    20: "writev",
    21: "access",
    23: "select",
    24: "sched_yield",
    26: "msync",
    28: "madvise",
    34: "pause",
    35: "nanosleep",
    40: "sendfile",
    42: "connect",
    43: "accept",
    44: "sendto",
    45: "recvfrom",
    46: "sendmsg",
    47: "recvmsg",
    56: "clone",
    57: "fork",
    58: "vfork",
    59: "execve",
    61: "wait4",
    65: "semop",
    70: "msgrcv",
    72: "fcntl",
    73: "flock",
    74: "fsync",
    75: "fdatasync",
    76: "truncate",
    77: "ftruncate",
    78: "getdents",
    82: "rename",
    83: "mkdir",
    84: "rmdir",
    86: "link",
    87: "unlink",
    128: "rt_sigtimedwait",
    162: "sync",
    187: "readahead",
    202: "futex",
    217: "getdents64",
    219: "restart_syscall",
    220: "semtimedop",
    221: "fadvise64",
    230: "clock_nanosleep",
    232: "epoll_wait",
    243: "mq_timedreceive",
    247: "waitid",
    257: "openat",
    258: "mkdirat",
    262: "newfstatat",
    263: "unlinkat",
    264: "renameat",
    265: "linkat",
    267: "readlinkat",
    270: "pselect6",
    271: "ppoll",
    275: "splice",
    277: "sync_file_range",
    281: "epoll_pwait",
    285: "fallocate",
    288: "accept4",
    295: "preadv",
    296: "pwritev",
    299: "recvmmsg",
    306: "syncfs",
    307: "sendmmsg",
    316: "renameat2",
    318: "getrandom",
    326: "copy_file_range",
    327: "preadv2",
    328: "pwritev2",
    332: "statx",
}
_AARCH64 = {
    22: "epoll_pwait",
    25: "fcntl",
    29: "ioctl",
    32: "flock",
    34: "mkdirat",
    35: "unlinkat",
    37: "linkat",
    38: "renameat",
    45: "truncate",
    46: "ftruncate",
    47: "fallocate",
    56: "openat",
    57: "close",
    61: "getdents64",
    63: "read",
    64: "write",
    65: "readv",
    66: "writev",
    67: "pread64",
    68: "pwrite64",
    69: "preadv",
    70: "pwritev",
    71: "sendfile",
    72: "pselect6",
    73: "ppoll",
    76: "splice",
    78: "readlinkat",
    79: "newfstatat",
    80: "fstat",
    81: "sync",
    82: "fsync",
    83: "fdatasync",
    84: "sync_file_range",
    95: "waitid",
    98: "futex",
    101: "nanosleep",
    115: "clock_nanosleep",
    124: "sched_yield",
    128: "restart_syscall",
    137: "rt_sigtimedwait",
    183: "mq_timedreceive",
    188: "msgrcv",
    192: "semtimedop",
    193: "semop",
    202: "accept",
    203: "connect",
    206: "sendto",
    207: "recvfrom",
    211: "sendmsg",
    212: "recvmsg",
    213: "readahead",
    214: "brk",
    215: "munmap",
    220: "clone",
    221: "execve",
    222: "mmap",
    223: "fadvise64",
    226: "mprotect",
    227: "msync",
    233: "madvise",
    242: "accept4",
    243: "recvmmsg",
    260: "wait4",
    267: "syncfs",
    269: "sendmmsg",
    276: "renameat2",
    278: "getrandom",
    285: "copy_file_range",
    286: "preadv2",
    287: "pwritev2",
    291: "statx",
}
CALLS: dict[str, dict[int, str]] = {
    "x86_64": {**_X86_64, **_SHARED},
    "aarch64": {**_AARCH64, **_SHARED},
}
"""By ``uname -m``, then by number."""

_SAYS: dict[Cause, str] = {
    Cause.SYNC: "fsync fdatasync sync syncfs sync_file_range msync",
    Cause.SLEEP: "nanosleep clock_nanosleep",
    Cause.CHILD: "wait4 waitid vfork execve",
    Cause.LOCK: "futex futex_wait futex_waitv flock semop semtimedop",
    Cause.NETWORK: "connect accept accept4",
}
_SUGGESTS: dict[Cause, str] = {
    Cause.NETWORK: "recvfrom recvmsg recvmmsg sendto sendmsg sendmmsg",
    Cause.FILE: "open openat openat2 pread64 pwrite64 preadv pwritev preadv2 pwritev2 stat fstat "
    "lstat statx newfstatat access getdents getdents64 truncate ftruncate fallocate rename "
    "renameat renameat2 mkdir mkdirat rmdir link linkat unlink unlinkat readlinkat sendfile "
    "copy_file_range readahead fadvise64",
    Cause.PIPE: "splice",
    Cause.FAULT: "mmap munmap mprotect madvise brk",
}
SURE: dict[str, Cause] = {name: cause for cause, names in _SAYS.items() for name in names.split()}
"""Calls that leave no doubt what is waited for."""
LIKELY: dict[str, Cause] = {
    name: cause for cause, names in _SUGGESTS.items() for name in names.split()
}
"""Calls that say it unless the frames know better. ``read``, ``write``, ``poll`` are in neither:
they wait for whatever the descriptor is."""
_ON_DESCRIPTORS = (
    "read write close fstat ioctl pread64 pwrite64 readv writev preadv pwritev preadv2 pwritev2 "
    "connect accept accept4 sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg fcntl flock fsync "
    "fdatasync ftruncate getdents getdents64 fallocate sync_file_range syncfs sendfile splice "
    "copy_file_range readahead fadvise64"
)
DESCRIPTOR = frozenset(_ON_DESCRIPTORS.split())
"""Calls whose first argument is a descriptor."""
_TYPES = {
    stat.S_IFSOCK: Cause.NETWORK,
    stat.S_IFIFO: Cause.PIPE,
    stat.S_IFCHR: Cause.PIPE,
    stat.S_IFREG: Cause.FILE,
    stat.S_IFDIR: Cause.FILE,
    stat.S_IFBLK: Cause.FILE,
}


def descriptor_cause(name: str, file_type: int) -> Cause | None:
    """What a call on a descriptor of this type (``stat.S_IFMT``) waits for; None = it tells not."""
    return _TYPES.get(file_type) if name in DESCRIPTOR else None


def call_name(number: int, machine: str) -> str:
    """``futex``; ``syscall 999`` where the number is not in the table."""
    return CALLS.get(machine, {}).get(number) or f"syscall {number}"


def machine_of(kernel: str) -> str:
    """The machine at the end of ``RunInfo.kernel`` (``6.18.0 x86_64``); else this one."""
    last = kernel.rpartition(" ")[2]
    return last if last in CALLS else platform.machine()
