"""What tail calls removed from the target's stacks: asked of the resolver, pair by pair.

Terms: a *seam* is the place between two adjacent frames of a stack; a *site* is one of them, see
`hud.profiler.naming.addresses`.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import NamedTuple

from hud.model import Frame
from hud.profiler.naming.cache import Cache
from hud.profiler.naming.kept_seams import KeptSeams, Pair
from hud.profiler.naming.modules import Modules
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.messages import AskTails, Failed, Tails
from hud.symbols.facts import Between, Recovered

MOST_IN_QUESTION = 64


class Seam(NamedTuple):
    """Two frames by their addresses."""

    caller: int
    """The return address."""
    inner: int
    """What is looked up of the next inner frame: its pc, of a caller the byte before its return
    address."""


class Span(NamedTuple):
    """Inner frames' addresses that have the same between them and their caller."""

    start: int
    end: int
    frames: tuple[Frame, ...]
    """Innermost first."""


_start = attrgetter("start")


class Seams:
    """The frames that are missing at each seam; ``made`` gives a frame its address."""

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
        self._spans: dict[int, list[Span]] = {}
        """By the caller's return address, sorted."""
        self._count = 0
        self._asked: set[Seam] = set()
        self._kept = KeptSeams(cache, modules.state, modules.key)
        self._notes = notes

    def __len__(self) -> int:
        return self._count

    def at(self, seam: Seam) -> tuple[Frame, ...] | None:
        """The frames there, innermost first; None while that is not known."""
        spans = self._spans.get(seam.caller)
        if spans is None:
            return None
        place = bisect_right(spans, seam.inner, key=_start) - 1
        return spans[place].frames if place >= 0 and seam.inner < spans[place].end else None

    def ask(self, seams: Iterable[Seam]) -> None:
        """Ask for those that were not asked for yet."""
        rows: list[tuple[Seam, Pair]] = []
        for seam in seams:
            if seam in self._asked or self.at(seam) is not None:
                continue
            caller, inner = self._modules.locate(seam.caller - 1), self._modules.locate(seam.inner)
            if caller is None or inner is None:
                self._learn(seam, seam.inner, seam.inner + 1, ())
                continue
            pair = caller[0].number, caller[1], inner[0].number, inner[1]
            known = self._kept.find(pair, self._modules.numbers())
            if known is None:
                rows.append((seam, pair))
            else:
                self._take_between(seam, pair, known)
        for at in range(0, len(rows), MOST_IN_QUESTION):
            part = rows[at : at + MOST_IN_QUESTION]
            question = AskTails([pair for _, pair in part])
            self._resolver.ask(question, partial(self._take, part), owner=self)
            self._asked.update(seam for seam, _ in part)

    def _take(self, asked: list[tuple[Seam, Pair]], answer: Tails | Failed) -> None:
        if isinstance(answer, Tails):
            for (seam, pair), found in zip(asked, answer.between, strict=False):
                self._take_between(seam, pair, found)
                self._kept.add(pair, found)
        else:
            self._notes.add(f"frames that tail calls removed are not told: {answer.message}")
        for seam, _ in asked:
            self._asked.discard(seam)
            self._learn(seam, seam.inner, seam.inner + 1, ())  # unless it is known now

    def _take_between(self, seam: Seam, pair: Pair, found: Between) -> None:
        bias = seam.inner - pair[3]
        frames = self._placed(found.functions)
        self._learn(seam, bias + found.start, bias + found.end, frames)

    def _learn(self, seam: Seam, start: int, end: int, frames: tuple[Frame, ...]) -> None:
        if self.at(seam) is None:
            insort(self._spans.setdefault(seam.caller, []), Span(start, end, frames), key=_start)
            self._count += 1

    def _placed(self, found: Sequence[Recovered]) -> tuple[Frame, ...]:
        placed: list[Frame] = []
        for one in found:
            address = self._modules.address_of(one.module, one.offset)
            placed += [self._made(address, frame) for frame in one.frames]
        return tuple(placed)

    def keep(self) -> None:
        """Let the cache have what was found."""
        self._kept.store()

    def forget_kept(self) -> None:
        """Other debug information is in use: what earlier runs found does not hold."""
        self._kept.forget()

    def forget(self) -> None:
        """Other code may be at the same addresses; answers on their way do not count."""
        self._spans.clear()
        self._count = 0
        self._asked.clear()
        self._resolver.drop(self)
