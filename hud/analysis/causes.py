"""From evidence to a cause: was it computing, or asleep, and then in what.

Terms: a *signature* is a pattern of function names that shows what the thread was doing; only
library frames inside the blamed frame are looked at, so that what lies further out (the runtime,
another ``block_on``) says nothing.
"""

from __future__ import annotations

import re
import stat
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.blame import culpable
from hud.analysis.calls import LIKELY, NO_CALL, ON_PATHS, SURE, call_name, descriptor_cause
from hud.analysis.frameworks import is_sealed, runs_handler, runs_task
from hud.analysis.results import Cause
from hud.model import Frame, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence


class Finding(NamedTuple):
    """A cause and the evidence for it, in words."""

    cause: Cause
    evidence: str


class Signature(NamedTuple):
    """Function names that show a cause."""

    cause: Cause
    pattern: re.Pattern[str]
    overrules: bool
    """Stronger than the system call: resolving a name connects, waiting for a child reads."""


def _signature(cause: Cause, pattern: str, *, overrules: bool = False) -> Signature:
    return Signature(cause, re.compile(pattern, re.VERBOSE), overrules)


SIGNATURES: tuple[Signature, ...] = (
    _signature(
        Cause.DNS,
        r"getaddrinfo | ToSocketAddrs | to_socket_addrs | LookupHost | lookup_host | gethostbyname",
        overrules=True,
    ),
    _signature(
        Cause.CHILD,
        r"std::process::(Command|Child) | process::(unix::)?.*::(wait|wait_with_output|read2) "
        r"| Command::(output|status|spawn) | posix_spawn | waitpid",
        overrules=True,
    ),
    _signature(Cause.SLEEP, r"thread::(\w+::)*sleep(_until|_ms)?\b | \busleep\b"),
    _signature(
        Cause.LOCK,
        r"sync::(\w+::)*(Mutex|RwLock|Condvar|Once|OnceLock|Barrier|LazyLock|ReentrantLock)\b "
        r"| sync::(mpsc|mpmc|once|reentrant_lock|poison) | sys::sync | locks::futex "
        r"| pthread_(mutex|rwlock|cond|join) | parking_lot | crossbeam | thread::park "
        r"| JoinHandle | JoinInner",
    ),
    _signature(
        Cause.NETWORK,
        r"std::net:: | sys(::\w+)*::net:: | (Tcp|Udp|Unix)(Stream|Socket|Listener|Datagram) "
        r"| sys_common::net",
    ),
    _signature(
        Cause.PIPE,
        r"std::io::(stdio|Stdin|Stdout|Stderr) | io::pipe | Pipe(Reader|Writer) | AnonPipe "
        r"| sys(::\w+)*::(pipe|stdio)::",
    ),
    _signature(Cause.FILE, r"std::fs:: | sys(::\w+)*::fs:: | \bfs::File\b | DirEntry | ReadDir"),
)
"""Every signature, the first match decides."""

_KERNEL: tuple[tuple[Cause, re.Pattern[str]], ...] = (
    (Cause.STOPPED, re.compile(r"^(do_freezer_trap|__refrigerator|ptrace_stop|do_signal_stop)$")),
    (Cause.SYNC, re.compile(r"^(vfs_fsync|file_write_and_wait|jbd2_log_wait|xfs_log_force)")),
    (Cause.PIPE, re.compile(r"^(anon_)?(pipe|fifo)_|^wait_for_partner$|^n_tty_|^tty_")),
    (Cause.NETWORK, re.compile(r"^(tcp|udp|inet6?|unix|sock|sk_wait|netlink)_")),
    (Cause.CHILD, re.compile(r"^(do_wait|kernel_wait4|wait_for_vfork_done)")),
    (
        Cause.FILE,
        re.compile(
            r"^(filemap|folio_wait|wait_on_page|ext4|xfs|btrfs|f2fs|nfs4?|fuse|v9fs|p9|cifs|ovl"
            r"|blkdev|submit_bio|blk|bio|jbd2|iomap|lookup|path|do_filp|iterate_dir)_"
        ),
    ),
)
"""Kernel functions that tell where system call and user frames do not; the first row decides."""

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
"""Calls below the blamed frame that tell what it asked for; iterators and the like between."""
_BUSY_TOO = (Cause.FILE, Cause.DNS, Cause.CHILD)
"""Causes that hold even where the call is served without sleeping."""


def cause_of(
    on_cpu_ns: int,
    asleep_ns: int,
    syscall: int,
    frames: Sequence[Frame] | None,
    machine: str,
    file_type: int = 0,
) -> Finding:
    """Why a worker was held up.

    ``syscall`` is the number of the call it slept in longest, ``NO_CALL`` = asleep outside every
    call, -1 = unknown; ``file_type`` (``stat.S_IFMT``) that of its first argument as a descriptor,
    0 = unknown. ``frames`` are those of the stack that explains most of it.
    """
    library = _library_frames(frames)
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

    False also where it cannot be told: who wakes a waiter need not have held anything.
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


def _library_frames(frames: Sequence[Frame] | None) -> list[str]:
    """The names inside the blamed frame, a library's own included, outermost first."""
    if not frames:
        return []
    at = culpable(frames)
    if frames[at].origin is Origin.DEPENDENCY and not runs_handler(frames[at]):
        at += 1  # its own name says what it does
    elif frames[at].origin not in (Origin.USER, Origin.DEPENDENCY) and not runs_task(frames[at]):
        at = min(len(frames), _DEEPEST)
    names = []
    for frame in reversed(frames[:at]):
        if frame.function and frame.origin is not Origin.KERNEL:
            names.append(frame.function)
        if is_sealed(frame) and at < len(frames):
            break
    return names


@lru_cache(maxsize=16_384)
def _signs(name: str) -> frozenset[int]:
    """Which of the signatures a function name shows: the same names come again and again."""
    found = (at for at, signature in enumerate(SIGNATURES) if signature.pattern.search(name))
    return frozenset(found)


def _computing(library: list[str]) -> Finding:
    # Reads served from the page cache never sleep, and a resolver parses files: yet that call is
    # what the worker is busy with.
    for name in library[:_NEAREST]:
        for at in sorted(_signs(name)):
            signature = SIGNATURES[at]
            if signature.cause in _BUSY_TOO:
                return Finding(signature.cause, f"on the CPU in {name}")
        if ON_PATHS.search(name):
            return Finding(Cause.FILE, f"on the CPU in {name}")
    return Finding(Cause.CPU, "on the CPU")


def _matching(library: list[str], *, overruling: bool) -> tuple[Cause, str] | None:
    shown = [(at, place) for place, name in enumerate(library) for at in _signs(name)]
    for at, place in sorted(shown):
        if SIGNATURES[at].overrules is overruling:
            return SIGNATURES[at].cause, library[place]
    return None


def _seen(found: tuple[Cause, str], call: str) -> Finding:
    cause, name = found
    return Finding(cause, f"asleep in {call}, under {name}" if call else f"asleep under {name}")
