"""Writes a result where the user wants it: the whole of it or nothing.

What is not a regular file (a terminal, a pipe, a FIFO, a device) is a stream, and is written as it
comes. A file is written beside its final name first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hud.errors import ExportError, UsageError
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

STANDARD_OUTPUT = "-"
_OWN_DESCRIPTOR = re.compile(r"^(?:/dev/fd|/proc/self/fd)/(\d{1,9})$")
_TEMPORARY = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HINTS = {
    errno.ENOSPC: "free some space, or write to another file system",
    errno.EDQUOT: "free some space, or write to another file system",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EACCES: "choose a directory that you may write to",
    errno.EPERM: "choose a directory that you may write to",
    errno.EROFS: "choose a directory that is not read-only",
    errno.ENOENT: "create the directory first",
    errno.ENOTDIR: "one of the parents is a file: choose another path",
    errno.EISDIR: "name a file, not a directory",
    errno.EPIPE: "the reader went away before everything was written",
}


def write_atomically(
    path: str, produce: Callable[[BinaryIO], None], owner: tuple[int, int] | None = None
) -> None:
    """Give ``path`` the bytes that ``produce`` writes; ``-`` is standard output.

    A regular file appears under its name only when it is complete and on the disk, belongs to
    ``owner`` (uid, gid) where one is given, and has mode 0644 less the umask; a symbolic link at
    ``path`` is replaced, not followed. Streams are written directly. Whatever goes wrong, an
    interrupt included, leaves no partial or temporary file. Raises ExportError.
    """
    try:
        descriptor = _stream(path)
        if descriptor is not None:
            with open(descriptor, "wb") as out:
                produce(out)
            return
        _replace(Path(path), produce, owner)
    except OSError as error:
        raise explain("write", path, error) from error


def write_text(path: str, text: str, owner: tuple[int, int] | None = None) -> None:
    """The same of a text, in UTF-8."""
    content = text.encode("utf-8", "replace")

    def produce(out: BinaryIO) -> None:
        out.write(content)

    write_atomically(path, produce, owner)


def create(path: str, owner: tuple[int, int] | None = None) -> int:
    """A new, empty file at ``path`` for the caller to write and close, with the same care.

    For what must be readable while it grows. Raises ExportError.
    """
    try:
        with _temporary(Path(path)) as (temporary, descriptor):
            try:
                _give(descriptor, owner)
                temporary.replace(path)
            except OSError:
                os.close(descriptor)
                raise
            return descriptor
    except OSError as error:
        raise explain("write", path, error) from error


def explain(action: str, path: str, error: OSError) -> ExportError:
    """``write x.json: no space left on device``, with the remedy."""
    return ExportError(_says(action, path, error), _hint(error))


def check_regular(path: str) -> None:
    """As ``check_writable``, for what cannot go to a stream."""
    if path == STANDARD_OUTPUT or _own_descriptor(path) is not None or _is_stream(path):
        raise UsageError(
            f"cannot record to {printable(path)}: not a regular file", "name a file: FILE.hud"
        )
    check_writable(path, "cannot record to")


def check_writable(path: str, action: str = "cannot export to") -> None:
    """Find out before a run whether its result can be written; leaves nothing behind.

    Raises UsageError.
    """
    try:
        if Path(path).is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if path == STANDARD_OUTPUT or _own_descriptor(path) is not None:
            return
        if _is_stream(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, "permission denied")
            return
        with _temporary(Path(path)) as (_, descriptor):
            os.close(descriptor)
    except OSError as error:
        raise UsageError(_says(action, path, error), _hint(error)) from error


def _replace(
    path: Path, produce: Callable[[BinaryIO], None], owner: tuple[int, int] | None
) -> None:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory")
    with _temporary(path) as (temporary, descriptor):
        with open(descriptor, "wb") as out:
            _give(descriptor, owner)
            produce(out)
            out.flush()
            os.fsync(descriptor)
        temporary.replace(path)


def _give(descriptor: int, owner: tuple[int, int] | None) -> None:
    if owner is not None:
        # Some network file systems refuse it, and an id may be none at all; the result matters
        # more than its owner.
        with contextlib.suppress(OSError, OverflowError):
            os.fchown(descriptor, *owner)


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[tuple[Path, int]]:
    """A new file beside ``path`` and its descriptor, which the caller closes; gone afterwards."""
    temporary = path.with_name(f".{path.name[:200]}.{os.urandom(6).hex()}")
    descriptor = os.open(temporary, _TEMPORARY, 0o644)
    try:
        yield temporary, descriptor
    finally:
        temporary.unlink(missing_ok=True)


def _stream(path: str) -> int | None:
    """A descriptor for a target that is written as it comes; None = a regular file."""
    if path == STANDARD_OUTPUT:
        sys.stdout.flush()
        return os.dup(sys.stdout.fileno())
    own = _own_descriptor(path)
    if own is not None:
        # The shell's own redirection: same offset as everything else that is printed there.
        return os.dup(own)
    if _is_stream(path):
        return os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    return None


def _own_descriptor(path: str) -> int | None:
    names = {"/dev/stdout": 1, "/dev/stderr": 2}
    if path in names:
        return names[path]
    match = _OWN_DESCRIPTOR.match(path)
    return int(match[1]) if match else None


def _is_stream(path: str) -> bool:
    try:
        return not stat.S_ISREG(Path(path).stat().st_mode)
    except FileNotFoundError:
        return False


def _says(action: str, path: str, error: OSError) -> str:
    target = "standard output" if path == STANDARD_OUTPUT else printable(path)
    reason = (error.strerror or type(error).__name__).lower()
    return f"{action} {target}: {reason}"


def _hint(error: OSError) -> str:
    return _HINTS.get(error.errno or 0, "")
