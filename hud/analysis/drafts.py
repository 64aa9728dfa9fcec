"""Episodes whose stack and cause are still open, because names arrive later than samples.

Terms: a *draft* is such an episode; a *candidate* is a stack that may explain it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.blame import NOT_RESOLVED, Blames
from hud.analysis.causes import cause_of
from hud.model import Cause, Episode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hud.model import Stack


class Candidate(NamedTuple):
    """A stack and how much of the episode it explains."""

    stack: int
    weight_ns: int
    syscall: int


class Draft(NamedTuple):
    """An episode without its stack and cause, and the stacks to choose from, heaviest first."""

    episode: Episode
    candidates: tuple[Candidate, ...]


def settle(draft: Draft, blames: Blames, machine: str, threshold_ns: int) -> Episode:
    """Choose the stack that explains most of the draft, and with it the cause.

    Stacks that blame the same function count together, as far as names are known.
    """
    episode = draft.episode
    chosen = _choose(draft.candidates, blames)
    if episode.waiting_ns and episode.duration_ns - episode.waiting_ns < threshold_ns:
        cause = Cause.WAITING
    else:
        stack = blames.stacks.get(chosen.stack)
        frames = stack.frames if stack else None
        cause = cause_of(
            episode.on_cpu_ns, episode.asleep_ns, chosen.syscall, frames, machine
        ).cause
    return replace(episode, stack=chosen.stack, cause=cause, syscall=chosen.syscall)


def unresolved(draft: Draft, stacks: Mapping[int, Stack]) -> list[int]:
    """The candidate stacks whose names are not known yet."""
    keys = dict.fromkeys(candidate.stack for candidate in draft.candidates)
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
