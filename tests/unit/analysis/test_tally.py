"""Durations and tallies: what is added can be taken out again."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hud.analysis.blame import Blame
from hud.analysis.cause import Cause
from hud.analysis.results import Episode, Method
from hud.analysis.slices import Slices
from hud.analysis.tally import Tally, Worked, heaviest, nearest_rank

SPANS = st.tuples(st.integers(0, 70 * 10**9), st.integers(1, 30 * 10**9))


def episode(start: int, length: int, worker: int, stack: int, cause: Cause) -> Episode:
    return Episode(
        worker, 100 + worker, start, length, length, 0, 0, Method.POLL, cause, stack, task_id=stack
    )


@given(st.lists(st.integers(0, 1000), min_size=1), st.integers(1, 100))
def test_nearest_rank_is_the_smallest_that_enough_do_not_exceed(
    values: list[int], percent: int
) -> None:
    found = nearest_rank(sorted(values), percent)
    enough = math.ceil(percent * len(values) / 100)
    assert sum(1 for value in values if value <= found) >= enough
    assert sum(1 for value in values if value < found) < enough


@given(
    st.lists(
        st.tuples(
            SPANS,
            st.integers(0, 3),
            st.integers(0, 2),
            st.sampled_from([Cause.CPU, Cause.LOCK]),
            st.booleans(),
        ),
        max_size=25,
    )
)
def test_what_is_taken_away_leaves_no_trace(
    rows: list[tuple[tuple[int, int], int, int, Cause, bool]],
) -> None:
    blame = Blame("f")
    slices = Slices(32)
    slices.fit(0, 10**11)
    both, kept = Tally(slices), Tally(slices)
    for (start, length), worker, stack, cause, _ in rows:
        both.add(episode(start, length, worker, stack, cause), blame, 0)
    for (start, length), worker, stack, cause, stays in rows:
        one = episode(start, length, worker, stack, cause)
        if stays:
            kept.add(one, blame, 0)
        else:
            both.remove(one, blame, 0)
    assert both.durations.kept == kept.durations.kept
    assert both.durations.total_ns == kept.durations.total_ns
    assert both.durations.amounts.values() == kept.durations.amounts.values()
    for name in ("cases", "workers", "stacks"):
        assert getattr(both, name) == getattr(kept, name), name


def test_a_workers_times_add_up_by_cause() -> None:
    worked = Worked(Slices(32))
    rows = [episode(0, 7, 1, 1, Cause.CPU), episode(9, 5, 1, 1, Cause.LOCK)]
    rows.append(replace(rows[0], duration_ns=9, waiting_ns=6))
    for one in rows:
        worked.add(one, 0)
    assert worked.causes == {Cause.CPU: 10, Cause.LOCK: 5}
    worked.remove(rows[1], 0)
    assert (worked.causes, worked.total_ns) == ({Cause.CPU: 10}, 10)


def test_heaviest_is_ordered_and_bounded() -> None:
    weights = {number: number // 2 for number in range(1, 200)}
    assert heaviest(weights, 3) == ((198, 99), (199, 99), (196, 98))
