"""Hold a finished run against its gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.blame import short_place
from hud.export.telling import Telling
from hud.gates import evidence
from hud.gates.grammar import PERCENT, pattern
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from hud.analysis.results import Episode, Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.gates.grammar import Gate
    from hud.gates.suppressions import Excuse


class Breach(NamedTuple):
    """What a build fails for."""

    gate: str
    """As it was given; of an excuse its place."""
    says: str
    """What was found, with function and ``file:line`` where they are known."""


class Verdict(NamedTuple):
    """Of all gates."""

    breaches: tuple[Breach, ...]
    doubts: tuple[Breach, ...]
    """Gates that did not fail, and of which nobody knows whether they should."""
    unused: tuple[Excuse, ...]


class _Code(NamedTuple):
    """The episodes of one function, the longest first."""

    name: str
    episodes: Sequence[Episode]

    @property
    def total_ns(self) -> int:
        return sum(one.charged_ns for one in self.episodes)


def judge(
    analyzer: Analyzer,
    snapshot: Snapshot,
    gates: Sequence[Gate],
    excuses: Sequence[Excuse],
    today: date,
) -> Verdict:
    """``today`` is the day on which excuses must not have expired."""
    bench = _Bench(analyzer, snapshot)
    valid = [one for one in excuses if not one.expired(today)]
    used = bench.excuse(valid)
    breaches = [
        Breach(one.place, f"expired on {one.until}: {one.function}, {one.reason}")
        for one in excuses
        if one.expired(today)
    ]
    doubts = []
    lacking = "; ".join(evidence.lacks(snapshot))
    for gate in gates:
        found = bench.breaches(gate, certain=True)
        breaches += [Breach(gate.text, says) for says in found]
        maybe = [
            f"{says}, if these are single polls" for says in bench.breaches(gate, certain=False)
        ]
        unsure = [*maybe[:1], evidence.blind(gate, snapshot), lacking]
        if not found and any(unsure):
            doubts.append(Breach(gate.text, "; ".join(filter(None, unsure))))
    return Verdict(tuple(breaches), tuple(doubts), tuple(one for one in valid if one not in used))


class _Bench:
    """The blocking episodes of a run, without the excused ones."""

    def __init__(self, analyzer: Analyzer, snapshot: Snapshot) -> None:
        self._told = Telling(analyzer, snapshot)
        self._snapshot = snapshot
        self._named = [(self._told.function(one), one) for one in self._told.episodes]

    def excuse(self, excuses: Sequence[Excuse]) -> list[Excuse]:
        """Leave out what these cover; those of them that covered something."""
        used: list[Excuse] = []
        left = []
        for name, episode in self._named:
            covering = [one for one in excuses if one.covers(name, episode.cause.value)]
            used += [one for one in covering if one not in used]
            if not covering:
                left.append((name, episode))
        self._named = left
        return used

    def breaches(self, gate: Gate, *, certain: bool) -> list[str]:
        """One line each; ``certain`` = only by episodes that are one poll each."""
        codes = self._codes(gate, certain=certain)
        if gate.measure == "max":
            worst = [(code.name, code.episodes[0]) for code in codes]
            return [
                self._line(name, one, figures.long_duration(one.charged_ns))
                for name, one in worst
                if gate.exceeded(one.charged_ns)
            ]
        if gate.measure == "blockers":
            return [self._of(code) for code in codes] if gate.exceeded(len(codes)) else []
        value, says = self._sum(gate, codes)
        if not gate.exceeded(value):
            return []
        if not codes:
            return [says]
        among = f", in {len(codes)} functions, most in" if len(codes) > 1 else ":"
        return [f"{says}{among} {self._of(codes[0])}"]

    def _codes(self, gate: Gate, *, certain: bool) -> list[_Code]:
        """What the gate is about, the heaviest first."""
        is_like = pattern(gate.function or "*")
        groups: dict[str, list[Episode]] = {}
        for name, one in self._named:
            if certain and one.doubts:
                continue
            if gate.cause in ("", one.cause.value) and is_like(name):
                groups.setdefault(name, []).append(one)
        codes = [
            _Code(name, sorted(found, key=lambda one: -one.charged_ns))
            for name, found in groups.items()
        ]
        return sorted(codes, key=lambda one: (-one.total_ns, one.name))

    def _sum(self, gate: Gate, codes: Sequence[_Code]) -> tuple[float, str]:
        """Of a gate on all of it: the value, and in words."""
        episodes = [one for code in codes for one in code.episodes]
        if gate.measure == "count":
            return len(episodes), figures.count(len(episodes), "long poll")
        total_ns = sum(one.charged_ns for one in episodes)
        if gate.unit != PERCENT:
            return total_ns, f"{figures.long_duration(total_ns)} blocked"
        share = self._share(episodes)
        return 100 * share, f"{figures.percent(share)} of worker time"

    def _share(self, episodes: Iterable[Episode]) -> float:
        """Of the worker time of the runtime that is worst off."""
        times = {use.name: use.time_ns for use in self._snapshot.runtimes}
        blocked: dict[str, int] = {}
        for one in episodes:
            worker = self._told.recording.workers.get(one.tid)
            name = worker.runtime if worker and worker.runtime in times else ""
            blocked[name] = blocked.get(name, 0) + one.charged_ns
        whole = self._snapshot.worker_time_ns
        shares = [ns / (times.get(name) or whole or 1) for name, ns in blocked.items()]
        return min(max(shares, default=0.0), 1.0)

    def _of(self, code: _Code) -> str:
        count = figures.count(len(code.episodes), "long poll")
        time = figures.long_duration(code.total_ns)
        return self._line(code.name, code.episodes[0], f"{count}, {time} in all")

    def _line(self, name: str, episode: Episode, value: str) -> str:
        at = self._told.blame(episode.stack)
        place = printable(short_place(at.file, at.line, at.precision)) if at.file else ""
        call = f" in {printable(at.operation)}" if at.operation else ""
        return f"{' '.join(filter(None, [name, place]))}: {value} ({episode.cause.value}{call})"
