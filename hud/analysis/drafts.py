"""Episodes whose stack and cause are still open, because names arrive later than samples.

Terms: a *draft* is such an episode; a *candidate* is a stack that may explain it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from sys import intern
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.blame import NOT_RESOLVED, Blames
from hud.analysis.causes import Finding, cause_of, holds_lock
from hud.analysis.doubts import one_turn
from hud.model import Cause, Episode, Holder, SampleFlag

if TYPE_CHECKING:
    from hud.model import Stack

_WAITING = Finding(Cause.WAITING, "ready to run, without a CPU")
_STOPPED = Finding(Cause.STOPPED, "stopped by a signal or a tracer")


class Candidate(NamedTuple):
    """A stack and how much of the episode it explains."""

    stack: int
    weight_ns: int
    syscall: int
    file_type: int = 0
    """Of the descriptor that the call was about (``stat.S_IFMT``); 0 = none or unknown."""
    detail: str = ""
    """The file or peer."""


class Draft(NamedTuple):
    """An episode without its stack and cause, and the stacks to choose from, heaviest first."""

    episode: Episode
    candidates: tuple[Candidate, ...]
    stopped_ns: int = 0
    """Time for which a signal or a tracer had stopped the thread; asleep as well."""
    wakers: Mapping[int, Holder] = {}
    """By the stack of the wait: who ended it."""
    seen: tuple[int, ...] = ()
    """All stacks of an episode that may be two polls of one turn."""


def settle(draft: Draft, blames: Blames, machine: str, threshold_ns: int) -> Episode:
    """Choose the stack that explains most of the draft, and with it the cause.

    Stacks that blame the same function count together, as far as names are known.
    """
    episode = draft.episode
    chosen = _choose(draft.candidates, blames)
    stack = blames.stacks.get(chosen.stack)
    frames = stack.frames if stack else None
    doubts = episode.doubts
    if doubts == SampleFlag.AWAITED and one_turn(draft.seen, blames.stacks):
        doubts = 0
    outside = episode.waiting_ns + draft.stopped_ns
    if outside and episode.duration_ns - outside < threshold_ns:
        found = _STOPPED if draft.stopped_ns > episode.waiting_ns else _WAITING
    else:
        asleep = episode.asleep_ns - draft.stopped_ns
        found = cause_of(
            episode.on_cpu_ns, asleep, chosen.syscall, frames, machine, chosen.file_type
        )
    holder = draft.wakers.get(chosen.stack) if found.cause is Cause.LOCK else None
    return replace(
        episode,
        stack=chosen.stack,
        cause=found.cause,
        syscall=chosen.syscall,
        holder=holder and holder._replace(held=holds_lock(frames)),
        detail=chosen.detail,
        evidence=intern(found.evidence),
        stopped_ns=draft.stopped_ns,
        doubts=doubts,
    )


def unresolved(draft: Draft, stacks: Mapping[int, Stack]) -> list[int]:
    """The candidate stacks whose names are not known yet."""
    candidates = (candidate.stack for candidate in draft.candidates)
    keys = dict.fromkeys(filter(None, (*candidates, *draft.seen)))
    return [key for key in keys if (stack := stacks.get(key)) is None or stack.frames is None]


def _choose(candidates: tuple[Candidate, ...], blames: Blames) -> Candidate:
    caught = [candidate for candidate in candidates if candidate.stack]
    if not caught:
        return candidates[0] if candidates else Candidate(0, 0, -1)
    if len(caught) == 1:
        return caught[0]
    weights: dict[str, int] = {}
    functions: list[str] = []
    for candidate in caught:
        at = blames.of(candidate.stack)
        function = f"#{candidate.stack}" if at is NOT_RESOLVED else at.function
        functions.append(function)
        weights[function] = weights.get(function, 0) + candidate.weight_ns
    heaviest = max(functions, key=lambda function: weights[function])
    return caught[functions.index(heaviest)]
