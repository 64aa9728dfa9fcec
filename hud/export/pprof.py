"""pprof, for `go tool pprof`.

Format: perftools.profiles.Profile (google/pprof, proto/profile.proto), gzipped. A sample is all
episodes of one stack with one cause, worker and task type: its values are the nanoseconds that they
blocked, and how many they are. Inlined calls are lines of one location.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from hud.export.protobuf import block, number, packed
from hud.export.telling import Telling
from hud.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from hud.analysis.results import Episode, Snapshot
    from hud.analysis.snapshot import Analyzer
    from hud.model import Frame

    Named = tuple[Frame, str]
    """A frame, and its name as people read it."""

BLOCKED, EPISODES = ("blocked", "nanoseconds"), ("episodes", "count")


def write(analyzer: Analyzer, snapshot: Snapshot, out: BinaryIO) -> None:
    told, tables = Telling(analyzer, snapshot), _Tables()
    types = b"".join(block(1, tables.value_type(*one)) for one in (BLOCKED, EPISODES))
    samples = b"".join(block(2, one) for one in _samples(told, tables))
    info = snapshot.info
    comment = tables.string(f"hud {info.hud_version}: {printable(info.target.name)}")
    default = tables.string(BLOCKED[0])
    tail = [
        number(9, info.start_unix_ns),
        number(10, snapshot.elapsed_ns),
        packed(13, [comment]),
        number(14, default),
    ]
    # no time of day in the header: the same run gives the same bytes
    with gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=0) as packer:
        packer.write(types + samples + tables.encoded() + b"".join(tail))


def _samples(told: Telling, tables: _Tables) -> Iterator[bytes]:
    found: dict[tuple[int, tuple[tuple[str, str], ...]], list[int]] = {}
    for episode in told.episodes:
        values = found.setdefault((episode.stack, _labels(told, episode)), [0, 0])
        values[0] += episode.charged_ns
        values[1] += 1
    for (key, labels), values in found.items():
        frames = list(zip(told.frames(key), told.lines(key), strict=True))
        locations = [tables.location(calls) for calls in _calls(frames)]
        yield b"".join(
            [
                packed(1, locations),
                packed(2, values),
                *(block(3, tables.label(*one)) for one in labels),
            ]
        )


def _labels(told: Telling, episode: Episode) -> tuple[tuple[str, str], ...]:
    found = (
        ("cause", episode.cause.value),
        ("worker", told.worker(episode.worker_id, episode.tid)),
        ("task_type", told.task_type(episode)),
    )
    return tuple(one for one in found if one[1])


def _calls(frames: Sequence[Named]) -> Iterator[list[Named]]:
    """Real calls, each after those that were inlined into it."""
    calls: list[Named] = []
    for named in frames:
        calls.append(named)
        if not named[0].inlined:
            yield calls
            calls = []
    if calls:
        yield calls


class _Tables:
    """Strings, mappings, functions and locations, each once; their numbers begin at 1."""

    def __init__(self) -> None:
        self._strings = {"": 0}
        self._mappings: dict[str, int] = {}
        self._functions: dict[tuple[int, int, int], int] = {}
        self._locations: dict[bytes, int] = {}

    def string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))

    def value_type(self, kind: str, unit: str) -> bytes:
        return number(1, self.string(kind)) + number(2, self.string(unit))

    def label(self, key: str, value: str) -> bytes:
        return number(1, self.string(key)) + number(2, self.string(value))

    def location(self, calls: Sequence[Named]) -> int:
        """Of an address; ``calls`` innermost first."""
        outer, _ = calls[-1]
        lines = b"".join(block(4, self._line(*named)) for named in calls)
        body = number(2, self._mapping(outer.module)) + number(3, outer.address) + lines
        return self._locations.setdefault(body, len(self._locations) + 1)

    def _line(self, frame: Frame, name: str) -> bytes:
        of = (
            self.string(name),
            self.string(printable(frame.raw)),
            self.string(printable(frame.file)),
        )
        function = self._functions.setdefault(of, len(self._functions) + 1)
        return number(1, function) + number(2, frame.line)

    def _mapping(self, module: str) -> int:
        if not module:
            return 0
        return self._mappings.setdefault(printable(module), len(self._mappings) + 1)

    def encoded(self) -> bytes:
        """All four; the strings last, for the others ask for some."""
        mappings = [
            number(1, at) + number(5, self.string(name)) + _NAMED
            for name, at in self._mappings.items()
        ]
        locations = [number(1, at) + body for body, at in self._locations.items()]
        functions = [
            number(1, at) + number(2, name) + number(3, raw) + number(4, file)
            for (name, raw, file), at in self._functions.items()
        ]
        strings = [text.encode() for text in self._strings]
        tables = ((3, mappings), (4, locations), (5, functions), (6, strings))
        return b"".join(block(field, one) for field, rows in tables for one in rows)


_NAMED = b"".join(number(field, 1) for field in (7, 8, 9, 10))
"""A mapping's functions, files, lines and inlined calls are known: readers need not look."""
