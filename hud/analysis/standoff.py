"""Workers that wait for each other: asleep on locks that nobody lets go of.

Who holds a lock shows only when it is let go, which here never happens. What shows is that several
workers have slept for long, each in the poll of a task, on different locks: then no two of them
queue for the same one, and the likeliest holder of each is another that sleeps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis.cause import Cause
from hud.analysis.episodes.evidence import holds_lock
from hud.analysis.lasting import STUCK_NS, all_last
from hud.analysis.results import Standoff

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hud.analysis.results import Blocker, Episode
    from hud.model import Stack, ThreadState

FIX = "take these locks in the same order everywhere, or never take one while holding the other"
WHY = (
    "workers sleep on different locks that nobody releases: each seems to hold what another waits "
    "for, so none of them will ever continue"
)
KEPT_WHY = (
    "hud sees who holds a lock only when it is released; look for a guard kept across a call that "
    "does not return, or for a thread that takes a lock it already holds"
)
_BY_WORD = ("std::sys", "pthread_", "__lll_lock", "std::sync")
"""Locks whose futex word is the lock itself; parking_lot's waiters sleep on words of their own."""


def waiters(lasting: Iterable[Episode], stacks: Mapping[int, Stack]) -> list[Episode]:
    """The episodes that have waited for a lock for long, and still do."""
    return [
        one
        for one in lasting
        if one.cause is Cause.LOCK and one.asleep_ns >= STUCK_NS and _wants_lock(one, stacks)
    ]


def find(
    lasting: Sequence[Episode], stacks: Mapping[int, Stack], states: Mapping[int, ThreadState]
) -> Standoff | None:
    """The workers that seem to wait for each other; None = there are none."""
    found = waiters(lasting, stacks)
    words = {
        state.argument
        for one in found
        if (state := states.get(one.tid)) is not None and _by_word(one, stacks)
    } - {0}
    if len(words) < 2:
        return None
    return Standoff(
        workers=tuple(sorted(one.worker_id for one in found)),
        locks=len(words),
        lasted_ns=min(one.asleep_ns for one in found),
    )


def marked(
    blockers: tuple[Blocker, ...], lasting: Iterable[Episode], stacks: Mapping[int, Stack]
) -> tuple[Blocker, ...]:
    """The blockers, those in the standoff marked."""
    keys = {one.stack for one in waiters(lasting, stacks)}
    return tuple(
        replace(row, standoff=True)
        if row.lasting and row.cause is Cause.LOCK and any(key in keys for key, _ in row.stacks)
        else row
        for row in blockers
    )


def fix_of(episode: Episode, facing: Standoff | None, stack: Stack | None) -> str:
    """What to do about a wait for a lock that has not ended; empty = it is none, or a short one."""
    waits = episode.in_progress and episode.cause is Cause.LOCK and episode.asleep_ns >= STUCK_NS
    if not waits or not holds_lock(stack.frames if stack else None):
        return ""
    if facing is not None and episode.worker_id in facing.workers:
        return FIX
    return _kept(episode.asleep_ns)


def is_kept(blocker: Blocker, stack: Stack | None) -> bool:
    """Does all of it still wait for a lock, for so long that its holder will hardly let go?"""
    if blocker.cause is not Cause.LOCK or not all_last(blocker) or blocker.lasting_ns < STUCK_NS:
        return False
    return holds_lock(stack.frames if stack else None)


def kept_fix(blocker: Blocker) -> str:
    """What to do about it, in one line."""
    return _kept(blocker.lasting_ns)


def _kept(ns: int) -> str:
    time = figures.long_duration(ns)
    return f"find who holds this lock: nobody has released it for {time} so far"


def in_words(found: Standoff) -> str:
    """``W0 and W1 seem to wait for each other: asleep on 2 locks for 7.2 s, ...``."""
    names = [f"W{number}" for number in found.workers[:6]]
    more = len(found.workers) - len(names)
    names += [f"{more} more"] if more else []
    who = f"{', '.join(names[:-1])} and {names[-1]}"
    time = figures.long_duration(found.lasted_ns)
    return (
        f"{who} seem to wait for each other: asleep on {found.locks} locks for {time}, "
        "and nobody releases one."
    )


def _wants_lock(episode: Episode, stacks: Mapping[int, Stack]) -> bool:
    stack = stacks.get(episode.stack)
    return holds_lock(stack.frames if stack else None)


def _by_word(episode: Episode, stacks: Mapping[int, Stack]) -> bool:
    stack = stacks.get(episode.stack)
    frames = (stack.frames if stack else None) or ()
    names = [frame.function for frame in frames]
    return any(sign in name for name in names for sign in _BY_WORD) and not any(
        "parking_lot" in name for name in names
    )
