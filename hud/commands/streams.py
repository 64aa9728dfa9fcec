"""The standard streams: results on one, messages for people on the other; either may be closed."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

from hud.errors import ExportError


def prepare() -> None:
    """Standard streams that were closed at the start lead nowhere, and none fails on a letter."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while os.open(os.devnull, os.O_RDWR) <= 2:
            pass
        sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
        sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
        sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """A line for people, on standard error; never fatal."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        _lead_nowhere(sys.stderr)


def show(text: str) -> None:
    """Results, on standard output. Raises BrokenPipeError when nobody reads, or ExportError."""
    try:
        if _is_raw():
            _write_all(text.encode(sys.stdout.encoding, sys.stdout.errors or "strict"))
        else:
            sys.stdout.write(text)
            sys.stdout.flush()
    except OSError as error:
        _lead_nowhere(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        reason = (error.strerror or "refused").lower()
        raise ExportError(f"write standard output: {reason}") from error


def put(content: bytes) -> None:
    """Data, on standard output, at once. Raises ExportError, also when nobody reads."""
    try:
        sys.stdout.flush()
        _write_all(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        _lead_nowhere(sys.stdout)
        reason = (error.strerror or "refused").lower()
        raise ExportError(f"write standard output: {reason}") from error


def _is_raw() -> bool:
    """As PYTHONUNBUFFERED makes it: what a full pipe does not take is lost where a signal comes."""
    return isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase)


def _write_all(content: bytes) -> None:
    left = memoryview(content)
    while left:
        written = sys.stdout.buffer.write(left)
        if written is None:  # a pipe that does not block
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        left = left[written:]


def _lead_nowhere(stream: TextIO) -> None:
    """What is still buffered must not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
