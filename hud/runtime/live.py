"""Reads Tokio's CONTEXT in every thread of the live process, without stopping it (/proc/PID/mem).

A layout fits if the bytes of every thread can be a CONTEXT of it; of several that do, one under
which some thread is inside a runtime is believed first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hud.model import Mapping as Region
from hud.runtime.context import NONE, ContextLayout
from hud.runtime.cores import Cores
from hud.runtime.memory import Read

PTHREAD_TID = 720
"""``tid`` in glibc's struct pthread on x86_64 (nptl/descr.h; the same in 2.17 to 2.41)."""

MUSL_PREV, MUSL_NEXT, MUSL_TID = 16, 24, 48
"""The neighbours in the ring of all threads, and ``tid``, in musl's struct pthread on x86_64
(src/internal/pthread_impl.h; measured with 1.2.5)."""

TAIL = 16 << 10
"""Both put struct pthread at the end of the thread's stack mapping."""

WHOLE = 256 << 10
"""The main thread's TLS is anywhere in a small mapping of its own: those are read whole."""

MOST_MAPPINGS = 20_000
MOST_BYTES = 64 << 20
"""Read in all; half a second."""

MOST_THREADS = 10_000

NOT_ENTERED = 2
TASK_ID_LIMIT = 1 << 48


class Reading(NamedTuple):
    """CONTEXT of one thread, read under one layout."""

    tid: int
    entered: bool
    """Inside a runtime: a worker, or a thread in ``block_on``."""
    scheduler: int
    """The scheduler's Context, 0 = the thread drives none."""
    task_id: int
    in_budget: bool
    current: bool = False
    """The scheduler is a current_thread one, before Tokio 1.29; else its tag says."""


class Confirmation(NamedTuple):
    """What the live process says about one layout."""

    readings: tuple[Reading, ...]
    insane: int
    """Threads whose bytes cannot be a CONTEXT of this layout; a thread that has ended is none."""

    @property
    def entered(self) -> int:
        return sum(reading.entered for reading in self.readings)

    @property
    def sane(self) -> bool:
        return not self.insane and bool(self.readings)


def thread_pointers(tids: Iterable[int], mappings: Sequence[Region], read: Read) -> dict[int, int]:
    """tid -> thread pointer of those threads whose descriptor is found (x86_64, glibc and musl).

    glibc's holds its own address at 0 and 16 (tcbhead_t.tcb and .self), musl's at 0 and in the
    thread that follows it in the ring; both hold the tid. Threads of another C library are not
    found.
    """
    wanted = set(tids)
    found: dict[int, int] = {}
    left = MOST_BYTES
    for mapping in mappings[:MOST_MAPPINGS]:
        if len(found) == len(wanted) or left <= 0:
            break
        # [heap] is where a static program has the main thread's
        if mapping.inode or not mapping.writable:
            continue
        size = mapping.end - mapping.start
        start = mapping.start if size <= WHOLE else mapping.end - TAIL
        left -= mapping.end - start
        seen = _descriptors(read(start, mapping.end - start), start, read)
        found |= {tid: address for address, tid in seen if tid in wanted}
    return found


def _descriptors(data: bytes, start: int, read: Read) -> Iterable[tuple[int, int]]:
    words = memoryview(data)[: len(data) // 8 * 8].cast("Q")
    for index in _own_addresses(data, words, start):
        address = start + 8 * index
        if words[index + 2] == address:
            yield address, int.from_bytes(read(address + PTHREAD_TID, 4), "little")
        elif _word(read, words[index + MUSL_NEXT // 8] + MUSL_PREV) == address:
            yield from _ring(address, read)
            return


def _own_addresses(data: bytes, words: memoryview, start: int) -> Iterable[int]:
    """Words that hold their own address, but for the last three; by their upper five bytes, of
    which there are one or two in a mapping."""
    for upper in range(start >> 24, (start + len(data) >> 24) + 1):
        wanted = upper.to_bytes(5, "little")
        at = data.find(wanted)
        while at >= 0:
            index, rest = divmod(at - 3, 8)
            if not rest and 0 <= index < len(words) - 3 and words[index] == start + 8 * index:
                yield index
            at = data.find(wanted, at + 1)


def _ring(first: int, read: Read) -> Iterable[tuple[int, int]]:
    """All threads of musl, from any of them; as far as the ring holds together."""
    address = first
    for _ in range(MOST_THREADS):
        yield address, int.from_bytes(read(address + MUSL_TID, 4), "little")
        following = _word(read, address + MUSL_NEXT)
        if following == first or _word(read, following + MUSL_PREV) != address:
            return
        address = following


def _word(read: Read, address: int) -> int:
    return int.from_bytes(read(address, 8), "little")


def confirm(layout: ContextLayout, pointers: Mapping[int, int], read: Read) -> Confirmation:
    """Read CONTEXT of every thread under this layout."""
    readings = []
    insane = 0
    for tid, pointer in sorted(pointers.items()):
        data = read(pointer + layout.tls_offset, layout.size)
        if len(data) != layout.size:
            continue
        reading = _reading(tid, data, layout, pointer + layout.tls_offset, read)
        if reading is None:
            insane += 1
        else:
            readings.append(reading)
    return Confirmation(tuple(readings), insane)


def choose(
    layouts: Sequence[ContextLayout], pointers: Mapping[int, int], read: Read
) -> tuple[ContextLayout, Confirmation] | None:
    """The first layout that every thread confirms; one that some thread has entered wins.

    None if no layout is sane in all threads.
    """
    checked = [(layout, confirm(layout, pointers, read)) for layout in layouts]
    sane = [pair for pair in checked if pair[1].sane]
    return max(sane, key=lambda pair: min(pair[1].entered, 1), default=None)


def with_cores(layout: ContextLayout, readings: Sequence[Reading], read: Read) -> ContextLayout:
    """The layout with what is where in the Cores of the schedulers, as far as these prove it."""
    cores = Cores(layout)
    cores.look((reading.scheduler for reading in readings if reading.scheduler), read)
    return cores.applied(layout)


def turn_of(layout: ContextLayout, reading: Reading, read: Read) -> int | None:
    """``turn`` of a thread's scheduler as the kernel reads it (bpf_src/tokio.h); None = not known:
    its tick, modulo 2^32, and above that the flags of a worker."""
    if not reading.scheduler or layout.core == NONE:
        return None
    current = _is_current(layout, reading, read)
    at = layout.tick_current if current else layout.tick_multi
    core = _word(read, reading.scheduler + layout.core)
    size = 12 if layout.flags and not current else 4
    data = read(core + at, size) if core and at != NONE else b""
    if len(data) != size:
        return None
    return int.from_bytes(data[:4] + data[8:], "little")


def _is_current(layout: ContextLayout, reading: Reading, read: Read) -> bool:
    if layout.early:
        return reading.current
    return layout.untagged or read(reading.scheduler, 1) == b"\0"


def lent_core(layout: ContextLayout, reading: Reading, read: Read) -> bool:
    """Whether a multi_thread worker has given its core to another thread, by block_in_place."""
    if not reading.scheduler or layout.core == NONE or _is_current(layout, reading, read):
        return False
    return read(reading.scheduler + layout.core, 8) == bytes(8)


def _reading(
    tid: int, data: bytes, layout: ContextLayout, address: int, read: Read
) -> Reading | None:
    """None if these bytes are no CONTEXT."""
    runtime, budget = data[layout.runtime], data[layout.budget_tag]
    task_id = scheduler = current = 0
    if not layout.apart:
        (task_id,) = struct.unpack_from("<Q", data, layout.task_id)
    if layout.current != NONE:
        scheduler = current = _pointer(data, layout.current, address, read)
    if layout.scheduler != NONE and not current:
        scheduler = _pointer(data, layout.scheduler, address, read)
    if layout.task_tag != NONE:
        (tag,) = struct.unpack_from("<Q", data, layout.task_tag)
        if tag > 1:
            return None
        task_id *= tag
    if runtime > NOT_ENTERED or budget > 1 or task_id >= TASK_ID_LIMIT or scheduler & 7:
        return None
    entered = runtime != NOT_ENTERED and bool(scheduler or budget or task_id)
    return Reading(tid, entered, scheduler, task_id, bool(budget), bool(current))


def _pointer(data: bytes, at: int, address: int, read: Read) -> int:
    """The word at an offset of what was read at the address, or of what lies around it."""
    if 0 <= at <= len(data) - 8:
        return int.from_bytes(data[at : at + 8], "little")
    return _word(read, address + at)
