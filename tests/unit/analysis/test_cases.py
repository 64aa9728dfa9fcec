"""One blocker is one row: its causes and calls are cases of it, and the main one speaks for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hud.analysis import inlining
from hud.analysis.advice.advise import advise
from hud.analysis.cause import Cause
from hud.analysis.results import Case, Snapshot
from hud.analysis.snapshot import Analyzer
from hud.export import summary
from hud.model import Batch, Frame, Origin, Stack, TaskKind

if TYPE_CHECKING:
    from types import ModuleType

NANOSLEEP, READ = 230, 0


def run(build: ModuleType, visits: list[tuple[Stack, int, int]], **batch: object) -> Snapshot:
    """One worker whose polls sleep in these stacks: (stack, system call, milliseconds)."""
    recording = build.empty_recording()
    at = build.START_NS + build.MS
    samples = []
    for number, (stack, call, ms) in enumerate(visits):
        recording.add_stack(0x1000 + number, stack)
        end = at + ms * build.MS
        tid = build.TIDS[0]
        slept = ms * build.MS - build.MS // 2
        samples.append(build.asleep(tid, end - 1000, slept, 0x1000 + number, at, call))
        samples.append(build.poll(tid, at, ms * build.MS, asleep_ns=slept, task_id=7))
        at = end + build.MS
    recording.take(Batch(samples=samples, **batch))
    return Analyzer(recording).snapshot(build.START_NS + 20 * build.SECOND, live=False)


def test_several_causes_of_one_function_are_one_row(build: ModuleType) -> None:
    sleep = build.stack(build.c("nanosleep"), build.std("std::thread::sleep"), build.user("a::f"))
    read = build.stack(build.c("read"), build.std("std::fs::read"), build.user("a::f"))
    snapshot = run(build, [(read, READ, 30), (sleep, NANOSLEEP, 40), (read, READ, 30)])
    (row,) = snapshot.blockers
    assert (row.function, row.count, row.cause) == ("a::f", 3, Cause.FILE)
    assert row.operation == "std::fs::read"
    assert row.cases == (
        Case(Cause.FILE, "std::fs::read", 60 * build.MS, 0x1000),
        Case(Cause.SLEEP, "std::thread::sleep", 40 * build.MS, 0x1001),
    )
    assert [cause for cause, _ in row.causes] == [Cause.FILE, Cause.SLEEP]
    assert advise(row, snapshot.stacks).text == "use tokio::fs::read"
    text = summary.text(snapshot)
    assert re.search("file +f +std::fs::read", text)
    assert "also sleep in std::thread::sleep (40 % of it)" in text
    assert "use tokio::fs::read; for sleep (40 % of it): replace the sleep with" in text


def test_a_case_without_an_operation_says_so(build: ModuleType) -> None:
    """``also cpu (40 % of it)`` would leave a reader to guess what is missing."""
    read = build.stack(build.c("read"), build.std("std::fs::read"), build.user("a::f"))
    slept = build.stack(build.user("a::f"))
    snapshot = run(build, [(read, READ, 60), (slept, NANOSLEEP, 40)])
    assert "also sleep in no known call (40 % of it)" in summary.text(snapshot)


def test_the_main_case_is_the_heaviest_not_the_longest(build: ModuleType) -> None:
    """Lines of one call differ: they are one case."""
    read = [
        build.stack(build.c("read"), build.std("std::fs::read"), build.user("a::f", "src/a.rs", at))
        for at in (3, 4)
    ]
    nap = build.stack(build.c("nanosleep"), build.std("std::thread::sleep"), build.user("a::f"))
    snapshot = run(build, [(read[0], READ, 30), (read[1], READ, 31), (nap, NANOSLEEP, 50)])
    (row,) = snapshot.blockers
    assert (row.cause, row.where) == (Cause.FILE, "src/a.rs:4")


HANDLER = "<F as axum::handler::Handler<((),),S>>::call::{async}"


def handler(build: ModuleType, raw: str, call: Frame) -> Stack:
    host = Frame(1, HANDLER, raw=raw, origin=Origin.DEPENDENCY, crate="axum 0.8.4")
    return build.stack(call, host)


def test_handlers_that_were_inlined_are_told_apart(build: ModuleType) -> None:
    visits = [
        (handler(build, "_ZN1h1", build.std("std::thread::sleep")), NANOSLEEP, 20),
        (handler(build, "_ZN1h2", build.std("std::fs::read")), READ, 40),
        (handler(build, "_ZN1h2", build.std("std::fs::read")), READ, 40),
    ]
    snapshot = run(build, visits)
    assert [(row.function, row.count, row.operation) for row in snapshot.blockers] == [
        (f"{HANDLER}#2", 2, "std::fs::read"),
        (f"{HANDLER}#1", 1, "std::thread::sleep"),
    ]
    text = " ".join(summary.text(snapshot).split())
    assert text.index(inlining.CURE) < text.index("blocks in")


def test_where_all_have_names_no_cure_is_told(build: ModuleType) -> None:
    read = build.stack(build.c("read"), build.std("std::fs::read"), build.user("a::f"))
    assert inlining.CURE not in summary.text(run(build, [(read, READ, 30)]))


def test_without_a_frame_of_the_users_the_tasks_type(build: ModuleType) -> None:
    nap = build.stack(build.c("clock_nanosleep"), build.std("std::thread::sleep"))
    kinds = [TaskKind(0xAB, "app::tick::{async}")]
    snapshot = run(build, [(nap, NANOSLEEP, 30)], task_ids={7: 0xAB}, task_kinds=kinds)
    (row,) = snapshot.blockers
    assert (row.function, row.operation) == ("app::tick::{async}", "std::thread::sleep")
    (unknown,) = run(build, [(nap, NANOSLEEP, 30)]).blockers
    assert unknown.function == "tokio::runtime::task::raw::poll"
