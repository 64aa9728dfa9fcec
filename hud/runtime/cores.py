"""Finds the fields of schedulers' Cores in the live process by their shape: Tokio 1.29 and later.

The pointer in CONTEXT leads to a scheduler's Context. That has the pointer to its Core while a task
runs and while the thread is parked, else 0; its tag says whether the Core is a multi_thread or a
current_thread one. A Tokio without ``rt-multi-thread`` has no tag, and only the latter. ``tick``
counts the tasks that ran; what one of them puts into the LIFO slot runs in the same tick.

``{tick: u32, global_queue_interval: u32, bools}`` ends every Core, 8-aligned, whatever the features
and the version (type information of 52 debug builds, 1.38 to 1.54). So two rules find it, each in
all Cores of one scheduler kind: the content (a likely interval, bools of 0 or 1) and, where glibc
allocates, the size of the chunk, which the Core fills. One offset that both allow, or the only one
of the rule that says anything, is the tick's. Where several have the right content a row of the
table decides, or how they change: a tick grows a little.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.runtime.context import NONE
from hud.runtime.early import EarlyTick, driver_before_122
from hud.runtime.park import ParkOffset
from hud.runtime.schedulers import is_address, is_ring, scheduler_at, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hud.runtime.context import ContextLayout
    from hud.runtime.memory import Read
    from hud.runtime.schedulers import Scheduler

CONTENT_BYTES = 512
"""The content may be right by chance behind a Core; the tick of none is beyond 312."""
LARGEST = 1024
"""Of a Core, in bytes; 656 was the most."""
INTERVALS = {False: range(2, 128), True: range(31, 32)}
"""``global_queue_interval``, unless the program sets it: multi_thread tunes it, from 61 on;
current_thread has 31."""
BOOLS = {False: 4, True: 1}
KINDS = {False: "multi_thread", True: "current_thread"}
RAND = 8
"""Bytes between interval and bools with Rust 1.63."""
AT_END = (16, 24)
"""How far before the end of its chunk a Core's last 16 bytes begin."""
MOST_TICKS = 1 << 24
"""Between two looks: seconds of nothing but tasks that return at once."""
MOST_VALUES = 1024
METRICS, TASKS = 40, 32
"""Sizes of a MetricsBatch and a VecDeque."""


class TickOffset:
    """Where ``tick`` may be in the Cores of one scheduler kind, after all that were looked at."""

    def __init__(self, *, current: bool, row: int = NONE) -> None:
        self._current = current
        self._row = row
        self._content: set[int] | None = None
        self._chunk: set[int] | None = None
        self._refuted: set[int] = set()
        self._values: dict[tuple[int, int], int] = {}
        """What was at (core, offset) when several were left."""

    def look(self, scheduler: Scheduler, read: Read) -> None:
        """Another Core, or the same some time later."""
        core = scheduler.core
        data = read(core, LARGEST)
        content = content_offsets(data[:CONTENT_BYTES], current=self._current)
        chunk = chunk_offsets(data, read(core - 8, 8), current=self._current, read=read)
        self._content = content if self._content is None else self._content & content
        self._chunk = chunk if self._chunk is None else self._chunk & chunk
        if not self._content | self._chunk:  # one was no Core any more when it was read
            self._content = self._chunk = None
        left = self._left()
        for offset in left if len(left) > 1 else ():
            self._see(core, offset, _word(data, offset, 4))

    def _see(self, core: int, offset: int, value: int) -> None:
        """A tick grows a little from look to look; the nanoseconds of an Instant jump, or fall."""
        before = self._values.get((core, offset), value)
        if (value - before) % (1 << 32) > MOST_TICKS:
            self._refuted.add(offset)
        if len(self._values) < MOST_VALUES:
            self._values[core, offset] = value

    def refute(self) -> None:
        """What is at ``offset`` does not count tasks that ran: it is never taken again."""
        self._refuted.add(self.offset)

    def _left(self) -> set[int]:
        content = (self._content or set()) - self._refuted
        chunk = (self._chunk or set()) - self._refuted
        if not content or not chunk:
            return content | chunk
        return content & chunk or content & {offset - RAND for offset in chunk}

    @property
    def offset(self) -> int:
        """The one offset that is left; NONE."""
        left = self._left()
        if len(left) == 1:
            return next(iter(left))
        return self._row if self._row in left else NONE


def content_offsets(core: bytes, *, current: bool) -> set[int]:
    """Offsets where interval and bools are as behind a tick."""
    for between in (0, RAND):
        found = {
            offset
            for offset in range(0, len(core) - 8 - between - BOOLS[current] + 1, 8)
            if _word(core, offset + 4, 4) in INTERVALS[current]
            and _are_bools(core, offset + 8 + between, current)
        }
        if found:
            return {offset for offset in found if offset - 8 not in found}
    return set()


def chunk_offsets(core: bytes, header: bytes, *, current: bool, read: Read) -> set[int]:
    """Offsets 16 bytes before the end of glibc's chunk, as far as a tick can be there."""
    size = _word(header, 0, 8) & ~7
    usable = size - 8
    if size % 16 or not AT_END[-1] <= usable <= min(LARGEST, len(core)):
        return set()
    return {
        usable - before
        for before in AT_END
        if _word(core, usable - before + 4, 4)
        and _are_bools(core, usable - before + 8, current)
        and not is_address(_word(core, usable - before, 8), read)
    }


def driver_at(core: bytes, tick: int) -> int:
    """Where ``driver`` is in a current_thread Core; NONE = not known.

    At its begin where the Core is {driver, tasks, ..., tick}: ``tasks`` is a VecDeque {cap,
    pointer, head, len}, and the worker metrics of Tokio 1.45 and later come behind it. Behind
    ``tasks`` with Rust 1.63, whose VecDeque is {tail, head, pointer, cap}.
    """
    for metrics in (0, METRICS):
        tasks = words_of(core[max(tick - metrics - TASKS, 0) : max(tick - metrics, 0)])
        if len(tasks) < TASKS // 8:  # no room for it, or memory ends
            continue
        cap, pointer, head, length = tasks
        if is_ring(pointer, cap, head, length):
            return 0 if tick > metrics + TASKS else NONE
    first = words_of(core[:TASKS])
    if tick <= TASKS or len(first) < TASKS // 8:
        return NONE
    tail, head, pointer, cap = first
    is_power = cap.bit_count() == 1
    return TASKS if is_power and is_ring(pointer, cap, max(tail, head), 0) else NONE


def has_flags(core: bytes, tick: int) -> bool:
    """Whether a worker's bools are right behind ``tick`` and its interval."""
    return _are_bools(core, tick + 8, current=False)


class Cores:
    """What the schedulers of one copy of Tokio agree on, look by look."""

    def __init__(self, layout: ContextLayout) -> None:
        self._layout = layout
        self._ticks: dict[bool, TickOffset | EarlyTick] = {
            False: TickOffset(current=False, row=layout.tick_multi),
            True: TickOffset(current=True),
        }
        if layout.early:
            rows = {False: layout.tick_multi, True: layout.tick_current}
            self._ticks = {
                current: EarlyTick(current=current, row=row, spawner=layout.apart)
                for current, row in rows.items()
            }
        self._park = ParkOffset()
        self._driver = NONE
        self._core = NONE
        self._flags = False
        self.seen: set[bool] = set()
        """Kinds of which a Core was seen: True = current_thread."""

    def look(self, schedulers: Iterable[int], read: Read) -> None:
        """Read those of the schedulers that have their Core at hand."""
        for address in schedulers:
            scheduler = scheduler_at(address, read, early=self._layout.early)
            if scheduler is None:
                continue
            self._core = scheduler.core_at
            if scheduler.core:
                self._look_at(scheduler, read)

    def _look_at(self, scheduler: Scheduler, read: Read) -> None:
        self.seen.add(scheduler.current)
        tick = self._ticks[scheduler.current]
        tick.look(scheduler, read)
        if tick.offset == NONE:
            return
        early = self._layout.early
        core = read(scheduler.core, LARGEST)
        if scheduler.current:
            find = driver_before_122 if self._layout.apart else driver_at
            self._driver = find(core, tick.offset)
        else:
            self._flags = not early and has_flags(core, tick.offset)
            self._park.look(scheduler, tick.offset, read, flags=self._flags, early=early)

    def refute(self, address: int, read: Read) -> None:
        """What was found as the tick of such a scheduler does not count tasks that ran."""
        scheduler = scheduler_at(address, read, early=self._layout.early)
        if scheduler is not None:
            self._ticks[scheduler.current].refute()

    @property
    def unknown(self) -> list[str]:
        """What is not known of the kinds that were seen, and what follows, for people."""
        found = [
            f"no tick of {KINDS[current]} is found, so that consecutive polls of one task may look "
            "like one"
            for current in sorted(self.seen)
            if self._ticks[current].offset == NONE
        ]
        if False in self.seen and self._park.offset == NONE:
            found.append("task::unconstrained looks like a parked worker: its polls are not seen")
        if True in self.seen and self._driver == NONE:
            found.append("task::unconstrained looks like a parked thread: its polls are not seen")
        return found

    @property
    def settled(self) -> bool:
        """Whether all is known of the kinds that were seen."""
        return bool(self.seen) and not self.unknown

    def applied(self, layout: ContextLayout) -> ContextLayout:
        """The layout with all that is proven, and nothing else, of the Cores."""
        multi = self._ticks[False].offset
        return replace(
            layout,
            core=self._core,
            untagged=self._core == 16 and not self._layout.early,
            tick_multi=multi,
            tick_current=self._ticks[True].offset,
            park=self._park.offset,
            driver=self._driver,
            flags=self._flags and multi != NONE,
        )


def unproven(layout: ContextLayout) -> ContextLayout:
    """The layout without what no Core has shown yet."""
    return layout if layout.apart else Cores(layout).applied(layout)


def _are_bools(core: bytes, at: int, current: bool) -> bool:
    bools = core[at : at + BOOLS[current]]
    return len(bools) == BOOLS[current] and max(bools) <= 1


def _word(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
