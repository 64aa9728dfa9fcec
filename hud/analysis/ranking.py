"""The blockers in order, kept from one snapshot to the next: what did not change is not made again.

A row is made of its tally, of the names in it, and of how many episodes waited for its lock; when
one of them changes it is made anew. Nothing in it changes with time alone.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis.namesakes import Namesakes
from hud.analysis.results import Blocker, Case, HolderUse
from hud.analysis.tally import added, heaviest, largest_first
from hud.model import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.analysis.blame import Blame, Blames, Key
    from hud.analysis.cause import Cause
    from hud.analysis.ledger import Ledger
    from hud.analysis.tally import Tally

    TypesOf = Callable[[Tally], tuple[tuple[str, int], ...]]

_MANY = 4
"""Where more than this part of the rows has changed (a quarter), all are sorted again."""
_FEW = 8


class Ranking:
    """The rows of a ledger's tallies, by (-total, key)."""

    def __init__(self, ledger: Ledger, blames: Blames, types: TypesOf) -> None:
        """``types``: the task types of a tally as far as they are known now."""
        self._ledger = ledger
        self._blames = blames
        self._types = types
        self._order: list[tuple[int, Key]] = []
        self._rows: list[Blocker] = []
        self._told: tuple[Blocker, ...] = ()
        self._totals: dict[Key, int] = {}
        """With what each key is in ``_order``."""
        self._waited_for: dict[Key, int] = {}
        self._namesakes = Namesakes()

    def rows(self) -> tuple[Blocker, ...]:
        """All blockers as of now; the same object while nothing about any of them changes."""
        touched = self._ledger.touched
        touched |= self._others_wait()
        if not touched:
            return self._told
        if _MANY * len(touched) > len(self._order):
            self._sort()
        else:
            for key in touched:
                self._place(key)
        touched.clear()
        for key in self._namesakes.renumbered():
            at = bisect_left(self._order, (self._totals[key], key))
            self._rows[at] = replace(self._rows[at], function=self._namesakes.shown(key))
        self._told = tuple(self._rows)
        return self._told

    def _others_wait(self) -> set[Key]:
        """Those that more or fewer episodes have waited for than before."""
        before, self._waited_for = self._waited_for, self._ledger.waited_for()
        changed = before.items() ^ self._waited_for.items()
        return {key for key, _ in changed}

    def _sort(self) -> None:
        kept = {key: row for (_, key), row in zip(self._order, self._rows, strict=True)}
        touched, tallies = self._ledger.touched, self._ledger.tallies
        for key in self._totals.keys() - tallies.keys():
            self._namesakes.forget(key)
        self._totals = {key: -tally.durations.total_ns for key, tally in tallies.items()}
        self._order = sorted((total, key) for key, total in self._totals.items())
        self._rows = [
            kept[key] if key in kept and key not in touched else self._blocker(tallies[key])
            for _, key in self._order
        ]

    def _place(self, key: Key) -> None:
        before = self._totals.pop(key, None)
        if before is not None:
            at = bisect_left(self._order, (before, key))
            del self._order[at], self._rows[at]
        tally = self._ledger.tallies.get(key)
        if tally is None:
            self._namesakes.forget(key)
            return
        total = self._totals[key] = -tally.durations.total_ns
        at = bisect_left(self._order, (total, key))
        self._order.insert(at, (total, key))
        self._rows.insert(at, self._blocker(tally))

    def _blocker(self, tally: Tally) -> Blocker:
        durations = tally.durations
        cases = _cases(tally, self._blames)
        at = _speaker(tally, cases[0])
        types = self._types(tally)
        function, inferred = _name(at, types)
        self._namesakes.name(at.key, function)
        return Blocker(
            function=self._namesakes.shown(at.key),
            where=at.where,
            file=at.file,
            line=at.line,
            origin=at.origin,
            inferred=inferred,
            operation=at.operation,
            cause=cases[0].cause,
            count=durations.count,
            total_ns=durations.total_ns,
            max_ns=durations.max_ns(),
            p50_ns=tally.percentile(50),
            p99_ns=tally.percentile(99),
            workers=largest_first(tally.workers),
            stacks=heaviest(added((stack, ns) for (stack, _), ns in tally.stacks.items())),
            causes=largest_first(added((cause, ns) for (cause, _), ns in tally.cases.items())),
            task_ids=tally.latest_tasks(),
            history=durations.amounts.history(),
            durations=durations.histogram(),
            details=largest_first(tally.details)[:_FEW],
            holders=_holders(tally, self._blames),
            types=types,
            handlers=_handlers(tally, self._blames, function),
            behind=tally.mean_behind(),
            waiting_ns=tally.waiting_ns,
            on_cpu_ns=tally.on_cpu_ns,
            pressed=tally.pressed,
            lasting=len(tally.lasting),
            lasting_ns=max((length for _, length in tally.lasting), default=0),
            holds=self._waited_for.get(at.key, 0),
            key=at.key,
            cases=cases,
        )


def _cases(tally: Tally, blames: Blames) -> tuple[Case, ...]:
    """What it was held up by, largest first, a few."""
    sums = added(((cause, at.operation), ns) for (cause, at), ns in tally.cases.items())
    stacks: dict[tuple[Cause, str], tuple[int, int]] = {}
    for (stack, cause), ns in sorted(tally.stacks.items()):
        of = cause, blames.of(stack).operation
        if ns > stacks.get(of, (0, 0))[0]:
            stacks[of] = ns, stack
    return tuple(
        Case(cause, operation, ns, stacks.get((cause, operation), (0, 0))[1])
        for (cause, operation), ns in largest_first(sums)[:_FEW]
    )


def _speaker(tally: Tally, main: Case) -> Blame:
    """The heaviest blame of the main case: others differ in their lines."""
    inside = {
        at: ns
        for (cause, at), ns in tally.cases.items()
        if (cause, at.operation) == (main.cause, main.operation)
    }
    return largest_first(inside)[0][0]


def _name(at: Blame, types: tuple[tuple[str, int], ...]) -> tuple[str, bool]:
    """The code responsible, and whether that is inferred.

    Where it is Tokio's frame around a task the future is inlined there: the task's type says it.
    """
    if not at.hosted or not types:
        return at.function, at.inferred
    name = types[0][0]
    return name.removeprefix("~"), name.startswith("~")


def _handlers(tally: Tally, blames: Blames, function: str) -> tuple[tuple[str, int], ...]:
    """By the handlers that it was called in; what has no stack is the row's own."""
    found = added(
        (blames.handler(stack) or function, ns) for (stack, _), ns in tally.stacks.items()
    )
    left = tally.durations.total_ns - sum(found.values())
    if left > 0:
        found[function] = found.get(function, 0) + left
    return largest_first(found)[:_FEW]


def _holders(tally: Tally, blames: Blames) -> tuple[HolderUse, ...]:
    """Those with the same function and role together; the stack is that of the heaviest."""
    rows: dict[tuple[str, str, str, bool], HolderUse] = {}
    for (stack, name, role, held), total_ns in largest_first(tally.holders):
        at = blames.of(stack)
        function, where, inferred = f"thread {name}" if name else "", "", False
        if at.origin in (Origin.USER, Origin.DEPENDENCY):
            function, where, inferred = at.function, at.where, at.inferred
        key = (function, where, role, held)
        row = rows.get(key) or HolderUse(function, where, role, stack, 0, held, inferred)
        rows[key] = row._replace(total_ns=row.total_ns + total_ns)
    return tuple(sorted(rows.values(), key=lambda row: (-row.total_ns, row))[:_FEW])
