"""Firefox Profiler's processed profile, for profiler.firefox.com: call trees, and markers in time.

Format: firefox-devtools/profiler, src/types/profile.ts, as of version 60 of processed profiles:
newer profilers bring it up to date. Each worker is a thread. An episode is a sample, which weighs
its own time in milliseconds, below a frame for its cause; and a marker, which is as long as it
took. Waits for a CPU are markers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.analysis.cause import Cause
from hud.export.bars import nested
from hud.export.faces import NOT_ON_CPU
from hud.export.telling import Telling
from hud.model import Origin
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from hud.analysis.results import Episode, Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.export.bars import Bar
    from hud.model import Frame

    Object = dict[str, Any]

VERSION = 60
"""Of processed profiles."""
_GECKO = 31
"""Of Gecko's own, from which they are made: not used."""
_MS = 1e6
_CAUSES = tuple(cause for cause in Cause if cause.blames_code)
_CATEGORIES = (
    ("Other", "grey"),
    ("own code", "blue"),
    ("dependency", "green"),
    ("runtime", "purple"),
    ("std", "lightblue"),
    ("kernel", "orange"),
    ("cause", "red"),
)
"""Name and colour."""
_OF_ORIGIN = {
    Origin.USER: 1,
    Origin.DEPENDENCY: 2,
    Origin.RUNTIME: 3,
    Origin.STD: 4,
    Origin.KERNEL: 5,
}
_OF_CAUSE = 6
_INTERVAL = 1
"""MarkerPhase."""
_FIELDS = {
    "cause": "string",
    "blocked_ns": "nanoseconds",
    "on_cpu_ns": "nanoseconds",
    "asleep_ns": "nanoseconds",
    "waiting_ns": "nanoseconds",
    "operation": "unique-string",
    "task_type": "unique-string",
    "detail": "unique-string",
    "syscall": "string",
    "evidence": "unique-string",
    "advice": "unique-string",
    "tasks_behind": "decimal",
    "in_progress": "string",
}
"""Of an episode's marker: what Telling.row calls them, and how they are shown."""


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    import msgspec

    encode = msgspec.json.Encoder().encode
    tables = _Tables(Telling(analyzer, snapshot), snapshot)
    out.write(encode({"meta": _meta(snapshot), "libs": [], "pages": []})[:-1] + b',"threads":[')
    separator = b"\n"
    for thread in tables.threads(nested(analyzer)):
        out.write(separator + encode(thread))
        separator = b",\n"
    out.write(b'\n],"shared":' + encode(tables.shared()) + b"}\n")


def _meta(snapshot: Snapshot) -> Object:
    info = snapshot.info
    return {
        "interval": info.sample_period_ns / _MS,
        "startTime": info.start_unix_ns / _MS,
        "processType": 0,
        "product": printable(info.target.name),
        "importedFrom": f"hud {printable(info.hud_version)}",
        "oscpu": printable(info.kernel),
        "stackwalk": 1,
        "version": _GECKO,
        "preprocessedProfileVersion": VERSION,
        "symbolicated": True,
        "usesOnlyOneStackType": True,
        "doesNotUseFrameImplementation": True,
        "sourceCodeIsNotOnSearchfox": True,
        "categories": [
            {"name": name, "color": color, "subcategories": ["Other"]}
            for name, color in _CATEGORIES
        ],
        "markerSchema": [_schema("Episode", _FIELDS), _schema("Wait", {"culprit": "string"})],
        "extensions": {"length": 0, "baseURL": [], "id": [], "name": []},
    }


def _schema(name: str, fields: dict[str, str]) -> Object:
    first = next(iter(fields))
    return {
        "name": name,
        "display": ["marker-chart", "marker-table", "timeline-overview"],
        "tooltipLabel": "{marker.name}",
        "tableLabel": f"{{marker.data.{first}}}",
        "chartLabel": "{marker.name}",
        "fields": [
            {"key": key, "label": key.replace("_ns", "").replace("_", " "), "format": shown}
            for key, shown in fields.items()
        ],
    }


class _Tables:
    """What the threads share; a thing's number is its place in its table."""

    def __init__(self, told: Telling, snapshot: Snapshot) -> None:
        self._told = told
        self._snapshot = snapshot
        self._zero_ns = snapshot.info.start_monotonic_ns
        self._strings: dict[str, int] = {}
        self._sources: dict[str, int] = {}
        self._functions: dict[tuple[int, int | None], int] = {}
        self._frames: dict[tuple[int, int, int], int] = {}
        self._stacks: dict[tuple[int, int | None], int] = {}
        self._of: dict[tuple[int, Cause], int] = {}

    # ------------------------------------------------------------------ threads

    def threads(self, bars: list[Bar]) -> Iterator[Object]:
        tracks: dict[tuple[int, int], list[Bar]] = {}
        for bar in bars:
            tracks.setdefault((bar.of.worker_id, bar.of.tid), []).append(bar)
        episodes: dict[tuple[int, int], list[Episode]] = {}
        for one in self._told.episodes:
            episodes.setdefault((one.worker_id, one.tid), []).append(one)
        for ids, track in sorted(tracks.items()):
            yield self._thread(ids, track, episodes.get(ids, []))

    def _thread(self, ids: tuple[int, int], bars: list[Bar], episodes: list[Episode]) -> Object:
        target = self._snapshot.info.target
        return {
            "name": self._told.worker(*ids),
            "isMainThread": False,
            "processType": "default",
            "processName": printable(target.name),
            "processStartupTime": 0,
            "processShutdownTime": None,
            "registerTime": 0,
            "unregisterTime": None,
            "pausedRanges": [],
            "pid": str(target.pid),
            "tid": ids[1],
            "showMarkersInTimeline": True,
            "samples": {
                "stack": [self._stack(one.stack, one.cause) for one in episodes],
                "time": [self._ms(one.start_ns) for one in episodes],
                "weight": [one.charged_ns / _MS for one in episodes],
                "weightType": "tracing-ms",
                "length": len(episodes),
            },
            "markers": {
                "name": [self._string(self._name(bar)) for bar in bars],
                "startTime": [self._ms(bar.begin_ns) for bar in bars],
                "endTime": [self._ms(bar.end_ns) for bar in bars],
                "phase": [_INTERVAL] * len(bars),
                "category": [_OF_CAUSE if bar.blocking else 0 for bar in bars],
                "data": [self._data(bar) for bar in bars],
                "length": len(bars),
            },
        }

    def _name(self, bar: Bar) -> str:
        episode: Any = bar.of
        return self._told.function(episode) if bar.blocking else NOT_ON_CPU

    def _data(self, bar: Bar) -> Object:
        one: Any = bar.of
        if not bar.blocking:
            return {"type": "Wait", "culprit": printable(getattr(one, "culprit", ""))}
        row = self._told.row(one)
        return {"type": "Episode"} | {
            key: self._string(row[key]) if shown == "unique-string" else row[key]
            for key, shown in _FIELDS.items()
            if key in row
        }

    def _ms(self, time_ns: int) -> float:
        return max(0, time_ns - self._zero_ns) / _MS

    # ------------------------------------------------------------------ stacks

    def _stack(self, key: int, cause: Cause) -> int:
        if (key, cause) not in self._of:
            outer: int | None = None
            named = zip(self._told.frames(key), self._told.lines(key), strict=True)
            for frame, name in reversed([*named]):
                outer = self._add(self._stacks, (self._frame(frame, name), outer))
            self._of[key, cause] = self._add(self._stacks, (self._cause(cause), outer))
        return self._of[key, cause]

    def _frame(self, frame: Frame, name: str) -> int:
        file = printable(frame.file)
        source = self._add(self._sources, file) if file else None
        function = self._add(self._functions, (self._string(name), source))
        return self._add(self._frames, (function, frame.line, _OF_ORIGIN.get(frame.origin, 0)))

    def _cause(self, cause: Cause) -> int:
        function = self._add(self._functions, (self._string(f"[{cause.value}]"), None))
        return self._add(self._frames, (function, 0, _OF_CAUSE))

    def _string(self, text: str) -> int:
        return self._add(self._strings, text)

    @staticmethod
    def _add(table: dict[Any, int], row: Any) -> int:
        return table.setdefault(row, len(table))

    # ------------------------------------------------------------------ the tables

    def shared(self) -> Object:
        """Last, for the threads have filled them."""
        sources = [self._string(file) for file in self._sources]
        return {
            "stackTable": {
                "frame": [frame for frame, _ in self._stacks],
                "prefix": [outer for _, outer in self._stacks],
                "length": len(self._stacks),
            },
            "frameTable": self._frame_table(),
            "funcTable": self._function_table(),
            "resourceTable": _empty("lib", "name", "host", "type"),
            "nativeSymbols": _empty("libIndex", "address", "name", "functionSize"),
            "sources": {"uuid": [None] * len(sources), "filename": sources, "length": len(sources)},
            "stringArray": [*self._strings],
        }

    def _frame_table(self) -> Object:
        count = len(self._frames)
        return {
            "address": [-1] * count,
            "inlineDepth": [0] * count,
            "category": [category for *_, category in self._frames],
            "subcategory": [0] * count,
            "func": [function for function, *_ in self._frames],
            "nativeSymbol": [None] * count,
            "innerWindowID": [0] * count,
            "line": [line or None for _, line, _ in self._frames],
            "column": [None] * count,
            "length": count,
        }

    def _function_table(self) -> Object:
        count = len(self._functions)
        return {
            "isJS": [False] * count,
            "relevantForJS": [False] * count,
            "name": [name for name, _ in self._functions],
            "resource": [-1] * count,
            "source": [source for _, source in self._functions],
            "lineNumber": [None] * count,
            "columnNumber": [None] * count,
            "length": count,
        }


def _empty(*columns: str) -> Object:
    """A table without rows."""
    none: list[int] = []
    return {**dict.fromkeys(columns, none), "length": 0}
