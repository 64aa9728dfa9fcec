"""Frames that tail calls removed from the target's stacks: asked of the resolver, call by call."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from hud.model import Frame
from hud.profiler.naming.cache import Cache
from hud.profiler.naming.cached_tail_frames import CachedTailFrames, Pair
from hud.profiler.naming.modules import Modules
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.messages import AskTails, Failed, Tails
from hud.symbols.facts import Between, Recovered

MOST_IN_QUESTION = 64


class CallEdge(NamedTuple):
    """Two adjacent frames of a stack by their addresses: between them frames may be missing."""

    caller: int
    """The return address."""
    inner: int
    """What is looked up of the next inner frame: its pc, of a caller the byte before its return
    address."""


class SameCaller(NamedTuple):
    """Inner frames' addresses that have the same between them and their caller."""

    start: int
    end: int
    frames: tuple[Frame, ...]
    """Innermost first."""


_start = attrgetter("start")


class TailFrames:
    """The frames missing in each call; ``made`` gives a frame its address."""

    def __init__(
        self,
        resolver: Resolver,
        modules: Modules,
        cache: Cache,
        made: Callable[[int, Frame], Frame],
        notes: Notes,
    ) -> None:
        self._resolver = resolver
        self._modules = modules
        self._made = made
        self._spans: dict[int, list[SameCaller]] = {}
        """By the caller's return address, sorted."""
        self._count = 0
        self._asked: set[CallEdge] = set()
        self._cached = CachedTailFrames(cache, modules.state, modules.key)
        self._notes = notes

    def __len__(self) -> int:
        return self._count

    def at(self, edge: CallEdge) -> tuple[Frame, ...] | None:
        """The frames there, innermost first; None while that is not known."""
        spans = self._spans.get(edge.caller)
        if spans is None:
            return None
        index = bisect_right(spans, edge.inner, key=_start) - 1
        return spans[index].frames if index >= 0 and edge.inner < spans[index].end else None

    def ask(self, edges: Iterable[CallEdge]) -> None:
        """Ask for those that were not asked for yet."""
        rows: list[tuple[CallEdge, Pair]] = []
        for edge in edges:
            if edge in self._asked or self.at(edge) is not None:
                continue
            caller, inner = self._modules.locate(edge.caller - 1), self._modules.locate(edge.inner)
            if caller is None or inner is None:
                self._learn(edge, edge.inner, edge.inner + 1, ())
                continue
            pair = caller[0].number, caller[1], inner[0].number, inner[1]
            known = self._cached.find(pair, self._modules.numbers())
            if known is None:
                rows.append((edge, pair))
            else:
                self._take_between(edge, pair, known)
        for at in range(0, len(rows), MOST_IN_QUESTION):
            part = rows[at : at + MOST_IN_QUESTION]
            question = AskTails([pair for _, pair in part])
            self._resolver.ask(question, partial(self._take, part), owner=self)
            self._asked.update(edge for edge, _ in part)

    def _take(self, asked: list[tuple[CallEdge, Pair]], answer: Tails | Failed) -> None:
        if isinstance(answer, Tails):
            for (edge, pair), found in zip(asked, answer.between, strict=False):
                self._take_between(edge, pair, found)
                self._cached.add(pair, found)
        else:
            self._notes.add(f"frames removed by tail calls are missing: {answer.message}")
        for edge, _ in asked:
            self._asked.discard(edge)
            self._learn(edge, edge.inner, edge.inner + 1, ())  # unless it is known now

    def _take_between(self, edge: CallEdge, pair: Pair, found: Between) -> None:
        bias = edge.inner - pair[3]
        frames = self._placed(found.functions)
        self._learn(edge, bias + found.start, bias + found.end, frames)

    def _learn(self, edge: CallEdge, start: int, end: int, frames: tuple[Frame, ...]) -> None:
        if self.at(edge) is None:
            insort(
                self._spans.setdefault(edge.caller, []), SameCaller(start, end, frames), key=_start
            )
            self._count += 1

    def _placed(self, found: Sequence[Recovered]) -> tuple[Frame, ...]:
        placed: list[Frame] = []
        for one in found:
            address = self._modules.address_of(one.module, one.offset)
            placed += [self._made(address, frame) for frame in one.frames]
        return tuple(placed)

    def keep(self) -> None:
        """Store what was found in the cache."""
        self._cached.store()

    def forget_cached(self) -> None:
        """Other debug information is in use: what earlier runs found does not hold."""
        self._cached.forget()

    def forget(self) -> None:
        """Other code may be at the same addresses; answers on their way do not count."""
        self._spans.clear()
        self._count = 0
        self._asked.clear()
        self._resolver.drop(self)
