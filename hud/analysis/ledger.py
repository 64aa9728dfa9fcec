"""Keep the books: every episode that is held, and the tallies they add up to.

Terms: a *number* names an episode for as long as the run lasts; numbers stay valid when older
episodes are forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.blame import Blame, Blames
from hud.analysis.tally import Durations, Tally
from hud.model import Cause

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.model import Episode

Key = tuple[str, str, Cause]
"""Function, file and cause: what makes two episodes the same blocker. One function that sleeps here
and resolves a name there has two problems, with two remedies."""

_MANY_MOVES = 2_000


class Ledger:
    """Every episode that is held, and the tallies that they add up to."""

    def __init__(self, blames: Blames, run_start_ns: int) -> None:
        self._blames = blames
        self._run_start_ns = run_start_ns
        self._episodes: list[Episode] = []
        self._first = 0
        """Number of the first in the list; numbers stay valid when older ones go."""
        self._by_stack: dict[int, list[int]] = {}
        self.tallies: dict[Key, Tally] = {}
        self.touched: set[Key] = set()
        """Tallies that changed, came or went; whoever ranks them clears it."""
        self.by_tid: dict[int, Durations] = {}
        self.blocking = Durations()
        self.stopped = 0
        """Episodes in which the thread was stopped; together for ``stopped_ns``."""
        self.stopped_ns = 0
        self.before: list[Episode] = []
        """Those that began before the attach: one of each thread at the most."""
        self.forgotten = 0
        """Episodes and waits dropped because of the bound."""
        self._begin = 0

    def all(self) -> Sequence[Episode]:
        return self._episodes[self._begin - self._first :]

    def latest(self, count: int) -> Sequence[Episode]:
        """The last ``count`` of them, in the order of their ends."""
        return self._episodes[max(self._begin - self._first, len(self._episodes) - count) :]

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
        if old.stack != episode.stack:
            self._by_stack[old.stack].remove(at)
            self._by_stack.setdefault(episode.stack, []).append(at)
        self.count(episode)

    def rename(self, keys: Sequence[int]) -> None:
        """Names of these stacks have arrived: move their episodes to the right tallies."""
        moves: list[tuple[int, Blame]] = []
        for key in keys:
            before = self._blames.forget(key)
            if before != self._blames.of(key):
                numbers = self._by_stack.get(key, ())
                moves += [(at, before) for at in numbers if at >= self._begin]
        if len(moves) > _MANY_MOVES:
            self._rebuild()
            return
        for at, before in moves:
            episode = self._episodes[at - self._first]
            if episode.cause.blames_code:
                self._tally_out(episode, before)
                self._tally_in(episode, self.blame_of(episode))

    def _rebuild(self) -> None:
        """Add everything up anew: cheaper than many single moves."""
        self.touched |= self.tallies.keys()
        self.tallies.clear()
        for episode in sorted(self.all(), key=lambda one: one.charged_ns):
            if episode.cause.blames_code:
                self._tally_in(episode, self.blame_of(episode))

    def forget_before(self, time_ns: int) -> None:
        while self._begin - self._first < len(self._episodes):
            oldest = self._episodes[self._begin - self._first]
            if oldest.start_ns + oldest.duration_ns >= time_ns:
                break
            self._forget()

    def bound(self, limit: int) -> None:
        while len(self._episodes) - (self._begin - self._first) > limit:
            self._forget()
            self.forgotten += 1

    def blame_of(self, episode: Episode) -> Blame:
        return self._blames.of(episode.stack)

    def count(self, episode: Episode) -> None:
        self._count_stopped(episode, 1)
        if not episode.cause.blames_code:
            return
        start = episode.start_ns - self._run_start_ns
        self._tally_in(episode, self.blame_of(episode))
        self.blocking.add(start, episode.charged_ns)
        self.by_tid.setdefault(episode.tid, Durations()).add(start, episode.charged_ns)

    def uncount(self, episode: Episode) -> None:
        self._count_stopped(episode, -1)
        if not episode.cause.blames_code:
            return
        start = episode.start_ns - self._run_start_ns
        self._tally_out(episode, self.blame_of(episode))
        self.blocking.remove(start, episode.charged_ns)
        self.by_tid[episode.tid].remove(start, episode.charged_ns)

    def _count_stopped(self, episode: Episode, sign: int) -> None:
        if episode.stopped_ns:
            self.stopped += sign
            self.stopped_ns += sign * episode.stopped_ns

    def _tally_in(self, episode: Episode, at: Blame) -> None:
        key = (at.function, at.file, episode.cause)
        self.touched.add(key)
        tally = self.tallies.get(key)
        if tally is None:
            tally = self.tallies[key] = Tally()
        tally.add(episode, at, self._run_start_ns)

    def _tally_out(self, episode: Episode, at: Blame) -> None:
        key = (at.function, at.file, episode.cause)
        self.touched.add(key)
        tally = self.tallies[key]
        tally.remove(episode, at, self._run_start_ns)
        if not tally.durations.values:
            del self.tallies[key]

    def _forget(self) -> None:
        oldest = self._episodes[self._begin - self._first]
        self.uncount(oldest)
        if oldest.began_before:
            del self.before[0]
        numbers = self._by_stack[oldest.stack]
        numbers.remove(self._begin)
        if not numbers:
            del self._by_stack[oldest.stack]
        self._begin += 1
        if self._begin - self._first > max(1024, len(self._episodes) // 2):
            del self._episodes[: self._begin - self._first]
            self._first = self._begin
