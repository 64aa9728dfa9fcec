"""What earlier runs found between two frames of the same files: a second run has it at once.

A *pair* is what the resolver was asked for. It is kept with the file of the caller, by that of the
inner frame; a function that was found, which may be a third file's, holds with the debug files that
were offered for its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from hud.model import Frame
from hud.profiler.naming import cache_entries
from hud.profiler.naming.cache import Cache
from hud.symbols.facts import Recovered

MOST_KEPT = 20_000
"""Pairs of one caller's file and one inner frame's."""
OFFSET_BITS = 32

Pair = tuple[int, int, int, int]
"""See ``hud.resolver.messages.AskTails``."""
State = Callable[[int], str]
"""Of a module by its number: its key in the cache and its debug files; empty = not kept."""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    state: str
    offset: int
    frames: tuple[Frame, ...]


_Rows = dict[int, msgspec.Raw]
_decode = msgspec.msgpack.Decoder(list[_Kept]).decode
_encode = msgspec.msgpack.Encoder().encode


class KeptSeams:
    """By pairs; without a cache it knows nothing."""

    def __init__(self, cache: Cache, state: State, key: Callable[[int], str]) -> None:
        self._cache = cache
        self._state = state
        self._key = key
        self._before: dict[str, dict[str, _Rows]] = {}
        """By the caller's key and the inner frame's."""
        self._fresh: dict[str, dict[str, _Rows]] = {}

    def find(self, pair: Pair, numbers: Iterable[int]) -> list[Recovered] | None:
        """What is between the two, or None. ``numbers``: of all modules there are now."""
        caller, inner = self._key(pair[0]), self._key(pair[2])
        if not caller or not inner:
            return None
        if caller not in self._before:
            self._before[caller] = cache_entries.load_seams(self._cache, caller)
        raw = self._before[caller].get(inner, {}).get(_row(pair))
        if raw is None:
            return None
        try:
            kept = _decode(raw)
        except msgspec.MsgspecError:
            return None
        if not kept:
            return []
        states = {self._state(number): number for number in numbers}
        if not all(one.state in states for one in kept):
            return None
        return [Recovered(states[one.state], one.offset, one.frames) for one in kept]

    def add(self, pair: Pair, found: Iterable[Recovered]) -> None:
        """What the resolver says with all that it has been offered."""
        caller, inner = self._key(pair[0]), self._key(pair[2])
        kept = [_Kept(self._state(one.module), one.offset, one.frames) for one in found]
        if caller and inner and _row(pair) and all(one.state for one in kept):
            rows = self._fresh.setdefault(caller, {}).setdefault(inner, {})
            if len(rows) < MOST_KEPT:
                rows[_row(pair)] = msgspec.Raw(_encode(kept))

    def forget(self) -> None:
        """Other debug information is in use: nothing known so far holds."""
        self._before.clear()
        self._fresh.clear()

    def store(self) -> None:
        """Let the cache have what is new."""
        for caller, fresh in self._fresh.items():
            before = self._before.get(caller) or cache_entries.load_seams(self._cache, caller)
            for inner, rows in fresh.items():
                found = rows | before.get(inner, {}) | rows
                before[inner] = {row: found[row] for row in list(found)[:MOST_KEPT]}
            cache_entries.store_seams(self._cache, caller, before)
            self._before[caller] = before
        self._fresh.clear()


def _row(pair: Pair) -> int:
    """Both offsets as one number; 0 = it is too large."""
    _, call, _, pc = pair
    return call << OFFSET_BITS | pc if (call | pc) >> OFFSET_BITS == 0 else 0
