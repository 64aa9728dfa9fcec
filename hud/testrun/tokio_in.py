"""Which programs below a command may be tests that hold a Tokio runtime: told by their files alone,
so that all others run on at once."""

from __future__ import annotations

import os
import re
from pathlib import Path

MARKS = (b"/tokio-1.", b"5tokio7runtime", b"tokio::runtime", b"/tokio/src/runtime/")
"""A path of a panic, as cargo names it; a symbol, as either mangling has it; a type's name; a path
where the crate is vendored or a member of the workspace."""
_TOOL = re.compile("rustup|rustc|rustdoc|cargo(?:-.*)?")
_PIECE = 1 << 20
_OVERLAP = max(map(len, MARKS)) - 1

_known: dict[tuple[int, int, int, int], bool] = {}
"""By device, inode, size and time of change: cargo's own files have no build id."""


def is_tested(pid: int) -> bool:
    """Not a tool that runs tests: rustup and cargo-nextest have runtimes of their own."""
    path = Path(f"/proc/{pid}/exe")
    try:
        name = path.readlink().name
    except OSError:  # gone
        return False
    return not _TOOL.fullmatch(name) and may_hold_tokio(str(path))


def may_hold_tokio(path: str) -> bool:
    """True also where the file cannot be read: then the process is looked at as it runs."""
    try:
        with open(path, "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            if key not in _known:
                _known[key] = _has_mark(file.fileno())
            return _known[key]
    except OSError:
        return True


def _has_mark(descriptor: int) -> bool:
    """Read piece by piece: a mapped file may become shorter meanwhile."""
    at, before = 0, b""
    while piece := os.pread(descriptor, _PIECE, at):
        window = before + piece
        if any(mark in window for mark in MARKS):
            return True
        at, before = at + len(piece), window[-_OVERLAP:]
    return False
