"""The copies of Tokio in the process that the kernel looks at, and when to look for more.

A copy's index is the one of its layout in the kernel's configuration, and stays the same as long as
the program runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from hud.probe import wire
from hud.profiler.detection.context import Context, Copy, Refusal
from hud.profiler.tasks import Driving
from hud.runtime.context import ContextLayout

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
"""Between two looks for a Tokio that is there, but has not been found: each takes some 20 ms."""

HURRIED_PAUSE_S = 0.05
"""The first one where a library was just loaded: its first thread enters it soon."""


class Copies:
    """The known ones, by index; empty below rung CONTEXT."""

    def __init__(self) -> None:
        self.known: tuple[Copy, ...] = ()
        self._refused: set[tuple[int, int]] = set()
        self._missing = False
        self._pause_s = self._first_s = FIRST_PAUSE_S
        self._next = float("inf")

    @property
    def layouts(self) -> list[wire.Layout]:
        """As the kernel wants them."""
        return [_wire_layout(copy.layout) for copy in self.known]

    def learn(self, found: Context | Refusal) -> list[Copy]:
        """Keep what was found, wire.MAX_LAYOUTS at most; returns those that were not known."""
        seen = {copy.identity for copy in self.known} | self._refused
        new = [copy for copy in _copies(found) if copy.identity not in seen]
        new = new[: wire.MAX_LAYOUTS - len(self.known)]
        self.known += tuple(new)
        if new or not self._missing:
            self._pause_s, self._first_s = self._first_s, FIRST_PAUSE_S
        self._missing = found.incomplete
        self._next = time.monotonic() + self._pause_s if found.incomplete else float("inf")
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return new

    @property
    def missing(self) -> bool:
        """Is there a Tokio that was not found?"""
        return self._missing

    def due(self) -> bool:
        """Is it time to look again for what was missing?"""
        return time.monotonic() >= self._next

    def hurry(self) -> None:
        """A library was just loaded: what is in it will not take long to be found."""
        self._pause_s = self._first_s = HURRIED_PAUSE_S

    def clear(self) -> None:
        """Another program, or none."""
        self.known = ()
        self._refused.clear()
        self._missing = False
        self._next = float("inf")

    def relayout(self, index: int, layout: ContextLayout) -> None:
        """More, or less, is known of what is where in the Cores of a copy."""
        copies = list(self.known)
        copies[index] = copies[index]._replace(layout=layout)
        self.known = tuple(copies)

    def refuse_last(self) -> Copy:
        """Do without the latest one, whatever is found again."""
        *others, last = self.known
        self.known = tuple(others)
        self._refused.add(last.identity)
        return last

    def driving(self, entered: Mapping[int, int], copies: Mapping[int, int]) -> dict[int, Driving]:
        """The threads inside a runtime: those that were when their copy was found, and those that
        are now (tid -> scheduler, tid -> index of the copy)."""
        driving = {
            tid: Driving(scheduler, copy.layout)
            for copy in self.known
            for tid, scheduler in copy.drives.items()
        }
        for tid, scheduler in entered.items():
            copy = self.known[copies.get(tid, 0) % len(self.known)]
            driving[tid] = Driving(scheduler, copy.layout)
        return driving

    def runtime(self, index: int) -> str:
        """The name of the runtimes of a copy; empty where there is only one."""
        if len(self.known) < 2 or index >= len(self.known):
            return ""
        files = [copy.name or "executable" for copy in self.known]
        names = [
            name if files.count(name) == 1 else f"{name}, tokio {copy.layout.tokio}"
            for name, copy in zip(files, self.known, strict=True)
        ]
        name = names[index]
        return name if names.count(name) == 1 else f"{name} #{names[: index + 1].count(name)}"


def _copies(found: Context | Refusal) -> tuple[Copy, ...]:
    return found.copies if isinstance(found, Context) else ()


def _wire_layout(layout: ContextLayout) -> wire.Layout:
    return wire.Layout(
        tls_offset=layout.tls_offset,
        task_tag=layout.task_tag,
        task_id=layout.task_id,
        budget_tag=layout.budget_tag,
        runtime=layout.runtime,
        scheduler=layout.scheduler,
        core=layout.core,
        tick_multi=layout.tick_multi,
        tick_current=layout.tick_current,
        module=layout.module,
        current=layout.current,
        kinds=wire.KINDS_APART if layout.early else int(layout.untagged),
        park=layout.park,
        driver=layout.driver,
        flags=layout.flags,
    )
