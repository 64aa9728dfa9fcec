"""What blocked its runtime in one program of tests, by the test.

A *test* is named as Rust's harness names it: its path without the crate. It is known where the
stack shows the harness calling it, where the process runs that test alone (``--exact NAME``, as
cargo-nextest starts it), and by the name of the thread that started the worker: the harness gives
each test a thread of its name. Else the finding has no test.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from hud import figures
from hud.analysis.blame import short_place
from hud.export.telling import Telling
from hud.model import Origin, Rung
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hud.analysis.results import Episode, Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.model import Frame

HARNESS = "test::__rust_begin_short_backtrace"
"""By which it calls a test (library/test/src/lib.rs); generic."""

_HASH = re.compile(r"-[0-9a-f]{16}$")
"""What cargo puts behind a name."""


class Finding(msgspec.Struct, frozen=True):
    """One place that blocked, in one test."""

    test: str
    """Empty = not known."""
    function: str
    place: str
    """``src/api.rs:88``; empty = not known."""
    file: str
    """The same as the debug information has it, where it is the package's own."""
    line: int
    cause: str
    operation: str
    advice: str
    worst_ns: int
    """Of its own time."""
    count: int
    stack: tuple[str, ...]
    """Of the longest one, innermost first."""


class Report(msgspec.Struct, frozen=True):
    """Of one program that ran."""

    program: str
    findings: tuple[Finding, ...] = ()
    runtimes: bool = False
    """One was seen."""
    doubt: str = ""
    """Why a blocking test may have been missed; empty = none was."""
    refused: tuple[str, str] = ("", "")
    """Why nothing can be watched here at all, and the remedy."""


def report(analyzer: Analyzer, snapshot: Snapshot, words: Sequence[str]) -> Report:
    """Of a run that is over; ``words`` is the program's command line."""
    told = Telling(analyzer, snapshot)
    only, recording = alone(words), analyzer.recording
    groups: dict[tuple[str, ...], list[Episode]] = {}
    for one in told.episodes:
        if one.doubts or one.charged_ns < snapshot.info.threshold_ns:
            continue
        starter = recording.starters.get(one.tid, "")
        test = only or whose_test(told.frames(one.stack), starter)
        at = told.blame(one.stack)
        place = printable(short_place(at.file, at.line, at.precision)) if at.file else ""
        operation = printable(at.operation)
        key = (test, told.function(one), place, one.cause.value, operation)
        groups.setdefault(key, []).append(one)
    findings = [_finding(key, episodes, told) for key, episodes in groups.items()]
    findings.sort(key=lambda one: (-one.worst_ns, one.test))
    return Report(
        program_of(snapshot.info.target.executable),
        tuple(findings),
        bool(snapshot.workers),
        "; ".join(_doubts(snapshot)),
    )


def program_of(path: str) -> str:
    """``api`` of ``target/debug/deps/api-2222f417be588c40``: as cargo has named it."""
    return printable(_HASH.sub("", path.rpartition("/")[2]))


def alone(words: Sequence[str]) -> str:
    """The one test that a process was told to run; empty = several, or it is not known."""
    if "--exact" not in words:
        return ""
    named = [word for word in words[1:] if not word.startswith("-")]
    return printable(named[0]) if len(named) == 1 else ""


def whose_test(frames: Sequence[Frame], starter: str) -> str:
    """By a stack, innermost first, and the name of the thread that started the stack's."""
    inside: list[str] = []
    for frame in frames:
        if frame.function.startswith(HARNESS):
            return printable(next(filter(None, map(_path, reversed(inside))), ""))
        inside.append(frame.function)
    return printable(starter)


def _path(function: str) -> str:
    """``tests::login`` of ``api::tests::login::{async fn}``; empty where it is no plain path."""
    crate, _, path = function.partition("::{")[0].partition("::")
    return "" if crate in ("core", "std", "alloc") or "<" in function else path


def _finding(key: tuple[str, ...], episodes: Sequence[Episode], told: Telling) -> Finding:
    test, function, place, cause, operation = key
    worst = max(episodes, key=lambda one: one.charged_ns)
    at = told.blame(worst.stack)
    own = at.origin is Origin.USER
    return Finding(
        test,
        function,
        place,
        at.file if own else "",
        at.line if own else 0,
        cause,
        operation,
        told.advice(worst),
        worst.charged_ns,
        len(episodes),
        told.lines(worst.stack),
    )


def _doubts(snapshot: Snapshot) -> Iterator[str]:
    detection, losses = snapshot.info.detection, snapshot.losses
    if detection.rung is not Rung.CONTEXT:
        yield printable(f"polls were not seen: {detection.reason}")
    if losses.ring_full:
        yield "events were lost"
    if losses.threads_full:
        yield "threads were not watched"
    if losses.context_unreadable:
        yield "Tokio's state could not always be read"


def says(finding: Finding) -> str:
    """``43 ms in std::fs::read, called by api::load src/api.rs:88 (file)``."""
    return f"{how_long(finding)} in {where(finding)}"


def how_long(finding: Finding) -> str:
    time = figures.long_duration(finding.worst_ns)
    return f"up to {time}, {finding.count} times" if finding.count > 1 else time


def where(finding: Finding) -> str:
    called = f"{finding.operation}, called by " if finding.operation else ""
    code = f"{finding.function} {finding.place}".rstrip()
    return f"{called}{code} ({finding.cause})"
