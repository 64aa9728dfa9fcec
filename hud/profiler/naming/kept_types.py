"""The names of types of tasks that earlier runs looked up in the same files.

Terms: a type is known by the file offsets of its vtable's functions; what is kept holds with the
debug files that were offered for the module when it was asked for, its *places*.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hud.profiler.naming.cache import Cache
from hud.profiler.naming.cache_entries import KnownKinds, load_kinds, store_kinds
from hud.profiler.naming.debugfiles import Place

MOST_KEPT = 10_000
"""Types of one module."""


class Asked(NamedTuple):
    """The types of one question: of which module, and what the answers belong to."""

    key: str
    places: tuple[Place, ...]
    vtables: dict[int, tuple[int, ...]]
    """Address -> file offsets of its functions."""


class KeptTypes:
    """Without a cache it knows nothing."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._known: dict[tuple[str, tuple[Place, ...]], KnownKinds] = {}

    def of(self, key: str, places: tuple[Place, ...]) -> KnownKinds:
        """What is known of the module with this key in the cache."""
        if not key:
            return {}
        if (key, places) not in self._known:
            self._known[key, places] = load_kinds(self._cache, key, places)
        return self._known[key, places]

    def add(self, asked: Asked, kinds: Sequence[tuple[str, str, bool]]) -> None:
        """Keep the answers for the next start."""
        if asked.key:
            known = self.of(asked.key, asked.places)
            for offsets, kind in zip(asked.vtables.values(), kinds, strict=False):
                if len(known) < MOST_KEPT:
                    known[offsets] = kind
            store_kinds(self._cache, asked.key, asked.places, known)
