"""Finds ``park`` in the Cores of multi_thread workers in the live process: is a worker parked?

It is 0 while its worker is parked and in its driver, else the Arc that the handle's ``remotes``
have as its ``unpark``. Copies of that lie in unused payload, too: only those offsets count in one
of which it was in each build that was measured. A worker that is never idle is never seen parked,
so no 0 is waited for where one of them ever held something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.runtime.context import NONE
from hud.runtime.schedulers import remotes_of, words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.runtime.memory import Read
    from hud.runtime.schedulers import Scheduler

BEFORE_RAND = -16
"""``park`` is right before ``rand``, which is before ``run_queue`` or ``tick``."""
BEHIND_QUEUE = 8
"""It is right behind ``run_queue`` with Rust 1.63."""
LOOKS = 2
"""Show where ``park`` is without a parked worker: one may be at a Core that is being let go."""


class ParkOffset:
    """Where ``park`` is in the workers' Cores, after all that were looked at."""

    def __init__(self) -> None:
        self._left: set[int] = set()
        self._taken: set[int] = set()
        """Where there was 0 once."""
        self._looks = 0
        """That agree."""

    def look(
        self, scheduler: Scheduler, tick: int, read: Read, *, flags: bool, early: bool = False
    ) -> None:
        """Another worker with its Core at hand, or the same some time later.

        ``flags``: its bools are behind its tick and the interval after that. ``early``: it is one
        of Tokio before 1.29, of which the order is not known.
        """
        core = words_of(read(scheduler.core, tick + 8))
        remote = _remote(scheduler.arc, core, read)
        if remote is None or 8 * len(core) < tick + 8:
            return
        queues, unpark = remote
        offsets = [at + BEFORE_RAND for at in (*queues, tick)] if flags or early else []
        offsets += [at + BEHIND_QUEUE for at in queues] if early or not flags else []
        found = {
            at: word for at in offsets if 0 <= at <= tick and (word := core[at // 8]) in (0, unpark)
        }
        self._left = found.keys() & self._left if self._left else set(found)
        self._looks = self._looks + 1 if self._left else 0
        self._taken |= {at for at, word in found.items() if not word}

    @property
    def offset(self) -> int:
        """The one offset that is left; NONE."""
        proven = self._looks >= LOOKS or self._left <= self._taken
        return next(iter(self._left)) if len(self._left) == 1 and proven else NONE


def _remote(worker: int, core: Sequence[int], read: Read) -> tuple[list[int], int] | None:
    """Where a worker's ``run_queue`` may be in its Core, and its ``unpark``; None = not found."""
    found = {remote for remote in remotes_of(worker, read) if remote[0] in core}
    if len(found) != 1:
        return None
    steal, unpark = found.pop()
    return [8 * at for at, word in enumerate(core) if word == steal], unpark
