"""Limits of the process that hud can meet: descriptors, memory, processes. Raised, or explained."""

from __future__ import annotations

import errno
import resource
from contextlib import suppress

from hud.errors import HudError

MOST_FILES = 1 << 16
"""Descriptors; hud has some 60, two more for each CPU, and one for each file of the target."""


def raise_file_limit() -> None:
    """As many descriptors as the hard limit allows, and hud could need; children inherit that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def explained(error: BaseException) -> HudError | None:
    """The error to show where something was used up, or None: it is of another kind."""
    found = next(filter(None, map(_remedy, _chain(error))), "")
    if not found:
        return None
    if isinstance(error, HudError):
        return HudError(error.message, found, error.detail)
    if isinstance(error, MemoryError):
        return HudError("not enough memory", found)
    return HudError(str(getattr(error, "strerror", "") or error).lower(), found)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it came from, the first cause last."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found


def _remedy(error: BaseException) -> str:
    code = error.errno if isinstance(error, OSError) else 0
    if code == errno.EMFILE:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return f"hud may open {most} files at most: ulimit -n 4096, in a service LimitNOFILE=4096"
    if code == errno.ENFILE:
        return "the whole system may open no more files: sysctl fs.file-max"
    if code == errno.ENOMEM or isinstance(error, MemoryError):
        return _memory()
    no_thread = isinstance(error, RuntimeError) and "new thread" in str(error)
    if code == errno.EAGAIN or no_thread:
        return "hud needs 8 processes and threads: ulimit -u, pids.max of its cgroup (TasksMax=)"
    return ""


def _memory() -> str:
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    if soft != resource.RLIM_INFINITY:
        return f"hud may have {soft >> 20} MB of addresses: ulimit -v unlimited"
    return "hud needs about 200 MB: free some, or raise memory.max of its cgroup (MemoryMax=)"
