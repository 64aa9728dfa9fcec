"""Opens files by a path that others chose, inside a root directory and nowhere else.

A root is what ``/`` means to a path: that of a container (/proc/PID/root) or the host's.
Links inside it are followed as a process with that root would follow them, so that none leads out.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from pathlib import Path

SYS_OPENAT2 = 437
"""The same number on every architecture; Linux 5.6 (fs/open.c)."""
RESOLVE_NO_MAGICLINKS, RESOLVE_IN_ROOT = 0x02, 0x10


class open_how(ctypes.Structure):  # noqa: N801
    """linux/openat2.h."""

    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


def open_inside(root: Path, path: str, *, follow: bool = True) -> int:
    """A read-only, close-on-exec descriptor of a regular file below ``root``, now the caller's.

    A FIFO or device is never opened, nor a link at the path's end without ``follow``. OSError
    where there is no such file, or it is refused.
    """
    if "\0" in path:
        raise OSError(errno.EINVAL, "a path with a NUL")
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        handle = _openat2(top, os.fsencode(path.lstrip("/")), 0 if follow else os.O_NOFOLLOW)
    finally:
        os.close(top)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    finally:
        os.close(handle)


def _openat2(top: int, path: bytes, flags: int) -> int:
    how = open_how(os.O_PATH | os.O_CLOEXEC | flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    handle: int = libc.syscall(
        ctypes.c_long(SYS_OPENAT2),
        ctypes.c_int(top),
        ctypes.c_char_p(path or b"."),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if handle < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return handle
