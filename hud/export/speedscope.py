"""speedscope's own format: blocked time by stack, then each worker's episodes as they came.

Format: speedscope's file-format-spec.ts. The first profile is *sampled*: its weights are the own
time of the episodes, their sum is what was blocked. The others are *evented*, on the clock: there
an episode is as long as it took, waits for a CPU included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.export.bars import nested
from hud.export.telling import Telling
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, BinaryIO

    from hud.analysis.results import Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.export.bars import Bar
    from hud.model import Frame

    Profile = dict[str, Any]

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


class _Frames:
    """``shared.frames``, each once."""

    def __init__(self, told: Telling) -> None:
        self.table: list[dict[str, Any]] = []
        self._told = told
        self._numbers: dict[tuple[str, str, int], int] = {}
        self._stacks: dict[int, list[int]] = {}

    def stack(self, key: int) -> list[int]:
        """Outermost first."""
        if key not in self._stacks:
            frames, lines = self._told.frames(key), self._told.lines(key)
            numbers = [self._number(*both) for both in zip(frames, lines, strict=True)]
            self._stacks[key] = numbers[::-1]
        return self._stacks[key]

    def _number(self, frame: Frame, name: str) -> int:
        of = name, printable(frame.file), frame.line
        if of not in self._numbers:
            self._numbers[of] = len(self.table)
            file = {"file": of[1]} if of[1] else {}
            self.table.append({"name": name, **file, **({"line": of[2]} if of[2] else {})})
        return self._numbers[of]


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    import msgspec

    encode = msgspec.json.Encoder().encode
    told = Telling(analyzer, snapshot)
    frames = _Frames(told)
    name = printable(snapshot.info.target.name)
    head = {
        "$schema": SCHEMA,
        "exporter": f"hud@{snapshot.info.hud_version}",
        "name": f"{name} (pid {snapshot.info.target.pid})",
        "activeProfileIndex": 0,
    }
    out.write(encode(head)[:-1] + b',"profiles":[' + encode(_sampled(told, frames)))
    for profile, bars in _evented(analyzer, snapshot, told):
        out.write(b",\n" + encode(profile)[:-1] + b',"events":[')
        separator = b""
        for bar in bars:
            events = [*_events(bar, frames, snapshot.info.start_monotonic_ns)]
            out.write(separator + encode(events)[1:-1])
            separator = b",\n"
        out.write(b"]}")
    out.write(b'],"shared":' + encode({"frames": frames.table}) + b"}\n")


def _sampled(told: Telling, frames: _Frames) -> Profile:
    weights = [episode.charged_ns for episode in told.episodes]
    return {
        "type": "sampled",
        "name": "blocked time of all workers",
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": [frames.stack(episode.stack) for episode in told.episodes],
        "weights": weights,
    }


def _evented(
    analyzer: Analyzer, snapshot: Snapshot, told: Telling
) -> Iterable[tuple[Profile, list[Bar]]]:
    """Of each worker a profile without its events, for they are many, and what they are made of."""
    workers: dict[str, list[Bar]] = {}
    for bar in nested(analyzer):
        if bar.blocking:
            workers.setdefault(told.worker(bar.of.worker_id, bar.of.tid), []).append(bar)
    zero = snapshot.info.start_monotonic_ns
    for name, bars in sorted(workers.items()):
        profile = {
            "type": "evented",
            "name": f"{name}: its long polls",
            "unit": "nanoseconds",
            "startValue": 0,
            "endValue": max(snapshot.now_ns, bars[-1].end_ns) - zero,
        }
        yield profile, bars


def _events(bar: Bar, frames: _Frames, zero_ns: int) -> Iterable[dict[str, Any]]:
    stack = frames.stack(bar.of.stack)
    for frame in stack:
        yield {"type": "O", "frame": frame, "at": bar.begin_ns - zero_ns}
    for frame in reversed(stack):
        yield {"type": "C", "frame": frame, "at": bar.end_ns - zero_ns}
