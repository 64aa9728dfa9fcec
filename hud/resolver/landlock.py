"""No path and no port can be reached from here on (landlock(7)), where the kernel can hold to that;
or paths to read only.

A second wall behind hud.resolver.seccomp.
"""

from __future__ import annotations

import ctypes
import os
import struct

SYS_CREATE_RULESET, SYS_RESTRICT_SELF = 444, 446
"""The same numbers on every architecture."""
_CREATE_RULESET_VERSION = 1
_FILES = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 5: 0xFFFF}
"""linux/landlock.h: every LANDLOCK_ACCESS_FS_ bit, by the version that brought the last of them."""
_NETWORK = {4: 0x3}
_SCOPES = {6: 0x3}
"""Abstract sockets and signals of others."""


_READ = 0x4 | 0x8
"""LANDLOCK_ACCESS_FS_READ_FILE, _READ_DIR."""


def reach_nothing() -> int:
    """For this process, for good; it must have PR_SET_NO_NEW_PRIVS.

    Returns the version of Landlock; 0 = the kernel has none, and nothing was done. OSError where it
    is refused.
    """
    return _restrict(_FILES, _NETWORK, _SCOPES)


def write_nothing() -> int:
    """The same, but files can be read and servers be reached. What is open stays as it is."""
    return _restrict({since: bits & ~_READ for since, bits in _FILES.items()}, {}, _SCOPES)


def _restrict(*what: dict[int, int]) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long

    def call(number: int, *arguments: object) -> int:
        return int(libc.syscall(ctypes.c_long(number), *arguments))

    version = call(SYS_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)
    if version < 1:
        return 0
    kinds = [_newest(bits, version) for bits in what]
    rules = struct.pack("<3Q", *kinds)  # an older kernel takes what is beyond its own if it is 0
    ruleset = call(SYS_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), 0)
    done = call(SYS_RESTRICT_SELF, ruleset, 0) if ruleset >= 0 else -1
    error = ctypes.get_errno()
    if ruleset >= 0:
        os.close(ruleset)
    if done:
        raise OSError(error, f"landlock: {os.strerror(error)}")
    return version


def _newest(bits: dict[int, int], version: int) -> int:
    return max((value for since, value in bits.items() if since <= version), default=0)
