"""The type of a task: by its vtable, by a stack, or unknown; what waited behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.snapshot import Analyzer
from hud.analysis.types import joined, type_name, type_of
from hud.model import Batch, Frame, Origin, TaskKind, TasksRead, ThreadState, TimeSplit, Where

if TYPE_CHECKING:
    from types import ModuleType

POLL = Frame(0, "tokio::runtime::task::harness::Harness::poll", origin=Origin.RUNTIME)
RUN = Frame(0, "tokio::runtime::scheduler::multi_thread::worker::run", origin=Origin.RUNTIME)
CATCH = Frame(0, "std::panicking::try", origin=Origin.STD)
INSTRUMENTED = Frame(
    0,
    "<tracing::instrument::Instrumented<T> as core::future::future::Future>::poll",
    origin=Origin.DEPENDENCY,
)
LEAF = Frame(0, "app::hash", origin=Origin.USER)


def user(name: str, **more: object) -> Frame:
    return replace(Frame(0, name, origin=Origin.USER), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ((LEAF, user("app::serve::{closure}"), CATCH, POLL, RUN), "app::serve::{closure}"),
        ((LEAF, user("in::{async fn}"), user("out::{async fn}"), POLL), "out::{async fn}"),
        ((LEAF, user("<app::Timed<T> as core::future::future::Future>::poll"), POLL),
         "app::Timed<T>"),
        ((LEAF, user("app::a::{async}"), INSTRUMENTED, POLL), "app::a::{async}"),
        ((LEAF, user("src/a.rs:3", inferred=True), POLL), "~src/a.rs:3"),
        ((LEAF, user("app::serve::{closure}", recovered=True), POLL), "app::serve::{closure}"),
        ((LEAF, user("a::{async fn}"), Frame(0, recovered=True), POLL), "a::{async fn}"),
        ((LEAF, POLL, RUN), ""),
        ((LEAF, user("app::main::{closure}"), RUN), ""),
        ((), ""),
    ],
)  # fmt: skip
def test_the_first_future_under_the_poll(frames: tuple[Frame, ...], expected: str) -> None:
    assert type_of(frames) == expected


@pytest.mark.parametrize("file", ["harness.rs", "state.rs"])
def test_stripped_tokio_is_known_by_its_files(file: str) -> None:
    inferred = Frame(
        0,
        f"tokio/src/runtime/task/{file}:1",
        file=f"/c/registry/src/x/tokio-1.54.1/src/runtime/task/{file}",
        origin=Origin.RUNTIME,
        inferred=True,
    )
    assert type_of((LEAF, user("src/a.rs:3", inferred=True), inferred)) == "~src/a.rs:3"


def test_the_vtable_comes_before_the_stack(build: ModuleType) -> None:
    stack = build.demo_recording().stacks[build.SAVE]
    assert type_name(None, stack) == "store::{async fn}"
    assert type_name(TaskKind(1, ""), stack) == "store::{async fn}"
    assert type_name(TaskKind(1, "a | b"), stack) == "a | b"
    assert type_name(TaskKind(1, "src/a.rs:3", inferred=True), stack) == "~src/a.rs:3"
    assert type_name(None, None) == ""
    assert type_name(TaskKind(1, "Box<dyn Future>"), stack) == "store::{async fn}"
    assert type_name(TaskKind(1, "Box<dyn Future>"), None) == "Box<dyn Future>"


def test_a_type_without_its_generics_is_the_one_that_has_them() -> None:
    short, whole, other = "a::serve::{async}", "a::serve<L, M<u8>>::{async}", "a::f::{async}"
    assert joined({short: 3, whole: 4, other: 1}) == {whole: 7, other: 1}
    twice = {short: 3, whole: 4, "a::serve<u8>::{async}": 5}
    assert joined(twice) == twice


def episode(build: ModuleType, start_ns: int, task_id: int) -> list[object]:
    tid = build.TIDS[1]
    return [
        build.asleep(tid, start_ns + 30 * build.MS, 28 * build.MS, build.SAVE, start_ns, 74),
        build.poll(tid, start_ns, 30 * build.MS, asleep_ns=28 * build.MS, task_id=task_id),
    ]


def in_poll(build: ModuleType, start_ns: int) -> ThreadState:
    at = start_ns + 10 * build.MS
    return ThreadState(
        build.TIDS[1], Where.POLL, False, False, at, start_ns, 7, TimeSplit(), build.SAVE, 74
    )


def test_types_and_tasks_behind_of_a_blocker(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid = build.TIDS[1]
    first, second = build.START_NS + build.MS, build.START_NS + 200 * build.MS
    for start, depths in ((first, (10, 20)), (second, (30,))):
        for depth in depths:
            read = TasksRead(start, (), True, queued=((tid, depth), (1, 99)))
            recording.take(Batch(start, states=[in_poll(build, start)], tasks=read))
    analyzer = Analyzer(recording)
    recording.take(Batch(samples=episode(build, first, 7)))
    analyzer.snapshot(build.START_NS + build.SECOND, live=True)
    recording.take(Batch(task_ids={8: 0xAB}, task_kinds=[TaskKind(0xAB, "store::save<u8>")]))
    recording.take(Batch(samples=episode(build, second, 8)))
    (blocker,) = analyzer.snapshot(build.START_NS + build.SECOND, live=False).blockers
    assert blocker.behind == (15 + 30) / 2
    # the first episode's task was gone, but its stack is that of the second
    assert blocker.types == (("store::save<u8>", 60 * build.MS),)


def test_unknown_stays_unknown(build: ModuleType) -> None:
    recording = build.empty_recording()
    recording.take(Batch(samples=episode(build, build.START_NS + build.MS, 0)))
    (blocker,) = Analyzer(recording).snapshot(build.START_NS + build.SECOND, live=False).blockers
    assert blocker.behind == -1
    assert blocker.types == ()
