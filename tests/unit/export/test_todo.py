"""What to do, by the numbers of the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hud.analysis.cause import Cause
from hud.analysis.results import Case
from hud.export import todo

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot


def test_each_remedy_stands_once_with_the_rows_that_it_is_for(snapshot: Snapshot) -> None:
    hash_, save, *_ = snapshot.blockers
    rows = (hash_, save, hash_)
    assert todo.lines(rows, snapshot, 120) == [
        "  What to do",
        "  1, 3  call bcrypt::hash in spawn_blocking",
        "  2     write and sync in one spawn_blocking",
    ]


def test_without_stacks_nothing_is_advised(snapshot: Snapshot) -> None:
    assert todo.lines(snapshot.blockers, replace(snapshot, stacks={}), 120) == []


def test_a_further_cause_has_its_own_fix(snapshot: Snapshot) -> None:
    hash_, save, *_ = snapshot.blockers
    also = Case(Cause.SYNC, save.operation, hash_.total_ns // 4, save.example)
    rare = also._replace(total_ns=hash_.total_ns // 20)
    row = replace(hash_, cases=(*hash_.cases, also))
    assert todo.remedy(row, snapshot) == (
        "call bcrypt::hash in spawn_blocking; "
        "for fsync (25 % of it): write and sync in one spawn_blocking"
    )
    row = replace(hash_, cases=(*hash_.cases, rare))
    assert todo.remedy(row, snapshot) == "call bcrypt::hash in spawn_blocking"
    held = replace(hash_, cases=(*hash_.cases, also), holds=3)
    assert todo.remedy(held, snapshot).count("release the lock first, then ") == 2


def test_first_is_what_makes_up_most(snapshot: Snapshot) -> None:
    assert todo.first(snapshot) == "call bcrypt::hash in spawn_blocking"
    many = replace(snapshot, blocked_ns=100 * snapshot.blocked_ns)
    assert todo.first(many) == "", "nothing makes up enough"
