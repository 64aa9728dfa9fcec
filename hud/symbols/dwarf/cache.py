"""Keeps what was decoded last, within a bound of total weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Lru(Generic[T]):
    """Values by integer key; the least recently used go when their weights exceed ``limit``."""

    def __init__(self, limit: int, weigh: Callable[[T], int] = lambda _: 1) -> None:
        self.limit = limit
        self._weigh = weigh
        self._values: dict[int, T] = {}
        self._weight = 0

    def get(self, key: int, make: Callable[[], T]) -> T:
        """The value of a key, made if it is not there; the newest stays whatever it weighs."""
        value = self._values.pop(key, None)
        if value is None:
            value = make()
            self._weight += self._weigh(value)
        self._values[key] = value
        while self._weight > self.limit and len(self._values) > 1:
            oldest = next(iter(self._values))
            self._weight -= self._weigh(self._values.pop(oldest))
        return value

    def __len__(self) -> int:
        return len(self._values)
