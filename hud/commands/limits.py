"""Limits of the process that hud can meet: descriptors, memory, processes. Raised, or explained."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import suppress
from pathlib import Path

from hud.errors import HudError

MOST_FILES = 1 << 16
"""Descriptors; hud has some 60, two more for each CPU, and one for each file of the target."""

LEAST_BYTES = 45 << 20
"""Besides what Python has by then, 20 MB or so, and with a small target: of a cgroup of 60 MB hud
was killed, of one of 80 it took 75."""


def raise_file_limit() -> None:
    """As many descriptors as the hard limit allows, and hud could need; children inherit that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def require_memory() -> None:
    """HudError where hud's cgroup has no room for it: the kernel would kill it without a word."""
    from hud.process.room import memory_left  # not for what needs little

    room = memory_left(os.getpid())
    if room is not None and room < LEAST_BYTES:
        raise HudError(f"{room >> 20} MB of memory are left in hud's cgroup", _memory())


def go_first() -> None:
    """Where memory runs out the kernel kills hud, and not its target."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


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
