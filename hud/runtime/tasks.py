"""Reads a runtime's list of tasks from the live process, without stopping it.

Tokio's ``OwnedTasks`` is split into shards, each a linked list of task headers. A header begins the
task's Cell: header, core (with the id and the future), trailer. New tasks come first. While the
list is read others change it: a task that is taken out loses its ``next``, so that a walk ends
early. That is seen (the last node is not the shard's tail) and repaired from the tail backwards.

Layouts, the same in Tokio 1.38 to 1.54 (type information of debug builds):
``task::core::Header`` {state 0, queue_next 8, vtable 16, owner_id 24}; ``task::raw::Vtable`` {poll
0, schedule 8, dealloc 16, try_read_output 24, drop_join_handle_slow 32, drop_abort_handle 40,
shutdown 48, trailer_offset 56, scheduler_offset 64, id_offset 72}; ``task::core::Trailer`` {prev 0,
next 8}; a shard {lock 0, head 8, tail 16}.
"""

from __future__ import annotations

import struct
import time
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from hud.model import TaskCount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hud.runtime.memory import Read

RUNNING, COMPLETE, NOTIFIED, JOIN_INTEREST = 1, 2, 4, 8
ONE_REFERENCE = 1 << 6
MOST_REFERENCES = 1 << 32
"""tokio/src/runtime/task/state.rs."""

SHARD, HEAD, TAIL = 24, 8, 16
MOST_SHARDS = 1 << 16
"""MAX_SHARED_LIST_SIZE of task/list.rs."""
MOST_ALIVE = 1 << 32
"""No list counts more."""
MOST_TASKS = 100_000
MOST_VTABLES = 10_000
LOOKED_AT = 64
"""Shards that are looked at to see whether they are such."""
TRIES = 3
MOST_REPAIRS = 10_000
"""Nodes that a walk goes back from the tails, in all."""
SLICE_S = 0.25
"""A walk takes no longer."""
LARGEST_CELL = 1 << 28
CHUNK = 512
"""Read at once of a cell: most end before."""
NEAREST = 48
"""How far ``find`` looks: a task that was spawned lately is among the first of its shard."""

_CHANGED = "the list changed while it was read"

_HEADER = struct.Struct("<4Q")
_VTABLE = struct.Struct("<10Q")
_LINKS = struct.Struct("<2Q")
_WORD = struct.Struct("<Q")


class Vtable(NamedTuple):
    """What a task's vtable says; the functions are addresses in the target."""

    functions: tuple[int, int, int, int, int]
    """poll, schedule, dealloc, drop_join_handle_slow, shutdown."""
    trailer: int
    """Offsets in the cell."""
    task_id: int


class Owned(NamedTuple):
    """One runtime's list: where it is and how many shards it has."""

    lists: int
    shards: int
    alive: int
    """Address of the number of tasks."""
    added: int
    """Address of the number of tasks that were ever added; 0 = not kept (before 1.44)."""
    owner_id: int


class Walk(NamedTuple):
    """One reading of a list."""

    counts: tuple[TaskCount, ...]
    """By vtable."""
    ids: dict[int, int]
    """task id -> vtable."""
    whole: bool
    trouble: str
    """Why tasks may be missing; empty if whole."""
    broken: bool = False
    """No list of Tokio's counts so, or lacks tasks though none came or went."""


class Vtables:
    """The vtables of one process; code may be mapped later, so that only those found are kept."""

    def __init__(self, read: Read, is_code: Callable[[int], bool]) -> None:
        self._read = read
        self._is_code = is_code
        self._known: dict[int, Vtable] = {}

    def at(self, address: int) -> Vtable | None:
        """The vtable at an address of the target; None if the bytes cannot be one."""
        known = self._known.get(address)
        if known is None:
            known = self._decode(address)
            if known is not None and len(self._known) < MOST_VTABLES:
                self._known[address] = known
        return known

    def _decode(self, address: int) -> Vtable | None:
        data = self._read(address, _VTABLE.size) if address and address % 8 == 0 else b""
        if len(data) != _VTABLE.size:
            return None
        *functions, trailer, scheduler, task_id = _VTABLE.unpack(data)
        offsets_fit = (
            _HEADER.size <= scheduler < task_id <= CHUNK - 8
            and task_id < trailer < LARGEST_CELL
            and (scheduler | task_id | trailer) % 8 == 0
        )
        if not offsets_fit or not all(map(self._is_code, functions)):
            return None
        poll, schedule, dealloc, _, drop_join_handle, _, shutdown = functions
        named = poll, schedule, dealloc, drop_join_handle, shutdown
        return Vtable(named, trailer, task_id)


class OwnedCandidate(NamedTuple):
    """Where a list may be."""

    owned: Owned
    offset: int
    """In the memory that was searched."""
    proven: bool
    """There are tasks of this owner in it; else it is empty."""
    tasks: int
    """How many it counts."""


def find_owned(read: Read, vtables: Vtables, handle: int, size: int) -> list[OwnedCandidate]:
    """The places in the ``size`` bytes at ``handle`` that look like a list of tasks.

    ``OwnedTasks`` is {pointer, shards, [added,] count, shards - 1, id}, where ``shards`` is a power
    of two. A proven one leaves no other. The list is built elsewhere and moved to where it stays:
    of several with the same shards and owner the others are copies that it left behind.
    """
    data = read(handle, size)
    words = struct.unpack_from(f"<{len(data) // 8}Q", data)
    found = []
    for at in range(len(words) - 6):
        lists, shards = words[at : at + 2]
        if not (0 < shards <= MOST_SHARDS and shards & (shards - 1) == 0):
            continue
        if not lists or lists % 8:
            continue
        for added in (1, 0):
            count, mask, owner_id = words[at + 2 + added : at + 5 + added]
            if mask != shards - 1 or not owner_id:
                continue
            rest = handle + 8 * at + 16
            owned = Owned(lists, shards, rest + 8 * added, rest * added, owner_id)
            tasks = _holds(read, vtables, owned)
            if tasks > 0 or tasks == count == 0:
                found.append(OwnedCandidate(owned, 8 * at, tasks > 0, count))
    return _without_copies([one for one in found if one.proven] or found)


def _without_copies(candidates: list[OwnedCandidate]) -> list[OwnedCandidate]:
    """One candidate for each list: one that counts tasks, if tasks are there, else the lowest."""
    kept: dict[tuple[int, int], OwnedCandidate] = {}
    for found in sorted(candidates, key=lambda one: (one.proven and not one.tasks, one.offset)):
        kept.setdefault((found.owned.lists, found.owned.owner_id), found)
    return list(kept.values())


def _holds(read: Read, vtables: Vtables, owned: Owned) -> int:
    """At how many ends of shards there are tasks of this owner; -1 = something else is there.

    A few may be wrong: tasks come and go while they are read.
    """
    if len(read(owned.lists + SHARD * (owned.shards - 1), SHARD)) != SHARD:
        return -1
    right = wrong = 0
    ends = {end for pair in islice(_ends(read, owned), LOOKED_AT) for end in pair} - {0}
    for header in ends:
        data = read(header, _HEADER.size) if header % 8 == 0 else b""
        fits = (
            len(data) == _HEADER.size
            and _HEADER.unpack(data)[3] == owned.owner_id
            and vtables.at(_HEADER.unpack(data)[2]) is not None
        )
        right += fits
        wrong += not fits
    return right if wrong <= right else -1


def is_there(read: Read, owned: Owned) -> bool:
    """Whether the list found before is still there."""
    data = read(owned.alive + 8, 16)
    return data == struct.pack("<2Q", owned.shards - 1, owned.owner_id)


def _ends(read: Read, owned: Owned) -> Iterator[tuple[int, int]]:
    """Head and tail of each shard."""
    for first in range(0, owned.shards, LOOKED_AT):
        shards = min(LOOKED_AT, owned.shards - first)
        data = read(owned.lists + SHARD * first, SHARD * shards)
        for _, head, tail in struct.iter_unpack("<3Q", data[: len(data) // SHARD * SHARD]):
            yield head, tail


class _Walker:
    """The state of one walk over all shards."""

    def __init__(self, read: Read, vtables: Vtables, owned: Owned, until: float) -> None:
        self._read = read
        self._vtables = vtables
        self._owned = owned
        self._until = until
        self.seen: set[int] = set()
        self._repairs = 0
        self.counts: dict[int, list[int]] = {}
        self.ids: dict[int, int] = {}
        self.changed = False
        self.stopped = ""

    def shard(self, number: int, head: int) -> None:
        """All tasks of a shard, from its head; then from its tail what was missed."""
        last = self._follow(head)
        tail = self._end(number, TAIL)
        if tail in (last, 0) or self.stopped:
            return
        node, behind = tail, 0
        while node not in self.seen:
            self._repairs += 1
            links = self._task(node) if node and self._repairs < MOST_REPAIRS else None
            if links is None:
                # the first of a list has no ``prev``, and neither has one that was taken out
                self.changed |= not behind or self._end(number, HEAD) != behind
                break
            node, behind = links[0], node

    def _end(self, number: int, which: int) -> int:
        data = self._read(self._owned.lists + SHARD * number + which, 8)
        return int.from_bytes(data, "little")

    def _follow(self, node: int) -> int:
        """The last node of the chain."""
        last = 0
        while node:
            if len(self.seen) >= MOST_TASKS:
                self.stopped = f"more than {MOST_TASKS} tasks"
            if self.stopped or (len(self.seen) % 256 == 0 and self.late()):
                break
            links = None if node in self.seen else self._task(node)
            if links is None:
                break  # it was taken out meanwhile: the tail shows whether something is missing
            last, node = node, links[1]
        return last

    def late(self) -> bool:
        if time.monotonic() > self._until:
            self.stopped = "reading them took too long"
        return bool(self.stopped)

    def _task(self, header: int) -> tuple[int, int] | None:
        """Count the task; its (prev, next), or None where there is none of this list."""
        data = self._read(header, CHUNK) if header % 8 == 0 else b""
        if len(data) < _HEADER.size:
            return None
        state, _, address, owner_id = _HEADER.unpack_from(data)
        vtable = self._vtables.at(address)
        if vtable is None or owner_id != self._owned.owner_id or not _possible(state):
            return None
        end = vtable.trailer + _LINKS.size
        if end <= len(data):
            links = _LINKS.unpack_from(data, vtable.trailer)
        else:
            trailer = self._read(header + vtable.trailer, _LINKS.size)
            if len(trailer) != _LINKS.size:
                return None
            links = _LINKS.unpack(trailer)
        self.seen.add(header)
        if not state & COMPLETE and len(data) >= vtable.task_id + 8:
            counts = self.counts.get(address)
            if counts is None:
                counts = self.counts[address] = [0, 0, 0, 0]
            _count(counts, state)
            self.ids[_WORD.unpack_from(data, vtable.task_id)[0]] = address
        return links


def _possible(state: int) -> bool:
    """Whether a task in a list may have it: the list refers to it, and none that ended runs."""
    both = RUNNING | COMPLETE
    return ONE_REFERENCE <= state < MOST_REFERENCES and state & both != both


def _count(counts: list[int], state: int) -> None:
    """Into [idle, ready, running, stuck].

    An idle task that only its list and its JoinHandle refer to has no waker: nothing but an abort
    can schedule it again.
    """
    if state & RUNNING:
        counts[2] += 1
    elif state & NOTIFIED:
        counts[1] += 1
    else:
        counts[0] += 1
        counts[3] += state // ONE_REFERENCE == 1 + bool(state & JOIN_INTEREST)


def walk(read: Read, vtables: Vtables, owned: Owned, slice_s: float = SLICE_S) -> Walk:
    """Every task of a list and its state, as far as ``slice_s`` seconds allow.

    Read again a few times where the list changes too much: the fullest reading counts.
    """
    until = time.monotonic() + slice_s
    best = _walk(read, vtables, owned, until)
    for _ in range(TRIES - 1):
        if best.trouble != _CHANGED:
            break
        best = max(best, _walk(read, vtables, owned, until), key=_worth)
    return best


def _worth(found: Walk) -> tuple[bool, int]:
    return found.whole, len(found.ids)


def _walk(read: Read, vtables: Vtables, owned: Owned, until: float) -> Walk:
    before = _numbers(read, owned)
    walker = _Walker(read, vtables, owned, until)
    for number, (head, tail) in enumerate(_ends(read, owned)):
        if walker.stopped or (number % 256 == 0 and walker.late()):
            break
        if head or tail:
            walker.shard(number, head)
    after = _numbers(read, owned)
    came = after[1] - before[1]
    changed = walker.changed or (bool(owned.added) and len(walker.seen) < after[0] - came)
    trouble = walker.stopped or _CHANGED * changed
    counts = (TaskCount(vtable, *numbers) for vtable, numbers in sorted(walker.counts.items()))
    still = trouble == _CHANGED and bool(owned.added) and before == after
    broken = still or not _may_follow(before, after, owned)
    return Walk(tuple(counts), walker.ids, not trouble, trouble, broken)


def _may_follow(before: tuple[int, int], after: tuple[int, int], owned: Owned) -> bool:
    """Whether a list can count so, and then so: what lives was added, and stays added."""
    sound = all(
        alive < MOST_ALIVE and (alive <= added or not owned.added)
        for alive, added in (before, after)
    )
    return sound and before[1] <= after[1]


def alive(read: Read, owned: Owned) -> int:
    """How many tasks the list counts."""
    return _numbers(read, owned)[0]


def _numbers(read: Read, owned: Owned) -> tuple[int, int]:
    """(tasks alive, tasks ever added)."""
    count = int.from_bytes(read(owned.alive, 8), "little")
    return count, int.from_bytes(read(owned.added, 8), "little") if owned.added else 0


def find(read: Read, vtables: Vtables, owned: Owned, task_id: int) -> int:
    """The vtable of a task that was spawned lately; 0 = not among the first of its shard."""
    head = owned.lists + SHARD * (task_id & (owned.shards - 1)) + HEAD
    node = int.from_bytes(read(head, 8), "little")
    for _ in range(NEAREST):
        data = read(node, CHUNK) if node and node % 8 == 0 else b""
        if len(data) < _HEADER.size:
            break
        _, _, address, owner_id = _HEADER.unpack_from(data)
        vtable = vtables.at(address)
        if vtable is None or owner_id != owned.owner_id or len(data) < vtable.task_id + 8:
            break
        if data[vtable.task_id : vtable.task_id + 8] == _WORD.pack(task_id):
            return int(address)
        node = int.from_bytes(read(node + vtable.trailer + 8, 8), "little")
    return 0
