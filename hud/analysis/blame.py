"""From a stack to the code responsible: which function, where, and what it had called.

Terms: the *culpable frame* is the innermost frame of the user's own code; the *operation* is the
library call that it made; *plumbing* are std's own call-throughs, which explain nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.tails import counts
from hud.model import Frame, Origin, Precision, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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


NO_STACK = Blame("(no stack caught)")
NOT_RESOLVED = Blame("(names not resolved)")

_PLUMBING = re.compile(
    r"""core::ops::function | core::panic:: | std::panic | core::iter:: | core::option:: |
        core::result:: | core::pin:: | core::future:: | core::task:: | std::thread::local:: |
        core::mem:: | core::convert:: | alloc::boxed:: | __rust_begin_short_backtrace |
        ^__rustc:: | ^__r(ust|dl|g)_""",
    re.VERBOSE,
)
_SLOW_PATH = re.compile(r"^(?:<?parking_lot|lock_api|parking_lot_core)::.*_slow$")
"""Of a lock, behind the fast one that is inlined."""
_RANKS = 7
_LIBRARY = re.compile(r"\.so(\.|$)|^\[")


class Blames:
    """The blame of each stack of a recording, looked up once."""

    def __init__(self, stacks: Mapping[int, Stack]) -> None:
        self.stacks = stacks
        self._known: dict[int, Blame] = {}

    def of(self, key: int) -> Blame:
        """The code responsible for the stack with this key; 0 = none was taken."""
        found = self._known.get(key)
        if found is None:
            found = blame(self.stacks.get(key)) if key else NO_STACK
            if found is not NOT_RESOLVED:
                self._known[key] = found
        return found

    def forget(self, key: int) -> Blame:
        """The names behind this key have changed; what they said until now."""
        return self._known.pop(key, NOT_RESOLVED)


def blame(stack: Stack | None) -> Blame:
    """The code responsible for ``stack``; None = a stack was named but never fetched."""
    if stack is None or stack.frames is None:
        return NOT_RESOLVED
    frames = stack.frames
    at = culpable(frames)
    if at < 0:
        return NO_STACK
    frame = frames[at]
    return Blame(
        function=frame_name(frame),
        where=short_place(frame.file, frame.line, frame.precision),
        file=frame.file,
        line=frame.line,
        origin=frame.origin,
        inferred=frame.inferred,
        operation=_operation(frames[:at]),
        precision=frame.precision,
    )


def culpable(frames: Sequence[Frame]) -> int:
    """Index of the frame to blame: the user's own, else a dependency's, else the best there is.

    -1 = there are no frames.
    """
    best, found = _RANKS, -1
    for at, frame in enumerate(frames):
        rank = _rank(frame)
        if rank < best:
            best, found = rank, at
            if rank == 0:
                break
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
    """0 = the best there can be; _RANKS = never."""
    if not counts(frame):
        return _RANKS
    if frame.origin is Origin.USER:
        return 0
    if frame.origin is Origin.DEPENDENCY:
        return 4 if _SLOW_PATH.search(frame.function) else 1
    if frame.origin is Origin.UNKNOWN:
        if frame.function:
            return 2
        return 5 if _LIBRARY.search(frame.module) or not frame.module else 3
    if frame.origin is Origin.KERNEL:
        return 7
    return 4 if frame.function else 6


def _operation(inner: Sequence[Frame]) -> str:
    """The call that the blamed frame made, ``~`` before an inferred name; ``inner`` are the frames
    inside it.
    """
    calls = [
        frame for frame in reversed(inner) if frame.function and frame.origin is not Origin.KERNEL
    ]
    telling = [frame for frame in calls if not _plumbing(frame)]
    for call in telling[:1] or calls[:1]:
        return ("~" if call.inferred else "") + call.function
    return ""


def _plumbing(frame: Frame) -> bool:
    if frame.origin is Origin.STD:
        return bool(_PLUMBING.search(frame.function))
    return bool(_SLOW_PATH.search(frame.function))
