"""From a blocker to what its author can do about it, in one line.

Only what the evidence carries is said: the cause, and the calls that the blamed function made in
the stack with the largest part of it. Where these say nothing, there is no advice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis import lasting, standoff
from hud.analysis.advice.libraries import ASYNC_LIBRARIES, LIBRARIES, PUBLIC
from hud.analysis.advice.remedy import (
    ASYNC,
    AWAITED,
    LIBRARY,
    NAMELESS,
    OPAQUE,
    OWN,
    SELECT,
    Remedy,
)
from hud.analysis.advice.std import REST
from hud.analysis.advice.stdfiles import call_in
from hud.analysis.blame import culpable, is_users
from hud.analysis.cause import Cause
from hud.analysis.frameworks import is_framework, is_sealed, polls_task, runs_handler, runs_task
from hud.analysis.results import Blocker, Case
from hud.model import Frame, Origin, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ADVICE: tuple[Remedy, ...] = (*LIBRARIES, *REST)
"""Every remedy; of those that match the outermost call that any matches, the first is given."""
LONGEST = 100
"""Characters of ``Advice.text``, at most."""
_WORTH_MOVING_NS = 1_000_000
_LET_GO = "release the lock first"
_HELD_WHY = (
    "other polls wait for a lock that this code holds; awaiting the work under the lock would keep "
    "them waiting just as long, and a worker blocked on it may be the one that has to continue"
)
_LONGEST_CALL = 32
_UNKNOWN_CALL = "the library"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do; all empty where nothing sensible can be said."""

    text: str = ""
    """One line, an imperative: at most 100 characters."""
    reason: str = ""
    """Why, in the world of Tokio."""
    code: str = ""
    """An example in Rust (or a command); may be empty."""

    def __bool__(self) -> bool:
        return bool(self.text)


NO_ADVICE = Advice()


class Match(NamedTuple):
    """A row of the table, and the call that led to it."""

    remedy: Remedy
    name: str
    groups: dict[str, str | None]
    inside: bool = False
    """It is a call that a library made, not the blamed code."""


def advise(blocker: Blocker, stacks: Mapping[int, Stack]) -> Advice:
    """What to do about ``blocker``, by the frames of its main case and its median time."""
    if blocker.standoff:
        return Advice(standoff.FIX, standoff.WHY)
    stack = stacks.get(blocker.example)
    if standoff.is_kept(blocker, stack):
        return Advice(standoff.kept_fix(blocker), standoff.KEPT_WHY)
    typical_ns = 0 if lasting.all_last(blocker) else blocker.p50_ns
    found = advise_stack(blocker.cause, stack, typical_ns)
    return _unlocked(found) if blocker.holds else found


def advise_case(blocker: Blocker, case: Case, stacks: Mapping[int, Stack]) -> Advice:
    """What to do about one of the things that ``blocker`` was held up by."""
    found = advise_stack(case.cause, stacks.get(case.stack))
    return _unlocked(found) if blocker.holds else found


def _unlocked(advice: Advice) -> Advice:
    """Nothing is awaited with a lock held that other polls wait for."""
    if ".await" not in advice.code:
        return advice
    return Advice(f"{_LET_GO}, then {advice.text}", _HELD_WHY)


def advise_stack(cause: Cause, stack: Stack | None, typical_ns: int = 0) -> Advice:
    """What to do about polls with this cause and stack; ``typical_ns`` = how long one takes, 0 =
    not known.
    """
    frames = stack.frames if stack else None
    found = match(cause, frames) if frames else None
    if not frames or not found or not found.remedy.fix:
        return NO_ADVICE
    remedy = found.remedy
    called = _called(found)
    words = {name: text or "" for name, text in found.groups.items()}
    words |= {"what": called or _crate(found, frames) or _UNKNOWN_CALL}
    words["work"] = f"{called}(..)" if called else _own_call(found, frames)
    fix = remedy.fix.format_map(words)
    if remedy.moves and 0 < typical_ns < _WORTH_MOVING_NS:
        fix = f"often not worth moving ({figures.long_duration(typical_ns)}); if frequent: {fix}"
    return Advice(fix, remedy.why, remedy.code.format_map(words))


def match(cause: Cause, frames: Sequence[Frame]) -> Match | None:
    """The remedy for the outermost call that has one; None = there is none."""
    for call in _calls(frames):
        found = _matching(cause, call.name, call.inside)
        if found is not None:
            return found
    return None


@lru_cache(maxsize=8192)
def _matching(cause: Cause, name: str, inside: bool) -> Match | None:
    for remedy in ADVICE:
        if cause in remedy.causes and not (inside and remedy.direct):
            found = remedy.pattern.search(name)
            if found:
                return Match(remedy, name, found.groupdict(), inside)
    return None


# --------------------------------------------------------------------------- the calls


class _Call(NamedTuple):
    name: str
    inside: bool = False
    """Of a library's call, or of a closure for each element, not the blamed code's own."""


_C_ALIAS = re.compile(r"^_+(?:GI_+)?(?:libc_|int_)?(?!rust|Py)")
"""Under how many names glibc has a function: ``__GI___libc_free``, ``_int_free``."""
_WIDE = re.compile(r"^(\w+?)64$")


def _calls(frames: Sequence[Frame]) -> list[_Call]:
    """The calls that matter, outermost first, and the closing; of inferred frames only std's is
    one."""
    at = culpable(frames)
    if at < 0:
        return []
    blamed = frames[at]
    host = runs_task(blamed) or runs_handler(blamed)
    inside = not is_users(frames, at)
    calls: list[_Call] = []
    # Without debug info a library's function can look like the user's own.
    foreign = blamed.origin is not Origin.USER or not blamed.file
    if blamed.function and foreign and not (blamed.inferred or host):
        calls.append(_Call(blamed.function, inside and is_framework(blamed)))
    in_task = any(map(polls_task, frames[at:]))
    for inner in range(at - 1, -1, -1):
        frame = frames[inner]
        if frame.origin is Origin.KERNEL:
            break
        name = _inferred_call(frames, inner) if frame.inferred else frame.function
        if name and (in_task or not _BLOCKS_ON.search(name)):
            calls.append(_Call(_plain(name), inside))
        if is_sealed(frame):
            return calls
        inside = inside or frame.origin is Origin.DEPENDENCY or bool(_EACH.search(frame.function))
    return [*calls, _Call(_closing(frames, at))]


def _inferred_call(frames: Sequence[Frame], at: int) -> str:
    """What an inferred frame can be held for; empty = nothing.

    A crate matters only if it has a row of its own: those of small helpers, which are inlined
    everywhere, have none.
    """
    if _runs_its_crate(frames, at):
        return f"{_crate_name(frames[at])}::"
    return call_in(frames[at], frames[:at])


def _runs_its_crate(frames: Sequence[Frame], at: int) -> bool:
    """Does an inferred frame run code of its crate, a dependency, for sure?

    One place may be that of a helper which is inlined into whoever calls it; two functions of the
    crate, one called by the other, are its own.
    """
    frame = frames[at]
    if frame.origin is not Origin.DEPENDENCY:
        return False
    beside = (*frames[max(at - 1, 0) : at], *frames[at + 1 : at + 2])
    return any(one.crate == frame.crate and one.function != frame.function for one in beside)


def _crate_name(frame: Frame) -> str:
    return frame.crate.partition(" ")[0]


_EACH = re.compile(
    r"^<?(?:core::iter::|alloc::vec::.*(?:from_iter|spec_extend)|.* as core::iter::)"
)
"""Of std: what a closure, inlined into it, does for each element is not done once."""
_BLOCKS_ON = re.compile(r"^<?tokio::runtime::.*(?:block_on|enter_runtime)")
"""Right on a thread that is no worker: then what it polls is to blame."""


def _plain(name: str) -> str:
    if "::" in name:
        return name
    return _WIDE.sub(r"\1", _C_ALIAS.sub("", name))


def _closing(frames: Sequence[Frame], at: int) -> str:
    blamed = frames[at]
    if not blamed.function:
        outside = not blamed.module or ".so" in blamed.module or blamed.module.startswith("[")
        return OPAQUE if outside else NAMELESS
    if any(_SELECTS.search(frame.function) for frame in frames[: at + 1]):
        return SELECT
    host = runs_task(blamed) or runs_handler(blamed)
    if blamed.origin not in (Origin.USER, Origin.DEPENDENCY) and not host:
        return OPAQUE
    crossed = _first_foreign(frames, at)
    if crossed < 0 and runs_task(blamed):
        return OPAQUE
    if crossed < 0 or (frames[crossed].inferred and crossed != at):
        polled = crossed >= 0 and any(map(_is_socket_call, frames[:at]))
        return ASYNC if polled else OWN
    return _closing_of_library(frames, crossed)


def _closing_of_library(frames: Sequence[Frame], at: int) -> str:
    """``at``: the frame in which the stack enters it."""
    entered = frames[at]
    name = f"{_crate_name(entered)}::" if entered.inferred else entered.function
    if is_framework(entered) or ASYNC_LIBRARIES.search(name):
        return ASYNC
    if entered.inferred and any(one.origin is Origin.RUNTIME for one in frames[:at]):
        return ASYNC
    return AWAITED if _POLLS.search(name) else LIBRARY


_POLLS = re.compile(r"::(?:poll(?:_\w+)?|\{async[\w ]*\})$")


_SOCKET_CALL = re.compile(r"^(?:send|recv)(?:to|from|m?msg)?$")


def _is_socket_call(frame: Frame) -> bool:
    return frame.origin is Origin.C and bool(_SOCKET_CALL.search(_plain(frame.function)))


_SELECTS = re.compile(
    r"^tokio::macros::support::(?:thread_rng_n|poll_budget)|context::thread_rng_n"
)
"""What every turn of a fair ``select!`` asks for."""


def _first_foreign(frames: Sequence[Frame], at: int) -> int:
    """Index of the outermost frame of a library or the runtime, from the blamed one on, -1 = there
    is none; the user's own code, and what it was inlined into, is none."""
    foreign = (Origin.DEPENDENCY, Origin.RUNTIME)
    end = at if runs_task(frames[at]) or is_users(frames, at) else at + 1
    return next((inner for inner in range(end - 1, -1, -1) if frames[inner].origin in foreign), -1)


# --------------------------------------------------------------------------- the words

_OWN_FUNCTION = re.compile(r"^(?:[a-z_]\w*::)*([a-z]\w{0,40})$")


def _called(found: Match) -> str:
    """The matched call as people write it; empty = it has no name that people know."""
    for pattern, name in PUBLIC:
        if pattern.search(found.name):
            public = pattern.sub(name, found.name)
            return public if len(public) <= _LONGEST_CALL else ""
    return ""


def _crate(found: Match, frames: Sequence[Frame]) -> str:
    """The crate to name; empty = none that is sure. What moves is what the blamed code calls, not
    what a library calls inside."""
    crate = found.groups.get("crate") or ""
    if found.name.startswith("(") or (found.inside and found.remedy.moves):
        crate = _entered(frames) or crate
    return crate if len(crate) <= _LONGEST_CALL and crate.replace("::", "").isidentifier() else ""


def _entered(frames: Sequence[Frame]) -> str:
    """The crate that the blamed code called into; empty = not sure, or none that can be moved."""
    at = _first_foreign(frames, culpable(frames))
    if at < 0 or frames[at].inferred or _closing_of_library(frames, at) == ASYNC:
        return ""
    return _crate_name(frames[at])


def _own_call(found: Match, frames: Sequence[Frame]) -> str:
    """The blamed function as a call, if it is the user's and can be moved as a whole."""
    blamed = frames[culpable(frames)]
    plain = _OWN_FUNCTION.match(blamed.function)
    own = blamed.origin is Origin.USER and not blamed.inferred and blamed.function != found.name
    if not plain or not own or plain[1] == "main":
        return "{ .. }"
    return f"{plain[1]}(..)"
