"""Finds the fields of schedulers' Cores in the live process by their shape: Tokio 1.20 to 1.28.

In these versions nothing but ``tick`` (u32) and two bools ends a Core, which is less than later
ones show (`hud.runtime.cores`).

rustc orders fields as it likes: of the same Tokio, 1.62 and 1.65, 1.68, 1.71 and 1.75, 1.80 and
1.95 each have an order of their own (type information of debug builds). So an offset counts only if
what is around it has the shape of that order, and of no other. Cores of Rust 1.95, bytes:

- multi_thread: lifo_slot 0, park 8, rand 16, run_queue 24, tick 32
- current_thread of 1.20 and 1.21: tasks 0, driver 32, spawner, tick
- current_thread of 1.22 and later: driver 0, tasks, tick
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.runtime.context import NONE
from hud.runtime.schedulers import chunk_bytes, is_address, is_ring, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.runtime.memory import Read
    from hud.runtime.schedulers import Scheduler

CORE_BYTES = 1024
"""Of a current_thread Core: 656 with all of Tokio's features."""
MULTI_WORDS = 5
TASKS = 4
"""Words of a VecDeque."""
SECOND = 1_000_000_000
NICHES = 16
"""An Instant's nanoseconds may have values from SECOND on where it is in an Option."""
TIMER = 6
"""Words of a driver without I/O."""
MOST_EVENTS = 1 << 32
NO_VEC = 1 << 63
"""From there on a Vec's capacity says that there is none."""


class EarlyTick:
    """Where ``tick`` is in the Cores of one scheduler kind, after all that were looked at."""

    def __init__(self, *, current: bool, row: int = NONE, spawner: bool = False) -> None:
        """``row``: as debug info has it; it is not looked for then. ``spawner``: the current_thread
        Core has one, before Tokio 1.22."""
        self._current = current
        self._spawner = spawner
        self._found = set() if row == NONE else {row}
        self._known = row != NONE
        self._refuted: set[int] = set()

    def look(self, scheduler: Scheduler, read: Read) -> None:
        """Another Core, or the same some time later."""
        if self._known:
            return
        found = self._ticks(scheduler, read)
        if found:
            self._found = self._found & found or found

    def _ticks(self, scheduler: Scheduler, read: Read) -> set[int]:
        if not self._current:
            return multi_ticks(words_of(read(scheduler.core, 8 * MULTI_WORDS)), read)
        size = chunk_bytes(scheduler.core, read)
        core = words_of(read(scheduler.core, size or CORE_BYTES))
        if self._spawner:
            return ticks_behind_spawner(core, scheduler.arc)
        # a Core fills its chunk but for a word at the most
        return ticks_behind_tasks(core, len(core) - 2 if size else 0)

    def refute(self) -> None:
        """What is at ``offset`` does not count tasks that ran: it is never taken again."""
        self._refuted.add(self.offset)

    @property
    def offset(self) -> int:
        """The one offset that is left; NONE."""
        left = self._found - self._refuted
        return next(iter(left)) if len(left) == 1 else NONE


def multi_ticks(core: Sequence[int], read: Read) -> set[int]:
    """Where ``tick`` may be in a multi_thread Core.

    32 in {lifo_slot, park, rand, run_queue, tick}, 24 in {lifo_slot, run_queue, park, tick, rand}:
    ``run_queue`` is an address, ``lifo_slot`` and ``park`` are one or 0, ``rand`` is two random
    words of 32 bits. Rust from 1.68, and up to 1.65.
    """
    if len(core) < MULTI_WORDS:
        return set()
    first, second, third, fourth = (is_address(word, read) for word in core[:4])
    if not (first or not core[0]):
        return set()
    if fourth and not third and core[2] and (second or not core[1]):
        return {32}
    if second and not fourth and (third or not core[2]):
        return {24}
    return set()


def ticks_behind_spawner(core: Sequence[int], arc: int) -> set[int]:
    """Where ``tick`` may be in a current_thread Core of Tokio 1.20 and 1.21: behind ``spawner``,
    the Arc that the Context has, too.

    Where that comes right after ``tasks``, ``driver`` is in between, whose size depends on Tokio's
    features: then it is not found.
    """
    # behind Core lies what others have allocated
    at = 1 + next((at for at, word in enumerate(core) if word == arc), 0)
    return {8 * at} if TASKS + 1 < at < len(core) and _is_tick(core[at]) else set()


def ticks_behind_tasks(core: Sequence[int], least: int = 0) -> set[int]:
    """Where it may be in one of Tokio 1.22 and later. ``least``: the first word that is looked at;
    what was in a driver that is taken out may look like tasks, too."""
    return {
        8 * at
        for at in range(max(TASKS + 1, least), len(core))
        if _is_tick(core[at]) and _is_deque(*core[at - TASKS : at])
    }


def _is_deque(cap: int, pointer: int, head: int, length: int) -> bool:
    return is_ring(pointer, cap, head, length)


def _is_tick(word: int) -> bool:
    """Whether ``unhandled_panic`` follows, a bool."""
    return word & 0xFFFFFFFF != 0 and word >> 32 & 0xFF <= 1


def driver_before_122(data: bytes, tick: int) -> int:
    """Where a word of ``driver`` says that it was taken out of a current_thread Core of Tokio 1.20
    and 1.21; NONE = not known. Core is {tasks, driver, spawner, tick}.

    With I/O it is the capacity of the Vec of events, which comes first. A timer alone is {park,
    Instant, handle, Instant}: the nanoseconds of the second Instant.
    """
    core, end = words_of(data), tick // 8 - 1
    if not TASKS < end < len(core):
        return NONE
    if end == TASKS + TIMER:
        nanoseconds = core[end - 1] & 0xFFFFFFFF
        return 8 * (end - 1) if nanoseconds < SECOND + NICHES else NONE
    capacity, events = core[TASKS : TASKS + 2]
    has_vec = 0 < capacity < MOST_EVENTS and events > MOST_EVENTS
    return 8 * TASKS if end > TASKS + TIMER and (capacity >= NO_VEC or has_vec) else NONE
