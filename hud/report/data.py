"""All that the page says of a run, in the words and figures of the summary, as one JSON value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud import figures
from hud.analysis import inlining
from hud.analysis.verdict import badge
from hud.export import summary, todo
from hud.export.sure import SEEN, losses_in_words
from hud.model import Rung
from hud.report import blockers, tables, times
from hud.report.trees import CAUSES, Trees
from hud.text import printable

if TYPE_CHECKING:
    from typing import Any

    from hud.analysis.comparison.compare import Comparison
    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer


def data(
    analyzer: Analyzer, snapshot: Snapshot, comparison: Comparison | None = None
) -> dict[str, Any]:
    """``js/main.js`` shows it. All strings are safe to show, as text."""
    trees = Trees(snapshot.stacks)
    weights = analyzer.stacks_by_blocker()
    for blocker in snapshot.blockers[: blockers.MOST]:
        trees.add(blocker, weights.get(blocker.key, {}))
    found = trees.rows()
    rows = blockers.rows(snapshot, found, trees.frames)
    drawn = times.drawn(analyzer, snapshot)
    return {
        "title": summary.title(snapshot),
        "verdict": _verdict(snapshot),
        "causes": [cause.value for cause in CAUSES],
        "span": {
            "blocked_ns": snapshot.blocked_ns,
            "worker_time_ns": snapshot.worker_time_ns,
            "start_ns": snapshot.elapsed_ns - snapshot.span_ns,
            "ns": snapshot.span_ns,
        },
        "graph": times.graph(snapshot),
        "blockers": rows,
        "left": blockers.left_out(snapshot),
        "none": blockers.none(snapshot),
        "frames": trees.frames.table,
        "left_ns": trees.least_ns,
        "lanes": times.lanes(drawn, snapshot),
        "heat": times.heat(drawn, snapshot),
        "tables": tables.tables(snapshot),
        "compared": tables.compared(comparison) if comparison else None,
        "uncounted": summary.not_counted(snapshot),
        "sure": _sure(snapshot),
        "about": _about(snapshot),
    }


def _verdict(snapshot: Snapshot) -> dict[str, Any]:
    word = badge(snapshot)
    fix = todo.first(snapshot)
    return {
        "badge": word.value if word else "",
        "said": [*map(printable, summary.verdict(snapshot))],
        "fix": f"Start here: {fix}." if fix else "",
        "hint": inlining.advice(snapshot),
        "lost": _lost(snapshot),
    }


def _sure(snapshot: Snapshot) -> list[tuple[str, str]]:
    """(label, sentence)."""
    (_, first), *others = summary.evidence(snapshot)
    return [("seen", first), *((label or "note", said) for label, said in others)]


def _lost(snapshot: Snapshot) -> str:
    """What must stand beside the verdict; empty = nothing was lost."""
    losses = snapshot.losses
    lost = losses.total() - losses.stacks_skipped
    return f"{losses_in_words(losses)}." if lost else ""


def _about(snapshot: Snapshot) -> list[tuple[str, str]]:
    """(label, text): what must be known of the run to believe its figures."""
    info = snapshot.info
    found = [
        ("program", info.target.executable),
        ("recorded", figures.date(info.start_unix_ns)),
        ("by", f"hud {info.hud_version} on {info.kernel}"),
    ]
    if info.detection.rung is Rung.CONTEXT:  # of others it is said why, above
        found.append(("sees", f"{SEEN[Rung.CONTEXT]}: {info.detection.reason}"))
    return [(label, printable(text)) for label, text in found]
