"""The distinct stacks of a run, each held once and as long as it is of use.

A *change* is a stack that is new or has other frames now; changes are numbered.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from hud.model import RESEND_NS, Stack

if TYPE_CHECKING:
    from collections.abc import Set

    from hud.model import Frame

MOST = 65_536
KEPT_NS = 2 * RESEND_NS
"""A stack stays for so long after it was sent."""
_MANY = 1_000
_MOST_ALIVE = 8_192


class StackStore:
    """Stacks by key, MOST of them; equal frames and addresses are held once."""

    def __init__(self) -> None:
        self.known: dict[int, Stack] = {}
        """Another dict after each ``forget``: snapshots share this one."""
        self.refused = 0
        self.changes = 0
        """The number of the next one."""
        self._changed: dict[int, int] = {}
        """The last change of each stack, in their order."""
        self._sent_ns: dict[int, int] = {}
        self._forgotten = 0
        self._numbers: dict[int, int] = {}
        """Addresses, each once: most stacks differ in a few only."""
        self._frames: dict[tuple[int, str, int], Frame] = {}
        """By what tells most apart: to hash all of a frame takes longer."""
        self._same: dict[int, Frame] = {}
        """By id, the one that is held for it."""
        self._alive: list[Frame] = []
        """Equal ones, some of those that come again and again: their ids stand for them."""

    def add(self, key: int, stack: Stack, now_ns: int) -> None:
        """A stack's addresses, and later the same again with frames."""
        known = self.known.get(key)
        if known is None and len(self.known) >= MOST:
            self.refused += 1
            return
        self._sent_ns[key] = now_ns
        if known is not None and _says_no_more(stack, known):
            return
        addresses = tuple(map(self._numbers.setdefault, stack.addresses, stack.addresses))
        frames = stack.frames and self._all_shared(stack.frames)
        self.known[key] = Stack(addresses, stack.complete, stack.stop, frames)
        self._changed.pop(key, None)
        self._changed[key] = self.changes
        self.changes += 1

    def changed_since(self, number: int) -> list[int]:
        """Those whose last change has this number or a higher one, in their order."""
        newer = takewhile(lambda key: self._changed[key] >= number, reversed(self._changed))
        return list(newer)[::-1]

    def forget(self, used: Set[int], now_ns: int) -> list[int]:
        """Forget those that are neither ``used`` nor sent lately; returns their keys."""
        limit = now_ns - KEPT_NS
        sent_ns = self._sent_ns
        gone = [key for key in self.known if sent_ns[key] < limit and key not in used]
        if gone:
            self.known = dict(self.known)
            for key in gone:
                del self.known[key], sent_ns[key], self._changed[key]
            self._forgotten += len(gone)
        if self._forgotten > max(_MANY, len(self.known)):
            # What is held stays as it is; only new stacks do not share with it.
            self._forgotten = 0
            self._numbers.clear()
            self._frames.clear()
            self._same.clear()
            self._alive.clear()
        return gone

    def _all_shared(self, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
        """One frame for all that are equal; those that were seen are known without their hash."""
        held = map(self._same.get, map(id, frames))
        pairs = zip(frames, held, strict=True)
        return tuple([other or self._shared(one) for one, other in pairs])

    def _shared(self, frame: Frame) -> Frame:
        shared = self._frames.setdefault((frame.address, frame.function, frame.line), frame)
        if shared != frame:
            shared = frame
        self._same[id(shared)] = shared
        if shared is not frame and len(self._alive) < _MOST_ALIVE:
            self._alive.append(frame)
            self._same[id(frame)] = shared
        return shared


def _says_no_more(stack: Stack, known: Stack) -> bool:
    """It is the same again, or without the names that are known."""
    return stack == known or (
        stack.frames is None
        and (stack.addresses, stack.complete, stack.stop)
        == (known.addresses, known.complete, known.stop)
    )
