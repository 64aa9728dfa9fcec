"""Descriptors of the files that the target runs: exactly those, also when deleted or replaced.

``map_files`` are the kernel's links to the very inode behind a mapping (fs/proc/base.c,
proc_map_files_get_link; CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE). Every descriptor returned here
belongs to the caller, is close-on-exec, read-only and of a regular file: a FIFO or device under a
target's path is never opened.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from hud.errors import KernelError, TargetError
from hud.process.procfs import PROC, map_files, open_memory, proc_directory
from hud.process.program import loaded_program
from hud.text import printable, shortened

if TYPE_CHECKING:
    from hud.model import Mapping

VDSO_LIMIT = 1 << 20
"""Bytes; the vdso of today's kernels has 4 to 8 KiB."""


def open_executable(pid: int, proc: Path = PROC) -> int:
    """The file of the process's program, whatever its path says now.

    Raises KernelError if that is not permitted, TargetError if the process is gone.
    """
    loaded = loaded_program(pid, proc)
    if loaded is not None:
        return open_mapping(pid, loaded, proc)
    try:
        return _open_regular(proc_directory(pid, proc) / "exe")
    except PermissionError as error:
        raise KernelError(
            f"executable of process {pid}: permission denied", hint=f"sudo hud --pid {pid}"
        ) from error
    except OSError as error:
        raise TargetError(f"executable of process {pid}: {_cause(error)}") from error


def open_mapping(pid: int, mapping: Mapping, proc: Path = PROC) -> int:
    """The file behind one mapping: the exact inode where permitted, else its path, checked.

    ``[vdso]`` gives a copy of its memory. Raises TargetError if there is no file behind the
    mapping, it cannot be opened, or the path has another file now.
    """
    if mapping.path == "[vdso]":
        return _copy_vdso(pid, mapping, proc)
    shown = shortened(printable(mapping.path or "anonymous memory"), 120)
    if mapping.inode == 0 or not mapping.path.startswith("/"):
        raise TargetError(f"{shown}: no file behind it")
    try:
        return _open_regular(map_files(pid, proc) / f"{mapping.start:x}-{mapping.end:x}")
    except OSError:
        pass  # Not permitted, or the mapping is gone: its path may still do.
    if mapping.deleted:
        raise TargetError(
            f"{shown}: deleted, and cannot be opened through map_files",
            "run as root, or grant CAP_CHECKPOINT_RESTORE",
        )
    try:
        descriptor = _open_regular(
            proc_directory(pid, proc) / "root" / mapping.path.lstrip("/"), os.O_NOFOLLOW
        )
    except OSError as error:
        raise TargetError(f"{shown}: {_cause(error)}") from error
    # Not the device: maps shows another one than stat on btrfs and overlayfs.
    if os.fstat(descriptor).st_ino != mapping.inode:
        os.close(descriptor)
        raise TargetError(f"{shown}: not the file that is mapped")
    return descriptor


def open_named(path: str) -> int:
    """The file that the user named as the target's executable; raises TargetError."""
    try:
        return _open_regular(Path(path))
    except OSError as error:
        raise TargetError(f"{printable(path)}: {_cause(error)}") from error


def same_file(one: int, other: int) -> bool:
    """Whether two descriptors are of one inode."""
    return os.path.samestat(os.fstat(one), os.fstat(other))


def _open_regular(path: Path, flags: int = 0) -> int:
    # O_PATH first: opening a FIFO can block and opening a device can have effects.
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC | flags)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not a regular file")
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    finally:
        os.close(handle)


def _copy_vdso(pid: int, mapping: Mapping, proc: Path) -> int:
    length = mapping.end - mapping.start
    if not 0 < length <= VDSO_LIMIT:
        raise TargetError(f"[vdso]: {length} bytes long")
    try:
        memory = open_memory(pid, proc)
        try:
            content = os.pread(memory, length, mapping.start)
        finally:
            os.close(memory)
    except OSError as error:
        raise TargetError(f"[vdso]: {_cause(error)}") from error
    copy = os.memfd_create("vdso", os.MFD_CLOEXEC)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(copy, view) :]
        os.lseek(copy, 0, os.SEEK_SET)
    except OSError:
        os.close(copy)
        raise
    return copy


def _cause(error: OSError) -> str:
    return (error.strerror or "unreadable").lower()
