"""A comparison as JSON: one object. Shares are of worker time, 0..1, times nanoseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from hud.text import printable

if TYPE_CHECKING:
    from hud.analysis.comparison.compare import Change, Comparison
    from hud.analysis.comparison.intervals import Interval
    from hud.analysis.comparison.sides import Side
    from hud.analysis.results import Snapshot

SCHEMA = 1
"""Raised when a field goes or changes its meaning; new fields may come without."""


def written(comparison: Comparison, _width: int) -> str:
    whole = comparison.whole
    said = {
        "schema": SCHEMA,
        "before": _run(comparison.before),
        "after": _run(comparison.after),
        "cannot_compare": comparison.why_not,
        "whole": _change(whole) if whole else None,
        "changes": [{**_code(one), **_change(one)} for one in comparison.changes],
    }
    return msgspec.json.format(msgspec.json.encode(said), indent=1).decode() + "\n"


def _run(run: Snapshot) -> dict[str, Any]:
    return {
        "target": printable(run.info.target.name),
        "pid": run.info.target.pid,
        "hud": printable(run.info.hud_version),
        "span_ns": run.span_ns,
        "worker_time_ns": run.worker_time_ns,
        "blocked_ns": run.blocked_ns,
        "episodes": run.episodes,
    }


def _code(change: Change) -> dict[str, Any]:
    row = change.side.row
    return {
        "function": printable(row.function),
        "inferred": row.inferred,
        "file": printable(row.file),
        "line": row.line,
        "operation": printable(row.operation),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "verdict": change.verdict.value,
        "before": _side(change.before),
        "after": _side(change.after),
        "share_difference": _interval(change.share),
        "length_ratio": _interval(change.length),
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "share": side.share,
        "episodes": side.episodes,
        "per_second": side.per_second,
        "typical_ns": side.typical_ns,
        "cause": side.row.cause.value,
    }


def _interval(interval: Interval | None) -> dict[str, float] | None:
    return interval._asdict() if interval else None
