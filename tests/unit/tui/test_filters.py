"""What a filter leaves of a blocker: only figures that are known."""

from __future__ import annotations

from dataclasses import replace

from draw import text_of
from screen_build import HASH, MS, SAVE, S, snapshot

from hud.analysis.cause import Cause
from hud.analysis.results import Case
from hud.analysis.shares import Shares
from hud.tui import groups
from hud.tui.filters import Filter, Narrowed, narrowed, whole
from hud.tui.frame import compose
from hud.tui.glyphs import UNICODE
from hud.tui.listing import Group
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.views import detail

MIXED = replace(
    HASH,
    total_ns=1_000 * MS,
    causes=((Cause.CPU, 750 * MS), (Cause.LOCK, 250 * MS)),
    cases=(
        Case(Cause.CPU, "bcrypt::hash", 750 * MS, 1),
        Case(Cause.LOCK, "std::sync::Mutex::lock", 250 * MS, 2),
    ),
    workers=((0, 600 * MS), (1, 400 * MS)),
    types=(("login", 900 * MS),),
    waiting_ns=5 * MS,
)
LOCK = Filter(cause=Cause.LOCK)


def test_a_part_has_its_time_and_its_share_and_no_figure_that_is_not_known() -> None:
    (part,) = narrowed([MIXED, SAVE], LOCK)
    assert (part.total_ns, part.cause) == (250 * MS, Cause.LOCK)
    assert (part.operation, part.example) == ("std::sync::Mutex::lock", 2)
    assert part.count == part.max_ns == part.p50_ns == part.p99_ns == part.waiting_ns == 0
    assert not any(part.history.values)
    assert part.key == MIXED.key
    assert whole(part) is MIXED
    assert whole(SAVE) is SAVE


def test_what_the_filter_leaves_whole_stays_as_it_is() -> None:
    rows = narrowed([MIXED, SAVE], Filter(cause=Cause.SYNC, worker=0))
    assert rows == [SAVE]
    assert rows[0] is SAVE


def test_of_two_parts_only_the_most_they_share_is_known() -> None:
    (part,) = narrowed([MIXED], Filter(cause=Cause.LOCK, worker=1))
    assert isinstance(part, Narrowed)
    assert (part.total_ns, part.at_most) == (250 * MS, True)
    (part,) = narrowed([MIXED], Filter(worker=1))
    assert isinstance(part, Narrowed)
    assert (part.total_ns, part.at_most, part.workers) == (400 * MS, False, ((1, 400 * MS),))
    (part,) = narrowed([MIXED], Filter(task_type="login"))
    assert part.total_ns == 900 * MS


def test_they_are_ranked_by_what_is_left() -> None:
    other = replace(SAVE, causes=((Cause.LOCK, 900 * MS), (Cause.SYNC, 3_200 * MS)))
    rows = narrowed([SAVE, MIXED, other], LOCK)
    assert [row.total_ns for row in rows] == [900 * MS, 250 * MS]
    assert narrowed([MIXED], Filter(worker=7)) == []


def test_a_group_with_a_part_in_it_counts_no_polls() -> None:
    rows = narrowed([replace(MIXED, file="a.rs"), replace(SAVE, file="a.rs")], Filter(worker=0))
    (group,) = groups.by_file(rows)
    assert (group.total_ns, group.count, group.max_ns) == (600 * MS + SAVE.total_ns, 0, 0)


def test_the_table_shows_what_is_not_known_as_a_dash() -> None:
    seen = snapshot(blockers=(MIXED,), shares=Shares({"": 10 * S}, {}))
    for chosen, share in ((LOCK, "2.5%"), (Filter(cause=Cause.LOCK, worker=1), "<2.5%")):
        state = settle(UiState(view="blockers", filter=chosen), seen)
        row = next(t for t in text_of(compose(seen, state, Size(160, 24))) if "▌" in t)
        assert row.split()[1] == share
        assert row.split().count("-") == 3, "count, typical and worst"
        assert "250ms" in row


def test_the_detail_of_a_part_says_what_is_not_known() -> None:
    (part,) = narrowed([MIXED], LOCK)
    lines = text_of(detail.view(snapshot(), part, 90, 20, UNICODE))
    assert (
        " cost    250 ms of worker time in 2 min 14 s; how many polls is not counted separately"
        in lines
    )


def test_groups_of_parts_are_made_of_the_parts() -> None:
    seen = snapshot(blockers=(replace(MIXED, file="a.rs"), replace(SAVE, file="a.rs")))
    state = settle(UiState(filter=LOCK, group=Group.FILE), seen)
    assert [row.total_ns for row in state.rows] == [250 * MS]
    assert state.rows[0].total_ns < S
