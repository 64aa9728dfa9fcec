"""Finds the fields of a CONTEXT of no known layout by how they change from moment to moment.

For a Tokio of which no row is known (`hud.runtime.search`), a fork or a new one: the budget comes
and goes; while it is there, and not in between, so is the id of a task in the runtime's list;
``runtime`` says what the scheduler is. Where nothing is polled, nothing is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud.runtime.context import NONE
from hud.runtime.live import NOT_ENTERED
from hud.runtime.queues import Runtime, find_runtime
from hud.runtime.schedulers import scheduler_at, words_of
from hud.runtime.tasks import Vtables, find, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hud.runtime.memory import Read

SAMPLES = 60
PAUSE_S = 0.005
WATCHED = 16
"""Threads that are looked at, at most."""
LEAST_POLLS = 3
"""Observations with a task's id."""
RARE = 4
"""One in so many may be of a task::unconstrained poll, which has no budget."""
AROUND = 96
"""Bytes before and behind the pointer; 72 was the most."""
MOST_BUDGET = 128
"""tokio/src/task/coop: the budget of a poll."""
ENTERED = {False: 1, True: 0}
"""``runtime`` of a thread inside a runtime, by whether that is a current_thread one."""
NEIGHBOURS = (2, -1)
"""Where ``runtime`` is from the budget: with newer Rust, and with 1.63."""


class Observation(NamedTuple):
    """The bytes around the pointer to the scheduler in one thread at one moment."""

    data: bytes
    current: bool | None
    """Whether its scheduler is a current_thread one; None = it drives none."""
    tasks: frozenset[int] = frozenset()
    """Words in ``data`` that were the id of a task."""

    def word(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 8], "little")


class Fields(NamedTuple):
    """Offsets in the observations, as in ``hud.runtime.context.ContextLayout``."""

    task_tag: int
    task_id: int
    budget_tag: int
    runtime: int


class Watcher:
    """Watches the threads that have a block, ``pointers`` as in ``hud.runtime.search.Live``."""

    def __init__(
        self, read: Read, pointers: Mapping[int, int], is_code: Callable[[int], bool]
    ) -> None:
        self._read = read
        self._pointers = pointers
        self._vtables = Vtables(read, is_code)
        self._runtimes: dict[int, Runtime | str] = {}
        self._ids: set[int] = set()

    def watch(self, start: int, end: int, at: int, sleep: Callable[[float], None]) -> Fields | str:
        """The fields of a CONTEXT whose pointer is ``at``, somewhere in ``start`` to ``end``; all
        count from the address in ``pointers``. Takes SAMPLES times PAUSE_S seconds."""
        start, end = max(start, at - AROUND), min(end, at + AROUND)
        observations = []
        for _ in range(SAMPLES):
            for pointer in list(self._pointers.values())[:WATCHED]:
                data = self._read(pointer + start, end - start)
                if len(data) == end - start:
                    observations.append(self._observe(data, data[at - start : at - start + 8]))
            sleep(PAUSE_S)
        found = fields_of(observations, at - start)
        if isinstance(found, str):
            return found
        return Fields(*(NONE if field == NONE else start + field for field in found))

    def _observe(self, data: bytes, pointer: bytes) -> Observation:
        address = int.from_bytes(pointer, "little")
        scheduler = scheduler_at(address, self._read) if address else None
        if scheduler is None:
            return Observation(data, None)
        runtime = self._runtime(address)
        if isinstance(runtime, str):
            return Observation(data, scheduler.current)
        tasks = (
            word
            for word in set(words_of(data)) - {0}
            if word in self._ids or find(self._read, self._vtables, runtime.owned, word)
        )
        return Observation(data, scheduler.current, frozenset(tasks))

    def _runtime(self, address: int) -> Runtime | str:
        if address not in self._runtimes:
            found = find_runtime(self._read, self._vtables, address)
            self._runtimes[address] = found
            if isinstance(found, Runtime):
                self._ids |= walk(self._read, self._vtables, found.owned).ids.keys()
        return self._runtimes[address]


def fields_of(observations: Sequence[Observation], pointer: int) -> Fields | str:
    """The fields, if all are found; else which is not.

    ``pointer``: where the pointer to the scheduler is in the observations.
    """
    size = min((len(one.data) for one in observations), default=0)
    budgets = [
        at for at in range(size - 1) if not 0 <= at - pointer < 8 and _is_budget(at, observations)
    ]
    if len(budgets) != 1:
        return f"{len(budgets) or 'no'} places there look like a task's budget"
    (budget,) = budgets
    driving = [one for one in observations if one.current is not None]
    polled = [one for one in driving if one.data[budget]]
    task_id = _task_id(size, budget, driving)
    if task_id == NONE:
        return "no place there, or more than one, has the ids of tasks while they are polled"
    runtime = _runtime(size, budget, observations, polled)
    if runtime == NONE:
        return "no place there, or more than one, looks like how a thread entered its runtime"
    return Fields(_task_tag(task_id, observations), task_id, budget, runtime)


def _is_budget(at: int, observations: Iterable[Observation]) -> bool:
    """{0 or 1, at most 128}, seen with and without one; most polls spend little."""
    seen = {(one.data[at], one.data[at + 1]) for one in observations}
    given = [left for some, left in seen if some]
    return {some for some, _ in seen} == {0, 1} and MOST_BUDGET // 2 < max(given) <= MOST_BUDGET


def _task_id(size: int, budget: int, driving: Sequence[Observation]) -> int:
    """The offset with the id of a task in polls, and not between them; NONE. A constant that is a
    task's id by chance is the same between them."""
    found = []
    for at in range(0, size - 7, 8):
        polls = [bool(one.data[budget]) for one in driving if one.word(at) in one.tasks]
        if sum(polls) >= LEAST_POLLS and polls.count(False) * RARE < sum(polls):
            found.append(at)
    return found[0] if len(found) == 1 else NONE


def _task_tag(task_id: int, observations: Iterable[Observation]) -> int:
    """The word before the id where that says whether there is one."""
    if task_id < 8:
        return NONE
    tags = {(one.word(task_id - 8), bool(one.word(task_id))) for one in observations}
    return task_id - 8 if tags <= {(0, False), (0, True), (1, True)} and (1, True) in tags else NONE


def _runtime(
    size: int, budget: int, observations: Sequence[Observation], polled: Sequence[Observation]
) -> int:
    """The byte that says in every poll which scheduler it is; rather one beside the budget, and one
    that says in some other thread that it entered none. NONE."""
    found = [at for at in range(size) if at != budget and _is_runtime(at, observations, polled)]
    found = [budget + step for step in NEIGHBOURS if budget + step in found] or found
    outside = [one for one in observations if one.current is None]
    found = [at for at in found if any(one.data[at] == NOT_ENTERED for one in outside)] or found
    return found[0] if len(found) == 1 or found[:1] == [budget + NEIGHBOURS[0]] else NONE


def _is_runtime(
    at: int, observations: Iterable[Observation], polled: Iterable[Observation]
) -> bool:
    return all(one.data[at] <= NOT_ENTERED for one in observations) and all(
        one.current is not None and one.data[at] == ENTERED[one.current] for one in polled
    )
