"""From a stack to the code responsible: which function, where, and what it had called.

The *culpable frame* is the innermost frame of the user's own code; a *host* (see
`hud.analysis.frameworks`) with nothing of the framework's inside is as good as one. Without either
it is the innermost frame of the crate that owns the task's future, else the outermost frame of a
dependency below the framework. The *operation* is the library call that it made. Two stacks blame
the same code if their *keys* are equal.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.frameworks import is_framework, passes_on, runs_handler, runs_task
from hud.analysis.handlers import handler, written
from hud.analysis.operation import SLOW_PATH, operation
from hud.analysis.tails import counts
from hud.model import Frame, Origin, Precision, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Key = tuple[str, str, str]
"""Function, file and, where that is not one function's name, the symbol."""


class Blame(NamedTuple):
    """What a stack says about the code responsible."""

    function: str
    where: str = ""
    """``src/login.rs:88``, as ``short_place`` has it; may be empty."""
    file: str = ""
    line: int = 0
    origin: Origin = Origin.UNKNOWN
    inferred: bool = False
    operation: str = ""
    precision: Precision = Precision.EXACT
    symbol: str = ""
    """As in the file, of code whose readable name others have too; else empty."""
    hosted: bool = False
    """The function is Tokio's around the future of a task, which was inlined into it: the task's
    type says whose code it is."""

    @property
    def key(self) -> Key:
        if self.inferred and self.symbol:  # known by its places: it has a name at each of them
            return ("", "", self.symbol)
        # a path says which function it is; its file may be a macro's, or not known
        return self.function, "" if "::" in self.function else self.file, self.symbol


NO_STACK = Blame("(no stack caught)")
NOT_RESOLVED = Blame("(names not resolved)")

_RANKS = 7
_LIBRARY = re.compile(r"\.so(\.|$)|^\[")


class Blames:
    """The blame of each stack of a recording, looked up once, and no more of it than is asked."""

    def __init__(self, stacks: Mapping[int, Stack]) -> None:
        self.stacks = stacks
        self._known: dict[int, Blame] = {}
        self._culprits: dict[int, tuple[int, Blame]] = {}
        """Of each stack the index of the culpable frame, and its blame without the operation."""
        self._handlers: dict[int, str] = {}

    def of(self, key: int) -> Blame:
        """The code responsible for the stack with this key; 0 = none was taken."""
        if not key:
            return NO_STACK
        found = self._known.get(key)
        if found is None:
            at, found = self._culprit(key)
            if at >= 0:
                frames = self.stacks[key].frames or ()
                found = self._known[key] = found._replace(operation=_operation(frames, at))
        return found

    def code(self, key: int) -> Key | None:
        """What stacks that blame the same code share; None = its names are not known."""
        _, found = self._culprit(key)
        return None if found is NOT_RESOLVED else found.key

    def handler(self, key: int) -> str:
        """The handler that the stack belongs to; empty = none is known."""
        found = self._handlers.get(key)
        if found is None:
            stack = self.stacks.get(key)
            if stack is None or stack.frames is None:
                return ""
            found = self._handlers[key] = handler(stack.frames)
        return found

    def lets_go(self, key: int) -> bool:
        """Did the user's own code let go of a lock there, and not a library that it called?"""
        at, found = self._culprit(key)
        frames = (self.stacks[key].frames or ()) if at >= 0 else ()
        return found.origin is Origin.USER and all(map(_is_locks, frames[:at]))

    def at(self, key: int) -> int:
        """Index of the culpable frame; -1 = there is none."""
        return self._culprit(key)[0]

    def _culprit(self, key: int) -> tuple[int, Blame]:
        found = self._culprits.get(key)
        if found is None:
            found = _culprit(self.stacks.get(key))
            if found[1] is not NOT_RESOLVED:
                self._culprits[key] = found
        return found

    def forget(self, key: int) -> Blame:
        """The names behind this key have changed; what they said until now."""
        self._culprits.pop(key, None)
        self._handlers.pop(key, None)
        return self._known.pop(key, NOT_RESOLVED)


def blame_of(key: int, stacks: Mapping[int, Stack]) -> Blame:
    """The code responsible for the stack with this key; 0 = none was taken."""
    return blame(stacks.get(key)) if key else NO_STACK


def blame(stack: Stack | None) -> Blame:
    """The code responsible for ``stack``; None = a stack was named but never fetched."""
    at, found = _culprit(stack)
    if stack is None or at < 0:
        return found
    return found._replace(operation=_operation(stack.frames or (), at))


def _operation(frames: Sequence[Frame], at: int) -> str:
    return operation(frames, at, users=is_users(frames, at))


def _culprit(stack: Stack | None) -> tuple[int, Blame]:
    """Index of the culpable frame, -1 = there is none; its blame without the operation."""
    if stack is None or stack.frames is None:
        return -1, NOT_RESOLVED
    frames = stack.frames
    at = culpable(frames)
    if at < 0:
        return -1, NO_STACK
    frame = frames[at]
    host = _host_of(frames, at)
    return at, Blame(
        function=_handler_in(frame) or frame_name(frame) + _inside(host),
        where=short_place(frame.file, frame.line, frame.precision),
        file=frame.file,
        line=frame.line,
        origin=frame.origin,
        inferred=frame.inferred,
        precision=frame.precision,
        symbol=host.raw if host else "" if _has_own_name(frame) else frame.raw,
        hosted=runs_task(frame),
    )


def _host_of(frames: Sequence[Frame], at: int) -> Frame | None:
    """Whose function the blamed code was inlined into, where it has no name but its place."""
    inner = frames[at]
    if not (inner.inferred and inner.inlined) or at + 1 == len(frames):
        return None
    host = frames[at + 1]
    return host if host.raw and host.origin in (Origin.DEPENDENCY, Origin.RUNTIME) else None


def _inside(host: Frame | None) -> str:
    """Tokio's own frames around a task say nothing."""
    if host is None or host.origin is not Origin.DEPENDENCY:
        return ""
    return f" in {_belonging(host)}"


_ITS_HANDLER = re.compile(r"^<([a-z_]\w*(?:::\w+)*::[a-z_]\w*) as \S*?handler::Handler<")


def _handler_in(frame: Frame) -> str:
    """``app::prices in axum's Handler::call``, where the symbol says for which handler that was
    compiled, as v0 mangling does; else empty.
    """
    found = _ITS_HANDLER.match(frame.function) if runs_handler(frame) else None
    return f"{found[1]} in {_belonging(frame)}" if found else ""


_PATH_HEAD = re.compile(r"(?:[a-z_]\w*::)+")
_TRAIT = re.compile(r"^<.* as ([^<>]+)(?:<.*>)?>::([\w:]+)")


def _belonging(host: Frame) -> str:
    """``axum's Handler::call`` of ``<F as axum::handler::Handler<M,S>>::call::{async}``."""
    crate = host.crate.partition(" ")[0]
    bare = re.sub(r"::\{.*", "", host.function)
    found = _TRAIT.match(bare)
    path = f"{found[1]}::{found[2]}" if found else bare
    return f"{crate}'s {_PATH_HEAD.sub('', path, count=1)}"


def _has_own_name(frame: Frame) -> bool:
    """Whatever has its name is the same source: not so of closures, and of what the user's code
    was inlined into."""
    name = frame.function.removesuffix("::{async fn}")
    return frame.origin is Origin.USER and "{" not in name.rpartition("::")[2]


def culpable(frames: Sequence[Frame]) -> int:
    """Index of the frame to blame; -1 = there are no frames."""
    own = _innermost_own(frames)
    inside = frames[:own] if own >= 0 else frames
    for at, one in enumerate(inside):
        if one.origin is Origin.DEPENDENCY and runs_handler(one):
            if _hosts(frames, at):
                return at
            break
    return own if own >= 0 else _foreign(frames)


def _innermost_own(frames: Sequence[Frame]) -> int:
    """Index of the user's innermost frame; -1 = there is none.

    A place in a library's generic code, a closure's as a rule, gives way to the function with a
    name that called it; so does derived code.
    """
    all_own = [at for at, one in enumerate(frames) if one.origin is Origin.USER and counts(one)]
    users = written(frames, all_own)
    for at, caller in zip_longest(users, users[1:], fillvalue=-1):
        if caller >= 0 and _is_macros(frames, at, caller):
            continue
        host = frames[at + 1] if at + 1 < len(frames) else None
        placed = frames[at].inferred and frames[at].inlined and host is not None and host.raw
        if not (placed and host) or is_framework(host):
            return at
    return users[0] if users else -1


def _is_macros(frames: Sequence[Frame], at: int, caller: int) -> bool:
    """Is it a closure that a macro made in the function that calls it, or polls it?

    Debug info says nothing of it but the macro's lines, which are not the user's. Those of
    ``join!`` and ``select!`` are known without debug info, too.
    """
    frame, around = frames[at], frames[caller]
    if frame.function != f"{around.function}::{{closure}}" or _has_debug_info(frame):
        return False
    if _has_debug_info(around):
        return True
    polls = any(_POLLS_A_CLOSURE.search(one.function) for one in frames[at + 1 : caller])
    return polls and (not frame.file or frame.precision is Precision.FILE)


def _has_debug_info(frame: Frame) -> bool:
    return bool(frame.file) and frame.precision is Precision.EXACT


_POLLS_A_CLOSURE = re.compile(r"::poll_fn::PollFn\b")


def _hosts(frames: Sequence[Frame], at: int) -> bool:
    """Is it the caller of what is no framework's: then the handler is inlined into it."""
    called = next((one for one in reversed(frames[:at]) if one.origin is not Origin.STD), None)
    return called is None or not is_framework(called) or called.origin is Origin.RUNTIME


def _foreign(frames: Sequence[Frame]) -> int:
    """Of a stack without a frame of the user's."""
    task = _task_frame(frames)
    outermost = _outermost_dependency(frames, task)
    if outermost >= 0:
        frame = frames[outermost]
        between = frames[outermost + 1 : task]
        if _owns_task(frames, outermost, task):
            return _innermost_kin(frames, outermost)
        plain = task < len(frames) and not (frame.inferred or passes_on(frame))
        if plain and all(one.origin is Origin.STD for one in between):
            return task  # a plain function: the future that calls it is inlined
        return outermost
    best = _best(frames)
    if best >= 0 and frames[best].origin is Origin.UNKNOWN:
        return best
    foreign = (at for at in range(task) if frames[at].origin is Origin.DEPENDENCY)
    framework = next((at for at in foreign if not _is_tokios(frames, at)), -1)
    if framework >= 0:
        return framework
    return task if task < len(frames) else _caller_of_c(frames, best)


def _task_frame(frames: Sequence[Frame]) -> int:
    """Index of Tokio's innermost frame around a task; behind the last one = there is none."""
    return next((at for at, one in enumerate(frames) if runs_task(one)), len(frames))


def _owns_task(frames: Sequence[Frame], at: int, task: int) -> bool:
    """Is the dependency's frame at ``at`` the future of the task, or what that called?"""
    frame, between = frames[at], frames[at + 1 : task]
    if frame.inferred or task == len(frames) or any(o.origin not in _NOBODYS for o in between):
        return False
    return passes_on(frame) or any(one.origin is not Origin.STD for one in between)


def is_users(frames: Sequence[Frame], at: int) -> bool:
    """Is the blamed frame at ``at`` the user's own, one that their code was inlined into, or of
    the crate that owns the task's future, which is as good?"""
    blamed = frames[at]
    if blamed.origin is not Origin.DEPENDENCY or runs_handler(blamed):
        return True
    task = _task_frame(frames)
    outermost = _outermost_dependency(frames, task)
    if outermost < at or not _owns_task(frames, outermost, task):
        return False
    return _innermost_kin(frames, outermost) == at


def _caller_of_c(frames: Sequence[Frame], best: int) -> int:
    """What has no name, in a library of the target's, rather than the C library that it called."""
    if best < 0 or frames[best].origin is not Origin.C:
        return best
    unnamed = (
        at
        for at, one in enumerate(frames)
        if at > best and one.origin is Origin.UNKNOWN and one.module.startswith("/")
    )
    return next(unnamed, best)


_NOBODYS = (Origin.STD, Origin.RUNTIME, Origin.C)


def _outermost_dependency(frames: Sequence[Frame], end: int) -> int:
    """Index of the outermost frame before ``end`` of a crate below the framework; -1 = there is
    none. What only passes the poll on to more of the framework lies above it.
    """
    framework = [at for at in range(end) if is_framework(frames[at])]
    inmost = next((at for at in framework if frames[at].origin is Origin.DEPENDENCY), end)
    for at in range(end - 1, -1, -1):
        frame = frames[at]
        if frame.origin is Origin.DEPENDENCY and counts(frame) and not is_framework(frame):
            if _is_tokios(frames, at):
                continue
            if at > inmost and passes_on(frame):
                continue
            return at
    return -1


_TOKIOS = re.compile(r"(?:parking_lot|parking_lot_core|lock_api)(?: .*)?")


def _is_locks(frame: Frame) -> bool:
    """Is it of what lets go of a lock: std's, the C library's, parking_lot's?"""
    if frame.origin in (Origin.STD, Origin.C):
        return _UNLOCKS.search(frame.function) is not None
    return frame.origin is Origin.KERNEL or bool(_TOKIOS.fullmatch(frame.crate))


_UNLOCKS = re.compile(
    r"\bsync::(?!Once|once)|_in_place<(?:std::sync|parking_lot|lock_api)|\bmem::drop"
    r"|^_*syscall$|^_*pthread_(?:mutex|rwlock)_unlock|futex"
)


def _is_tokios(frames: Sequence[Frame], at: int) -> bool:
    """Is it a lock of Tokio's own, inside one of its functions?"""
    if not _TOKIOS.fullmatch(frames[at].crate):
        return False
    callers = (one for one in frames[at + 1 :] if not _TOKIOS.fullmatch(one.crate))
    caller = next((one for one in callers if one.origin is not Origin.STD), None)
    return caller is not None and caller.origin is Origin.RUNTIME and not runs_task(caller)


def _innermost_kin(frames: Sequence[Frame], at: int) -> int:
    """The innermost frame of the crate that owns the task's future, or of its family."""
    crate = frames[at].crate.partition(" ")[0]
    word = crate.partition("_")[0]
    for inner, frame in enumerate(frames[:at]):
        other = frame.crate.partition(" ")[0]
        if other == crate or (len(word) > 3 and other.partition("_")[0] == word):
            return inner
    return at


def _best(frames: Sequence[Frame]) -> int:
    best, found = _RANKS, -1
    for at, frame in enumerate(frames):
        rank = _rank(frame)
        if rank < best:
            best, found = rank, at
    return found


def user_part(stack: Stack) -> str | None:
    """What consecutive samples must share to be one stay in the same code.

    The blamed function; None where the stack shows nothing but runtime, std and C library, as a
    parked or idle worker does. Needs resolved frames.
    """
    frames = stack.frames or ()
    at = culpable(frames)
    if at < 0 or frames[at].origin in (Origin.RUNTIME, Origin.STD, Origin.C, Origin.KERNEL):
        return None
    return frame_name(frames[at])


def frame_name(frame: Frame) -> str:
    """The function, else ``module+0xoffset``, else the bare address."""
    if frame.function:
        return frame.function
    if frame.module:
        return f"{frame.module.rpartition('/')[2]}+0x{frame.offset:x}"
    return f"0x{frame.address:x}"


def short_place(file: str, line: int, precision: Precision = Precision.EXACT) -> str:
    """``src/login.rs:88`` from a full path: from its last ``src`` on, else its last two parts.

    Where that is not the line of the call: ``src/login.rs ~:88`` near it, ``src/login.rs:80
    (async)`` for the async fn or block that it is in, ``~src/login.rs`` for the file alone.
    """
    parts = file.split("/")
    if "src" in parts[:-1]:
        start = len(parts) - 2 - parts[-2::-1].index("src")
    else:
        start = max(0, len(parts) - 2)
    short = "/".join(parts[start:])
    if not short or precision is Precision.FILE:
        return f"~{short}" if short else ""
    return short + _LINES[precision].format(line) if line else short


_LINES = {
    Precision.EXACT: ":{}",
    Precision.NEAR: " ~:{}",
    Precision.DEFINITION: ":{} (async)",
}


def _rank(frame: Frame) -> int:
    """Below _RANKS; 0 = the best there can be. For what is no crate's."""
    if not counts(frame):
        return _RANKS
    if frame.origin is Origin.DEPENDENCY:
        return 4 if SLOW_PATH.search(frame.function) else 0
    if frame.origin is Origin.UNKNOWN:
        if frame.function:
            return 1
        return 5 if _LIBRARY.search(frame.module) or not frame.module else 2
    if frame.origin is Origin.KERNEL:
        return _RANKS
    if not frame.function:
        return 6
    return 4 if frame.origin is Origin.C else 3
