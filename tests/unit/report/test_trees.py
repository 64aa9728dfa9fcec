"""Stacks as one tree: they join where they begin alike, and nothing of them is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hud.analysis.cause import Cause
from hud.report import trees
from hud.report.trees import CAUSES, NO_STACK, Trees

if TYPE_CHECKING:
    from types import ModuleType

CPU = CAUSES.index(Cause.CPU)


def named(found: Trees, rows: list[trees.Row]) -> list[tuple[int, str, int]]:
    return [(depth, found.frames.table[frame][0], ns) for depth, frame, ns, *_ in rows]


@pytest.fixture
def blocker(rich: Any) -> Any:
    """That hashes, in two stacks."""
    return rich.snapshot.blockers[0]


def test_two_stacks_share_their_callers(rich: Any, blocker: Any, build: ModuleType) -> None:
    found = Trees(rich.snapshot.stacks)
    part = blocker.total_ns // 4
    weights = {(build.HASH, Cause.CPU): part, (build.HASH_DEEPER, Cause.CPU): 3 * part}
    found.add(replace(blocker, total_ns=4 * part), weights)
    (rows,) = found.rows()
    assert named(found, rows)[:4] == [
        (0, "api::login::{async fn}", 4 * part),
        (1, "api::login::hash_password", 4 * part),
        (2, "bcrypt::hash", 4 * part),
        (3, "bcrypt::bcrypt::bcrypt", 4 * part),
    ]
    assert named(found, rows)[-1] == (5, "blowfish::Blowfish::round_function", 3 * part)
    assert [row[4] for row in rows].index(1) == 1, "the frame that is blamed"
    assert {row[3] for row in rows} == {CPU}


def test_a_call_has_the_cause_of_most_of_it(rich: Any, blocker: Any, build: ModuleType) -> None:
    found = Trees(rich.snapshot.stacks)
    weights = {(build.HASH, Cause.CPU): 2, (build.HASH, Cause.LOCK): 3}
    found.add(replace(blocker, total_ns=5), weights)
    ((_, _, ns, cause, _), *_) = found.rows()[0]
    assert (ns, CAUSES[cause]) == (5, Cause.LOCK)


def test_what_no_stack_was_caught_of_is_told(rich: Any, blocker: Any, build: ModuleType) -> None:
    found = Trees(rich.snapshot.stacks)
    found.add(replace(blocker, total_ns=10), {(build.HASH, Cause.CPU): 7})
    roots = [row for row in named(found, found.rows()[0]) if not row[0]]
    assert roots == [(0, "api::login::{async fn}", 7), (0, NO_STACK, 3)]


def test_an_incomplete_stack_says_why(rich: Any, blocker: Any, build: ModuleType) -> None:
    found = Trees(rich.snapshot.stacks)
    found.add(replace(blocker, total_ns=1), {(build.RESOLVE, Cause.DNS): 1})
    assert named(found, found.rows()[0])[:2] == [
        (0, "(incomplete: no unwind rule)", 1),
        (1, "resolve_peer", 1),
    ]


def test_the_lightest_are_left_out_and_the_limit_is_known(
    rich: Any, blocker: Any, build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "MOST_ROWS", 6)
    found = Trees(rich.snapshot.stacks)
    found.add(replace(blocker, total_ns=9), {(build.HASH, Cause.CPU): 9})
    found.add(replace(blocker, total_ns=4), {(build.SAVE, Cause.SYNC): 4})
    first, second = found.rows()
    assert (len(first), second) == (5, [])
    assert found.least_ns == 5


def test_the_frames_of_a_deep_stack_need_no_recursion(blocker: Any, build: ModuleType) -> None:
    frames = [build.user(f"app::f{number}") for number in range(3_000)]
    found = Trees({1: build.stack(*frames)})
    found.add(replace(blocker, total_ns=1), {(1, Cause.CPU): 1})
    assert len(found.rows()[0]) == 3_000
