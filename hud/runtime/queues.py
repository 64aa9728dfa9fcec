"""Reads a runtime's queues and blocking pool in the live process: how many tasks and jobs wait.

While a worker runs tasks it owns a Core with a run queue and a LIFO slot. Other workers steal from
the queue, not from the slot.

Fields are found by their shape relative to ``OwnedTasks`` (hud.runtime.tasks), as far as their
values allow exactly one offset; rows of Tokio 1.35 to 1.54, stable, unstable and with taskdump, by
their type information. What is searched ends with the heap's chunk, where glibc allocates: behind
it lie stale copies of the same.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from hud.runtime.context import NONE
from hud.runtime.schedulers import (
    ARC_DATA,
    chunk_bytes,
    handle_of,
    is_arc,
    scheduler_at,
    words_of,
)
from hud.runtime.tasks import Owned, OwnedCandidate, find_owned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hud.runtime.context import ContextLayout
    from hud.runtime.memory import Read
    from hud.runtime.schedulers import Scheduler
    from hud.runtime.tasks import Vtables

HANDLE_BYTES = 2048
"""1,280 was the most, and 128 before it."""
CORE_BYTES = 288
"""Of a multi_thread Core, up to its tick."""
LOCAL_CAPACITY = 256
"""LOCAL_QUEUE_CAPACITY of multi_thread/queue.rs."""
MOST = 1 << 32
"""No queue is longer, and no pool larger."""


class Pool(NamedTuple):
    """The blocking pool at one moment, threads of workers left out."""

    threads: int
    idle: int
    queue: int
    """Jobs that wait for a thread."""
    limit: int
    """``max_blocking_threads``."""


class Runtime(NamedTuple):
    """One runtime of the target and where its fields are; addresses, 0 = not found."""

    handle: int
    owned: Owned
    workers: int
    """Of a multi_thread runtime; 0 for current_thread."""
    remotes: int
    """What the workers of such a runtime show each other, by their index: {queue, unpark} each."""
    injected: int
    """The length of the shared queue."""
    pool: int
    """``thread_cap``, the first of the pool's numbers."""
    pool_metrics: int


def find_runtime(read: Read, vtables: Vtables, scheduler: int) -> Runtime | str:
    """The runtime of a thread whose CONTEXT has this scheduler; else why its list is not known."""
    found, handle = scheduler_at(scheduler, read), handle_of(scheduler, read)
    if found is None or not handle:
        return "no scheduler as in tokio 1.29 to 1.54"
    size, lists = _lists(read, vtables, handle)
    if len(lists) != 1:
        what = f"{len(lists)} places look like it" if lists else "none as in tokio 1.35 to 1.54"
        return f"of the list of tasks {what}"
    owned, at, proven, _ = lists[0]
    data = read(handle, size)
    length = 56 if owned.added else 48
    workers = remotes = injected = 0
    if found.current:
        injected = _current_thread(data, at, length)
    else:
        workers, remotes, injected = _multi_thread(data, at, length, owned.shards)
    pool = _find_pool(read, data, at + length, workers)
    if not (proven or pool[0] or workers):
        return "no task is in the list, and nothing else proves it"
    if not (found.current or workers):
        pool = 0, 0  # its threads cannot be distinguished from the workers
    return Runtime(handle, owned, workers, remotes, injected and handle + injected, *pool)


def _lists(read: Read, vtables: Vtables, handle: int) -> tuple[int, list[OwnedCandidate]]:
    """How much of the handle was searched, and where its list may be."""
    chunk = chunk_bytes(handle, read)
    for size in (chunk, HANDLE_BYTES):
        candidates = find_owned(read, vtables, handle, size) if size else []
        if candidates:
            return size, candidates
    return 0, []


def _words(data: bytes, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}Q", data) if len(data) == 8 * count else (0,) * count


class _Neighbours(NamedTuple):
    """Where the fields are from ``owned``; ``metrics`` counts from its end if it is ``past``.
    ``injected`` follows that, or is at an offset of its own in the handle's Arc."""

    remotes: int
    metrics: int
    past: bool
    injected: int = 0


_MULTI = (
    _Neighbours(-16, 0, True),
    _Neighbours(-48, -32, False, 160),
    _Neighbours(-256, -240, False, 160),
)
"""``multi_thread::worker::Shared`` of 1.38 to 1.53, of 1.54, and of 1.54 with taskdump."""


def _multi_thread(data: bytes, at: int, size: int, shards: int) -> tuple[int, int, int]:
    """(workers, address of ``remotes``, offset of the shared queue's length); 0 = not found."""
    found = []
    for row in _MULTI:
        remotes, metrics = at + row.remotes, at + row.metrics + size * row.past
        if min(remotes, metrics) < 0:
            continue
        slices = (_words(data[start : start + 16], 2) for start in (remotes, metrics))
        (pointer, workers), (_, same) = slices
        # a shard list has four shards for each worker, rounded up to a power of two
        if 0 < workers == same and shards == 4 << (workers - 1).bit_length():
            found.append((workers, pointer, row.injected or metrics + 16))
    return found[0] if len(found) == 1 else (0, 0, 0)


def _current_thread(data: bytes, at: int, size: int) -> int:
    """The offset of the shared queue's length; 0 = not found.

    ``current_thread::Shared`` has its ``inject`` right before ``owned`` in 1.54, right behind it in
    1.38 to 1.47: there a Config comes before, whose last word (the event interval) is never 0.
    """
    found = [start for start in (at - 40, at + size) if _is_inject(data, start)]
    return found[0] + 32 if found else 0


def _is_inject(data: bytes, at: int) -> bool:
    """Whether ``scheduler::inject::Inject`` {lock, head, tail, is_closed, len} can be there."""
    if at < 0 or len(data) < at + 40:
        return False
    lock, head, tail, closed, length = _words(data[at : at + 40], 5)
    both = bool(head) == bool(tail) == bool(length)
    return (
        both and not (head | tail) % 8 and lock & 0xFF < 4 and closed & 0xFF < 2 and length < MOST
    )


_POOLS = (
    *((16, cap, cap + 8, 16) for cap in (216, 224, 848)),
    *((start, cap, cap + 16, cap - 64) for start in (128, 16) for cap in (984, 992)),
)
"""``blocking::pool::Inner`` in its Arc: where the Arc's data begin; ``thread_cap``, ``metrics``
{threads, idle, queue} and ``keep_alive`` in them. 1.38 to 1.53 with std's locks and with those of
parking_lot, 1.52.0; 1.54 with both."""


def _find_pool(read: Read, data: bytes, begin: int, workers: int) -> tuple[int, int]:
    """Addresses of ``thread_cap`` and of the pool's metrics; 0 = not found."""
    found: dict[tuple[int, int], Pool] = {}
    for at in range(begin, len(data) - 7, 8):
        (arc,) = _words(data[at : at + 8], 1)
        if not is_arc(arc, read):
            continue
        chunk = chunk_bytes(arc, read)
        for start, cap, metrics, keep_alive in _POOLS:
            inner = arc + start
            if chunk and start + metrics + 24 > chunk:
                continue
            if _names_threads(read(inner + keep_alive - 16, 48)) and (
                one := _read_pool(read, inner + cap, inner + metrics, workers)
            ):
                found[inner + cap, inner + metrics] = one
    return _widest(found)


def _widest(found: Mapping[tuple[int, int], Pool]) -> tuple[int, int]:
    """The one pool; of two that lie one word apart that where the word is the number of threads,
    not the limit."""
    if len(found) == 2:
        (first, pool), (second, shifted) = sorted(found.items())
        if second[0] - first[0] == 8 and shifted.limit == pool.threads:
            return first
    return next(iter(found)) if len(found) == 1 else (0, 0)


def _names_threads(data: bytes) -> bool:
    """Whether these are ``stack_size``, ``keep_alive`` and ``thread_name`` of a pool: an Option, a
    Duration and an ``Arc<dyn Fn>``."""
    some, _, seconds, nanos, name, name_vtable = _words(data, 6)
    duration = seconds < 1 << 40 and nanos & 0xFFFF_FFFF < 1_000_000_000
    return some < 2 and duration and bool(name and name_vtable) and (name | name_vtable) % 8 == 0


def _read_pool(read: Read, cap_at: int, metrics: int, workers: int) -> Pool | None:
    """The pool's numbers; None where they cannot be such."""
    (cap,) = _words(read(cap_at, 8), 1)
    threads, idle, queue = _words(read(metrics, 24), 3)
    if not (workers < cap < MOST and workers <= threads <= cap and queue < MOST):
        return None
    if idle > threads - workers:
        return None
    return Pool(threads - workers, idle, queue, cap - workers)


def pool(read: Read, runtime: Runtime) -> Pool | None:
    """The runtime's blocking pool now; None = unknown."""
    if not runtime.pool:
        return None
    return _read_pool(read, runtime.pool, runtime.pool_metrics, runtime.workers)


def injected(read: Read, runtime: Runtime) -> int:
    """Tasks in the runtime's shared queue now; -1 = unknown."""
    data = read(runtime.injected, 8) if runtime.injected else b""
    length = int.from_bytes(data, "little")
    return length if len(data) == 8 and length < MOST else -1


def queued(read: Read, layout: ContextLayout, scheduler: int, runtime: Runtime) -> int:
    """Ready tasks in the run queue and LIFO slot of the thread with this scheduler; -1 = unknown.

    A worker whose core is elsewhere (``block_in_place``) has none.
    """
    found = scheduler_at(scheduler, read)
    if found is None or not found.core:
        return -1
    if not found.current:
        return _run_queue(read, found, layout.tick_multi, runtime)
    if layout.tick_current != NONE:
        return _deque(read, found.core, layout.tick_current)
    return -1


def _run_queue(read: Read, scheduler: Scheduler, tick: int, runtime: Runtime) -> int:
    """``queue::Inner`` in its Arc at 16 {buffer 0, head 8: the real one in its low half, tail 16}.

    The Core has the same Arc. Before its ``park``, which is 16 bytes before that or before its
    tick, is the LIFO slot; a worker that is parked has nothing there (1.38 to 1.54; in 1.51.0 and
    1.52.0 it is outside of Core).
    """
    handle, index = _words(read(scheduler.arc + ARC_DATA, 16), 2)
    if not runtime.remotes or handle != runtime.handle or index >= runtime.workers:
        return -1
    inner, unpark = _words(read(runtime.remotes + 16 * index, 16), 2)
    data = read(inner + ARC_DATA + 8, 12) if inner else b""
    core = words_of(read(scheduler.core, CORE_BYTES))
    if len(data) != 12 or inner not in core:
        return -1
    head, _, tail = struct.unpack("<3I", data)
    waiting = (tail - head) % (1 << 32)
    slots = (core.index(inner) - 2, tick // 8 - 2)
    lifo = any(at > 0 and core[at : at + 1] == (unpark,) and core[at - 1] for at in slots)
    return waiting + lifo if waiting <= LOCAL_CAPACITY else -1


def _deque(read: Read, core: int, tick: int) -> int:
    """``tasks`` of the current_thread Core, a VecDeque {cap, pointer, head, len}: 72 bytes before
    ``tick`` where there are worker metrics (1.45 and later), else 32.
    """
    found = []
    for before in (72, 32):
        cap, pointer, head, length = _words(read(core + tick - before, 32), 4)
        if pointer and pointer % 8 == 0 and head < cap < MOST and length <= cap:
            found.append(length)
    return found[0] if len(found) == 1 else -1
