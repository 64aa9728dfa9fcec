"""What a run has to say to the user beside its figures: sentences, each once."""

from __future__ import annotations

from collections.abc import Iterator


class Notes:
    """In the order in which they came."""

    def __init__(self) -> None:
        self._all: dict[str, None] = {}
        self._given: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def add(self, *notes: str) -> None:
        """Those that are not there yet."""
        self._all.update(dict.fromkeys(notes))

    def replace(self, old: str, new: str) -> None:
        """``old`` does not hold any more; either may be empty."""
        self._all.pop(old, None)
        if new:
            self.add(new)

    def new(self) -> tuple[str, ...] | None:
        """All of them, if they are others than at the last call; else None."""
        now = tuple(self._all)
        if now == self._given:
            return None
        self._given = now
        return now
