"""The whole name of a Rust thread, of which the kernel keeps 15 bytes.

std keeps it behind a thread-local of its own: ``std::thread::current::CURRENT`` points to the
thread's ``Inner``, which has, in an order that changes from version to version, an id and the name
as pointer and length with its NUL (library/std/src/thread; 1.84 and later so). Where that is in the
block of thread-locals no table says. It is searched for, and what is found is right: bytes that
begin as the kernel's name and end with the NUL, by their length.
"""

from __future__ import annotations

import platform
import struct
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.runtime.memory import Read

COMM = 15
"""Bytes that the kernel keeps (TASK_COMM_LEN less the NUL)."""
_BLOCK = 4096
"""Bytes of thread-locals that are searched: the program's own are the nearest to the pointer."""
_INNER = 10
"""Words of ``Inner`` that are looked at."""
_LONGEST = 1024
_LOWEST, _HIGHEST = 1 << 16, 1 << 47
"""User addresses."""


def full_name(read: Read, pointer: int, comm: bytes) -> bytes:
    """Of the thread with that thread pointer; ``comm`` where no more is found."""
    if len(comm) < COMM:
        return comm
    for at in _words(_thread_locals(read, pointer)):
        if _LOWEST <= at < _HIGHEST and not at % 8:
            inner = list(_words(read(at, 8 * _INNER)))
            for address, length in pairwise(inner):
                if COMM < length - 1 <= _LONGEST and _LOWEST <= address < _HIGHEST:
                    name = read(address, length)
                    if name.startswith(comm) and name.find(b"\0") == length - 1:
                        return name[:-1]
    return comm


def _thread_locals(read: Read, pointer: int) -> bytes:
    """Below the pointer on x86_64, above it on aarch64 (the psABI's variants II and I)."""
    if platform.machine() != "x86_64":
        return read(pointer, _BLOCK)
    start = pointer & -8
    for size in (_BLOCK, pointer % _BLOCK & -8):  # the page below may not be there
        data = read(start - size, size)
        if len(data) == size:
            return data
    return b""


def _words(data: bytes) -> Iterator[int]:
    return (word for (word,) in struct.iter_unpack("<Q", data[: len(data) // 8 * 8]))
