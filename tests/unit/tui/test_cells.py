"""The timeline's cells, and that they are added up once."""

from __future__ import annotations

from dataclasses import replace

from screen_build import INFO, MS, NOW, START, S, episode, snapshot

from hud.analysis.cause import Cause
from hud.analysis.results import Episode, Snapshot
from hud.tui import cells

CELL = 100 * MS
COLUMNS = range(2_000)


def seen(*episodes: Episode) -> Snapshot:
    return snapshot(timeline=episodes)


def one(start_ns: int, length_ns: int, **changes: object) -> Episode:
    cpu = {"start_ns": START + start_ns, "duration_ns": length_ns, "on_cpu_ns": length_ns}
    return replace(episode(0, 0, 0), **{**cpu, **changes})


def test_an_episode_is_in_each_column_with_its_part() -> None:
    row = cells.of(seen(one(150 * MS, 100 * MS)), CELL, COLUMNS).row(22969)
    assert {column: cell.blocked_ns for column, cell in row.items()} == {1: 50 * MS, 2: 50 * MS}


def test_what_it_had_no_cpu_counts_for_nothing() -> None:
    waited = one(0, 100 * MS, on_cpu_ns=40 * MS, waiting_ns=60 * MS)
    row = cells.of(seen(waited), CELL, COLUMNS).row(22969)
    assert row[0].blocked_ns == 40 * MS
    only = one(0, 100 * MS, on_cpu_ns=0, waiting_ns=100 * MS, cause=Cause.WAITING)
    row = cells.of(seen(only), CELL, COLUMNS).row(22969)
    assert (row[0].blocked_ns, row[0].cause) == (0, Cause.WAITING)


def test_the_cause_is_that_of_most_of_it() -> None:
    row = cells.of(
        seen(one(0, 20 * MS), one(30 * MS, 40 * MS, cause=Cause.FILE), one(80 * MS, 15 * MS)),
        CELL,
        COLUMNS,
    ).row(22969)
    assert (row[0].cause, row[0].blocked_ns) == (Cause.FILE, 75 * MS)


def test_all_is_the_sum_of_the_workers() -> None:
    found = cells.of(seen(one(0, 20 * MS), one(30 * MS, 40 * MS, tid=7)), CELL, COLUMNS)
    assert found.row(cells.ALL)[0].blocked_ns == 60 * MS


def test_what_is_new_is_added_and_what_was_there_is_not_added_again() -> None:
    first, second = one(0, 20 * MS), one(30 * MS, 40 * MS)
    before = cells.of(seen(first), CELL, COLUMNS)
    after = cells.of(seen(first, second), CELL, COLUMNS)
    assert after is before
    assert after.row(22969)[0].blocked_ns == 60 * MS
    assert cells.of(seen(first, second), CELL, COLUMNS).row(22969)[0].blocked_ns == 60 * MS


def test_another_run_begins_anew() -> None:
    cells.of(seen(one(0, 20 * MS)), CELL, COLUMNS)
    assert cells.of(seen(one(0, 30 * MS)), CELL, COLUMNS).row(22969)[0].blocked_ns == 30 * MS
    assert cells.of(seen(), CELL, COLUMNS).row(22969) == {}


def test_what_has_not_ended_is_added_each_time_as_it_is_then() -> None:
    ended = one(0, 20 * MS)
    for length in (10, 25, 60):
        lasting = one(50 * MS, length * MS, in_progress=True)
        shown = seen(ended, lasting)
        row = cells.of(shown, CELL, COLUMNS).row(22969, cells.in_progress(shown.timeline))
        assert row[0].blocked_ns == 20 * MS + min(length, 50) * MS


def test_a_poll_of_hours_costs_only_the_columns_around_those_shown() -> None:
    hours = one(0, 10_000 * S)
    info = replace(INFO, start_monotonic_ns=NOW - 10_000 * S)
    shown = snapshot(timeline=(replace(hours, start_ns=NOW - 10_000 * S),), info=info)
    row = cells.of(shown, MS, range(5_000_000, 5_000_100)).row(22969)
    assert len(row) <= 512
    assert row[5_000_050].blocked_ns == MS
