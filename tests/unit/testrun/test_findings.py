"""Whose test it was: by the stack, by the command line, by who started the thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hud.analysis.snapshot import Analyzer
from hud.model import Detection, Frame, Losses, Rung, SampleFlag
from hud.testrun.findings import Report, alone, program_of, report, says, whose_test

if TYPE_CHECKING:
    from types import ModuleType

    from hud.model import Sample

HARNESS = (
    "tokio::runtime::runtime::Runtime::block_on",
    "api::tests::login",
    "api::tests::login::{closure}",
    "core::ops::function::FnOnce::call_once",
    "<fn() -> core::result::Result<(), alloc::string::String> as core::ops::FnOnce<()>>::call_once",
    "test::__rust_begin_short_backtrace<core::result::Result<(), alloc::string::String>>",
    "test::run_test::{closure}",
    "std::sys::backtrace::__rust_begin_short_backtrace",
)


def frames(*functions: str) -> list[Frame]:
    return [Frame(0, name) for name in functions]


@pytest.mark.parametrize(
    ("functions", "starter", "test"),
    [
        (("std::thread::sleep", *HARNESS), "main", "tests::login"),
        (("std::thread::sleep", "api::serve", "tokio::run"), "tests::at_work", "tests::at_work"),
        (("std::thread::sleep", "api::serve", "tokio::run"), "", ""),
        (("core::ops::function::FnOnce::call_once", *HARNESS[5:]), "main", ""),
        ((), "tests::at_work", "tests::at_work"),
    ],
)
def test_the_test_of_a_stack(functions: tuple[str, ...], starter: str, test: str) -> None:
    assert whose_test(frames(*functions), starter) == test


@pytest.mark.parametrize(
    ("words", "test"),
    [
        (["api-12", "--exact", "tests::login", "--nocapture"], "tests::login"),
        (["api-12", "tests::login", "--exact"], "tests::login"),
        (["api-12", "login"], ""),
        (["api-12", "--exact", "one", "two"], ""),
        (["api-12"], ""),
        ([], ""),
    ],
)
def test_a_process_of_one_test(words: list[str], test: str) -> None:
    assert alone(words) == test


def test_what_cargo_names() -> None:
    assert program_of("/t/debug/deps/my_api-2222f417be588c40") == "my_api"
    assert program_of("/t/debug/my-server") == "my-server"
    assert program_of("bad\x1bname") == "bad\\x1bname"


ON_TEST, ON_WORKER = 901, 902


def seen(build: ModuleType, *samples: list[Sample], **changes: object) -> Report:
    recording = build.empty_recording(**changes)
    recording.starters[build.TIDS[1]] = "tests::on_a_worker"
    load = build.user("api::load", "src/api.rs", 88)
    harness = tuple(Frame(0x5900 + at, name) for at, name in enumerate(HARNESS))
    recording.add_stack(ON_TEST, build.stack(build.std("std::fs::read"), load, outer=harness))
    recording.add_stack(ON_WORKER, build.stack(build.std("std::fs::read"), load))
    for one in samples:
        recording.add_samples(one)
    recording.finish(build.START_NS + build.SECOND, "target exited (status 0)")
    analyzer = Analyzer(recording)
    return report(analyzer, analyzer.snapshot(recording.ended_ns, False), ["api-2222f417be588c40"])


def reading(build: ModuleType, worker: int, at_ms: int, ms: int, stack: int) -> list[Sample]:
    tid, start, length = build.TIDS[worker], build.START_NS + at_ms * build.MS, ms * build.MS
    slept = build.asleep(tid, start + length, length, stack, start, build.READ)
    return [slept, build.poll(tid, start, length, asleep_ns=length)]


def test_each_test_has_its_findings(build: ModuleType) -> None:
    tid, start = build.TIDS[1], build.START_NS + 300 * build.MS
    poll = build.poll(tid, start, 25 * build.MS)._replace(flags=SampleFlag.TICK_UNKNOWN)
    unsure = [build.cpu(tid, start + at * build.MS, ON_WORKER, start) for at in (10, 20)]
    found = seen(
        build,
        reading(build, 0, 10, 30, ON_TEST),
        reading(build, 0, 100, 40, ON_TEST),
        reading(build, 1, 200, 20, ON_WORKER),
        [*unsure, poll],
    )
    assert found.program == "demo-server"
    assert found.doubt == ""
    assert [(one.test, one.count, one.worst_ns // build.MS) for one in found.findings] == [
        ("tests::login", 2, 40),
        ("tests::on_a_worker", 1, 20),
    ]
    first = found.findings[0]
    assert (first.function, first.place, first.cause) == ("api::load", "src/api.rs:88", "file")
    assert (first.operation, first.advice) == ("std::fs::read", "use tokio::fs::read")
    assert first.stack[0].startswith("std::fs::read")
    assert (first.file, first.line) == ("/home/me/demo-server/src/api.rs", 88)
    assert says(first) == (
        "up to 40 ms, 2 times in std::fs::read, called by api::load src/api.rs:88 (file)"
    )


@pytest.mark.parametrize(
    ("losses", "doubt"),
    [
        (Losses(), ""),
        (Losses(ring_full=1), "events were lost"),
        (Losses(threads_full=1, context_unreadable=2), "threads were not watched"),
    ],
)
def test_what_may_have_been_missed(build: ModuleType, losses: Losses, doubt: str) -> None:
    recording = build.empty_recording()
    recording.set_losses(losses)
    recording.finish(build.START_NS + build.SECOND, "target exited")
    analyzer = Analyzer(recording)
    found = report(analyzer, analyzer.snapshot(recording.ended_ns, False), [])
    assert found.doubt.startswith(doubt)
    assert bool(found.doubt) is bool(doubt)
    assert found.runtimes, "four workers"


def test_below_context_nothing_is_known(build: ModuleType) -> None:
    detection = Detection(Rung.NAMES, "no tokio in the executable")
    found = seen(build, detection=detection)
    assert found.doubt == "polls were not seen: no tokio in the executable"
