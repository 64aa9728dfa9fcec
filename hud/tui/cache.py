"""Caches results from frame to frame, by the identity of the value that they were made of.

Frozen values of analysis stay the same objects while nothing about them changes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

_V = TypeVar("_V")
_R = TypeVar("_R")


class IdentityCache(Generic[_V, _R]):
    """At most ``most`` results; it is cleared when it is full."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[tuple[int, Hashable], tuple[_V, _R]] = {}

    def get(self, value: _V, more: Hashable, make: Callable[[], _R]) -> _R:
        """What ``make`` gave for this very ``value`` and an equal ``more``, else gives now."""
        key = (id(value), more)
        known = self._known.get(key)
        if known is not None and known[0] is value:
            return known[1]
        if len(self._known) >= self._most:
            self._known.clear()
        result = make()
        self._known[key] = (value, result)
        return result

    def each(self, values: Iterable[_V], make: Callable[[_V], _R]) -> list[_R]:
        """What ``make`` gave for each of these very values, or gives now."""
        return [self.get(value, None, partial(make, value)) for value in values]
