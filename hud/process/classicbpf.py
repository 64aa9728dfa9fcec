"""Filters of system calls, as classic BPF: seccomp(2) takes no other.

Sources: linux/filter.h, linux/seccomp.h, linux/audit.h; of an argument the lower half comes first.
"""

from __future__ import annotations

import ctypes
import struct
from typing import NamedTuple

AUDIT = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
"""AUDIT_ARCH_..., by machine."""
LOAD, AND, IF_EQUAL, RETURN = 0x20, 0x54, 0x15, 0x06
ALLOW, KILL_PROCESS, NOTIFY, EPERM = 0x7FFF_0000, 0x8000_0000, 0x7FC0_0000, 0x0005_0001
"""What RETURN may say; the last one is an errno."""
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data, for LOAD."""


class Filter(NamedTuple):
    """As the kernel takes it (struct sock_fprog)."""

    fprog: bytes
    code: ctypes.Array[ctypes.c_char]
    """What it points to, which must live as long."""


def step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    """One instruction; of a test how many are skipped."""
    return struct.pack("<HBBI", code, if_so, if_not, value)


def argument(number: int) -> int:
    """For LOAD: the lower half of an argument of the call, from 0."""
    return ARGUMENTS + 8 * number


def filter_of(program: bytes) -> Filter:
    code = ctypes.create_string_buffer(program, len(program))
    return Filter(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)), code)
