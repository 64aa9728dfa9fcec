"""Checks that a thread's CONTEXT stays as it is while the thread sleeps: nobody else writes there.

If it changes, the memory is not what hud takes it for, or somebody forges it, and what looks like
polls there is none. The kernel read CONTEXT as the thread fell asleep; what is there now is
compared, and counts if the thread is in the same sleep still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from hud.model import ThreadState, Where
from hud.profiler.detection.context import Copy
from hud.runtime.live import Reading, confirm
from hud.runtime.memory import Read

LOOKED_AT = 8
"""Threads in one reading; each costs some 5 us."""
STRIKES = 4
SHARE = 0.2
"""Of what was looked at: a switch that the kernel does not tell looks like a change, too."""


class Stillness:
    """Of one copy of Tokio; ``asleep_since`` as of hud.probe.probe.Probe."""

    def __init__(self, asleep_since: Callable[[int], int]) -> None:
        self._asleep_since = asleep_since
        self._looks = 0
        self._changes = 0

    def look(self, copy: Copy, states: Sequence[ThreadState], read: Read) -> None:
        """At some of the threads that sleep in it."""
        asleep = (
            state
            for state in states
            if state.tid in copy.origins
            and not (state.running or state.runnable)
            and state.where in (Where.POLL, Where.RUNTIME)
        )
        for state in islice(asleep, LOOKED_AT):
            changed = self._changed(copy, state, read)
            if changed is not None:
                self._looks += 1
                self._changes += changed

    def _changed(self, copy: Copy, state: ThreadState, read: Read) -> bool | None:
        """None = it cannot be told."""
        origin = {state.tid: copy.origins[state.tid]}
        found = confirm(copy.layout, origin, read)
        if not found.readings and not found.insane:
            return None
        if any(_as_seen(one, state) for one in found.readings):
            return False
        return True if self._asleep_since(state.tid) == state.since_ns else None

    @property
    def broken(self) -> str:
        """What is wrong, for people; empty = nothing."""
        if self._changes < STRIKES or self._changes <= self._looks * SHARE:
            return ""
        return f"{self._changes} of {self._looks} times CONTEXT changed while its thread slept"


def _as_seen(reading: Reading, state: ThreadState) -> bool:
    """Whether CONTEXT says what the kernel saw: a poll of that task, or none with a budget."""
    if state.where is Where.POLL:
        return reading.entered and reading.task_id == state.task_id
    return not reading.in_budget
