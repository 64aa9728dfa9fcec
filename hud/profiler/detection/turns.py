"""Finds where the schedulers of a run count their turns, and checks that the count moves.

The search itself is in `hud.runtime.cores`. A scheduler whose Core was not at hand yet, or that
others differ from, is looked at again. A tick that stands still while the tasks of a thread change
is none: in one turn of a worker there are four polls at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hud.runtime.context import NONE
from hud.runtime.cores import Cores
from hud.runtime.memory import Memory, Ration

if TYPE_CHECKING:
    from hud.probe.probe import Threads
    from hud.profiler.detection.copies import Copies
    from hud.profiler.notes import Notes
    from hud.runtime.memory import Read

MOST_CORES = 64
"""Looked at in one look; each costs some ten reads."""
MOST_READS = 10_000
"""In all of one look; 64 Cores took 2,000."""
EAGER_LOOKS = 40
"""So many in a row, a few each second; then one of LATER, and what is still unknown is reported."""
LATER = 20
MOST_SEEN = 4096
STILL = 8
"""Other tasks in one thread, seen in so many readings with the same tick."""


class Turns:
    """Of one program."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._watches: dict[int, _Watch] = {}
        """By index of the copy."""

    @property
    def unknown(self) -> bool:
        """Is there something to find out that another look soon may show?"""
        return not self._watches or any(watch.worth_looks for watch in self._watches.values())

    def look(self, copies: Copies, threads: Threads, notes: Notes) -> bool:
        """What a reading of the threads says. True: the layout of a copy has changed.

        Raises TargetError if the process's memory may not be read.
        """
        with Memory(self._pid) as memory:
            read = Ration(memory.read, MOST_READS)
            return self._look(copies, threads, notes, read)

    def _look(self, copies: Copies, threads: Threads, notes: Notes, read: Read) -> bool:
        changed = False
        for index, copy in enumerate(copies.known):
            if {copy.layout.scheduler, copy.layout.current} == {NONE}:
                continue
            if index not in self._watches:
                self._watches[index] = _Watch(Cores(copy.guess or copy.layout))
            watch = self._watches[index]
            entered = _of(index, threads.entered, threads.copies)
            watch.look([*copy.drives.values(), *entered.values()], read)
            watch.judge(entered, threads.turns, read)
            notes.add(*watch.report(copy.layout.tokio))
            layout = watch.cores.applied(copy.layout)
            if layout != copy.layout:
                copies.relayout(index, layout)
                changed = True
        return changed


def _of(index: int, entered: Mapping[int, int], copies: Mapping[int, int]) -> dict[int, int]:
    """tid -> scheduler of the threads inside a copy that drive one."""
    return {
        tid: scheduler
        for tid, scheduler in entered.items()
        if scheduler and copies.get(tid, 0) == index
    }


class _Watch:
    """Of one copy."""

    def __init__(self, cores: Cores) -> None:
        self.cores = cores
        self._seen: set[int] = set()
        """Schedulers that were looked at."""
        self._looks = 0
        self._reported = False
        self._last: dict[int, tuple[int, int, int]] = {}
        """tid -> its task, the tick, and how often one changed and the other did not."""

    def look(self, schedulers: Iterable[int], read: Read) -> None:
        """At all of them, or if those seen have shown everything, at the new ones."""
        wanted = dict.fromkeys(schedulers)
        if self.cores.settled:
            wanted = {one: None for one in wanted if one not in self._seen}
        elif wanted:
            self._looks += 1
            if self._looks > EAGER_LOOKS and self._looks % LATER:
                return
        chosen = list(wanted)[:MOST_CORES]
        self.cores.look(chosen, read)
        if len(self._seen) < MOST_SEEN:
            self._seen.update(chosen)

    @property
    def worth_looks(self) -> bool:
        """Something is unknown, and the eager looks are not over."""
        return not self.cores.settled and self._looks < EAGER_LOOKS

    def judge(
        self, entered: Mapping[int, int], turns: Mapping[int, tuple[int, int]], read: Read
    ) -> None:
        """Refute a tick that stands still."""
        before, self._last = self._last, {}
        for tid, (task, tick) in turns.items():
            if tid not in entered:
                continue
            known_task, known_tick, still = before.get(tid, (task, tick, 0))
            if tick != known_tick:
                still = 0
            elif task != known_task:
                still += 1
            if still < STILL:
                self._last[tid] = task, tick, still
            else:
                self._refute(entered[tid], read)

    def _refute(self, address: int, read: Read) -> None:
        self.cores.refute(address, read)
        self._looks = 0

    def report(self, tokio: str) -> list[str]:
        """What is still unknown after many looks, once."""
        if self._reported or self._looks < EAGER_LOOKS or not self.cores.seen:
            return []
        self._reported = True
        return [f"tokio {tokio}: {text}" for text in self.cores.unknown]
