"""Caches results from frame to frame, by the identity of the value that they were made of.

Frozen values of analysis stay the same objects while nothing about them changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

_V = TypeVar("_V")
_R = TypeVar("_R")
_M = TypeVar("_M")
_P = ParamSpec("_P")
_SPARE = 2
"""More results than that for a value are cleared: most are of values that are gone."""


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


class _Decorator(Protocol):
    def __call__(
        self, make: Callable[Concatenate[_V, _P], _R], /
    ) -> Callable[Concatenate[_V, _P], _R]: ...


def kept(most: int) -> _Decorator:
    """For a function of a frozen value and of others that are equal or not: its last ``most``
    results are there for the same value and equal others. Nobody may change a result.
    """

    def decorated(make: Callable[Concatenate[_V, _P], _R]) -> Callable[Concatenate[_V, _P], _R]:
        cache: IdentityCache[_V, _R] = IdentityCache(most)

        def found(value: _V, /, *others: _P.args, **named: _P.kwargs) -> _R:
            more = others, *named.items()
            return cache.get(value, more, lambda: make(value, *others, **named))

        found.__doc__ = make.__doc__
        return found

    return decorated


class OfEach(Generic[_V, _M, _R]):
    """What a function makes of each of many frozen values, where most of them are those of the last
    time, and of something that is the same for all.
    """

    def __init__(self, make: Callable[[_V, _M], _R]) -> None:
        self._make = make
        self._more: _M | None = None
        self._known: dict[int, tuple[_V, _R]] = {}
        """By the ids of the values, which stay theirs as long as they are in here."""

    def of(self, values: Sequence[_V], more: _M) -> list[_R]:
        """In the order of the values."""
        if more != self._more or len(self._known) > _SPARE * len(values):
            self._more, self._known = more, {}
        known = self._known
        for value in values:
            if id(value) not in known:
                known[id(value)] = value, self._make(value, more)
        return [result for _, result in map(known.__getitem__, map(id, values))]
