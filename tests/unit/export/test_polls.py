"""Exact mode's figures in the summary and in the trace."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from hud.analysis.snapshot import Analyzer
from hud.export import summary, trace
from hud.export.polls import MOST_ROWS, poll_data, poll_table
from hud.model import BUCKETS, Batch, PollStats, TaskKind

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.results import Snapshot


def stats(vtable: int, counts: dict[int, int], busy_ns: int, max_ns: int) -> PollStats:
    buckets = tuple(counts.get(at, 0) for at in range(BUCKETS))
    return PollStats(vtable, sum(counts.values()), busy_ns, max_ns, buckets)


# 640 ns to 768, 10.2 us to 12.3, 14.7 ms to 16.8
FAST, MIDDLE, SLOW = 37, 53, 95
EVERY = [
    stats(0xB0, {FAST: 990, MIDDLE: 10}, 900_000, 11_000),
    stats(0xA0, {SLOW: 30}, 460_000_000, 15_300_000),
]


def snapshot(build: ModuleType, exact: str, polls: list[PollStats]) -> tuple[Analyzer, Snapshot]:
    recording = build.empty_recording(threshold_from="3 x p99 0.2 ms")
    kinds = [TaskKind(0xA0, "api::login::{async fn}", "src/login.rs:88")]
    recording.take(Batch(polls=polls, exact=exact, task_kinds=kinds))
    analyzer = Analyzer(recording)
    return analyzer, analyzer.snapshot(build.START_NS + 30 * build.SECOND, False)


def test_table(build: ModuleType) -> None:
    _, found = snapshot(build, "every poll", EVERY)
    assert poll_table(found) == [
        "   polls   busy    p50    p90    p99   max  task",
        "      30  460ms   15ms   15ms   15ms  15ms  api::login::{async fn}  src/login.rs:88",
        "   1,000  900us  705ns  756ns  768ns  11us  type at 0xb0",
    ]
    assert poll_table(found, width=40)[1] == "      30  460ms   15ms   15ms   15ms  15"


def test_a_sample_is_called_one(build: ModuleType) -> None:
    _, found = snapshot(build, "bursts, 12 % of the time", EVERY)
    assert poll_table(found)[0].split("  ")[1].strip() == "polls seen"


def test_not_more_rows_than_people_read(build: ModuleType) -> None:
    many = [stats(1000 + at, {FAST: 1}, 700, 700) for at in range(MOST_ROWS + 5)]
    _, found = snapshot(build, "every poll", many)
    table = poll_table(found)
    assert len(table) == MOST_ROWS + 2
    assert table[-1] == "   and 5 more types, busy 3.5us"


def test_without_exact_mode_nothing_is_said(build: ModuleType) -> None:
    _, found = snapshot(build, "", [])
    assert poll_table(found) == poll_data(found) == []
    assert "  exact " not in summary.text(found)


def test_summary(build: ModuleType) -> None:
    text = summary.text(snapshot(build, "every poll", EVERY)[1])
    assert "; a long poll is one of 5 ms or more (auto: 3 x p99 0.2 ms) " in " ".join(text.split())
    assert "  exact    every poll\n" in text
    assert "type at 0xb0" in text


def test_trace(build: ModuleType) -> None:
    analyzer, found = snapshot(build, "off: no symbols", EVERY)
    out = io.BytesIO()
    trace.write(analyzer, found, out)
    other = json.loads(out.getvalue())["otherData"]
    assert other["exact"] == "off: no symbols"
    assert other["threshold_from"] == "3 x p99 0.2 ms"
    slow, fast = other["polls"]
    assert (slow["vtable"], slow["type"], slow["where"]) == (
        "0xa0",
        "api::login::{async fn}",
        "src/login.rs:88",
    )
    assert (slow["polls"], slow["busy_us"], slow["max_us"]) == (30, 460_000.0, 15_300.0)
    assert 14_600 < slow["p50_us"] <= slow["p99_us"] <= slow["max_us"]
    assert len(fast["buckets"]) == MIDDLE + 1
    assert sum(fast["buckets"]) == 1000
