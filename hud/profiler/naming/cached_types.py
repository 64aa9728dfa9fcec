"""Caches on disk the names of task types that were looked up in a file.

A type is known by the file offsets of its vtable's functions; its name is valid with the debug
files that were offered for the module when it was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hud.profiler.naming.cache import Cache
from hud.profiler.naming.cache_entries import KnownKinds, load_kinds, store_kinds
from hud.profiler.naming.debugfiles import FileState

MOST_KEPT = 10_000
"""Types of one module."""


class Asked(NamedTuple):
    """The types of one question: of which module, and what the answers belong to."""

    key: str
    debug_files: tuple[FileState, ...]
    vtables: dict[int, tuple[int, ...]]
    """Address -> file offsets of its functions."""


class CachedTypes:
    """Without a cache it knows nothing."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._known: dict[tuple[str, tuple[FileState, ...]], KnownKinds] = {}

    def of(self, key: str, debug_files: tuple[FileState, ...]) -> KnownKinds:
        """What is known of the module with this key in the cache."""
        if not key:
            return {}
        if (key, debug_files) not in self._known:
            self._known[key, debug_files] = load_kinds(self._cache, key, debug_files)
        return self._known[key, debug_files]

    def add(self, asked: Asked, kinds: Sequence[tuple[str, str, bool]]) -> None:
        """Store the answers for the next start."""
        if asked.key:
            known = self.of(asked.key, asked.debug_files)
            for offsets, kind in zip(asked.vtables.values(), kinds, strict=False):
                if len(known) < MOST_KEPT:
                    known[offsets] = kind
            store_kinds(self._cache, asked.key, asked.debug_files, known)
