"""Rows by type of task: counts of the runtime, figures of exact mode, episodes by task id."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis.cause import Cause
from hud.analysis.snapshot import Analyzer
from hud.analysis.tasks import kind_name, task_uses
from hud.model import BUCKETS, Batch, PollStats, TaskCount, TaskKind, TasksRead

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.recording import Recording

A, B, C, D = 0xA0, 0xB0, 0xC0, 0xD0


def polled(vtable: int, busy_ns: int) -> PollStats:
    return PollStats(vtable, 10, busy_ns, busy_ns, (0,) * BUCKETS)


def test_rows_come_from_all_that_is_known(sample_recording: Recording) -> None:
    analyzer = Analyzer(sample_recording)
    analyzer.snapshot(sample_recording.ended_ns, False)
    episodes = [e for e in analyzer.episodes() if e.cause is not Cause.WAITING][:3]
    episodes = [replace(e, task_id=7 + at % 2) for at, e in enumerate(episodes)]
    waiting = replace(episodes[0], cause=Cause.WAITING, task_id=7)
    batch = Batch(
        task_kinds=[TaskKind(A, "login", "src/login.rs:3"), TaskKind(C, "idler")],
        task_ids={7: A, 8: B},
        tasks=TasksRead(0, (TaskCount(C, 5, 1, 0, 0),), True),
        polls=[polled(A, 900), polled(D, 100)],
    )
    sample_recording.take(batch)
    rows = {use.kind.vtable: use for use in task_uses(sample_recording, [*episodes, waiting], {})}
    assert rows.keys() == {A, B, C, D}
    first = rows[A]
    assert first.kind.name == "login"
    assert first.episodes == 2
    assert first.blocked_ns == episodes[0].duration_ns + episodes[2].duration_ns
    assert first.max_ns == max(episodes[0].duration_ns, episodes[2].duration_ns)
    assert first.task_ids == (7,)
    assert first.polls == polled(A, 900)
    assert first.count is None
    assert (rows[B].episodes, rows[B].kind) == (1, TaskKind(B, ""))
    assert (rows[C].count, rows[C].blocked_ns) == (TaskCount(C, 5, 1, 0, 0), 0)
    assert rows[D].polls == polled(D, 100)


def test_the_order(build: ModuleType) -> None:
    recording = build.empty_recording()
    kinds = [TaskKind(A, "b"), TaskKind(B, "a"), TaskKind(C, "z"), TaskKind(D, "y")]
    alive = TasksRead(0, (TaskCount(A, 1, 0, 0, 0), TaskCount(B, 1, 0, 0, 0)), True)
    recording.take(Batch(task_kinds=kinds, tasks=alive, polls=[polled(C, 5), polled(D, 9)]))
    assert [use.kind.name for use in task_uses(recording, (), {})] == ["y", "z", "a", "b"]


def test_names() -> None:
    assert kind_name(TaskKind(0xABC, "")) == "type at 0xabc"
    assert kind_name(TaskKind(1, "zoo::cpu", inferred=True)) == "~zoo::cpu"


def test_a_snapshot_has_them(build: ModuleType) -> None:
    recording = build.empty_recording()
    analyzer = Analyzer(recording)
    recording.take(Batch(polls=[polled(A, 5)], exact="every poll"))
    now = build.START_NS + 2 * build.SECOND
    assert [use.kind.vtable for use in analyzer.snapshot(now, True).tasks] == [A]
    recording.take(Batch(polls=[polled(A, 5), polled(B, 6)]))
    # not derived anew within a second
    assert len(analyzer.snapshot(now + build.MS, True).tasks) == 1
    assert len(analyzer.snapshot(now + 2 * build.SECOND, True).tasks) == 2
