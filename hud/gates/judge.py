"""Hold a finished run against its gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hud import figures
from hud.analysis.blame import short_place
from hud.export.telling import Telling
from hud.gates import evidence, worse
from hud.gates.breach import Breach, Verdict, expired
from hud.gates.grammar import PERCENT, WORSE, pattern
from hud.model import Origin
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from hud.analysis.comparison.compare import Comparison
    from hud.analysis.results import Episode, Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.gates.grammar import Gate
    from hud.gates.suppressions import Excuse


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
    comparison: Comparison | None = None,
) -> Verdict:
    """``today`` is the day on which excuses must not have expired; ``comparison``, with the
    baseline, is there if a gate asks for it.
    """
    bench = _Bench(analyzer, snapshot)
    valid = [one for one in excuses if not one.expired(today)]
    used = bench.excuse(valid)
    breaches = [expired(one) for one in excuses if one.expired(today)]
    doubts = []
    lacking = "; ".join(evidence.lacks(snapshot))
    for gate in gates:
        if gate.measure == WORSE:
            assert comparison is not None
            found = worse.breaches(gate, comparison, valid)
            unsure = [worse.unsure(gate, comparison), lacking]
        else:
            found = bench.breaches(gate, certain=True)
            unsure = [*bench.maybe(gate), evidence.blind(gate, snapshot), lacking]
        breaches += found
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

    def breaches(self, gate: Gate, *, certain: bool) -> list[Breach]:
        """The heaviest first; ``certain`` = only by episodes that are one poll each."""
        codes = self._codes(gate, certain=certain)
        if gate.measure == "max":
            worst = [(code, code.episodes[0].charged_ns) for code in codes]
            return [
                self._breach(gate, code, self._line(code, figures.long_duration(ns)))
                for code, ns in worst
                if gate.exceeded(ns)
            ]
        if gate.measure == "blockers":
            found = codes if gate.exceeded(len(codes)) else []
            return [self._breach(gate, code, self._of(code)) for code in found]
        value, says = self._sum(gate, codes)
        if not gate.exceeded(value):
            return []
        if not codes:
            return [Breach(gate.text, says)]
        among = f", in {len(codes)} functions, most in" if len(codes) > 1 else ":"
        return [self._breach(gate, codes[0], f"{says}{among} {self._of(codes[0])}")]

    def maybe(self, gate: Gate) -> list[str]:
        """What fails it if episodes that may be several polls are one each: the worst."""
        found = self.breaches(gate, certain=False)[:1]
        return [f"{one.says}, if these are single polls" for one in found]

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
        return self._line(code, f"{count}, {time} in all")

    def _line(self, code: _Code, value: str) -> str:
        worst = code.episodes[0]
        at = self._told.blame(worst.stack)
        place = printable(short_place(at.file, at.line, at.precision)) if at.file else ""
        call = f" in {printable(at.operation)}" if at.operation else ""
        name = " ".join(filter(None, [code.name, place]))
        return f"{name}: {value} ({worst.cause.value}{call})"

    def _breach(self, gate: Gate, code: _Code, says: str) -> Breach:
        at = self._told.blame(code.episodes[0].stack)
        file, line = (at.file, at.line) if at.origin is Origin.USER else ("", 0)
        return Breach(gate.text, says, file, line, code.total_ns)
