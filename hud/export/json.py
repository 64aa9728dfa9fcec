"""JSON for scripts: the run, its blockers, its episodes, its stacks; `hud help exports` has it all.

``SCHEMA`` changes only when a field goes or means something else; new fields may come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.advice.advise import advise
from hud.export.bars import nested
from hud.export.telling import Telling
from hud.export.trace import other_data
from hud.text import printable

if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from hud.analysis.results import Blocker, Snapshot
    from hud.analysis.snapshot import Analyzer

SCHEMA = 1


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    import msgspec

    encode = msgspec.json.Encoder().encode
    told = Telling(analyzer, snapshot)
    head = {
        "schema": SCHEMA,
        "run": other_data(snapshot, nested(analyzer)),
        "blockers": [blocker_row(one, snapshot) for one in snapshot.blockers],
    }
    out.write(encode(head)[:-1] + b',"episodes":[')
    separator = b"\n"
    for episode in told.episodes:
        out.write(separator + encode({**told.row(episode), "stack": episode.stack}))
        separator = b",\n"
    out.write(b'\n],"stacks":' + encode(_stacks(told, snapshot)) + b"}\n")


def _stacks(told: Telling, snapshot: Snapshot) -> dict[str, Any]:
    """By number: its functions, innermost first, and whether it reaches the thread's start."""
    keys = {episode.stack for episode in told.episodes} | {one.example for one in snapshot.blockers}
    known = told.recording.stacks
    return {
        str(key): {"frames": told.lines(key), "complete": known[key].complete}
        for key in sorted(keys)
        if key in known
    }


def blocker_row(blocker: Blocker, snapshot: Snapshot) -> dict[str, Any]:
    """All its figures; what is not known is left out."""
    row = {
        "function": ("~" if blocker.inferred else "") + printable(blocker.function),
        "operation": printable(blocker.operation),
        "cause": blocker.cause.value,
        "where": printable(blocker.where),
        "file": printable(blocker.file),
        "line": blocker.line,
        "count": blocker.count,
        "blocked_ns": blocker.total_ns,
        "share": snapshot.share(blocker),
        "median_ns": blocker.p50_ns,
        "p99_ns": blocker.p99_ns,
        "max_ns": blocker.max_ns,
        "on_cpu_ns": blocker.on_cpu_ns,
        "waiting_ns": blocker.waiting_ns,
        "not_ended": blocker.lasting,
        "advice": printable(advise(blocker, snapshot.stacks).text),
        "causes": [{"cause": cause.value, "blocked_ns": ns} for cause, ns in blocker.causes],
        "workers": [{"worker_id": worker, "blocked_ns": ns} for worker, ns in blocker.workers],
        "task_types": [{"type": printable(name), "blocked_ns": ns} for name, ns in blocker.types],
        "handlers": [{"name": printable(name), "blocked_ns": ns} for name, ns in blocker.handlers],
        "about": [{"name": printable(name), "blocked_ns": ns} for name, ns in blocker.details],
        "stack": blocker.example,
    }
    return {name: value for name, value in row.items() if value not in ("", [])}
