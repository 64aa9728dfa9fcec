"""Lines of a run that goes on: each episode once, with its names, and in the end all of them."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from hud.analysis.snapshot import NAMES_NS, Analyzer
from hud.export.jsonl import Lines, write
from hud.model import Frame, Origin, Stack

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.recording import Recording


class Read:
    """What has come, line by line."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.lines = Lines(lambda data: self.rows.extend(map(json.loads, data.splitlines())))


def nap(build: ModuleType, recording: Recording, at_ms: int, stack: int) -> int:
    """Another 12 ms of sleep in a poll; when it was over."""
    tid, start = build.TIDS[0], build.START_NS + at_ms * build.MS
    end: int = start + 12 * build.MS
    sleep = build.asleep(tid, end, 11 * build.MS, stack, start, 230)
    recording.add_samples([sleep, build.poll(tid, start, 12 * build.MS)])
    return end


def user(name: str) -> Stack:
    frame = Frame(16, name, origin=Origin.USER)
    return Stack((16,), True, "", (frame,))


def test_each_once_as_it_ends(build: ModuleType) -> None:
    recording, read = build.empty_recording(), Read()
    recording.add_stack(1, user("app::one"))
    analyzer = Analyzer(recording)
    for at_ms in (0, 100, 200):
        analyzer.absorb(nap(build, recording, at_ms, 1) + build.SECOND)
        read.lines.take(analyzer)
        assert [row["start_ns"] // build.MS for row in read.rows][-1] == at_ms
    read.lines.take(analyzer, last=True)
    assert [row["function"] for row in read.rows] == ["app::one"] * 3


def test_one_without_names_waits_and_holds_up_the_next(build: ModuleType) -> None:
    recording, read = build.empty_recording(), Read()
    recording.add_stack(1, Stack((16,), True, "", None))
    recording.add_stack(2, user("app::two"))
    analyzer = Analyzer(recording)
    nap(build, recording, 0, 1)
    now_ns = nap(build, recording, 100, 2) + build.SECOND
    analyzer.absorb(now_ns)
    read.lines.take(analyzer)
    assert read.rows == []
    recording.add_stack(1, user("app::one"))
    analyzer.absorb(now_ns + build.SECOND)
    read.lines.take(analyzer)
    assert [row["function"] for row in read.rows] == ["app::one", "app::two"]


def test_one_whose_names_never_come_holds_up_nothing_for_ever(build: ModuleType) -> None:
    recording, read = build.empty_recording(), Read()
    recording.add_stack(1, Stack((16,), True, "", None))
    recording.add_stack(2, user("app::two"))
    analyzer = Analyzer(recording)
    nap(build, recording, 0, 1)
    now_ns = nap(build, recording, 100, 2)
    for passed_ns, rows in ((NAMES_NS // 2, 0), (2 * NAMES_NS, 2)):
        recording.states_ns = now_ns + passed_ns
        analyzer.absorb(recording.states_ns)
        read.lines.take(analyzer)
        assert len(read.rows) == rows
    assert [row["stack"][0] for row in read.rows] == ["0x10", "app::two"]


def test_at_the_end_what_has_no_names_too(build: ModuleType) -> None:
    recording, read = build.empty_recording(), Read()
    recording.add_stack(1, Stack((16,), True, "", None))
    analyzer = Analyzer(recording)
    analyzer.absorb(nap(build, recording, 0, 1) + build.SECOND)
    read.lines.take(analyzer)
    assert read.rows == []
    read.lines.take(analyzer, last=True)
    assert [row["stack"] for row in read.rows] == [["0x10"]]


def test_in_the_end_the_lines_are_those_of_the_file(sample_recording: Recording) -> None:
    analyzer, read = Analyzer(sample_recording), Read()
    snapshot = analyzer.snapshot(sample_recording.ended_ns, False)
    read.lines.take(analyzer, last=True)
    out = io.BytesIO()
    write(analyzer, snapshot, out)
    whole = [json.loads(line) for line in out.getvalue().splitlines()]
    assert sorted(read.rows, key=lambda row: (row["start_ns"], row["tid"])) == whole


def test_a_run_that_begins_anew(build: ModuleType) -> None:
    read = Read()
    for _ in range(2):
        recording = build.empty_recording()
        recording.add_stack(1, user("app::one"))
        analyzer = Analyzer(recording)
        analyzer.absorb(nap(build, recording, 0, 1) + build.SECOND)
        read.lines.take(analyzer)
    assert len(read.rows) == 2
