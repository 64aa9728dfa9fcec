"""Blocked code that holds a lock which others wait for says so, as long as these are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hud.analysis.advice.advise import advise
from hud.analysis.snapshot import Analyzer
from hud.model import Frame, Origin

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.recording import Recording

LETS_GO = 0x77


def _waits(build: ModuleType, recording: Recording, number: int) -> None:
    """One poll that waits 20 ms for the lock that `api::config` lets go of."""
    tid, start = build.TIDS[1], build.START_NS + number * 100 * build.MS
    end = start + 20 * build.MS
    recording.add_samples(
        [
            build.wake(
                tid, end, 19 * build.MS, start, waker=build.TIDS[0], sleeper_stack=build.CACHE
            )._replace(stack=LETS_GO),
            build.asleep(tid, end, 19 * build.MS, build.CACHE, start, build.FUTEX),
            build.poll(tid, start, 20 * build.MS, asleep_ns=19 * build.MS),
        ]
    )


def _reads(build: ModuleType, recording: Recording) -> None:
    tid, start = build.TIDS[0], build.START_NS
    end = start + 20 * build.MS
    recording.add_samples(
        [
            build.asleep(tid, end, 19 * build.MS, build.READ_CONFIG, start, build.READ),
            build.poll(tid, start, 20 * build.MS, asleep_ns=19 * build.MS),
        ]
    )


@pytest.mark.parametrize(
    ("function", "origin"),
    [
        ("tokio::runtime::blocking::pool::Spawner::spawn_task", Origin.RUNTIME),
        ("std::io::stdio::_print", Origin.STD),
        ("free", Origin.C),
    ],
)
def test_a_lock_of_a_library_is_not_the_callers(
    build: ModuleType, function: str, origin: Origin
) -> None:
    """Tokio's own, that of standard output, the allocator's: its caller can let go of nothing."""
    recording = build.empty_recording()
    recording.add_stack(
        LETS_GO,
        build.stack(
            build.c("syscall"),
            build.std("std::sys::sync::mutex::futex::Mutex::wake"),
            Frame(1, function, origin=origin),
            build.user("api::config::{async fn}", "src/config.rs", 12),
        ),
    )
    _reads(build, recording)
    _waits(build, recording, 0)
    snapshot = Analyzer(recording).snapshot(build.START_NS + build.SECOND, True)
    assert {one.function: one.holds for one in snapshot.blockers} == {
        "cache::get": 0,
        "api::config::{async fn}": 0,
    }


def test_a_row_that_holds_a_lock_counts_who_waited(build: ModuleType) -> None:
    recording = build.empty_recording(window_ns=0)
    recording.add_stack(
        LETS_GO,
        build.stack(
            build.c("syscall"),
            build.std("std::sys::sync::mutex::futex::Mutex::wake"),
            build.user("api::config::{async fn}", "src/config.rs", 12),
        ),
    )
    analyzer = Analyzer(recording)
    _reads(build, recording)
    now = build.START_NS + build.SECOND
    (row,) = analyzer.snapshot(now, True).blockers
    assert row.holds == 0
    assert advise(row, recording.stacks).text == "use tokio::fs::read"
    for number in range(5):
        _waits(build, recording, number)
    rows = {one.function: one for one in analyzer.snapshot(now, True).blockers}
    assert rows["cache::get"].holds == 0, "it waits"
    held = rows["api::config::{async fn}"]
    assert held.holds == 5
    advice = advise(held, recording.stacks)
    assert advice.text == "release the lock first, then use tokio::fs::read"
    assert ".await" not in advice.code
    recording.set_window(500 * build.MS)
    later = analyzer.snapshot(build.START_NS + 1_100 * build.MS, True)
    assert all(one.holds == 0 for one in later.blockers), "those that waited have left the window"
