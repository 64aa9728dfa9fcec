"""What was sent lately in a batch and need not be sent again.

Whoever takes the batches may forget what nothing refers to (``hud.model.RESEND_NS``), so that
everything is sent again from time to time, if samples still refer to it.
"""

from __future__ import annotations

from itertools import islice, takewhile

from hud.model import RESEND_NS

MOST = 60_000


class Sent:
    """Keys, each for RESEND_NS. Times are CLOCK_MONOTONIC ns and do not decrease."""

    def __init__(self) -> None:
        self._since: dict[int, int] = {}
        """In the order of the times."""

    def __contains__(self, key: int) -> bool:
        """Was it sent lately, as of the last ``forget_old``?"""
        return key in self._since

    def add(self, key: int, now_ns: int) -> None:
        """It is sent now."""
        self._since.pop(key, None)
        self._since[key] = now_ns

    def since(self, time_ns: int) -> list[int]:
        """Those sent at that time or later, the latest first."""
        return list(takewhile(lambda key: self._since[key] >= time_ns, reversed(self._since)))

    def forget_old(self, now_ns: int) -> None:
        """Drop those that are to be sent again, and the oldest beyond MOST."""
        limit = now_ns - RESEND_NS
        old = list(takewhile(lambda key: self._since[key] <= limit, self._since))
        for key in old or list(islice(self._since, max(0, len(self._since) - MOST))):
            del self._since[key]

    def clear(self) -> None:
        """Everything is to be sent again."""
        self._since.clear()
