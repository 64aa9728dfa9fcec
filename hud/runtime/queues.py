"""A runtime's queues and blocking pool in the live process: how many tasks and jobs wait.

Terms: a *handle* is the ``Arc`` of the scheduler's Handle, which all threads of a runtime share;
the *core* is what a worker owns while it runs tasks; its *own queue* is the core's run queue and
its LIFO slot. Other workers steal from the queue, not from the slot.

Places are found by their shape relative to ``OwnedTasks`` (hud.runtime.tasks), as far as their
values allow exactly one; rows of Tokio 1.38, 1.44, 1.47 and 1.54 by their type information.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from hud.runtime.context import NONE
from hud.runtime.tasks import Owned, find_owned

if TYPE_CHECKING:
    from hud.runtime.context import ContextLayout
    from hud.runtime.live import Read
    from hud.runtime.tasks import Vtables

CURRENT_THREAD, MULTI_THREAD = 0, 1
"""Tag of the enum ``scheduler::Context``; the worker's or the handle's Arc follows."""
WORKER_HANDLE = 16
"""``multi_thread::worker::Worker`` in its Arc: the handle comes first."""
LEAST_ADDRESS = 1 << 16
HANDLE_BYTES = 1024
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
    """One runtime of the target and what is known of its places; addresses, 0 = not found."""

    handle: int
    owned: Owned
    workers: int
    """Of a multi_thread runtime; 0 for current_thread."""
    injected: int
    """The length of the shared queue."""
    pool: int
    """``thread_cap``, the first of the pool's numbers."""
    pool_metrics: int


def find_runtime(read: Read, vtables: Vtables, scheduler: int) -> Runtime | None:
    """The runtime of a thread whose CONTEXT has this scheduler; None if its list is not found."""
    tag, _ = _head(read, scheduler)
    handle = handle_of(read, scheduler)
    places = find_owned(read, vtables, handle, HANDLE_BYTES) if handle else []
    if len(places) != 1:
        return None
    owned, at, proven = places[0]
    data = read(handle, HANDLE_BYTES)
    size = 56 if owned.added else 48
    workers = injected = 0
    if tag == MULTI_THREAD:
        workers, injected = _multi_thread(data, at, size, owned.shards)
    else:
        injected = _current_thread(data, at, size)
    pool = _find_pool(read, data, at + size, workers)
    if not proven and not pool[0]:
        return None
    return Runtime(handle, owned, workers, injected and handle + injected, *pool)


def handle_of(read: Read, scheduler: int) -> int:
    """The handle of a thread whose CONTEXT has this scheduler; 0 = there is none."""
    tag, arc = _head(read, scheduler)
    if tag == MULTI_THREAD and arc:
        (arc,) = _words(read(arc + WORKER_HANDLE, 8), 1)
    return arc if tag in (CURRENT_THREAD, MULTI_THREAD) else 0


def _head(read: Read, scheduler: int) -> tuple[int, int]:
    """The tag of a scheduler's Context and the Arc after it; without ``rt-multi-thread`` there is
    no tag, and an Arc of the handle comes first."""
    tag, arc = _words(read(scheduler, 16), 2)
    return (CURRENT_THREAD, tag) if tag >= LEAST_ADDRESS else (tag, arc)


def _words(data: bytes, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}Q", data) if len(data) == 8 * count else (0,) * count


class _Neighbours(NamedTuple):
    """Where the fields are from ``owned``; ``past`` counts from its end."""

    remotes: int
    metrics: int
    injected: int
    past: bool


_MULTI = (_Neighbours(-16, 0, 16, True), _Neighbours(-48, -32, -336, False))
"""``multi_thread::worker::Shared`` of 1.38 to 1.47, and of 1.54."""


def _multi_thread(data: bytes, at: int, size: int, shards: int) -> tuple[int, int]:
    """(workers, offset of the shared queue's length); 0 = not found."""
    found = []
    for row in _MULTI:
        base = at + size if row.past else at
        remotes, metrics = at + row.remotes, base + row.metrics
        if min(remotes, metrics, base + row.injected) < 0:
            continue
        workers, same = (_words(data[place + 8 : place + 16], 1)[0] for place in (remotes, metrics))
        # a shard list has four shards for each worker, rounded up to a power of two
        if 0 < workers == same and shards == 4 << (workers - 1).bit_length():
            found.append((workers, base + row.injected))
    return found[0] if len(found) == 1 else (0, 0)


def _current_thread(data: bytes, at: int, size: int) -> int:
    """The offset of the shared queue's length; 0 = not found.

    ``current_thread::Shared`` has its ``inject`` right before ``owned`` in 1.54, right behind it in
    1.38 to 1.47: there a Config comes before, whose last word (the event interval) is never 0.
    """
    places = [place for place in (at - 40, at + size) if _is_inject(data, place)]
    return places[0] + 32 if places else 0


def _is_inject(data: bytes, place: int) -> bool:
    """Whether ``scheduler::inject::Inject`` {lock, head, tail, is_closed, len} can be there."""
    if place < 0 or len(data) < place + 40:
        return False
    lock, head, tail, closed, length = _words(data[place : place + 40], 5)
    both = bool(head) == bool(tail) == bool(length)
    return (
        both and not (head | tail) % 8 and lock & 0xFF < 4 and closed & 0xFF < 2 and length < MOST
    )


_POOLS = ((16, 216, 224, 16), (128, 984, 1000, 920), (16, 984, 1000, 920))
"""``blocking::pool::Inner`` in its Arc, 1.38 to 1.47 and 1.54: where the Arc's data begin;
``thread_cap``, ``metrics`` {threads, idle, queue} and ``keep_alive`` in them."""


def _find_pool(read: Read, data: bytes, begin: int, workers: int) -> tuple[int, int]:
    """Addresses of ``thread_cap`` and of the pool's metrics; 0 = not found."""
    found = set()
    for place in range(begin, len(data) - 7, 8):
        (arc,) = _words(data[place : place + 8], 1)
        if not arc or arc % 8:
            continue
        strong, weak = _words(read(arc, 16), 2)
        if not (0 < strong < MOST and 0 < weak < MOST):
            continue
        for start, cap, metrics, keep_alive in _POOLS:
            inner = arc + start
            if _names_threads(read(inner + keep_alive - 16, 48)) and _read_pool(
                read, inner + cap, inner + metrics, workers
            ):
                found.add((inner + cap, inner + metrics))
    return found.pop() if len(found) == 1 else (0, 0)


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


def queued(read: Read, layout: ContextLayout, scheduler: int) -> int:
    """Ready tasks in the own queue of the thread with this scheduler; -1 = unknown.

    A worker whose core is elsewhere (``block_in_place``) has none.
    """
    if layout.core == NONE:
        return -1
    tag, _ = _head(read, scheduler)
    (core,) = _words(read(scheduler + layout.core, 8), 1)
    if not core:
        return -1
    if tag == MULTI_THREAD:
        return _run_queue(read, core)
    if tag == CURRENT_THREAD and layout.tick_current != NONE:
        return _deque(read, core, layout.tick_current)
    return -1


def _run_queue(read: Read, core: int) -> int:
    """``multi_thread::worker::Core`` {lifo_slot 0, run_queue 24}, ``queue::Inner`` in its Arc at 16
    {buffer 0, head 8: the real one in its low half, tail 16}; the same in 1.38 to 1.54.
    """
    lifo, _, _, inner = _words(read(core, 32), 4)
    data = read(inner + 24, 12) if inner else b""
    if len(data) != 12:
        return -1
    head, _, tail = struct.unpack("<3I", data)
    waiting = (tail - head) % (1 << 32)
    return waiting + bool(lifo) if waiting <= LOCAL_CAPACITY else -1


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
