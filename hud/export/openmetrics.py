"""OpenMetrics text 1.0, for Prometheus: what a finished run has counted.

A row for each of the worst blockers and cause, the rest as one function ``other``, so that the
blocked seconds add up to all of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer

MOST_FUNCTIONS = 100
OTHER = "other"

Labels = tuple[tuple[str, str], ...]


class _Family(NamedTuple):
    """A metric: what it counts, and its values in ns or as numbers."""

    name: str
    kind: str
    says: str
    values: Mapping[Labels, int]
    seconds: bool = False


def write(_analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    for family in _families(snapshot):
        out.writelines(line.encode() for line in _lines(family))
    out.write(b"# EOF\n")


def _families(snapshot: Snapshot) -> Iterator[_Family]:
    blocked, polls = _blocked(snapshot)
    says = "Time that workers were blocked in long polls."
    yield _Family("hud_blocked_seconds", "counter", says, blocked, seconds=True)
    yield _Family("hud_blocked_polls", "counter", "Long polls.", polls)
    says = "Time of all workers, idle ones too."
    time = _by_runtime({use.name: use.time_ns for use in snapshot.runtimes})
    yield _Family("hud_worker_seconds", "counter", says, time, seconds=True)
    says = "Time that workers were ready to run, but had no CPU."
    waits = _by_runtime({use.name: use.waiting_ns for use in snapshot.runtimes})
    yield _Family("hud_waiting_seconds", "counter", says, waits, seconds=True)
    longest: dict[Labels, int] = {(): snapshot.longest_poll_ns}
    says = "The longest poll, of those seen."
    yield _Family("hud_longest_poll_seconds", "gauge", says, longest, seconds=True)
    says = "How long the run was watched."
    span: dict[Labels, int] = {(): snapshot.span_ns}
    yield _Family("hud_run_seconds", "gauge", says, span, seconds=True)
    lost: dict[Labels, int] = {
        (("reason", name),): count for name, count in asdict(snapshot.losses).items()
    }
    yield _Family("hud_lost", "counter", "What was not seen, by reason.", lost)


def _blocked(snapshot: Snapshot) -> tuple[Counter[Labels], Counter[Labels]]:
    """Time and polls by function."""
    time: Counter[Labels] = Counter()
    polls: Counter[Labels] = Counter()
    for at, one in enumerate(snapshot.blockers):
        function = ("~" if one.inferred else "") + printable(one.function)
        shown = at < MOST_FUNCTIONS
        file = printable(one.file) if shown else ""
        labels: Labels = (("function", function if shown else OTHER), ("file", file))
        polls[labels] += one.count
        for cause, ns in one.causes:
            by_cause: Labels = (*labels, ("cause", cause.value))
            time[by_cause] += ns
    return time, polls


def _by_runtime(values: Mapping[str, int]) -> dict[Labels, int]:
    return {(("runtime", printable(name)),): value for name, value in values.items()}


def _lines(family: _Family) -> Iterator[str]:
    name, suffix = family.name, "_total" if family.kind == "counter" else ""
    yield f"# TYPE {name} {family.kind}\n"
    if family.seconds:
        yield f"# UNIT {name} seconds\n"
    yield f"# HELP {name} {family.says}\n"
    for labels, value in family.values.items():
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        shown = f"{value // 10**9}.{value % 10**9:09}" if family.seconds else str(value)
        yield f"{name}{suffix}{f'{{{told}}}' if told else ''} {shown}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
