"""The standard streams: results on one, messages for people on the other; either may be closed."""

from __future__ import annotations

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
        if isinstance(sys.stdout.buffer, io.RawIOBase):
            sys.stdout = _whole(sys.stdout)
        sys.stdout.reconfigure(errors="backslashreplace")


def _whole(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """The same, which writes all that it is given. As PYTHONUNBUFFERED makes it, what a full pipe
    does not take is lost where a signal comes.
    """
    encoding, raw = stream.encoding, stream.detach()
    assert isinstance(raw, io.RawIOBase)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding)


def say(text: str) -> None:
    """A line for people, on standard error; never fatal."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        _lead_nowhere(sys.stderr)


def show(text: str) -> None:
    """Results, on standard output. Raises BrokenPipeError when nobody reads, or ExportError."""
    try:
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
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        _lead_nowhere(sys.stdout)
        reason = (error.strerror or "refused").lower()
        raise ExportError(f"write standard output: {reason}") from error


def _lead_nowhere(stream: TextIO) -> None:
    """What is still buffered must not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
