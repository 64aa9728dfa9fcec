"""Classifies Tokio threads by the names of the functions on their stacks.

Measured for Tokio 1.20 to 1.54: names without generics survive fat LTO in part only
(``worker::run``, ``Context::run_task`` do, ``blocking::pool::Inner::run`` and ``block_in_place`` do
not), so this is a fallback.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class ThreadClass(Enum):
    """What a thread is, as far as one or more stacks say."""

    WORKER = "worker"
    """Runs the tasks of a multi_thread runtime."""
    CURRENT_THREAD = "current_thread"
    """Drives a current_thread runtime."""
    POOL = "pool"
    """A thread of the spawn_blocking pool, or a worker inside ``block_in_place``."""
    UNKNOWN = "unknown"


_TOKIO = r"tokio(?:\[\w+\])?::"

# Functions that run on one kind of thread only. What other threads call too (Handle::schedule_task,
# Launch::launch, Spawner::spawn_blocking) is kept out. The first that is found in any frame wins: a
# worker is itself a job of the pool.
SIGNATURES: tuple[tuple[ThreadClass, re.Pattern[str]], ...] = (
    (
        ThreadClass.WORKER,
        re.compile(
            # 1.20: thread_pool; 1.21 on: scheduler::multi_thread; 1.30 to 1.44: multi_thread_alt.
            _TOKIO + r"runtime::(?:scheduler::)?(?:thread_pool|multi_thread|multi_thread_alt)"
            r"::worker::(?:run|Context|Core|Worker)\b"
        ),
    ),
    (
        ThreadClass.CURRENT_THREAD,
        re.compile(
            # 1.20: basic_scheduler; 1.21 on: scheduler::current_thread.
            _TOKIO + r"runtime::(?:scheduler::current_thread|basic_scheduler)"
            r"::(?:CoreGuard|Context|(?:CurrentThread|BasicScheduler)>?::block_on)\b"
        ),
    ),
    (
        ThreadClass.POOL,
        re.compile(
            _TOKIO + r"runtime::blocking::(?:pool::Inner|task::BlockingTask\b"
            r"|pool::Spawner>?::spawn_thread::\{)"
        ),
    ),
)

_ALLOWED = re.compile(_TOKIO + r"(?:task::blocking|runtime::.*worker)::block_in_place\b")

_STRENGTH = {
    ThreadClass.UNKNOWN: 0,
    ThreadClass.POOL: 1,
    ThreadClass.CURRENT_THREAD: 2,
    ThreadClass.WORKER: 3,
}


def classify_stack(function_names: Sequence[str]) -> ThreadClass:
    """The class of the thread that a stack is of.

    ``function_names``: demangled, innermost first, inlined calls included if known.
    """
    for name in function_names:
        if _ALLOWED.search(name):
            return ThreadClass.POOL
        if SIGNATURES[0][1].search(name):
            return SIGNATURES[0][0]
    for found, pattern in SIGNATURES[1:]:
        if any(pattern.search(name) for name in function_names):
            return found
    return ThreadClass.UNKNOWN


def is_in_place(function_names: Sequence[str]) -> bool:
    """Is it a stack of ``block_in_place``? A worker's then, though its class is POOL."""
    return any(_ALLOWED.search(name) for name in function_names)


def stronger(one: ThreadClass, other: ThreadClass) -> ThreadClass:
    """What two stacks of one thread say together: a worker is one in any of its stacks."""
    return max(one, other, key=_STRENGTH.__getitem__)
