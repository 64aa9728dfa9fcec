"""What was told lately and need not be told again.

Whoever takes the batches may forget what nothing refers to (``hud.model.RESEND_NS``), so that
all is told again from time to time, if it is still named.
"""

from __future__ import annotations

from itertools import islice, takewhile

from hud.model import RESEND_NS

MOST = 60_000


class Told:
    """Keys, each for RESEND_NS. Times are CLOCK_MONOTONIC ns and do not decrease."""

    def __init__(self) -> None:
        self._since: dict[int, int] = {}
        """In the order of the times."""

    def __contains__(self, key: int) -> bool:
        """Was it told lately, as of the last ``forget_old``?"""
        return key in self._since

    def add(self, key: int, now_ns: int) -> None:
        """It is told now."""
        self._since.pop(key, None)
        self._since[key] = now_ns

    def since(self, time_ns: int) -> list[int]:
        """Those told at that time or later, the latest first."""
        return list(takewhile(lambda key: self._since[key] >= time_ns, reversed(self._since)))

    def forget_old(self, now_ns: int) -> None:
        """Those that are to be told again, and the oldest beyond MOST."""
        limit = now_ns - RESEND_NS
        old = list(takewhile(lambda key: self._since[key] <= limit, self._since))
        for key in old or list(islice(self._since, max(0, len(self._since) - MOST))):
            del self._since[key]

    def clear(self) -> None:
        """All is to be told again."""
        self._since.clear()
