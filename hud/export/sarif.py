"""SARIF 2.1.0, for code scanning (GitHub, Azure DevOps, editors): a result for each blocker.

Format: OASIS, "Static Analysis Results Interchange Format". Rules are the causes. A fingerprint is
of function and call without what two builds may name differently, so that a finding stays the same
one when its line moves. Frames are in ``stacks``; those with a file are a code flow too, outermost
first, for that is what GitHub shows.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

from hud import figures
from hud.analysis.advice.advise import advise
from hud.analysis.cause import Cause
from hud.analysis.comparison.sides import plain
from hud.export.places import in_project, project
from hud.export.sure import how_sure
from hud.export.telling import Telling
from hud.model import Origin
from hud.text import printable

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, BinaryIO

    from hud.analysis.results import Blocker, Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.model import Frame

    Object = dict[str, Any]

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "hudBlocker/v1"
_HELP = "hud help reading says what the causes are, hud help ci how a build fails for them."
_CAUSES = tuple(cause for cause in Cause if cause.blames_code)


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    import msgspec

    told = _Told(Telling(analyzer, snapshot), snapshot, project())
    whole = {"$schema": SCHEMA, "version": "2.1.0", "runs": [told.run()]}
    out.write(msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n")


class _Told:
    """The objects of one run."""

    def __init__(self, telling: Telling, snapshot: Snapshot, root: Path) -> None:
        self._telling = telling
        self._snapshot = snapshot
        self._root = root
        self._fingerprints: Counter[str] = Counter()

    def run(self) -> Object:
        snapshot = self._snapshot
        return {
            "tool": {"driver": _driver(snapshot)},
            "invocations": [_invocation(snapshot)],
            "results": [self._result(one) for one in snapshot.blockers],
            "columnKind": "unicodeCodePoints",
            "properties": {
                "target": printable(snapshot.info.target.name),
                "blocked_ns": snapshot.blocked_ns,
                "worker_time_ns": snapshot.worker_time_ns,
            },
        }

    def _result(self, blocker: Blocker) -> Object:
        frames = self._telling.frames(blocker.example)
        flow = [
            {"location": self._frame(frame, name)}
            for frame, name in reversed([*zip(frames, self._names(blocker), strict=True)])
            if frame.file and frame.line
        ]
        return {
            "ruleId": blocker.cause.value,
            "ruleIndex": _CAUSES.index(blocker.cause),
            "level": "warning",
            "message": {"text": _message(blocker, self._snapshot)},
            "locations": [self._location(blocker)],
            "partialFingerprints": {FINGERPRINT: self._fingerprint(blocker)},
            "stacks": [self._stack(blocker)],
            **({"codeFlows": [{"threadFlows": [{"locations": flow}]}]} if flow else {}),
            "properties": {
                "blocked_ns": blocker.total_ns,
                "count": blocker.count,
                "max_ns": blocker.max_ns,
                "share": self._snapshot.share(blocker),
            },
        }

    def _names(self, blocker: Blocker) -> tuple[str, ...]:
        return self._telling.lines(blocker.example)

    def _location(self, blocker: Blocker) -> Object:
        name = ("~" if blocker.inferred else "") + printable(blocker.function)
        logical = {"logicalLocations": [{"fullyQualifiedName": name, "kind": "function"}]}
        own = blocker.origin is Origin.USER
        return self._physical(blocker.file, blocker.line, own=own) | logical

    def _stack(self, blocker: Blocker) -> Object:
        frames = zip(self._telling.frames(blocker.example), self._names(blocker), strict=True)
        return {
            "message": {"text": "innermost first"},
            "frames": [{"location": self._frame(*both), **_crate(both[0])} for both in frames],
        }

    def _frame(self, frame: Frame, name: str) -> Object:
        own = frame.origin is Origin.USER
        return {**self._physical(frame.file, frame.line, own=own), "message": {"text": name}}

    def _physical(self, file: str, line: int, *, own: bool) -> Object:
        """Empty where the file is not known."""
        if not file:
            return {}
        path = in_project(file, self._root) if own else file
        place: Object = {"artifactLocation": {"uri": _uri(printable(path))}}
        return {"physicalLocation": place | ({"region": {"startLine": line}} if line else {})}

    def _fingerprint(self, blocker: Blocker) -> str:
        """Of namesakes each its own: the heaviest first, as the rows are."""
        what = "\n".join((plain(blocker.function), plain(blocker.operation)))
        self._fingerprints[what] += 1
        whole = f"{what}\n{self._fingerprints[what]}"
        return sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _driver(snapshot: Snapshot) -> Object:
    return {
        "name": "hud",
        "version": printable(snapshot.info.hud_version),
        "rules": [
            {
                "id": cause.value,
                "shortDescription": {"text": f"Blocks a worker: {cause.value}"},
                "fullDescription": {"text": cause.meaning},
                "help": {"text": _HELP},
                "defaultConfiguration": {"level": "warning"},
            }
            for cause in _CAUSES
        ],
    }


def _invocation(snapshot: Snapshot) -> Object:
    """When it was, and what limits it."""
    info = snapshot.info
    said = [how_sure(snapshot), *info.notes]
    begin = datetime.fromtimestamp(info.start_unix_ns // 10**9, timezone.utc)
    end = begin + timedelta(seconds=snapshot.elapsed_ns // 10**9)
    return {
        "executionSuccessful": True,
        "startTimeUtc": f"{begin:%Y-%m-%dT%H:%M:%SZ}",
        "endTimeUtc": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "toolExecutionNotifications": [
            {"level": "note", "message": {"text": printable(one)}} for one in said
        ],
    }


def _message(blocker: Blocker, snapshot: Snapshot) -> str:
    """Plain sentences: brackets and braces would be links and arguments."""
    name = ("~" if blocker.inferred else "") + printable(blocker.function)
    call = f" in {printable(blocker.operation)}" if blocker.operation else ""
    said = (
        f"{name} blocked its worker in {figures.count(blocker.count, 'poll')} "
        f"({blocker.cause.value}{call}): {figures.long_duration(blocker.p50_ns)} typically, "
        f"{figures.long_duration(blocker.max_ns)} at most, "
        f"{figures.percent(snapshot.share(blocker))} of worker time."
    )
    fix = printable(advise(blocker, snapshot.stacks).text)
    whole = f"{said} To do: {fix}." if fix else said
    return whole.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _crate(frame: Frame) -> Object:
    return {"module": printable(frame.crate)} if frame.crate else {}


def _uri(path: str) -> str:
    """Of an absolute path a file URI, else one relative to the project."""
    quoted = quote(path)
    return f"file://{quoted}" if path.startswith("/") else quoted
