"""Chooses the worker threads where CONTEXT does not show them: by prefix, name, stack or group.

Each of STRATEGIES looks at the threads and says which are workers and why, or None; the first that
finds some wins. ``--workers`` is the user's word: where it is given nothing else is tried.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.model import Rung, ThreadName, Worker
from hud.runtime.stacks import ThreadClass
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_NAMES = ("tokio-runtime-w", "tokio-rt-worker")
"""``tokio-runtime-worker`` up to Tokio 1.49 (and 1.47.x), cut to 15 bytes, and the name since
1.50. The spawn_blocking pool has the same."""

GROUP_MIN = 2
COMM_BYTES = 15
"""TASK_COMM_LEN of include/linux/sched.h, less the NUL."""

NAMES_SHOWN = 10

_NUMBERED = re.compile(r"(.+)-[0-9]+", re.DOTALL)
_RUNS_TASKS = (ThreadClass.WORKER, ThreadClass.CURRENT_THREAD)


class WorkerChoice(NamedTuple):
    """The workers, and why these."""

    workers: tuple[Worker, ...]
    """By tid, numbered from 0; empty if none is known."""
    rung: Rung
    """STACKS or NAMES; LATENCY if there are no workers."""
    reason: str
    """One line for people, escaped."""
    suggestion: str = ""
    """A prefix worth a try with ``--workers``; raw, may be empty."""


class ThreadsSeen(NamedTuple):
    """What the strategies look at."""

    all: Sequence[ThreadName]
    """By tid."""
    prefix: str | None
    classes: Mapping[int, ThreadClass]
    main_tid: int | None

    def of(self, *classes: ThreadClass) -> list[ThreadName]:
        return [thread for thread in self.all if self.classes.get(thread.tid) in classes]


class Pick(NamedTuple):
    """What a strategy says."""

    threads: Sequence[ThreadName]
    rung: Rung
    reason: str


def find_workers(
    threads: Sequence[ThreadName],
    *,
    prefix: str | None = None,
    stack_classes: Mapping[int, ThreadClass] | None = None,
    main_tid: int | None = None,
) -> WorkerChoice:
    """The workers among ``threads`` by the first strategy that finds some.

    ``prefix``: the value of ``--workers``; if it matches nothing the choice is empty, its reason
    names the threads, and that is the caller's to report. ``stack_classes``: by tid, what stacks
    said, as far as any were seen. ``main_tid``: threads that share its name are unnamed ones (a
    thread inherits its creator's name) and form no group.
    """
    seen = ThreadsSeen(
        sorted(threads, key=lambda thread: thread.tid), prefix, stack_classes or {}, main_tid
    )
    for strategy in (by_prefix,) if prefix is not None else STRATEGIES:
        pick = strategy(seen)
        if pick is not None:
            return WorkerChoice(_numbered(pick.threads), pick.rung, pick.reason)
    suggestion = _suggestion(seen)
    what = "no thread's name looks like a worker's"
    if prefix is not None:
        what = f'no thread\'s name begins with "{printable(prefix)}"'
    return WorkerChoice((), Rung.LATENCY, f"{what}: {_listed(seen.all)}", suggestion)


def by_prefix(seen: ThreadsSeen) -> Pick | None:
    """Threads whose name begins with the prefix, as far as a name of 15 bytes can show it."""
    prefix = (seen.prefix or "").encode("utf-8", "surrogateescape")[:COMM_BYTES]
    found = [
        thread
        for thread in seen.all
        if thread.name.encode("utf-8", "surrogateescape").startswith(prefix)
    ]
    if not found:
        return None
    kept = [thread for thread in found if seen.classes.get(thread.tid) is not ThreadClass.POOL]
    reason = f"--workers {printable(seen.prefix or '')}"
    if not kept:
        return Pick(found, Rung.NAMES, reason)
    return Pick(kept, Rung.NAMES, reason + _left_out(found, kept))


def by_default_name(seen: ThreadsSeen) -> Pick | None:
    """Threads with one of Tokio's own names; where stacks are known they decide.

    A parked worker gives no stack: without one a thread stays if its name is a worker's elsewhere,
    or if no stack says anything at all.
    """
    found = [thread for thread in seen.all if thread.name.startswith(DEFAULT_NAMES)]
    running = seen.of(*_RUNS_TASKS)
    workers = {thread.name for thread in found if thread in running}
    kept = [
        thread
        for thread in found
        if thread in running
        or (
            seen.classes.get(thread.tid) is not ThreadClass.POOL
            and (not running or thread.name in workers)
        )
    ]
    if not kept:
        return None
    others = [thread for thread in running if thread not in found]
    names = " and ".join(sorted({printable(thread.name) for thread in kept}))
    reason = f"{_count(kept)} named {names}{_left_out(found, kept)}"
    if others:
        reason += f"; {_count(others)} more by their stacks"
    return Pick([*kept, *others], Rung.STACKS if running else Rung.NAMES, reason)


def by_stacks(seen: ThreadsSeen) -> Pick | None:
    """Threads whose stacks show a scheduler, under any name."""
    found = seen.of(*_RUNS_TASKS)
    if not found:
        return None
    names = sorted({printable(base_name(thread.name)) for thread in found})
    return Pick(found, Rung.STACKS, f"{_count(found)} by their stacks ({', '.join(names)})")


def by_group(seen: ThreadsSeen) -> Pick | None:
    """The largest group of at least two threads of one ``base_name``; numbered before others."""
    base = _largest_group(seen)
    if base is None:
        return None
    found = [thread for thread in seen.all if base_name(thread.name) == base]
    kept = [thread for thread in found if seen.classes.get(thread.tid) is not ThreadClass.POOL]
    if not kept:
        return None
    number = "-N" if any(thread.name != base for thread in found) else ""
    reason = (
        f"{_count(kept)} named {printable(base)}{number}, the largest group{_left_out(found, kept)}"
    )
    return Pick(kept, Rung.NAMES, reason)


STRATEGIES = (by_default_name, by_stacks, by_group)


def base_name(name: str) -> str:
    """``api`` of ``api-3``, and of ``my-service-wor-`` (15 bytes: its number is cut off)."""
    found = _NUMBERED.fullmatch(name)
    if found:
        return found[1]
    cut = len(name.encode("utf-8", "surrogateescape")) == COMM_BYTES and name.endswith("-")
    return name[:-1] if cut else name


class WorkerIds:
    """Numbers for workers that stay the same for the run, whatever is found later.

    A worker keeps its number through renames; a new one gets the next; none is used again.
    """

    def __init__(self) -> None:
        self._ids: dict[int, int] = {}
        self._next = 0

    def number(self, workers: Sequence[Worker]) -> tuple[Worker, ...]:
        """The workers with their lasting numbers, by number."""
        for worker in workers:
            if worker.tid not in self._ids:
                self._ids[worker.tid] = self._next
                self._next += 1
        numbered = (
            Worker(self._ids[worker.tid], worker.tid, worker.name, worker.runtime)
            for worker in workers
        )
        return tuple(sorted(numbered, key=lambda worker: worker.worker_id))

    def forget(self, tid: int) -> None:
        """The thread is gone: its tid may come back as another thread."""
        self._ids.pop(tid, None)


def _numbered(threads: Sequence[ThreadName]) -> tuple[Worker, ...]:
    ordered = sorted(threads, key=lambda thread: thread.tid)
    several = len({base_name(thread.name) for thread in ordered}) > 1
    return tuple(
        Worker(index, thread.tid, thread.name, base_name(thread.name) if several else "")
        for index, thread in enumerate(ordered)
    )


def _largest_group(seen: ThreadsSeen) -> str | None:
    unnamed = {thread.name for thread in seen.all if thread.tid == seen.main_tid}
    named = [thread.name for thread in seen.all if thread.name not in unnamed]
    sizes = Counter(base_name(name) for name in named)
    numbered = {base_name(name) for name in named if base_name(name) != name}
    bases = [base for base, size in sizes.items() if size >= GROUP_MIN]
    return min(bases, key=lambda base: (-sizes[base], base not in numbered, base), default=None)


def _suggestion(seen: ThreadsSeen) -> str:
    for thread in seen.all:
        if thread.name.startswith(DEFAULT_NAMES):
            return thread.name
    return _largest_group(seen) or ""


def _listed(threads: Sequence[ThreadName]) -> str:
    names = sorted({printable(thread.name) for thread in threads})
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{_count(threads)}, named {', '.join(names[:NAMES_SHOWN])}{more}"


def _left_out(found: Sequence[ThreadName], kept: Sequence[ThreadName]) -> str:
    gone = len(found) - len(kept)
    return f", {gone} of the blocking pool left out by their stacks" if gone else ""


def _count(threads: Sequence[ThreadName]) -> str:
    return figures.count(len(threads), "thread")
