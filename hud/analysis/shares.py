"""What shares of worker time are of: each runtime has its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Shares(NamedTuple):
    """The worker time of a moment, in the span."""

    by_runtime: Mapping[str, int]
    """Of those that ran."""
    runtime_of: Mapping[int, str]
    """By worker id, of workers that are known still."""

    @property
    def whole_ns(self) -> int:
        return sum(self.by_runtime.values())

    def share(self, total_ns: int, workers: Iterable[int]) -> float:
        """Of the time of the runtimes of these workers, 0..1."""
        time_ns = self.whole_ns
        if len(self.by_runtime) > 1:
            names = {self.runtime_of.get(number, "") for number in workers}
            time_ns = sum(self.by_runtime.get(name, 0) for name in names) or time_ns
        return min(1.0, total_ns / time_ns) if time_ns else 0.0


NO_SHARES = Shares({}, {})
