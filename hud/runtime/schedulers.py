"""Recognises, by its shape in memory, the scheduler that CONTEXT's pointer leads to.

That is the scheduler's Context {tag, Arc, RefCell of the Box of Core, ...}: tag 0 and the Arc of
the handle (current_thread), tag 1 and that of the Worker (multi_thread). A Tokio without
``rt-multi-thread`` has no tag. The handle is the ``Arc`` of the scheduler's Handle, which all
threads of a runtime share. The same in Tokio 1.29 to 1.54, and with Rust 1.63 to 1.97.

Before, each kind has a pointer and a Context of its own, without a tag, and it depends on the
compiler which of Arc and RefCell comes first.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.runtime.memory import Read

CURRENT_THREAD, MULTI_THREAD = 0, 1
NOT_BORROWED = (0, 1, (1 << 64) - 1)
"""A RefCell's flag: free, borrowed once, borrowed to write."""
MOST_REFERENCES = 1 << 32
LEAST_ADDRESS = 1 << 16
ARC_DATA = 16
"""Of an Arc, behind its two counts; more where the data's alignment is."""
CONTEXT_BYTES = 32
LEAST_CHUNK, MOST_CHUNK = 32, 1 << 16
"""Of glibc; what is looked into has a few thousand bytes at the most."""
WORKER_HANDLE = 16
"""``multi_thread::worker::Worker`` {handle, index} in its Arc."""
HANDLE_BYTES = 1024
REMOTE = 16
"""``multi_thread::worker::Remote`` {steal, unpark}."""
MOST_WORKERS = 1 << 12


class Scheduler(NamedTuple):
    """A scheduler's Context."""

    current: bool
    """current_thread; else multi_thread."""
    arc: int
    """Of the handle; of a multi_thread scheduler its Worker."""
    core_at: int
    """Offset of the pointer to Core."""
    core: int
    """0 = not at hand."""


def scheduler_at(address: int, read: Read, *, early: bool = False) -> Scheduler | None:
    """None if no Context of a scheduler is there, or one that is not known.

    ``early``: it is of Tokio before 1.29.
    """
    words = words_of(read(address, CONTEXT_BYTES))
    if len(words) < CONTEXT_BYTES // 8:
        return None
    tagged = not early and words[0] in (CURRENT_THREAD, MULTI_THREAD)
    core_at = 24 if tagged else 8 if words[0] in NOT_BORROWED else 16
    flag, core = words[core_at // 8 - 1], words[core_at // 8]
    arc = words[{8: 2, 16: 0, 24: 1}[core_at]]
    if flag not in NOT_BORROWED or not is_arc(arc, read) or (core and not is_address(core, read)):
        return None
    current = words[0] != MULTI_THREAD if tagged else next(remotes_of(arc, read), None) is None
    return Scheduler(current, arc, core_at, core)


def remotes_of(worker: int, read: Read) -> Iterator[tuple[int, int]]:
    """What may be {steal, unpark} of the Worker in this Arc, by its index in slices that its handle
    has; none if it is no Worker."""
    words = words_of(read(worker + WORKER_HANDLE, 16))
    if len(words) < 2 or words[1] >= MOST_WORKERS or not is_arc(words[0], read):
        return
    handle, index = words
    for pointer, length in pairwise(words_of(read(handle + ARC_DATA, HANDLE_BYTES))):
        if index < length <= MOST_WORKERS and pointer >= LEAST_ADDRESS and pointer % 8 == 0:
            remote = words_of(read(pointer + index * REMOTE, REMOTE))
            if len(remote) == 2 and all(is_arc(one, read) for one in remote):
                yield remote[0], remote[1]


def handle_of(address: int, read: Read) -> int:
    """The handle of the scheduler whose Context is there; 0 = there is none."""
    scheduler = scheduler_at(address, read)
    if scheduler is None:
        return 0
    if scheduler.current:
        return scheduler.arc
    words = words_of(read(scheduler.arc + ARC_DATA, 8))
    return words[0] if words and is_arc(words[0], read) else 0


def chunk_bytes(address: int, read: Read) -> int:
    """Usable bytes of what glibc's malloc gave out there, by the size before it (malloc/malloc.c,
    struct malloc_chunk); 0 = another allocator, or not recognised."""
    words = words_of(read(address - 8, 8)) if address else ()
    size = words[0] & ~7 if words else 0
    return size - 8 if size % 16 == 0 and LEAST_CHUNK <= size <= MOST_CHUNK else 0


def is_arc(word: int, read: Read) -> bool:
    """Whether a strong and a weak count are there."""
    counts = words_of(read(word, ARC_DATA)) if word >= LEAST_ADDRESS and word % 8 == 0 else ()
    return len(counts) == 2 and all(0 < count < MOST_REFERENCES for count in counts)


def is_ring(pointer: int, cap: int, head: int, length: int) -> bool:
    """Whether a VecDeque may have these."""
    return pointer >= LEAST_ADDRESS and pointer % 8 == 0 and head < cap and length <= cap


def is_address(word: int, read: Read) -> bool:
    """Whether an aligned word can be read there."""
    return word % 8 == 0 and word >= LEAST_ADDRESS and len(read(word, 8)) == 8


def words_of(data: bytes) -> tuple[int, ...]:
    """As many words of 8 bytes as there are."""
    return struct.unpack_from(f"<{len(data) // 8}Q", data)
