"""Symbolizes the target's stacks: asks the resolver for their frames, and caches the answers.

What is looked up for a frame is one number: twice its address, plus one for the innermost frame. Of
a caller the byte before the return address is looked up: the call itself.

Between two frames tail calls may have removed others (hud.profiler.naming.tail_frames): they are
asked for with the names. Most new stacks differ from known ones in the innermost frame only, so
that the frames of all callers together are cached too, while they are in use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from itertools import pairwise
from operator import attrgetter
from sys import intern
from time import monotonic
from typing import Any, NamedTuple

from hud.model import Batch, Frame, Mapping, Stack
from hud.probe.probe import RawStack
from hud.profiler.naming.cache import Cache
from hud.profiler.naming.cached_names import CachedNames
from hud.profiler.naming.debuginfo import DebugInfo
from hud.profiler.naming.modules import Module, Modules, Open
from hud.profiler.naming.tail_frames import CallEdge, TailFrames
from hud.profiler.notes import Notes
from hud.resolver.client import Resolver
from hud.resolver.messages import AskFrames, Failed, Frames

MOST_CALLERS = 20_000
CALLERS_S = 60.0
"""How long those that are not used stay cached at least, twice that at most."""
MOST_NAMED = 50_000
"""Lookups whose frames are cached; beyond it the cache starts anew."""
MOST_UNMAPPED = 1000
MOST_IN_QUESTION = 64
MOST_TRIES = 16
"""How often frames are asked for again while more of their debug information is found."""

_rest = attrgetter(*(field.name for field in fields(Frame)[1:]))
"""What a frame has besides its address."""


class PendingFrames(NamedTuple):
    """Frames that the resolver was asked for."""

    module: Module
    lookups: list[int]
    offsets: list[int]
    """In the file, one for each lookup."""
    tries: int = 0
    """How often they were asked for before."""


class Addresses:
    """Names stacks, in step with the target's mappings and with the debug files that are found."""

    def __init__(
        self,
        resolver: Resolver,
        open_mapping: Open,
        read_mappings: Callable[[], list[Mapping]],
        cache: Cache | None = None,
        debug: DebugInfo | None = None,
        notes: Notes | None = None,
    ) -> None:
        """``notes`` gets what cannot be seen."""
        self._resolver = resolver
        self._debug = debug
        self._notes = notes = notes or Notes()
        cache = cache or Cache(None)
        self.modules = Modules(
            resolver, open_mapping, read_mappings, cache=cache, debug=debug, notes=notes
        )
        self._tail_frames = TailFrames(resolver, self.modules, cache, _placed, notes)
        self._frames: dict[int, tuple[Frame, ...]] = {}
        self._frames_before: dict[int, tuple[Frame, ...]] = {}
        """Those that were forgotten: most are named as before, and stay the same objects."""
        self._calls: dict[tuple[int, int], tuple[Frame, ...]] = {}
        """What is known to be between two callers, by their lookups."""
        self._callers: dict[tuple[int, ...], tuple[Frame, ...]] = {}
        self._older_callers: dict[tuple[int, ...], tuple[Frame, ...]] = {}
        self._callers_begun = monotonic()
        self._asked: set[int] = set()
        self._wanted: dict[int | CallEdge, None] = {}
        self._cached = CachedNames(cache, self.modules.debug_files)
        self._waiting: dict[int, tuple[RawStack, set[int | CallEdge]]] = {}
        self._unmapped: dict[int, RawStack] = {}
        """Stacks with an address outside every mapping: a library that was loaded since."""
        self.unnamed = 0
        """Stacks given up because the resolver died or refused."""

    @property
    def pending_stacks(self) -> int:
        """Stacks whose names have not come yet."""
        return len(self._waiting)

    def keep_names(self) -> None:
        """Store the names that were looked up in the cache."""
        self._cached.store()
        self._tail_frames.keep()

    def refresh(self) -> None:
        """Read the mappings again; new modules are handed to the resolver."""
        if monotonic() - self._callers_begun > CALLERS_S:
            self._begin_callers()
        changed, gone = self.modules.refresh()
        if not changed:
            return
        unmapped, self._unmapped = self._unmapped, {}
        if gone or unmapped:
            # another module may be at the same addresses now, or one where none was
            self._forget_names(unmapped)

    def clear(self) -> None:
        """The target runs another image: forget everything."""
        self.keep_names()
        self._cached.forget()
        self._tail_frames.forget_cached()
        self.modules.clear()
        self._waiting.clear()
        self._wanted.clear()
        self._unmapped.clear()
        self._forget_names({})
        if self._debug is not None:
            self._debug.clear()

    # ------------------------------------------------------------------- ask

    def want(self, key: int, raw: RawStack, *, ask: bool = True) -> Stack:
        """The stack as far as it is known now; its names come through ``fill``.

        ``ask`` False leaves the question to the next ``ask_wanted``: one for many stacks.
        """
        if (
            raw.stop
            and len(self._unmapped) < MOST_UNMAPPED
            and not self.modules.knows(raw.addresses)
        ):
            self._unmapped[key] = raw
        outer = self._known_callers(raw.addresses[1:])
        lookups = lookups_of(raw.addresses if outer is None else raw.addresses[:2])
        missing: list[int | CallEdge] = [lookup for lookup in lookups if lookup not in self._frames]
        missing += [
            edge_of(pair)
            for pair in pairwise(lookups)
            if pair not in self._calls and self._between(pair) is None
        ]
        if not missing:
            return self._stack(raw)
        self._waiting[key] = raw, set(missing)
        self._wanted.update(dict.fromkeys(missing))
        if ask:
            self.ask_wanted()
        return Stack(raw.addresses, not raw.stop, raw.stop)

    def ask_wanted(self) -> None:
        """Ask the resolver for everything that was wanted and not asked for yet.

        In the order in which it was wanted, and in questions of a bounded size: the first stacks
        have names while the resolver still reads debug information for the others.
        """
        parts, self._wanted = list(self._wanted), {}
        wanted = [one for one in parts if not isinstance(one, CallEdge) and one not in self._asked]
        for at in range(0, len(wanted), MOST_IN_QUESTION):
            self._ask(wanted[at : at + MOST_IN_QUESTION])
        self._tail_frames.ask(one for one in parts if isinstance(one, CallEdge))

    def _ask(self, lookups: list[int]) -> None:
        questions: dict[int, PendingFrames] = {}
        for lookup in sorted(lookups):
            address = _looked_up(lookup)
            mapping, module = self.modules.find(address)
            if mapping is None:
                self._name(lookup, (Frame(0),))
                continue
            offset = address - mapping.start + mapping.offset
            if module is None:
                self._name(lookup, (Frame(0, module=mapping.path, offset=offset),))
                continue
            known = self._cached.find(module.number, module.key, module.path, offset)
            if known is not None:
                self._name(lookup, known)
                continue
            question = questions.setdefault(module.number, PendingFrames(module, [], []))
            question.lookups.append(lookup)
            question.offsets.append(offset)
        for question in questions.values():
            self._put(question)
            self._asked.update(question.lookups)

    def _put(self, question: PendingFrames) -> None:
        asked = AskFrames(question.module.number, question.offsets)
        self._resolver.ask(asked, partial(self._take_frames, question), owner=self)

    def _name(self, lookup: int, frames: tuple[Frame, ...]) -> None:
        made = tuple(_placed(lookup >> 1, one) for one in frames)
        before = self._frames_before.get(lookup)
        self._frames[lookup] = before if before is not None and before == made else made

    def _forget_names(self, again: dict[int, RawStack]) -> None:
        """Start anew; the stacks that wait, and those given, are asked for again."""
        again = again | {key: raw for key, (raw, _) in self._waiting.items()}
        self._frames_before |= self._frames
        self._frames.clear()
        self._calls.clear()
        self._tail_frames.forget()
        self._begin_callers()
        self._older_callers.clear()
        self._asked.clear()
        self._resolver.drop(self)
        self._waiting.clear()
        self._wanted.clear()
        for key, raw in again.items():
            self.want(key, raw)

    # ------------------------------------------------------------------- answers

    def fill(self, batch: Batch) -> bool:
        """Put the stacks that have their names now into a batch.

        True: debug information came late, stacks that were named before may be named better now.
        """
        if self._debug is not None:
            self._debug.poll()
        self.modules.show_new()
        better = self._begin_again()
        batch.stacks.update(self._finished())
        if len(self._frames) + len(self._tail_frames) + len(self._calls) >= MOST_NAMED:
            self._forget_names({})
            self._frames_before.clear()
        return better

    def _begin_again(self) -> bool:
        """With better debug information, if there is any."""
        if self._debug is None or not self._debug.better:
            return False
        self._debug.better = False
        if not self._frames and not self._resolver.pending(self):
            return False
        self._cached.forget()
        self._tail_frames.forget_cached()
        self._forget_names({})
        return True

    def _take_frames(self, question: PendingFrames, answer: Frames | Failed) -> None:
        """They are asked for again where the resolver has more of the debug information now."""
        module, lookups, offsets, tries = question
        if isinstance(answer, Failed):
            self._notes.add(f"{module.path}: {answer.message}")
            self.unnamed += 1
            answer = Frames([])
        elif (
            answer.objects
            and tries < MOST_TRIES
            and self._debug is not None
            and self._debug.fetch_objects(module.number, answer.objects, tries)
        ):
            self._put(question._replace(tries=tries + 1))
            return
        self._name_nothing(module, lookups, offsets)
        for lookup, frames in zip(lookups, answer.frames, strict=False):
            self._name(lookup, frames)
        if not answer.objects:
            self._cached.add(module.number, offsets, answer.frames)
        self._asked.difference_update(lookups)

    def _name_nothing(self, module: Module, lookups: list[int], offsets: list[int]) -> None:
        for lookup, offset in zip(lookups, offsets, strict=True):
            self._name(lookup, (Frame(0, module=module.path, offset=offset),))

    def _finished(self) -> dict[int, Stack]:
        done = {}
        for key, (raw, missing) in list(self._waiting.items()):
            missing.difference_update([part for part in missing if self._is_known(part)])
            if not missing:
                del self._waiting[key]
                done[key] = self._stack(raw)
        return done

    def _is_known(self, part: int | CallEdge) -> bool:
        if isinstance(part, CallEdge):
            return self._tail_frames.at(part) is not None
        return part in self._frames

    def _stack(self, raw: RawStack) -> Stack:
        callers = raw.addresses[1:]
        outer = self._known_callers(callers)
        if outer is None:
            outer = self._joined(lookups_of(raw.addresses)[1:])
            if len(self._callers) >= MOST_CALLERS:
                self._begin_callers()
            self._callers[callers] = outer
        inner = self._joined(lookups_of(raw.addresses[:2]), without=1 if callers else 0)
        return Stack(raw.addresses, not raw.stop, raw.stop, inner + outer)

    def _joined(self, lookups: list[int], without: int = 0) -> tuple[Frame, ...]:
        """The frames of adjacent lookups, and those that tail calls removed between them; those of
        the last lookups ``without``."""
        frames: list[Frame] = []
        for at, lookup in enumerate(lookups):
            if at:
                frames += self._between((lookups[at - 1], lookup)) or ()
            if at < len(lookups) - without:
                frames += self._frames.get(lookup) or (Frame(lookup >> 1),)
        return tuple(frames)

    def _between(self, pair: tuple[int, int]) -> tuple[Frame, ...] | None:
        """Of two adjacent lookups; None = not known yet."""
        known = self._calls.get(pair)
        if known is None:
            known = self._tail_frames.at(edge_of(pair))
            if known is not None and not pair[0] & 1:  # innermost frames are too many
                self._calls[pair] = known
        return known

    def _known_callers(self, callers: tuple[int, ...]) -> tuple[Frame, ...] | None:
        outer = self._callers.get(callers)
        if outer is None and callers in self._older_callers:
            outer = self._callers[callers] = self._older_callers.pop(callers)
        return outer

    def _begin_callers(self) -> None:
        self._older_callers, self._callers = self._callers, {}
        self._callers_begun = monotonic()


def lookups_of(addresses: Sequence[int]) -> list[int]:
    """The lookups of a stack, innermost first."""
    return [address << 1 | (not index) for index, address in enumerate(addresses)]


def edge_of(pair: tuple[int, int]) -> CallEdge:
    """The call between two adjacent lookups, the inner one first."""
    inner, outer = pair
    return CallEdge(outer >> 1, _looked_up(inner))


def _placed(address: int, frame: Frame) -> Frame:
    return Frame(address, *map(_shared, _rest(frame)))


def _shared(value: Any) -> Any:
    """The same text once for all lookups: a function has many."""
    return intern(value) if type(value) is str else value  # not an ``Origin``


def _looked_up(lookup: int) -> int:
    return (lookup >> 1) - (not lookup & 1)
