"""Episodes that may be several polls of one task, and what is told of them."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from hud.analysis.results import Snapshot
from hud.analysis.snapshot import Analyzer
from hud.export import summary, trace
from hud.model import Frame, SampleFlag, Stack
from hud.tui.verdict import caveats, verdict

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.recording import Recording

MS = 1_000_000
RUN_TASK = "tokio::runtime::scheduler::multi_thread::worker::Context::run_task"
FIRST, SLOT = 0x1000, 0x1080
"""Where run_task polls the first task of a turn, and those of the LIFO slot."""


def stack_below(caller: int, function: str = RUN_TASK) -> Stack:
    frames = (Frame(caller - 1, "app::work"), Frame(caller, function), Frame(7, "start_thread"))
    return Stack(tuple(frame.address for frame in frames), True, frames=frames)


def seen(build: ModuleType, flags: int, *sleeps: tuple[int, Stack]) -> Analyzer:
    """A poll of 20 ms in which the thread slept."""
    recording: Recording = build.empty_recording()
    tid, start = build.TIDS[0], build.START_NS + build.SECOND
    samples = []
    for key, (length, stack) in enumerate(sleeps, 900):
        recording.add_stack(key, stack)
        samples.append(build.asleep(tid, start + length, length, key, start, 230))
    asleep = sum(length for length, _ in sleeps)
    recording.add_samples(
        [*samples, build.poll(tid, start, 20 * MS, asleep_ns=asleep, flags=flags)]
    )
    return Analyzer(recording)


def snapshot(build: ModuleType, analyzer: Analyzer) -> Snapshot:
    return analyzer.snapshot(build.START_NS + 2 * build.SECOND, live=False)


def test_a_poll_whose_tick_is_unknown_is_told_as_uncertain(build: ModuleType) -> None:
    analyzer = seen(build, SampleFlag.TICK_UNKNOWN, (6 * MS, stack_below(FIRST)))
    found = snapshot(build, analyzer)
    assert (found.episodes, found.tick_unknown, found.awaited) == (1, 1, 0)
    text = " ".join(summary.text(found).split())
    assert "in 1 long poll, which may be several shorter ones (W0: 1.0 %)." in text
    assert "1 poll may be several of one task in a row, because the scheduler's tick is not" in text
    assert "in 1 long poll, which may be several shorter ones (" in verdict(found)[0]
    assert any("tick is not known" in sentence for sentence in caveats(found))
    out = BytesIO()
    trace.write(analyzer, found, out)
    written = json.loads(out.getvalue())
    assert written["otherData"]["episodes_tick_unknown"] == 1
    (begin,) = (event for event in written["traceEvents"] if event["ph"] == "B")
    assert begin["args"]["maybe_several_polls"] == ["scheduler's tick unknown"]


def test_one_long_sleep_is_in_one_poll(build: ModuleType) -> None:
    analyzer = seen(build, SampleFlag.TICK_UNKNOWN, (16 * MS, stack_below(FIRST)))
    found = snapshot(build, analyzer)
    assert (found.episodes, found.tick_unknown) == (1, 0)
    assert "several" not in summary.text(found) + " ".join(verdict(found) + caveats(found))


@pytest.mark.parametrize(
    ("callers", "awaited"),
    [
        ((FIRST, FIRST), 0),
        ((FIRST, SLOT), 1),
        ((SLOT, SLOT), 0),
    ],
)
def test_stacks_tell_two_polls_of_one_turn_apart(
    build: ModuleType, callers: tuple[int, ...], awaited: int
) -> None:
    stacks = [(6 * MS, stack_below(caller)) for caller in callers]
    assert snapshot(build, seen(build, SampleFlag.AWAITED, *stacks)).awaited == awaited


@pytest.mark.parametrize(
    "stack",
    [
        stack_below(FIRST, "tokio::runtime::scheduler::current_thread::Context::run_task"),
        stack_below(FIRST, ""),
        Stack((FIRST,), True),
    ],
)
def test_without_names_an_await_is_a_doubt(build: ModuleType, stack: Stack) -> None:
    found = snapshot(build, seen(build, SampleFlag.AWAITED, (6 * MS, stack)))
    assert found.awaited == 1
    assert "may be two of one task" in summary.text(found)


def test_names_that_come_later_settle_it(build: ModuleType) -> None:
    named = stack_below(FIRST)
    bare = Stack(named.addresses, True)
    analyzer = seen(build, SampleFlag.AWAITED, (6 * MS, bare), (7 * MS, bare))
    assert snapshot(build, analyzer).awaited == 1
    for key in (900, 901):
        analyzer.recording.add_stack(key, named)
    assert snapshot(build, analyzer).awaited == 0


def test_a_poll_that_lasts_is_doubted_too(build: ModuleType) -> None:
    analyzer = seen(build, 0)
    tid = build.TIDS[1]
    start = build.START_NS + build.SECOND
    running = build.state(tid, where=3, running=True, since_ns=start, poll_start_ns=start)
    analyzer.recording.set_states(
        [replace(running, doubts=int(SampleFlag.TICK_UNKNOWN))], start + 50 * MS
    )
    assert analyzer.snapshot(start + 50 * MS, live=True).tick_unknown == 1
    analyzer.recording.finish(start + 50 * MS, "over")
    assert analyzer.snapshot(start + 50 * MS, live=False).tick_unknown == 1
