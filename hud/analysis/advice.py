"""From a blocker to what its author can do about it, in one line.

Only what the evidence carries is said: the cause, and the calls that the blamed function made in
the stack with the largest part of it. Where these do not tell, there is no advice.

Terms: see `hud.analysis.remedy`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis import figures
from hud.analysis.blame import culpable
from hud.analysis.remedies_libraries import ASYNC_LIBRARIES, LIBRARIES, PUBLIC
from hud.analysis.remedies_std import REST
from hud.analysis.remedy import ASYNC, LIBRARY, NAMELESS, OPAQUE, OWN, Remedy
from hud.model import Blocker, Cause, Frame, Origin, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ADVICE: tuple[Remedy, ...] = (*LIBRARIES, *REST)
"""Every remedy; of those that match the outermost call that any matches, the first is given."""
LONGEST = 100
"""Characters of ``Advice.text``, at most."""
_WORTH_MOVING_NS = 1_000_000
_LONGEST_CALL = 26
_UNKNOWN_CALL = "it"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do; all empty where nothing sensible can be said."""

    text: str = ""
    """One line, the fix first, with the measured time: at most 100 characters."""
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


def advise(blocker: Blocker, stacks: Mapping[int, Stack]) -> Advice:
    """What to do about ``blocker``, by the frames of its main case and its median time."""
    return advise_stack(blocker.cause, stacks.get(blocker.example), blocker.p50_ns, blocker.count)


def advise_stack(cause: Cause, stack: Stack | None, typical_ns: int = 0, count: int = 0) -> Advice:
    """What to do about polls with this cause and stack.

    ``typical_ns`` = how long one takes, 0 = say nothing about it; ``count`` = how many there were.
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
    return Advice(
        _sentence(remedy.fix.format_map(words), remedy.moves, typical_ns, count),
        remedy.why,
        remedy.code.format_map(words),
    )


def match(cause: Cause, frames: Sequence[Frame]) -> Match | None:
    """The remedy for the outermost call that has one; None = there is none."""
    for name in _calls(frames):
        found = _matching(cause, name)
        if found is not None:
            return found
    return None


@lru_cache(maxsize=8192)
def _matching(cause: Cause, name: str) -> Match | None:
    for remedy in ADVICE:
        if cause in remedy.causes:
            found = remedy.pattern.search(name)
            if found:
                return Match(remedy, name, found.groupdict())
    return None


# --------------------------------------------------------------------------- the calls

_ALLOCATOR = re.compile(r"^(?:(?:m|c|re)alloc|c?free|m(?:un)?map|mremap|madvise|memalign)$")
_C_ALIAS = re.compile(r"^_+(?:GI_+)?(?:libc_|int_)?(?!rust)")
"""Under how many names glibc has a function: ``__GI___libc_free``, ``_int_free``."""


def _calls(frames: Sequence[Frame]) -> list[str]:
    """The calls that tell, outermost first, and the closing."""
    at = culpable(frames)
    if at < 0:
        return []
    blamed = frames[at]
    names: list[str] = []
    # Without debug info a library's function can look like the user's own.
    if blamed.function and (blamed.origin is not Origin.USER or not blamed.file):
        names.append(blamed.function)
    library = False
    for frame in reversed(frames[:at]):
        if frame.origin is Origin.KERNEL:
            break
        library = library or frame.origin is Origin.DEPENDENCY
        name = frame.function
        if "::" not in name:
            name = _C_ALIAS.sub("", name)
        # What a library allocates is the library's business.
        if name and not (library and _ALLOCATOR.search(name)):
            names.append(name)
    return [*names, _closing(frames, at)]


def _closing(frames: Sequence[Frame], at: int) -> str:
    blamed = frames[at]
    if not blamed.function:
        outside = not blamed.module or ".so" in blamed.module or blamed.module.startswith("[")
        return OPAQUE if outside else NAMELESS
    if blamed.origin not in (Origin.USER, Origin.DEPENDENCY):
        return OPAQUE
    crossed = _first_foreign(frames, at)
    if crossed is None:
        return OWN
    if crossed.origin is Origin.RUNTIME or ASYNC_LIBRARIES.search(crossed.function):
        return ASYNC
    return LIBRARY


def _first_foreign(frames: Sequence[Frame], at: int) -> Frame | None:
    """The outermost frame of a library or the runtime, from the blamed one on."""
    foreign = (Origin.DEPENDENCY, Origin.RUNTIME)
    return next((one for one in reversed(frames[: at + 1]) if one.origin in foreign), None)


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
    crate = found.groups.get("crate") or ""
    if not crate and found.name.startswith("("):
        foreign = _first_foreign(frames, culpable(frames))
        crate = foreign.crate.partition(" ")[0] if foreign else ""
    return crate if len(crate) <= _LONGEST_CALL and crate.replace("::", "").isidentifier() else ""


def _own_call(found: Match, frames: Sequence[Frame]) -> str:
    """The blamed function as a call, if it is the user's and can be moved as a whole."""
    blamed = frames[culpable(frames)]
    plain = _OWN_FUNCTION.match(blamed.function)
    own = blamed.origin is Origin.USER and not blamed.inferred and blamed.function != found.name
    if not plain or not own or plain[1] == "main":
        return "{ .. }"
    return f"{plain[1]}(..)"


def _sentence(fix: str, moves: bool, typical_ns: int, count: int) -> str:
    if typical_ns <= 0:
        return fix
    time = figures.long_duration(typical_ns)
    if moves and typical_ns < _WORTH_MOVING_NS:
        return f"often not worth moving ({time}); if frequent: {fix}"
    said = f"{fix} (costs a worker {time}"
    often = " each time" if count > 1 and len(said) + 11 <= LONGEST else ""
    return f"{said}{often})"
