"""Caches on disk the names that were looked up in a file: a second run has them at once.

A module's names are valid with the debug files that were offered for it; with others they are asked
for anew. They stay encoded until somebody wants them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from hud.model import Frame
from hud.profiler.naming import cache_entries
from hud.profiler.naming.cache import Cache
from hud.profiler.naming.debugfiles import FileState

MOST_KEPT = 20_000
"""Addresses of one module; those of this run come before those of earlier ones."""

_decode = msgspec.msgpack.Decoder(tuple[Frame, ...]).decode
_encode = msgspec.msgpack.Encoder().encode


class CachedNames:
    """By a module's number and the offset in its file; without a cache it knows nothing."""

    def __init__(self, cache: Cache, debug_files: Callable[[int], tuple[FileState, ...]]) -> None:
        self._cache = cache
        self._debug_files = debug_files
        self._keys: dict[int, str] = {}
        self._before: dict[int, dict[int, msgspec.Raw]] = {}
        self._fresh: dict[int, dict[int, msgspec.Raw]] = {}

    def find(self, number: int, key: str, path: str, offset: int) -> tuple[Frame, ...] | None:
        """The frames there, or None. ``key``: of the module in the cache, empty = not cached.

        ``path``: of the module now; one file may be mapped under several.
        """
        if not key:
            return None
        if number not in self._before:
            self._keys[number] = key
            self._before[number] = cache_entries.load_names(
                self._cache, key, self._debug_files(number)
            )
        raw = self._before[number].get(offset)
        if raw is None:
            return None
        try:
            frames = _decode(raw)
        except msgspec.MsgspecError:
            return None
        if all(frame.module == path for frame in frames):
            return frames
        return tuple(replace(frame, module=path) for frame in frames)

    def add(
        self, number: int, offsets: Sequence[int], answers: Sequence[tuple[Frame, ...]]
    ) -> None:
        """What the resolver says with all that it has been offered; not what it could not say."""
        if number in self._keys:
            fresh = self._fresh.setdefault(number, {})
            for offset, frames in zip(offsets, answers, strict=False):
                if len(fresh) < MOST_KEPT and any(frame.function for frame in frames):
                    fresh[offset] = msgspec.Raw(_encode(frames))

    def forget(self) -> None:
        """Other debug information is in use: nothing known so far holds."""
        self._before.clear()
        self._fresh.clear()

    def store(self) -> None:
        """Store what is new in the cache."""
        for number, fresh in self._fresh.items():
            names = fresh | self._before.get(number, {})
            newest = {offset: names[offset] for offset in [*fresh, *names][:MOST_KEPT]}
            key, debug_files = self._keys[number], self._debug_files(number)
            cache_entries.store_names(self._cache, key, debug_files, newest)
        self._fresh.clear()
