"""From evidence to a cause: was it computing, or asleep, and then in what.

Of user frames only the library's inside the blamed one are looked at: what lies further out (the
runtime, another ``block_on``) says nothing.
"""

from __future__ import annotations

import re
import stat
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.blame import culpable
from hud.analysis.cause import BY_RANK, Cause
from hud.analysis.episodes.syscalls import (
    LIKELY,
    NO_CALL,
    ON_PATHS,
    SURE,
    call_name,
    descriptor_cause,
)
from hud.analysis.frameworks import is_sealed, runs_handler, runs_task
from hud.model import Frame, Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Finding(NamedTuple):
    """A cause and the evidence for it, in words."""

    cause: Cause
    evidence: str


def _patterns(signs: Iterable[tuple[Cause, str]]) -> tuple[tuple[Cause, re.Pattern[str]], ...]:
    return tuple((cause, re.compile(text, re.VERBOSE)) for cause, text in signs if text)


_FUNCTIONS = _patterns((cause, cause.signs.functions) for cause in BY_RANK)
_KERNEL = _patterns((cause, cause.signs.kernel) for cause in BY_RANK)

_HELD = re.compile(r"Mutex|RwLock|ReentrantLock|rwlock|mutex|lll_lock_wait")
_AWAITED = re.compile(
    r"[Cc]ondvar|mpsc|mpmc|channel|[Oo]nce\b|OnceLock|LazyLock|Barrier|JoinHandle|JoinInner"
    r"|thread::(\w+::)*park|Parker|pthread_(cond|join)|crossbeam|Semaphore|WaitGroup"
)

_DEEPEST = 48
_TOLD = 3
"""Kernel functions that the evidence names."""
_TYPE_NAMES = {
    stat.S_IFSOCK: "socket",
    stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "character device",
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFBLK: "block device",
}
_NEAREST = 4
"""Calls below the blamed frame that say what it asked for; iterators and the like between."""


def cause_of(
    on_cpu_ns: int,
    asleep_ns: int,
    syscall: int,
    frames: Sequence[Frame] | None,
    machine: str,
    file_type: int = 0,
    blamed: int | None = None,
) -> Finding:
    """Why a worker was held up.

    ``syscall`` is the number of the call it slept in longest, ``NO_CALL`` = asleep outside every
    call, -1 = unknown; ``file_type`` (``stat.S_IFMT``) that of its first argument as a descriptor,
    0 = unknown. ``frames`` are those of the stack that explains most of it; ``blamed`` is the index
    of the culpable one, None = to be found.
    """
    library = _library_frames(frames, blamed)
    if on_cpu_ns <= 0 and asleep_ns <= 0:
        return Finding(Cause.UNKNOWN, "neither seen on a CPU nor asleep")
    if asleep_ns <= on_cpu_ns:
        return _computing(library)
    kernel = [frame.function for frame in frames or () if frame.origin is Origin.KERNEL]
    finding = _asleep(syscall, library, kernel, machine, file_type)
    if kernel:
        return Finding(finding.cause, f"{finding.evidence}; kernel: {' < '.join(kernel[:_TOLD])}")
    return finding


def holds_lock(frames: Sequence[Frame] | None) -> bool:
    """Does the stack of a wait say that it was for a lock, which another thread held?

    False also where it cannot be known: who wakes a waiter need not have held anything.
    """
    for frame in frames or ():
        if frame.origin is Origin.USER:
            break
        if _AWAITED.search(frame.function):
            return False
        if _HELD.search(frame.function):
            return True
    return False


def _asleep(
    syscall: int, library: list[str], kernel: list[str], machine: str, file_type: int
) -> Finding:
    shown = _by_kernel(kernel)
    if syscall == NO_CALL:
        if shown is Cause.STOPPED:
            return Finding(shown, "frozen outside every system call")
        return Finding(Cause.FAULT, "asleep outside every system call, in a page fault")
    name = call_name(syscall, machine) if syscall >= 0 else ""
    if shown is Cause.PIPE and name.startswith("open"):
        return Finding(shown, f"asleep in {name} of a fifo, which has no other side yet")
    found = _matching(library, overruling=True)
    if found:
        return _seen(found, name)
    found = _matching(library, overruling=False)
    if name in SURE:
        same = found and found[0] is SURE[name]
        return _seen(found, name) if found and same else Finding(SURE[name], f"asleep in {name}")
    by_descriptor = descriptor_cause(name, file_type)
    if by_descriptor:
        return Finding(by_descriptor, f"asleep in {name} of a {_TYPE_NAMES[file_type]}")
    if found:
        return _seen(found, name)
    if name in LIKELY:
        return Finding(LIKELY[name], f"asleep in {name}")
    if shown:
        return Finding(shown, f"asleep in {name}" if name else "asleep")
    if name:
        return Finding(Cause.SYSCALL, f"asleep in {name}")
    return Finding(Cause.UNKNOWN, "asleep, system call unknown")


def _by_kernel(kernel: list[str]) -> Cause | None:
    for cause, pattern in _KERNEL:
        if any(pattern.search(function) for function in kernel):
            return cause
    return None


def _library_frames(frames: Sequence[Frame] | None, blamed: int | None) -> list[str]:
    """The names inside the blamed frame, a library's own included, outermost first."""
    if not frames:
        return []
    at = culpable(frames) if blamed is None else blamed
    if frames[at].origin is Origin.DEPENDENCY and not runs_handler(frames[at]):
        at += 1  # its own name says what it does
    elif frames[at].origin not in (Origin.USER, Origin.DEPENDENCY) and not runs_task(frames[at]):
        at = min(len(frames), _DEEPEST)
    names = []
    for frame in reversed(frames[:at]):
        if is_sealed(frame) and at < len(frames):
            break
        if frame.function and frame.origin is not Origin.KERNEL:
            names.append(frame.function)
    return names


@lru_cache(maxsize=16_384)
def _signs(name: str) -> frozenset[int]:
    """Which of ``_FUNCTIONS`` a name shows: the same names come again and again."""
    return frozenset(at for at, (_, pattern) in enumerate(_FUNCTIONS) if pattern.search(name))


def _computing(library: list[str]) -> Finding:
    # Reads served from the page cache never sleep, and a resolver parses files: yet that call is
    # what the worker is busy with.
    for name in library[:_NEAREST]:
        for at in sorted(_signs(name)):
            cause, _ = _FUNCTIONS[at]
            if cause.signs.busy_too:
                return Finding(cause, f"on the CPU in {name}")
        if ON_PATHS.search(name):
            return Finding(Cause.FILE, f"on the CPU in {name}")
    return Finding(Cause.CPU, "on the CPU")


def _matching(library: list[str], *, overruling: bool) -> tuple[Cause, str] | None:
    shown = [(at, depth) for depth, name in enumerate(library) for at in _signs(name)]
    for at, depth in sorted(shown):
        cause, _ = _FUNCTIONS[at]
        if cause.signs.overrules is overruling:
            return cause, library[depth]
    return None


def _seen(found: tuple[Cause, str], call: str) -> Finding:
    cause, name = found
    return Finding(cause, f"asleep in {call}, under {name}" if call else f"asleep under {name}")
