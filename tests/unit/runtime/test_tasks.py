"""Lists of tasks in memory that the test makes up: whole, changing, and garbage."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hud.model import TaskCount
from hud.runtime.tasks import (
    CHUNK,
    HEAD,
    MOST_TASKS,
    SHARD,
    TAIL,
    Owned,
    Vtables,
    find,
    find_owned,
    is_there,
    walk,
)

CODE = range(0x1000, 0x2000)
VTABLE, OTHER = 0x10_000, 0x10_100
HANDLE, LISTS, TASKS = 0x20_000, 0x30_000, 0x100_000
CELL = 0x1000
IDLE, READY, RUNNING, COMPLETE = 3 << 6 | 8, 3 << 6 | 4, 3 << 6 | 1, 2 << 6 | 2
FORGOTTEN = 2 << 6 | 8
"""Only its list and its JoinHandle refer to it."""
OWNER = 5


class Memory:
    """Words at addresses; everything else of its pages reads as zero, other pages do not."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}
        self.pages: set[int] = set()
        self.reads = 0
        self.on_read: Callable[[int], None] = lambda address: None

    def put(self, address: int, *words: int) -> None:
        for place, word in enumerate(words):
            self.words[address + 8 * place] = word
            self.pages.add((address + 8 * place) >> 12)

    def read(self, address: int, size: int) -> bytes:
        self.on_read(address)
        self.reads += 1
        data = bytearray()
        while len(data) < size and (address + len(data)) >> 12 in self.pages:
            data += struct.pack("<Q", self.words.get(address + len(data), 0))
        return bytes(data[:size])


class Target(Memory):
    """A runtime with four shards, as Tokio 1.54 has them."""

    def __init__(self, shards: int = 4, *, added: bool = True) -> None:
        super().__init__()
        self.shards: list[list[int]] = [[] for _ in range(shards)]
        self.ids: dict[int, int] = {}
        self.born = 0
        self.keeps_added = added
        for vtable, trailer in ((VTABLE, 80), (OTHER, 2000)):
            self.put(vtable, *(CODE.start + 16 * at for at in range(7)), trailer, 32, 40)
        self.put(LISTS, *([0] * 3 * shards))
        self.settle()

    def settle(self) -> None:
        alive = sum(map(len, self.shards))
        numbers = [self.born, alive] if self.keeps_added else [alive]
        self.put(HANDLE + 64, LISTS, len(self.shards), *numbers, len(self.shards) - 1, OWNER)
        for number, tasks in enumerate(self.shards):
            head, tail = (tasks[0], tasks[-1]) if tasks else (0, 0)
            self.put(LISTS + SHARD * number + HEAD, head, tail)

    def spawn(self, state: int = IDLE, vtable: int = VTABLE, owner: int = OWNER) -> int:
        """At the front of the shard that its id says; returns the header."""
        self.born += 1
        header = TASKS + CELL * self.born
        self.ids[header] = self.born
        tasks = self.shards[self.born % len(self.shards)]
        self.put(header, state, 0, vtable, owner, 0, self.born)
        self._links(header, 0, tasks[0] if tasks else 0)
        if tasks:
            self._links(tasks[0], header, self.words[self._trailer(tasks[0]) + 8])
        tasks.insert(0, header)
        self.settle()
        return header

    def remove(self, header: int) -> None:
        tasks = next(tasks for tasks in self.shards if header in tasks)
        at = tasks.index(header)
        before, after = tasks[at - 1] if at else 0, tasks[at + 1] if at + 1 < len(tasks) else 0
        if before:
            self._links(before, self.words[self._trailer(before)], after)
        if after:
            self._links(after, before, self.words[self._trailer(after) + 8])
        self._links(header, 0, 0)
        tasks.remove(header)
        self.settle()

    def _trailer(self, header: int) -> int:
        return header + self.words[self.words[header + 16] + 56]

    def _links(self, header: int, before: int, after: int) -> None:
        self.put(self._trailer(header), before, after)

    def vtables(self) -> Vtables:
        return Vtables(self.read, lambda address: address in CODE)

    def owned(self) -> Owned:
        (place,) = find_owned(self.read, self.vtables(), HANDLE, 512)
        return place.owned


@pytest.mark.parametrize("added", [True, False])
def test_the_list_is_found_by_its_shape(added: bool) -> None:
    target = Target(added=added)
    target.spawn()
    (place,) = find_owned(target.read, target.vtables(), HANDLE, 512)
    assert place.offset == 64
    assert place.proven
    assert place.owned.shards == 4
    assert bool(place.owned.added) is added
    assert is_there(target.read, place.owned)
    target.put(place.owned.alive + 16, OWNER + 1)
    assert not is_there(target.read, place.owned)


def test_a_list_of_another_owner_or_of_no_tasks_is_none() -> None:
    target = Target()
    target.spawn(owner=OWNER + 1)
    assert find_owned(target.read, target.vtables(), HANDLE, 512) == []
    target = Target()
    target.spawn(vtable=VTABLE + 8)
    assert find_owned(target.read, target.vtables(), HANDLE, 512) == []


def test_an_empty_list_is_not_proven_and_gives_way_to_one_with_tasks() -> None:
    target = Target()
    assert not find_owned(target.read, target.vtables(), HANDLE, 512)[0].proven
    target.spawn()
    empty = 0x60_000
    target.put(empty, 0, 0, 0)
    target.put(HANDLE + 256, empty, 1, 0, 0, 0, 7)
    (place,) = find_owned(target.read, target.vtables(), HANDLE, 512)
    assert place.owned.owner_id == OWNER


def test_states_are_counted_by_type() -> None:
    target = Target()
    for state in (IDLE, IDLE, READY, RUNNING, FORGOTTEN, COMPLETE):
        target.spawn(state)
    target.spawn(READY, OTHER)
    found = walk(target.read, target.vtables(), target.owned())
    assert found.whole
    assert found.counts == (
        TaskCount(VTABLE, idle=3, ready=1, running=1, stuck=1),
        TaskCount(OTHER, idle=0, ready=1, running=0, stuck=0),
    )
    assert found.ids == {1: VTABLE, 2: VTABLE, 3: VTABLE, 4: VTABLE, 5: VTABLE, 7: OTHER}


def test_a_task_that_leaves_under_the_walk_costs_no_other() -> None:
    target = Target(shards=1)
    headers = [target.spawn() for _ in range(50)]
    owned = target.owned()
    taken = iter([headers[30]])

    def leave(address: int) -> None:
        if address == headers[30]:
            for header in taken:
                target.remove(header)

    target.on_read = leave
    found = walk(target.read, target.vtables(), owned)
    assert found.whole
    assert len(found.ids) >= 49
    assert set(found.ids) >= set(range(1, 51)) - {31}


def test_a_list_that_changes_all_the_time_is_not_called_whole() -> None:
    target = Target(shards=1)
    for _ in range(50):
        target.spawn()
    owned = target.owned()

    def churn(address: int) -> None:
        tasks = target.shards[0]
        if address in tasks and len(tasks) > 2:
            # what is walked on leaves, and so does the tail
            target.remove(address)
            target.remove(target.shards[0][-1])

    target.on_read = churn
    found = walk(target.read, target.vtables(), owned)
    assert (found.whole, found.broken) == (False, False)
    assert found.trouble == "the list changed while it was read"


def test_a_walk_keeps_to_its_time() -> None:
    target = Target()
    target.spawn()
    found = walk(target.read, target.vtables(), target.owned(), slice_s=-1.0)
    assert not found.whole
    assert found.trouble == "reading them took too long"


def test_a_cycle_ends() -> None:
    target = Target(shards=1)
    first, second = target.spawn(), target.spawn()
    target._links(first, second, second)
    found = walk(target.read, target.vtables(), target.owned())
    assert len(found.ids) == 2
    assert target.reads < 100


def test_a_list_that_lacks_tasks_though_none_came_or_went_is_broken() -> None:
    target = Target(shards=1)
    first, second, third = (target.spawn() for _ in range(3))
    assert not walk(target.read, target.vtables(), target.owned()).broken
    target._links(third, 0, third)
    target._links(first, first, 0)
    found = walk(target.read, target.vtables(), target.owned())
    assert (found.whole, found.broken) == (False, True)
    assert second not in found.ids


@pytest.mark.parametrize(
    ("added", "alive", "broken"),
    [(2, 2, False), (9, 2, False), (1, 2, True), (1 << 40, 1 << 32, True)],
)
def test_no_list_counts_more_than_were_added(added: int, alive: int, broken: bool) -> None:
    target = Target()
    target.spawn()
    target.spawn()
    owned = target.owned()
    target.put(owned.added, added, alive)
    assert walk(target.read, target.vtables(), owned).broken is broken


def test_what_was_added_stays_so() -> None:
    target = Target()
    target.spawn()
    owned = target.owned()

    def forget(address: int) -> None:
        if address in target.ids:
            target.put(owned.added, 0, 0)

    target.on_read = forget
    assert walk(target.read, target.vtables(), owned).broken


@pytest.mark.parametrize("state", [0, 8, 3 << 6 | 3, 1 << 40])
def test_states_that_no_task_in_a_list_has(state: int) -> None:
    target = Target()
    target.spawn(IDLE)
    target.spawn(state)
    found = walk(target.read, target.vtables(), target.owned())
    assert set(found.ids) == {1}


def test_a_task_spawned_lately_is_found_by_its_id() -> None:
    target = Target()
    for _ in range(20):
        target.spawn()
    target.spawn(vtable=OTHER)
    owned = target.owned()
    assert find(target.read, target.vtables(), owned, 21) == OTHER
    assert find(target.read, target.vtables(), owned, 20) == VTABLE
    assert find(target.read, target.vtables(), owned, 22) == 0


@pytest.mark.parametrize(
    ("place", "word"),
    [(0, 0), (3, 0x9_0000), (7, 8), (7, 1 << 40), (8, 24), (9, 33), (9, CHUNK), (9, 32)],
)
def test_bytes_that_are_no_vtable(place: int, word: int) -> None:
    target = Target()
    assert target.vtables().at(VTABLE) is not None
    target.put(VTABLE + 8 * place, word)
    assert target.vtables().at(VTABLE) is None
    assert target.vtables().at(VTABLE + 1) is None


words = st.one_of(
    st.sampled_from([0, 1, 3, 4, VTABLE, OTHER, HANDLE, LISTS, TASKS + CELL, OWNER]),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 40).map(lambda at: TASKS + CELL * at),
)


@settings(deadline=None)
@given(st.data())
def test_garbage_neither_loops_nor_raises(data: st.DataObject) -> None:
    target = Target()
    for _ in range(data.draw(st.integers(1, 30))):
        target.spawn(data.draw(st.sampled_from([IDLE, READY, RUNNING, COMPLETE])))
    owned = target.owned()
    places = st.sampled_from(sorted(target.words))
    for _ in range(data.draw(st.integers(1, 12))):
        target.put(data.draw(places), data.draw(words))
    target.reads = 0
    vtables = target.vtables()
    find_owned(target.read, vtables, HANDLE, 512)
    found = walk(target.read, vtables, owned)
    find(target.read, vtables, owned, data.draw(st.integers(0, 1 << 63)))
    assert len(found.ids) <= MOST_TASKS
    assert target.reads < 3_000


@settings(deadline=None)
@given(st.binary(max_size=600), st.integers(0, 1 << 64))
def test_any_bytes_at_all(data: bytes, address: int) -> None:
    def read(place: int, size: int) -> bytes:
        return data[place % 7 :][:size]

    vtables = Vtables(read, lambda _: True)
    owned = Owned(address, 4, address, address, 1)
    find_owned(read, vtables, address, 512)
    assert len(walk(read, vtables, owned, 0.05).ids) <= MOST_TASKS
    assert find(read, vtables, owned, address) >= 0
    assert TAIL == HEAD + 8
