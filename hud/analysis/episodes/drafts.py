"""Episodes whose stack and cause are still open, because names arrive later than samples.

A *draft* is such an episode; a *candidate* is a stack that may explain it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from sys import intern
from typing import TYPE_CHECKING, NamedTuple

from hud.analysis.blame import Blames
from hud.analysis.cause import Cause
from hud.analysis.episodes.doubts import one_turn
from hud.analysis.episodes.evidence import Finding, cause_of, holds_lock
from hud.analysis.results import Episode, Holder
from hud.model import SampleFlag

if TYPE_CHECKING:
    from hud.analysis.blame import Key
    from hud.model import Stack

_WAITING = Finding(Cause.WAITING, "ready to run, without a CPU")
MOST_SPOKEN_FOR = 10
"""How many times its own weight a stack may explain of what no stack was caught of."""
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
    others: tuple[Candidate, ...] = ()
    """What it slept in where it computed for longer, and the reverse: they explain the rest."""


def settle(
    draft: Draft,
    blames: Blames,
    machine: str,
    threshold_ns: int,
    *,
    vtable: int = 0,
    behind: float = -1.0,
) -> Episode:
    """Choose the stack that explains most of the draft, and with it the cause; the others are what
    is known of its task.

    Stacks that blame the same code count together, as far as names are known. What waited for
    a CPU until its own time fell below the threshold is pressure, and blames no code; but a call
    that it slept in for most of it is why it had to wait.
    """
    episode = draft.episode
    chosen = _choose(draft.candidates, blames)
    stack = blames.stacks.get(chosen.stack)
    frames = stack.frames if stack else None
    doubts = episode.doubts
    if doubts == SampleFlag.AWAITED and one_turn(draft.seen, blames.stacks):
        doubts = 0
    outside = episode.waiting_ns + draft.stopped_ns
    short = outside > 0 and episode.duration_ns - outside < max(1, threshold_ns)
    slept = episode.asleep_ns - draft.stopped_ns >= max(episode.on_cpu_ns, outside)
    if short and not slept:
        found = _STOPPED if draft.stopped_ns > episode.waiting_ns else _WAITING
    else:
        asleep = episode.asleep_ns - draft.stopped_ns
        found = cause_of(
            *(episode.on_cpu_ns, asleep, chosen.syscall, frames, machine),
            *(chosen.file_type, blames.at(chosen.stack)),
        )
    holder = draft.wakers.get(chosen.stack) if found.cause is Cause.LOCK else None
    return replace(
        episode,
        stack=chosen.stack,
        cause=found.cause,
        syscall=chosen.syscall,
        holder=holder and holder._replace(held=holds_lock(frames)),
        detail=chosen.detail,
        evidence=intern(found.evidence + _besides(draft, found.cause, blames, machine)),
        stopped_ns=draft.stopped_ns,
        pressed=short and slept,
        doubts=doubts,
        vtable=vtable,
        behind=behind,
    )


def _besides(draft: Draft, cause: Cause, blames: Blames, machine: str) -> str:
    """``; besides cpu 40 %, lock 20 %``: what else took its own time, from a tenth on."""
    own_ns = draft.episode.charged_ns - draft.stopped_ns
    if cause in (Cause.WAITING, Cause.STOPPED) or own_ns <= 0:
        return ""
    parts: Counter[str] = Counter()
    for one in (*draft.candidates, *draft.others):
        if one.weight_ns * 20 >= own_ns:
            parts[_cause_of(one, blames, machine).value] += one.weight_ns
    del parts[cause.value]
    shares = ((name, round(10 * ns / own_ns)) for name, ns in parts.most_common())
    told = [f"{name} {share}0 %" for name, share in shares if share]
    return f"; besides {', '.join(told)}" if told else ""


def _cause_of(one: Candidate, blames: Blames, machine: str) -> Cause:
    stack = blames.stacks.get(one.stack)
    on_cpu_ns, asleep_ns = (1, 0) if one.syscall < 0 else (0, 1)
    frames = stack.frames if stack else None
    at = blames.at(one.stack)
    return cause_of(on_cpu_ns, asleep_ns, one.syscall, frames, machine, one.file_type, at).cause


def unresolved(draft: Draft, stacks: Mapping[int, Stack]) -> list[int]:
    """The candidate stacks whose names are not known yet."""
    candidates = (candidate.stack for candidate in draft.candidates)
    keys = dict.fromkeys(filter(None, (*candidates, *draft.seen)))
    return [key for key in keys if (stack := stacks.get(key)) is None or stack.frames is None]


def _choose(candidates: tuple[Candidate, ...], blames: Blames) -> Candidate:
    caught = [candidate for candidate in candidates if candidate.stack]
    missed = [candidate for candidate in candidates if not candidate.stack]
    if not caught:
        return missed[0] if missed else Candidate(0, 0, -1)
    if sum(one.weight_ns for one in missed) > MOST_SPOKEN_FOR * sum(
        one.weight_ns for one in caught
    ):
        return missed[0]
    if len(caught) == 1:
        return caught[0]
    weights: dict[Key, int] = {}
    keys: list[Key] = []
    for candidate in caught:
        key = blames.code(candidate.stack) or ("", "", f"#{candidate.stack}")
        keys.append(key)
        weights[key] = weights.get(key, 0) + candidate.weight_ns
    heaviest = max(keys, key=lambda key: weights[key])
    return caught[keys.index(heaviest)]
