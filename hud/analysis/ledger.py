"""Keep the books: every episode that is held, and the tallies they add up to.

Episodes are numbered in the order of their ends; numbers stay valid when older episodes are
forgotten. An episode is *retired* when it counts, but is not held any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.blame import Blame, Blames
from hud.analysis.slices import Amounts, Slices
from hud.analysis.tally import Durations, Tally, Worked, added, bump
from hud.analysis.tasks import TaskTime
from hud.model import SampleFlag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence, Set

    from hud.analysis.blame import Key
    from hud.analysis.cause import Cause
    from hud.analysis.results import Episode

_MANY_MOVES = 2_000
_SLACK = 256
"""So many that are forgotten stay in memory until they go at once."""
_HISTORY, _GRAPH = 32, 240
"""At most so many slices have a blocker, and all of them together."""


class Ledger:
    """Every episode that is held, and the tallies that they add up to."""

    def __init__(
        self, blames: Blames, run_start_ns: int, vtable_of: Callable[[Episode], int]
    ) -> None:
        """``vtable_of``: the type of an episode's task, 0 = unknown."""
        self._blames = blames
        self._vtable_of = vtable_of
        self._run_start_ns = run_start_ns
        self._episodes: list[Episode] = []
        self._first = 0
        """Number of the first in the list; numbers stay valid when older ones go."""
        self._by_stack: dict[int, list[int]] = {}
        self.tallies: dict[Key, Tally] = {}
        self.touched: set[Key] = set()
        """Tallies that changed, came or went; whoever ranks them clears it."""
        self.by_tid: dict[int, Worked] = {}
        self.runtime_of: dict[int, str] = {}
        """By tid, of workers that are there still or that episodes are counted of; the owner
        keeps it."""
        self.retired_workers: dict[str, tuple[int, int]] = {}
        """By runtime: blocked time and episodes of dead workers that are in ``by_tid`` no more."""
        self.history = Slices(_HISTORY)
        self.graph = Slices(_GRAPH)
        self.blocking = Durations(self.history)
        self.by_cause: dict[Cause, Amounts] = {}
        """Blocked time of all threads, in the slices of ``graph``."""
        self.retired_tasks: dict[int, TaskTime] = {}
        """By vtable: what tasks did in the episodes that are retired."""
        self._held: dict[int, int] = {}
        """By the stack in which a worker let go of a lock, the episodes that had waited for it."""
        self._waited_for: dict[Key, int] | None = None
        """None = ``_held`` or a name of it has changed."""
        self.stopped = 0
        """Episodes in which the thread was stopped; together for ``stopped_ns``."""
        self.stopped_ns = 0
        self.tick_unknown = self.awaited = 0
        """Episodes that may be several polls, by why."""
        self._retired = 0
        self._forgotten = 0
        self._workers_retired = False
        self.before: list[Episode] = []
        """Those that began before the attach: one of each thread at the most."""
        self._begin = 0
        self._replaced = 0
        """How often one of them was."""
        self._latest: tuple[tuple[int, int, int], tuple[Episode, ...]] = (0, 0, 0), ()

    @property
    def not_held(self) -> int:
        """How many the bound has cost."""
        return self._retired + self._forgotten

    def all(self) -> Sequence[Episode]:
        return self._episodes[self._begin - self._first :]

    def latest(self, count: int) -> tuple[Episode, ...]:
        """The last ``count`` of them, in the order of their ends; the same object while they are
        the same.
        """
        begin, end = self._begin - self._first, len(self._episodes)
        key = self._first + max(begin, end - count), self._first + end, self._replaced
        if self._latest[0] != key:
            self._latest = key, tuple(self._episodes[max(begin, end - count) :])
        return self._latest[1]

    def since(self, at: int) -> tuple[int, Sequence[Episode]]:
        """The episodes from number ``at`` on that are held, and the number of the first."""
        first = max(at, self._begin)
        return first, self._episodes[first - self._first :]

    def holds(self, at: int) -> bool:
        """Is the episode with this number held?"""
        return self._begin <= at < self._first + len(self._episodes)

    def waited_for(self) -> dict[Key, int]:
        """How many episodes waited for a lock that this code had, by its key."""
        if self._waited_for is None:
            self._waited_for = self._letting_go()
        return self._waited_for

    def _letting_go(self) -> dict[Key, int]:
        held = self._held.items()
        own = ((stack, count) for stack, count in held if self._blames.lets_go(stack))
        known = ((self._blames.code(stack), count) for stack, count in own)
        return added((key, count) for key, count in known if key is not None)

    def stacks(self) -> set[int]:
        """Those that the episodes name."""
        found = set(self._by_stack)
        for tally in self.tallies.values():
            found.update(stack for stack, _ in tally.stacks)
            found.update(stack for stack, *_ in tally.holders)
        return found

    def fit(self, begin_ns: int, end_ns: int) -> bool:
        """The slices to a span of the run; True = ``recount`` must follow, they are finer now."""
        return any([self.history.fit(begin_ns, end_ns), self.graph.fit(begin_ns, end_ns)])

    def add(self, episode: Episode) -> int:
        at = self._first + len(self._episodes)
        self._episodes.append(episode)
        self._by_stack.setdefault(episode.stack, []).append(at)
        if episode.began_before:
            self.before.append(episode)
        self.count(episode)
        return at

    def replace(self, at: int, episode: Episode) -> None:
        """Another stack or cause turned out to be the right one."""
        if at < self._begin:
            return
        old = self._episodes[at - self._first]
        if old == episode:
            return
        self.uncount(old)
        self._episodes[at - self._first] = episode
        self._replaced += 1
        if old.stack != episode.stack:
            self._off(old.stack, at)
            self._by_stack.setdefault(episode.stack, []).append(at)
        self.count(episode)

    def rename(self, keys: Sequence[int]) -> None:
        """Names of these stacks have arrived: move their episodes to the right tallies."""
        moves: list[tuple[int, Blame]] = []
        for key in keys:
            before = self._blames.forget(key)
            self._touch(before, self._blames.of(key))
            numbers = self._by_stack.get(key)
            if numbers and before != self._blames.of(key):
                moves += [(at, before) for at in numbers if at >= self._begin]
        self._rename_holders(set(keys))
        if len(moves) > _MANY_MOVES and not self._retired:
            self._rebuild()
            return
        for at, before in moves:
            episode = self._episodes[at - self._first]
            if episode.cause.blames_code:
                self._tally_out(episode, before)
                self._tally_in(episode, self.blame_of(episode))

    def retype(self, vtables: Set[int]) -> None:
        """Names of these types of tasks have arrived."""
        for key, tally in self.tallies.items():
            if any(vtable in vtables for vtable, _ in tally.types):
                self.touched.add(key)

    def _rename_holders(self, stacks: Set[int]) -> None:
        self._waited_for = None
        for key, tally in self.tallies.items():
            if tally.holders and any(stack in stacks for stack, *_ in tally.holders):
                self.touched.add(key)

    def _touch(self, *blames: Blame | None) -> None:
        """What is named after a stack may be more than who is blamed for it."""
        keys = {at.key for at in blames if at is not None}
        self.touched |= keys & self.tallies.keys()

    def _rebuild(self) -> None:
        """Add everything up again: cheaper than many single moves."""
        self.touched |= self.tallies.keys()
        self.tallies.clear()
        for episode in sorted(self.all(), key=lambda one: one.charged_ns):
            if episode.cause.blames_code:
                self._tally_in(episode, self.blame_of(episode))

    def forget_before(self, time_ns: int) -> None:
        """Those that ended earlier count no more, nor do the retired ones."""
        if self._retired or self._workers_retired:
            self._forgotten += self._retired
            self.recount()
        while self._begin - self._first < len(self._episodes):
            oldest = self._episodes[self._begin - self._first]
            if oldest.start_ns + oldest.duration_ns >= time_ns:
                break
            self._forget()

    def bound(self, limit: int, *, retire: bool) -> None:
        """Hold the latest ones only; the others are retired, else forgotten."""
        while len(self._episodes) - (self._begin - self._first) > limit:
            if retire:
                self._retire(self._episodes[self._begin - self._first])
                self._drop()
                self._retired += 1
            else:
                self._forget()
                self._forgotten += 1

    def retire_workers(self, workers: Mapping[int, int]) -> None:
        """Count what dead workers did as that of no worker; ``workers``: tid -> id of the others.

        For a run without a window: what is counted now can only be counted from the start.
        """
        for tid in self.by_tid.keys() - workers.keys():
            lost = self.by_tid.pop(tid)
            runtime = self.runtime_of.get(tid, "")
            total_ns, number = self.retired_workers.get(runtime, (0, 0))
            self.retired_workers[runtime] = total_ns + lost.total_ns, number + lost.count
            self._workers_retired = True
        ids = set(workers.values())
        for key, tally in self.tallies.items():
            if tally.retire_workers(ids):
                self.touched.add(key)

    def blame_of(self, episode: Episode) -> Blame:
        return self._blames.of(episode.stack)

    def count(self, episode: Episode) -> None:
        self._count_stopped(episode, 1)
        if not episode.cause.blames_code:
            return
        self._count_doubts(episode, 1)
        self._tally_in(episode, self.blame_of(episode))
        self.blocking.add(episode, self._run_start_ns)
        self._draw(episode, 1)
        self._count_holder(episode, 1)
        mine = self.by_tid.get(episode.tid)
        if mine is None:
            mine = self.by_tid[episode.tid] = Worked(self.history)
        mine.add(episode, self._run_start_ns)

    def uncount(self, episode: Episode) -> None:
        self._count_stopped(episode, -1)
        if not episode.cause.blames_code:
            return
        self._count_doubts(episode, -1)
        self._tally_out(episode, self.blame_of(episode))
        self.blocking.remove(episode, self._run_start_ns)
        self._draw(episode, -1)
        self._count_holder(episode, -1)
        mine = self.by_tid.get(episode.tid)
        if mine is not None and mine.keeps(episode.charged_ns):
            mine.remove(episode, self._run_start_ns)
            if not mine.count:
                del self.by_tid[episode.tid]
        elif (runtime := self.runtime_of.get(episode.tid, "")) in self.retired_workers:
            total_ns, number = self.retired_workers[runtime]
            self.retired_workers[runtime] = (
                max(0, total_ns - episode.charged_ns),
                max(0, number - 1),
            )

    def _count_holder(self, episode: Episode, times: int) -> None:
        holder = episode.holder
        if holder is not None and holder.held and holder.role == "worker" and holder.stack:
            bump(self._held, holder.stack, times)
            self._waited_for = None

    def _draw(self, episode: Episode, times: int) -> None:
        amounts = self.by_cause.get(episode.cause)
        if amounts is None:
            amounts = self.by_cause[episode.cause] = Amounts(self.graph)
        start_ns = episode.start_ns - self._run_start_ns
        amounts.add(start_ns, episode.duration_ns, episode.charged_ns, times)

    def _off(self, stack: int, at: int) -> None:
        numbers = self._by_stack[stack]
        numbers.remove(at)
        if not numbers:
            del self._by_stack[stack]

    def _count_stopped(self, episode: Episode, sign: int) -> None:
        if episode.stopped_ns:
            self.stopped += sign
            self.stopped_ns += sign * episode.stopped_ns

    def _count_doubts(self, episode: Episode, sign: int) -> None:
        if episode.doubts & SampleFlag.TICK_UNKNOWN:
            self.tick_unknown += sign
        elif episode.doubts:
            self.awaited += sign

    def _tally_in(self, episode: Episode, at: Blame) -> None:
        key = at.key
        self.touched.add(key)
        tally = self.tallies.get(key)
        if tally is None:
            tally = self.tallies[key] = Tally(self.history)
        tally.add(episode, at, self._run_start_ns)

    def _tally_out(self, episode: Episode, at: Blame) -> None:
        key = at.key
        self.touched.add(key)
        tally = self.tallies[key]
        tally.remove(episode, at, self._run_start_ns)
        if not tally.durations.count:
            del self.tallies[key]

    def recount(self) -> None:
        """Those that are held and no others, each added again."""
        self._retired = 0
        self._workers_retired = False
        self.stopped = self.stopped_ns = self.tick_unknown = self.awaited = 0
        self.touched |= self.tallies.keys()
        self.tallies.clear()
        self.by_tid.clear()
        self.retired_workers.clear()
        self.retired_tasks.clear()
        self.by_cause.clear()
        self._held.clear()
        self._waited_for = None
        self.blocking = Durations(self.history)
        self.before = [episode for episode in self.all() if episode.began_before]
        for episode in sorted(self.all(), key=lambda one: one.charged_ns):
            self.count(episode)

    def _forget(self) -> None:
        oldest = self._episodes[self._begin - self._first]
        self.uncount(oldest)
        if oldest.began_before:
            del self.before[0]
        self._drop()

    def _retire(self, episode: Episode) -> None:
        if not episode.cause.blames_code:
            return
        self.blocking.retire(episode.charged_ns)
        self.tallies[self.blame_of(episode).key].retire(episode)
        mine = self.by_tid.get(episode.tid)
        if mine is not None and mine.keeps(episode.charged_ns):
            mine.retire(episode.charged_ns)
        vtable = self._vtable_of(episode)
        if vtable:
            known = self.retired_tasks.get(vtable, TaskTime())
            self.retired_tasks[vtable] = known.and_also(episode)

    def _drop(self) -> None:
        oldest = self._episodes[self._begin - self._first]
        self._off(oldest.stack, self._begin)
        self._begin += 1
        if self._begin - self._first > max(_SLACK, len(self._episodes) // 8):
            del self._episodes[: self._begin - self._first]
            self._first = self._begin
