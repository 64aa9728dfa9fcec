"""For how long no event came through: hud was held up, and the ring buffer was full."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.model import Sample


class Unseen:
    """Looks at what each emptying of the ring gave, and at the count of those that did not fit."""

    def __init__(self) -> None:
        self._emptied_ns = time.monotonic_ns()
        self._lost = 0

    def after(self, samples: Sequence[Sample], lost: int, emptied_ns: int) -> int:
        """From the latest event that did fit until the ring was emptied, ns; 0 = all did fit.

        ``lost``: all that did not, so far.
        """
        before_ns, self._emptied_ns = self._emptied_ns, emptied_ns
        if lost == self._lost:
            return 0
        self._lost = lost
        latest_ns = max((sample.time_ns for sample in samples), default=before_ns)
        return max(0, emptied_ns - max(before_ns, latest_ns))
