"""What must be known to read a blocker's row right, and what ``--verbose`` adds to that."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from hud import figures
from hud.analysis import lasting
from hud.analysis.cases import NO_CALL, further, held_up_by, part
from hud.analysis.frameworks import runs_task
from hud.analysis.shortnames import shorten
from hud.analysis.spread import P99_FROM
from hud.export import code
from hud.export.telling import shown_frame
from hud.text import printable

if TYPE_CHECKING:
    from hud.analysis.results import Blocker, Case, HolderUse, Snapshot

_MOST, _ROOM = 2, 60
"""Of a kind of fact, and characters of a name in it."""
_MOST_LISTED, _MOST_FRAMES = 3, 24
"""With ``--verbose``."""
_WORTH_TELLING = 0.5
"""Ready tasks behind a blocker, on average."""

_ROLES = {
    "worker": "on a worker",
    "pool thread": "on a thread of the blocking pool",
    "other thread": "on another thread",
    "other process": "in another process",
}


def of(blocker: Blocker, *, where: bool = True) -> list[str]:
    """Where it is, what has not ended, what else held it up, and locks."""
    place = place_of(blocker) if where else ""
    said = [place] if place else []
    said += lasting.in_words(blocker)
    also = [_also(case, blocker) for case in further(blocker)]
    if also:
        said.append(f"also {', '.join(also)}")
    said += _holders(blocker)
    if blocker.holds:
        said.append(f"holds a lock that {figures.count(blocker.holds, 'poll')} waited for")
    return said


def place_of(code: Blocker | HolderUse) -> str:
    """File and line; empty where they are unknown, or are the name itself."""
    location = code.where.replace(" ~:", ":").removesuffix(" (async)")
    return "" if location == code.function else printable(code.where)


def _also(case: Case, blocker: Blocker) -> str:
    (call,) = shorten([printable(case.operation)], _ROOM, keep_crate=True)
    return f"{case.cause.value} in {call or NO_CALL} ({part(case, blocker)})"


def _holders(blocker: Blocker) -> list[str]:
    said = []
    for held, verb in ((True, "held by"), (False, "woken by")):
        users = [user for user in held_up_by(blocker) if user.held is held]
        named = "; ".join(map(holder_in_words, users[:_MOST]))
        said += [f"{verb} {named}"] if named else []
    return said


def holder_in_words(user: HolderUse) -> str:
    """``cache::refill src/cache.rs:88, on another thread``; ``thread refiller``; ``~`` before an
    inferred name.
    """
    (function,) = shorten([printable(user.function)], _ROOM)
    what = f"{'~' if user.inferred else ''}{function} {place_of(user)}".strip()
    if what.startswith("thread ") and user.role == "other thread":
        return what
    role = _ROLES.get(user.role, user.role)
    return f"{what}, {role}" if what else role


# --------------------------------------------------------------------------- with --verbose


def more(blocker: Blocker, snapshot: Snapshot) -> list[str]:
    """Lines: what is known besides, the stack, the raw symbol, source, machine code."""
    return [*besides(blocker), *_stack(blocker, snapshot), *code.lines(blocker, snapshot)]


def besides(blocker: Blocker) -> list[str]:
    """Task types, files and peers, all its time."""
    return [*filter(None, (_task(blocker), _details(blocker), _times(blocker)))]


def _stack(blocker: Blocker, snapshot: Snapshot) -> list[str]:
    """The heaviest of its main case, innermost first, down to where Tokio polls the task."""
    stack = snapshot.stacks.get(blocker.example)
    frames = (stack.frames if stack else None) or ()
    inside = list(takewhile(lambda frame: not runs_task(frame), frames))
    shown = [f"  {shown_frame(frame)}" for frame in inside[:_MOST_FRAMES]]
    if len(inside) > len(shown):
        shown.append(f"  and {len(inside) - len(shown)} more")
    return ["stack, innermost first:", *shown] if shown else []


def _task(blocker: Blocker) -> str:
    """Which tasks it was in, and how many waited behind them; empty = unknown."""
    whole = sum(ns for _, ns in blocker.types)
    names = [
        printable(name) + (f" {figures.percent(ns / whole)}" if ns < whole else "")
        for name, ns in blocker.types[:_MOST_LISTED]
    ]
    said = [f"task {', '.join(names)}"] if names else []
    if blocker.behind >= _WORTH_TELLING:
        count = figures.count(round(blocker.behind), "ready task")
        said.append(f"{count} behind it in the worker's own queue")
    return "; ".join(said)


def _details(blocker: Blocker) -> str:
    names = [printable(detail) for detail, _ in blocker.details[:_MOST_LISTED]]
    rest = len(blocker.details) - len(names)
    return f"about {', '.join(names)}{f' and {rest} more' if rest else ''}" if names else ""


def _times(blocker: Blocker) -> str:
    total = f"{figures.long_duration(blocker.total_ns)} in all"
    if blocker.waiting_ns:
        total += f", and {figures.long_duration(blocker.waiting_ns)} without a CPU"
    if blocker.count < P99_FROM:
        return total
    return f"{total}; p99 {figures.long_duration(blocker.p99_ns)}"
