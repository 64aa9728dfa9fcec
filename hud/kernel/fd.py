"""A file descriptor with exactly one owner."""

from __future__ import annotations

import os

from hud.closing import Closing


class Fd(Closing):
    """Owns a descriptor: closed by ``with``, by :meth:`close`, or when forgotten."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    @property
    def closed(self) -> bool:
        return self._number < 0

    def fileno(self) -> int:
        """The number, for a system call; ValueError once closed, so no stranger's is used."""
        if self._number < 0:
            raise ValueError("the descriptor is closed")
        return self._number

    def close(self) -> None:
        """Close it; a second call does nothing."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Fd({self._number})"
