"""The plain tables: they say what is known, and no column that nothing is known for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hud import figures
from hud.analysis.comparison.compare import compare
from hud.report import tables


def table(run: Any, name: str) -> tables.Table:
    (found,) = [one for one in tables.tables(run.snapshot) if one.id == name]
    return found


def test_the_causes_are_shares_of_worker_time(rich: Any) -> None:
    rows = table(rich, "causes").rows
    whole = rich.snapshot.worker_time_ns
    (hash_ns,) = [ns for cause, ns in rich.snapshot.blockers[0].causes if cause.value == "cpu"]
    assert rows[0][:3] == ("cpu", figures.share(hash_ns / whole), figures.long_duration(hash_ns))


def test_without_worker_time_there_is_no_share_of_it(rich: Any) -> None:
    unknown = replace(rich.snapshot, worker_time_ns=0)
    assert tables._causes(unknown).titles == ("cause", ">blocked", "what it was")


def test_workers_come_the_most_blocked_first(rich: Any) -> None:
    found = table(rich, "workers")
    uses = sorted(rich.snapshot.workers, key=lambda use: -use.blocked_ns)
    assert [row[0] for row in found.rows] == [f"W{use.worker.worker_id}" for use in uses]
    assert "runtime" not in found.titles, "there is but one, without a name"


def test_what_is_not_read_of_tasks_has_no_column(rich: Any, demo: Any) -> None:
    assert {">polls", ">alive"} <= set(table(rich, "tasks").titles)
    assert ">polls" not in table(demo, "tasks").titles
    assert all(len(row) == len(table(demo, "tasks").titles) for row in table(demo, "tasks").rows)


def test_long_tables_say_what_they_leave_out(rich: Any) -> None:
    many = replace(rich.snapshot, tasks=rich.snapshot.tasks * 100)
    found = tables._tasks(many)
    assert (len(found.rows), found.rest) == (200, "and 200 more")


def test_of_many_workers_those_that_never_blocked_are_counted(rich: Any) -> None:
    one = rich.snapshot.workers[0]
    idle = (one._replace(episodes=0, blocked_ns=0),) * 60
    found = tables._workers(replace(rich.snapshot, workers=rich.snapshot.workers + idle))
    assert (len(found.rows), found.rest) == (4, "60 more never blocked")


def test_who_ran_instead(rich: Any) -> None:
    (row,) = table(rich, "pressure").rows
    assert row == ("stress-ng", "pid 9000", "8", "64ms", "8.0ms")


def test_a_comparison_is_that_of_hud_diff(rich: Any, crowd: Any) -> None:
    same = tables.compared(compare(rich.snapshot, rich.snapshot))
    assert same["said"][0].startswith("No overall difference")
    assert {row[0] for row in same["table"].rows} == {"no difference"}
    lost = tables.compared(compare(rich.snapshot, crowd.snapshot))
    assert lost["said"][0] == "The two runs cannot be compared."
    assert lost["table"] is None
