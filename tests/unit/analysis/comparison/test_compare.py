"""What is told of two runs is so, and of two runs of one build nothing is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from hud.analysis.comparison.compare import Change, Comparison, Verdict, compare
from hud.analysis.results import Snapshot
from tests.builders.services import Blocks, run

A, B, C, D = "api::a", "api::b", "api::c", "api::d"
CODE = {A: Blocks(8, 20), B: Blocks(2, 60), C: Blocks(20, 8), D: Blocks(0.3, 30)}
TRIALS = 20
QUIET = (Verdict.SAME, Verdict.SMALL)


@cache
def usual(seed: int) -> Snapshot:
    return run(CODE, seed)


def of(comparison: Comparison, function: str) -> Change:
    (found,) = (one for one in comparison.changes if one.side.row.function == function)
    return found


def told(comparison: Comparison) -> dict[str, Verdict]:
    return {
        one.side.row.function: one.verdict for one in comparison.changes if one.verdict not in QUIET
    }


def test_the_same_run_is_no_difference() -> None:
    one = usual(1)
    comparison = compare(one, one)
    assert [change.verdict for change in comparison.changes] == [Verdict.SAME] * 4
    assert comparison.whole
    assert comparison.whole.verdict is Verdict.SAME
    assert all(change.share and change.share.best == 0 for change in comparison.changes)


def test_two_runs_of_one_build_are_no_difference() -> None:
    quiet = sum(not told(compare(usual(at), usual(1000 + at))) for at in range(TRIALS))
    assert quiet >= 0.95 * TRIALS


@pytest.mark.parametrize("function", [A, B, C])
def test_twice_as_slow_is_worse(function: str) -> None:
    slow = {**CODE, function: CODE[function]._replace(ms=2 * CODE[function].ms)}
    found = [told(compare(usual(at), run(slow, 1000 + at))) for at in range(TRIALS)]
    worse = sum(one.get(function) is Verdict.WORSE for one in found)
    assert worse >= 0.95 * TRIALS
    back = compare(run(slow, 1), usual(2))
    assert of(back, function).verdict is Verdict.BETTER


def test_what_is_not_there_any_more_is_gone_and_nothing_else_is_told() -> None:
    rest = {name: blocks for name, blocks in CODE.items() if name != B}
    comparison = compare(usual(1), run(rest, 2))
    assert told(comparison) == {B: Verdict.GONE}
    assert comparison.changes[0].side.row.function == B
    assert of(comparison, B).after is None
    assert told(compare(run(rest, 2), usual(1))) == {B: Verdict.NEW}


def test_two_episodes_are_not_gone() -> None:
    rest = {name: blocks for name, blocks in CODE.items() if name != D}
    rare = run({**rest, D: Blocks(0.15, 30)}, 1)
    change = of(compare(rare, run(rest, 2)), D)
    assert change.before
    assert 0 < change.before.episodes <= 3
    assert change.verdict is Verdict.SAME


def test_more_often_is_worse_though_no_longer() -> None:
    often = {**CODE, A: Blocks(24, 20)}
    change = of(compare(usual(1), run(often, 2)), A)
    assert change.verdict is Verdict.WORSE
    assert change.length
    assert 0.8 < change.length.best < 1.25


def test_renamed_code_is_found_by_what_it_does() -> None:
    one = usual(1)
    named = tuple(replace(row, operation="std::fs::read") for row in one.blockers)
    moved = tuple(
        replace(row, function="api::inlined" if row.function == A else row.function)
        for row in named
    )
    comparison = compare(replace(one, blockers=named), replace(one, blockers=moved))
    assert of(comparison, "api::inlined").verdict is Verdict.SAME
    assert len(comparison.changes) == len(CODE)


def test_what_is_too_small_is_counted_and_not_tested() -> None:
    tiny = run({**CODE, D: Blocks(0.1, 6)}, 8)
    change = of(compare(tiny, tiny), D)
    assert change.verdict is Verdict.SMALL


def test_a_long_episode_in_a_short_run_says_nothing() -> None:
    code = {A: Blocks(2, 400)}
    change = of(compare(run(code, 1, seconds=4), run(code, 1, seconds=4)), A)
    assert change.share is None
    assert change.verdict is Verdict.SAME


def test_runs_that_blocked_nowhere() -> None:
    quiet = replace(usual(1), blockers=())
    assert compare(quiet, quiet).whole is None


def test_runs_that_cannot_be_compared_are_not_ranked() -> None:
    comparison = compare(usual(1), run(CODE, 2, threshold_ns=1_000_000))
    assert comparison.why_not
    assert comparison.changes == ()
    assert comparison.whole is None
