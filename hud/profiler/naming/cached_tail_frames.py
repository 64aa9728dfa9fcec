"""Caches on disk the frames that tail calls removed between two frames of the same files.

They are stored with the file of the caller, by that of the inner frame; a function that was found,
which may be a third file's, is valid with the debug files that were offered for its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import msgspec

from hud.model import Frame
from hud.profiler.naming import cache_entries
from hud.profiler.naming.cache import Cache
from hud.profiler.naming.cache_entries import KnownSpans
from hud.symbols.facts import Between, Recovered

MOST_KEPT = 20_000
"""Calls of one caller's file into one inner frame's."""
MOST_OF_CALL = 64
"""Functions that one call was seen to lead to."""

Pair = tuple[int, int, int, int]
"""See ``hud.resolver.messages.AskTails``."""
State = Callable[[int], str]
"""Of a module by its number: its key in the cache and its debug files; empty = not cached."""


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    state: str
    offset: int
    frames: tuple[Frame, ...]


_decode = msgspec.msgpack.Decoder(list[_Entry]).decode
_encode = msgspec.msgpack.Encoder().encode


class CachedTailFrames:
    """By pairs; without a cache it knows nothing."""

    def __init__(self, cache: Cache, state: State, key: Callable[[int], str]) -> None:
        self._cache = cache
        self._state = state
        self._key = key
        self._before: dict[str, dict[str, KnownSpans]] = {}
        """By the caller's key and the inner frame's."""
        self._fresh: dict[str, dict[str, KnownSpans]] = {}

    def find(self, pair: Pair, numbers: Iterable[int]) -> Between | None:
        """What is between the two, or None. ``numbers``: of all modules there are now."""
        caller, inner = self._key(pair[0]), self._key(pair[2])
        if not caller or not inner:
            return None
        if caller not in self._before:
            self._before[caller] = cache_entries.load_tail_frames(self._cache, caller)
        spans = self._before[caller].get(inner, {}).get(pair[1], ())
        start, end, raw = next((one for one in spans if one[0] <= pair[3] < one[1]), (0, 0, None))
        if raw is None:
            return None
        try:
            entries = _decode(raw)
        except msgspec.MsgspecError:
            return None
        states = {self._state(number): number for number in numbers} if entries else {}
        if not all(one.state in states for one in entries):
            return None
        functions = [Recovered(states[one.state], one.offset, one.frames) for one in entries]
        return Between(start, end, functions)

    def add(self, pair: Pair, found: Between) -> None:
        """What the resolver says with all that it has been offered."""
        caller, inner = self._key(pair[0]), self._key(pair[2])
        entries = [
            _Entry(self._state(one.module), one.offset, one.frames) for one in found.functions
        ]
        if not (caller and inner and all(one.state for one in entries)):
            return
        calls = self._fresh.setdefault(caller, {}).setdefault(inner, {})
        spans = calls.setdefault(pair[1], []) if len(calls) < MOST_KEPT else []
        if len(spans) < MOST_OF_CALL and all(start != found.start for start, *_ in spans):
            spans.append((found.start, found.end, msgspec.Raw(_encode(entries))))

    def forget(self) -> None:
        """Other debug information is in use: nothing known so far holds."""
        self._before.clear()
        self._fresh.clear()

    def store(self) -> None:
        """Store what is new in the cache."""
        for caller, fresh in self._fresh.items():
            before = self._before.get(caller) or cache_entries.load_tail_frames(self._cache, caller)
            for inner, calls in fresh.items():
                before[inner] = _joined(calls, before.get(inner, {}))
            cache_entries.store_tail_frames(self._cache, caller, before)
            self._before[caller] = before
        self._fresh.clear()


def _joined(fresh: KnownSpans, before: KnownSpans) -> KnownSpans:
    """What is fresh first: it is the last to be dropped, and what it replaces goes."""
    found = {}
    for call in islice({**fresh, **before}, MOST_KEPT):
        spans = fresh.get(call, [])
        starts = {start for start, *_ in spans}
        older = [one for one in before.get(call, ()) if one[0] not in starts]
        found[call] = [*spans, *older][:MOST_OF_CALL]
    return found
