"""The tables of tasks and what they forget."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis.tasktables import TaskTables
from hud.model import Batch, TasksRead, Where

if TYPE_CHECKING:
    from types import ModuleType


def test_tasks_of_another_program_are_others(build: ModuleType) -> None:
    recording = build.empty_recording()
    recording.take(Batch(build.START_NS, task_ids={7: 0x70, 8: 0x80}))
    target = replace(recording.info.target, name="next")
    recording.take(Batch(build.START_NS + 1, target=target, task_ids={8: 0x88}))
    assert recording.tasks.vtables == {8: 0x88}


def test_what_waited_behind_a_poll_is_an_average(build: ModuleType) -> None:
    tables = TaskTables()
    inside = build.state(7, where=Where.POLL, poll_start_ns=5)
    for ready in (2, 3):
        read = TasksRead(10, (), whole=True, queued=((7, ready), (8, 100)))
        tables.add_queues(read, {7: inside, 8: build.state(8)})
    assert tables.behind(7, 5) == 2.5
    assert tables.behind(8, 0) == -1
    tables.forget_polls({(7, 5)})
    tables.forget_polls(set())
    assert tables.behind(7, 5) == 2.5, "its end may be told of late"
    tables.forget_polls(set())
    assert tables.behind(7, 5) == -1
