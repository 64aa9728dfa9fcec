"""The system calls that can hold a thread up: what each waits for."""

from __future__ import annotations

import platform
import re
import stat

from hud.analysis.callnumbers import CALLS
from hud.analysis.results import Cause

NO_CALL = 0xFFFFFFFF
"""``event.info`` of a sleep outside every system call."""
STOPPED = 0xFFFFFFFE
"""``event.info`` of a thread that was stopped by a signal or a tracer."""

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
    "copy_file_range readahead fadvise64 faccessat faccessat2 statfs fstatfs chmod fchmod fchmodat "
    "chown fchown lchown fchownat symlink symlinkat readlink mknod mknodat utimensat getxattr "
    "lgetxattr fgetxattr setxattr listxattr creat chdir getcwd",
    Cause.PIPE: "splice",
    Cause.FAULT: "mmap munmap mremap mprotect madvise brk",
}
SURE: dict[str, Cause] = {name: cause for cause, names in _SAYS.items() for name in names.split()}
"""Calls that leave no doubt what is waited for."""
LIKELY: dict[str, Cause] = {
    name: cause for cause, names in _SUGGESTS.items() for name in names.split()
}
"""Calls that say it unless the frames know better. ``read``, ``write``, ``poll`` are in neither:
they wait for whatever the descriptor is."""
ON_PATHS = re.compile(
    r"^(?:l?stat|fstatat|statx|open(?:at|dir)?|readdir|scandir|getdents|realpath|readlink|unlink"
    r"|rename|mkdir|rmdir|access)(?:64)?$"
)
"""The C library's functions for files and directories by their path."""
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
