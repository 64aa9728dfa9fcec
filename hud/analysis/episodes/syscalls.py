"""The system calls that can hold a thread up: what each waits for."""

from __future__ import annotations

import platform
import re

from hud.analysis.cause import Cause
from hud.analysis.episodes.syscallnumbers import CALLS

NO_CALL = 0xFFFFFFFF
"""``event.info`` of a sleep outside every system call."""
STOPPED = 0xFFFFFFFE
"""``event.info`` of a thread that was stopped by a signal or a tracer."""

SURE = {name: cause for cause in Cause for name in cause.signs.calls.split()}
LIKELY = {name: cause for cause in Cause for name in cause.signs.likely.split()}
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
_TYPES = {file_type: cause for cause in Cause for file_type in cause.signs.files}


def descriptor_cause(name: str, file_type: int) -> Cause | None:
    """What a call on a descriptor of this type (``stat.S_IFMT``) waits for; None = unknown."""
    return _TYPES.get(file_type) if name in DESCRIPTOR else None


def call_name(number: int, machine: str) -> str:
    """``futex``; ``syscall 999`` where the number is not in the table."""
    return CALLS.get(machine, {}).get(number) or f"syscall {number}"


def machine_of(kernel: str) -> str:
    """The machine at the end of ``RunInfo.kernel`` (``6.18.0 x86_64``); else this one."""
    last = kernel.rpartition(" ")[2]
    return last if last in CALLS else platform.machine()
