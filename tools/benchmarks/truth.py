"""Holds what hud reported of the zoo against the zoo's own truth.

Terms: a *deed* is one blocking call of a specimen, as the zoo wrote it down; a *find* is an episode
of hud's export. A deed is *found* when a find of the same thread covers at least half of it, and
*pressed* when hud says that the thread had no CPU for so long that nothing of the threshold's
length remains.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

EXPECTED_CAUSE = {
    "cpu": {"cpu"},
    "sort": {"cpu"},
    "bcrypt": {"cpu"},
    "deflate": {"cpu"},
    "json": {"cpu"},
    "thread_sleep": {"sleep"},
    "mutex": {"lock"},
    "file_fsync": {"fsync", "file"},
    "pipe": {"pipe"},
    "child": {"child"},
    "root": {"sleep"},
    "rwlock": {"lock"},
    "condvar": {"lock"},
    "mpsc_recv": {"lock"},
    "task_holder": {"sleep"},
    "task_waiter": {"lock"},
    "tcp": {"net"},
    "dns": {"dns"},
    "page_touch": {"cpu"},
    "page_fault": {"fault"},
    "drop_map": {"cpu"},
    "deep_await": {"sleep"},
    "block_on": {"lock"},
    "method": {"cpu"},
    "generic": {"cpu"},
    "boxed": {"sleep"},
    "unconstrained": {"sleep"},
}
"""The causes that are right for each kind. Where fsync never sleeps (tmpfs), writing is computing
in a file call."""

HOLDER = {
    "mutex": "keep_lock",
    "rwlock": "keep_for_writing",
    "task_waiter": "hold_in_task",
    "condvar": "",
    "mpsc_recv": "",
    "block_on": "",
}
"""Who holds the lock that is waited for; empty = nobody: who wakes only sends something."""

AT_LEAST_NS = 7_000_000
"""A deed that is shorter need not be found: the threshold is 5 ms."""

ALLOCATOR = {"malloc", "free", "calloc", "realloc"}

COUNTS = (
    "deeds",
    "found",
    "pressed",
    "nameable",
    "blamed",
    "in_stack",
    "cause",
    "timed",
    "exact",
    "woken",
    "holder",
)


class Deed(NamedTuple):
    kind: str
    allowed: bool
    function: str
    begin: int
    end: int
    tid: int

    @property
    def length(self) -> int:
        return self.end - self.begin


class Find(NamedTuple):
    function: str
    stack: tuple[str, ...]
    cause: str
    begin: int
    end: int
    tid: int
    pressed: bool
    args: dict[str, Any]

    @property
    def contended(self) -> bool:
        """Waiting for the lock of Tokio's own thread pool, or of malloc: short as a rule, but real
        where its holder has no CPU."""
        return self.cause == "lock" and any(
            "blocking::pool" in frame or frame in ALLOCATOR for frame in self.stack
        )


@dataclass
class Score:
    """One kind of deed."""

    deeds: int = 0
    found: int = 0
    pressed: int = 0
    nameable: int = 0
    """Those found whose function the binary has a name for: it is not inlined, or described."""
    blamed: int = 0
    in_stack: int = 0
    cause: int = 0
    timed: int = 0
    """Those found of which hud saw the end, too."""
    exact: int = 0
    """Those of them whose duration is right within a sampling period and 5 %."""
    woken: int = 0
    """Those found that waited for another thread, of kinds in ``HOLDER``."""
    holder: int = 0
    """Those of them with the right holder, or rightly without one."""
    errors_ms: list[float] = field(default_factory=list)
    """hud's duration less the true one."""
    wrong: list[tuple[str, str]] = field(default_factory=list)
    """Function and cause of finds that blame another."""
    missed: list[Deed] = field(default_factory=list)

    def add(self, other: Score) -> None:
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors_ms += other.errors_ms
        self.wrong += other.wrong
        self.missed += other.missed

    @property
    def expected(self) -> int:
        """Deeds that hud had to find."""
        return self.deeds - self.pressed


@dataclass
class Verdict:
    scores: dict[str, Score]
    alarms: list[Find]
    """Finds without a deed; ``overlapped`` tells what else went on."""
    allowed_alarms: list[tuple[Find, Deed]]
    """Finds that cover half of an allowed deed."""
    split: int = 0
    """Deeds in more than one find."""
    merged: int = 0
    """Finds that hold more than one deed."""

    def total(self) -> Score:
        total = Score()
        for score in self.scores.values():
            total.add(score)
        return total


def read_deeds(path: Path) -> list[Deed]:
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    return [
        Deed(d["kind"], d["allowed"], d["function"], d["begin"], d["end"], d["tid"]) for d in lines
    ]


def stack_of(trace: dict[str, Any], number: int) -> list[str]:
    """The functions of an event's ``sf``, innermost first; none of 0."""
    frames, found = trace["stackFrames"], []
    while number:
        frame = frames[str(number)]
        found.append(frame["name"])
        number = frame.get("parent", 0)
    return found


def read_finds(trace: dict[str, Any]) -> list[Find]:
    """Episodes, those that are pressure only included."""
    opened: dict[int, list[dict[str, Any]]] = {}
    found = []
    for event in trace["traceEvents"]:
        if event["ph"] == "B":
            opened.setdefault(event["tid"], []).append(event)
        elif event["ph"] == "E":
            begin = opened[event["tid"]].pop()
            found.append(_find(begin, trace, event["ts"] - begin["ts"], pressed=False))
        elif event["ph"] == "X" and "cause" in event["args"]:
            found.append(_find(event, trace, event["args"]["duration_us"], pressed=True))
    return sorted(found, key=lambda find: find.begin)


def _find(event: dict[str, Any], trace: dict[str, Any], length_us: float, *, pressed: bool) -> Find:
    args = event["args"]
    begin = trace["otherData"]["start_monotonic_ns"] + round(event["ts"] * 1000)
    end = begin + round(length_us * 1000)
    stack = tuple(stack_of(trace, event.get("sf", 0)))
    return Find(event["name"], stack, args["cause"], begin, end, event["tid"], pressed, args)


def judge(
    deeds: Sequence[Deed],
    trace: dict[str, Any],
    *,
    at_least_ns: int = AT_LEAST_NS,
    margin_ns: int = 20_000_000,
    nameable: Callable[[str], bool] = lambda _: True,
) -> Verdict:
    """Compare; deeds that hud could not see from begin to end are left out. Whether the right
    function is blamed is asked only where it is ``nameable``.
    """
    other = trace["otherData"]
    start = other["start_monotonic_ns"] + margin_ns
    end = other["start_monotonic_ns"] + int(other["duration_s"] * 1e9) - margin_ns
    period_ns = int(other["sample_period_ms"] * 1e6)
    finds = read_finds(trace)
    tracks = {tid: _Track(f for f in finds if f.tid == tid) for tid in {f.tid for f in finds}}
    verdict = Verdict({}, [], [])
    used: dict[int, int] = {}
    for deed in deeds:
        if deed.allowed or deed.length < at_least_ns:
            continue
        if deed.begin < start or deed.end > end:
            continue
        score = verdict.scores.setdefault(deed.kind, Score())
        score.deeds += 1
        track = tracks.get(deed.tid)
        near = track.over(deed.begin, deed.end) if track else []
        verdict.split += sum(_shared(f, deed) > deed.length // 10 for f in near) > 1
        best = max(near, key=lambda find: _shared(find, deed), default=None)
        if best is None or 2 * _shared(best, deed) < deed.length:
            score.missed.append(deed)
            continue
        if best.pressed:
            score.pressed += 1
            continue
        used[id(best)] = used.get(id(best), 0) + 1
        _grade(score, deed, best, period_ns, nameable(deed.function))
    verdict.merged = sum(count > 1 for count in used.values())
    _alarms(verdict, deeds, [find for find in finds if not find.pressed])
    return verdict


def _grade(score: Score, deed: Deed, find: Find, period_ns: int, nameable: bool) -> None:
    score.found += 1
    if not find.args.get("in_progress"):
        error = find.end - find.begin - deed.length
        score.timed += 1
        score.errors_ms.append(error / 1e6)
        score.exact += abs(error) <= period_ns + deed.length // 20
    right = deed.function in find.function or not nameable
    if nameable:
        score.nameable += 1
        score.blamed += right
        score.in_stack += any(deed.function in frame for frame in find.stack)
    score.cause += find.cause in EXPECTED_CAUSE[deed.kind]
    if deed.kind in HOLDER:
        score.woken += 1
        score.holder += _right_holder(HOLDER[deed.kind], find.args)
    if not right or find.cause not in EXPECTED_CAUSE[deed.kind]:
        score.wrong.append((find.function, find.cause))


def _right_holder(function: str, args: dict[str, Any]) -> bool:
    if not function:
        return "holder" not in args
    holder = args.get("holder", {})
    return function in holder.get("function", "")


def _alarms(verdict: Verdict, deeds: Sequence[Deed], finds: Sequence[Find]) -> None:
    blocking: dict[int, list[Deed]] = {}
    allowed: dict[int, list[Deed]] = {}
    for deed in deeds:
        (allowed if deed.allowed else blocking).setdefault(deed.tid, []).append(deed)
    for find in finds:
        if find.args.get("in_progress"):
            continue  # a deed that did not end is not written down
        if any(_shared(find, deed) > 0 for deed in blocking.get(find.tid, ())):
            continue
        verdict.alarms.append(find)
        for deed in allowed.get(find.tid, ()):
            # only those of which the function is to blame: others merely went on meanwhile
            named = any(deed.function in frame for frame in (find.function, *find.stack))
            if named and not find.contended and 2 * _shared(find, deed) >= find.end - find.begin:
                verdict.allowed_alarms.append((find, deed))
                break


def _shared(find: Find, deed: Deed) -> int:
    return min(find.end, deed.end) - max(find.begin, deed.begin)


class _Track:
    """Finds of one thread, by begin."""

    def __init__(self, finds: Iterable[Find]) -> None:
        self._finds = sorted(finds, key=lambda find: find.begin)
        self._begins = [find.begin for find in self._finds]

    def over(self, begin: int, end: int) -> list[Find]:
        last = bisect_left(self._begins, end)
        return [find for find in self._finds[max(0, last - 16) : last] if find.end > begin]
