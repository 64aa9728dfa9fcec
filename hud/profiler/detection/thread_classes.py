"""Classifies threads by their stacks, where CONTEXT does not distinguish workers from the pool.

A thread that slept through the survey has no ``hud.runtime.stacks.ThreadClass``, and is taken for a
worker by its name until its first stacks are there.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from hud.model import Kind, Sample, Stack
from hud.runtime.stacks import ThreadClass, classify_stack, is_in_place

MOST_STACKS = 8192
"""Of which the class is cached; beyond it one is learned when the stack is sent again."""


class Classes:
    """The classes by tid, as far as they are known; they are learned once."""

    def __init__(self, known: dict[int, ThreadClass] | None = None) -> None:
        self.known = known or {}
        self._by_stack: dict[int, ThreadClass] = {}
        self._waiting: dict[int, set[int]] = {}
        """Stack without names -> threads of which it was taken."""

    def forget(self, tid: int) -> None:
        """The thread is gone: its tid may come back as another thread."""
        self.known.pop(tid, None)
        for key in [key for key, tids in self._waiting.items() if tid in tids]:
            self._waiting[key].discard(tid)
            if not self._waiting[key]:
                del self._waiting[key]

    def take(
        self, samples: Iterable[Sample], stacks: Mapping[int, Stack], workers: Container[int]
    ) -> bool:
        """New samples, and stacks that have names now; whether a worker's class was learned."""
        for key, stack in stacks.items():
            if stack.frames is not None:
                if len(self._by_stack) >= MOST_STACKS:
                    self._by_stack.clear()
                self._by_stack[key] = _class_of(stack)
        for sample in samples:
            if sample.stack and sample.kind in (Kind.CPU, Kind.SLEEP) and sample.tid in workers:
                known = self.known.get(sample.tid, ThreadClass.UNKNOWN)
                if known is ThreadClass.UNKNOWN and len(self._waiting) < MOST_STACKS:
                    self._waiting.setdefault(sample.stack, set()).add(sample.tid)
        learned = False
        for key in self._waiting.keys() & self._by_stack.keys():
            found = self._by_stack[key]
            tids = self._waiting.pop(key)
            if found is not ThreadClass.UNKNOWN:
                self.known.update(dict.fromkeys(tids, found))
                learned |= bool(tids)
        return learned


def _class_of(stack: Stack) -> ThreadClass:
    names = [frame.function for frame in stack.frames or () if frame.function]
    # a worker in block_in_place looks like the pool, and is a worker again later
    return ThreadClass.UNKNOWN if is_in_place(names) else classify_stack(names)
