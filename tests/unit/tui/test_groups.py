"""Groups that are kept from one list to the next say what groups made anew would say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from screen_build import HASH, MS

from hud.analysis.results import Blocker
from hud.tui import groups

ROWS = [
    replace(HASH, function=f"f{at}", key=(f"f{at}", "", ""), file=f"{at % 3}.rs", handlers=handlers)
    for at, handlers in enumerate(
        [(), (("a", 5 * MS),), (("a", 3 * MS), ("b", 2 * MS)), (("b", 1 * MS),), (), ()]
    )
]
CHANGED = [replace(row, total_ns=row.total_ns + 7 * MS, max_ns=93 * MS) for row in ROWS]
LISTS = st.lists(st.sampled_from([*ROWS, *CHANGED]), unique_by=lambda row: row.key, max_size=6)


@given(
    st.lists(LISTS, min_size=1, max_size=4), st.sampled_from([groups.by_file, groups.by_handler])
)
def test_kept_groups_are_those_that_are_made_from_nothing(
    lists: list[list[Blocker]], grouped: Callable[..., list[Blocker]]
) -> None:
    kept: list[Blocker] = []
    for rows in lists:
        kept = grouped(rows, kept)
        assert kept == grouped(rows)


def test_a_group_of_the_same_parts_is_not_made_again() -> None:
    before = {row.file: row for row in groups.by_file(ROWS)}
    rows = [CHANGED[0], *ROWS[1:]]
    after = {row.file: row for row in groups.by_file(rows, before.values())}
    assert [file for file in before if after[file] is before[file]] == ["1.rs", "2.rs"]


def test_without_files_it_is_the_modules_that_are_told_apart() -> None:
    functions = {
        "shop::db::load::{async}": "shop::db, file not known",
        "shop::db::Pool::get": "shop::db, file not known",
        "shop::main": "shop, file not known",
        "main": "(file not known)",
        "<str as ToSocketAddrs>::to_socket_addrs": "(file not known)",
    }
    rows = [replace(HASH, function=name, key=(name, "", ""), file="") for name in functions]
    assert {row.function for row in groups.by_file(rows)} == set(functions.values())
    for row, group in zip(rows, functions.values(), strict=True):
        assert [one.function for one in groups.by_file([row])] == [group]
