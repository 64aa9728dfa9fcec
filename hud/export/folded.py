"""Folded stacks, for flame graphs: inferno, flamegraph.pl, speedscope, Pyroscope.

One line for each stack and cause, outermost frame first, the cause as the innermost: then the
nanoseconds that it has blocked workers for.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hud.export.telling import Telling

if TYPE_CHECKING:
    from typing import BinaryIO

    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    told = Telling(analyzer, snapshot)
    weights: Counter[str] = Counter()
    for episode in told.episodes:
        frames = [*reversed(told.lines(episode.stack)), f"[{episode.cause.value}]"]
        weights[";".join(map(_apart, frames))] += episode.charged_ns
    out.writelines(f"{stack} {ns}\n".encode() for stack, ns in sorted(weights.items()))


def _apart(frame: str) -> str:
    """``[u8; 32]`` has what divides frames."""
    return frame.replace(";", ":")
