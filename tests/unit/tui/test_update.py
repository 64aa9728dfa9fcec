"""Keys, clicks and the wheel: what they change."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from draw import text_of
from pressing import SIZE, functions, press, start, typed
from screen_build import (
    BLOCKERS,
    GET,
    NOW,
    RICH,
    SAVE,
    S,
    many,
    snapshot,
)

from hud.analysis.cause import Cause
from hud.analysis.results import Snapshot
from hud.tui import pages, times, workerlist
from hud.tui.actions import Act, Click
from hud.tui.effects import (
    Clear,
    Quit,
)
from hud.tui.frame import compose
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.update import update
from hud.tui.views import tasks
from hud.tui.views.table import TABS, VIEWS


def test_the_cursor_moves_and_stops_at_the_ends() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "down", "j", "up")
    assert (state.cursor, state.selected) == (
        1,
        ("store::Index::save", "", ""),
    )
    assert press(state, seen, "k", "k", "k")[0].cursor == 0
    assert press(state, seen, *["down"] * 99)[0].cursor == len(BLOCKERS) - 1


def test_pages_and_ends_of_a_long_list() -> None:
    seen = many(1_000)
    page = pages.page_of(start(seen), seen, SIZE).shown
    state, _ = press(start(seen), seen, "pgdn")
    assert state.at("blockers") == (page, 1)
    state, _ = press(state, seen, "end")
    assert state.at("blockers") == (999, 1_000 - page)
    state, _ = press(state, seen, "pgup")
    assert state.at("blockers") == (999 - page, 999 - page)
    assert press(state, seen, "home")[0].cursor == 0


@pytest.mark.parametrize("key", ["q", "Q", "ctrl-c"])
@pytest.mark.parametrize("before", [(), ("2",)])
def test_quit(key: str, before: tuple[str, ...]) -> None:
    seen = snapshot()
    assert press(start(seen), seen, *before, key)[1] == [Quit()]


@pytest.mark.parametrize("before", [("enter",), ("/",), ("?",), ("/", "a"), ()])
def test_ctrl_c_quits_from_everywhere(before: tuple[str, ...]) -> None:
    seen = snapshot()
    assert press(start(seen), seen, *before, "ctrl-c")[1] == [Quit()]


def test_reset_asks_the_session() -> None:
    seen = snapshot()
    state, effects = press(start(seen), seen, "space", "r")
    assert effects == [Clear()]
    assert state.paused is None


def test_drill_down_and_back() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "down", "enter")
    assert (state.view, state.opened) == ("stacks", SAVE)
    for key in ("esc", "q"):
        back, effects = press(state, seen, key)
        assert (back.view, back.opened, back.cursor, effects) == ("blockers", None, 1, [])


def test_enter_on_an_empty_list_does_nothing() -> None:
    seen = snapshot(blockers=())
    assert press(start(seen), seen, "enter")[0].view == "blockers"


def test_views() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "tab")
    assert state.view == "workers"
    state, _ = press(state, seen, "down", "down", "down", "down", "down")
    assert state.at("workers").cursor == 3
    order = ["timeline", "tasks", "pressure", "overview"]
    for there in order:
        state, _ = press(state, seen, "tab")
        assert state.view == there
    assert press(start(seen), seen, "backtab")[0].view == "overview"
    for key, there in zip("123456", TABS, strict=True):
        assert press(state, seen, key)[0].view == there.name
    assert press(state, seen, "1", "enter", "3")[0].opened is None


def test_sorting_goes_through_the_columns_and_starts_at_the_top() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "down", "s")
    assert (state.sort, state.cursor) == ("count", 0)
    assert [b.count for b in state.rows] == [214, 96, 31, 6, 2]
    state, _ = press(state, seen, "s", "s")
    assert [b.max_ns for b in state.rows] == sorted((b.max_ns for b in BLOCKERS), reverse=True)
    state, _ = press(state, seen, "s", "s")
    assert functions(state) == sorted(b.function for b in BLOCKERS)
    assert press(state, seen, "s", "s")[0].rows == BLOCKERS


def test_a_letter_sorts_by_its_column_and_again_the_other_way_round() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "down", "S")
    assert state.prompt is not None
    assert state.prompt.text == "[s]hare [c]ount [t]ypical [w]orst c[a]use [f]unction [o]peration"
    state, _ = press(state, seen, "w")
    assert (state.sort, state.cursor, state.prompt) == ("worst", 0, None)
    longest = [b.max_ns for b in state.rows]
    assert longest == sorted(longest, reverse=True)
    turned, _ = press(state, seen, "S", "w")
    assert [b.max_ns for b in turned.rows] == longest[::-1]
    assert "reversed" in "".join(text_of(compose(seen, turned, SIZE)))
    assert press(turned, seen, "S", "w")[0].rows == state.rows
    assert press(turned, seen, "S", "c")[0].turned == frozenset()
    for key in ("esc", "enter"):
        left, _ = press(turned, seen, "S", key)
        assert (left.prompt, left.rows) == (None, turned.rows)
    assert press(turned, seen, "S", "z")[0].notice == "no such column"
    assert press(turned, seen, "S", "backspace")[0].prompt is not None


def test_only_by_what_is_shown_so_that_the_order_is_that_of_a_marked_column() -> None:
    seen = snapshot()
    narrow = update(start(seen), Act.SORT_BY, seen, Size(60, 20))[0]
    assert narrow.prompt is not None
    assert narrow.prompt.text == "[s]hare [c]ount [t]ypical c[a]use [f]unction"


def test_search_is_incremental_and_ignores_case() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "/", "C", "A", "c")
    assert functions(state) == ["cache::get"]
    assert state.searching
    state, _ = press(state, seen, "backspace", "backspace", "backspace")
    assert len(state.rows) == len(BLOCKERS)
    state, _ = press(state, seen, *"fsync", "enter")
    assert (functions(state), state.searching, state.search) == (
        ["store::Index::save"],
        False,
        "fsync",
    )
    assert press(state, seen, "c")[0].rows == BLOCKERS
    assert press(state, seen, "esc")[0].search == ""


def test_letters_are_text_while_searching() -> None:
    seen = snapshot()
    state, effects = press(start(seen), seen, "/", "q", "space", "c", "?", "pgup")
    assert (state.search, effects) == ("q c?", [])
    state, _ = press(state, seen, "esc")
    assert (state.search, state.searching, len(state.rows)) == ("", False, 5)


def test_a_search_that_finds_nothing() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "/", "~", "enter", "down", "enter", "pgdn")
    assert (state.rows, state.selected, state.view) == ([], None, "blockers")


def test_pause_keeps_the_snapshot() -> None:
    seen, later = snapshot(), snapshot(blockers=(GET,))
    state, _ = press(start(seen), seen, "space")
    assert state.paused is seen
    state, _ = press(state, later, "s", "s", "down")
    assert len(state.rows) == 5
    state, _ = press(state, later, "space")
    assert (state.paused, functions(state)) == (None, ["cache::get"])


def test_help_closes_with_any_key_but_scrolls() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "?", "down")
    assert state.help
    assert press(state, seen, "x") == (replace(state, help=False), [])
    assert press(state, seen, "q")[1] == []


def test_stack_scroll_stops_where_the_last_row_shows() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "enter")
    state, _ = update(state, Act.END, seen, Size(80, 15))
    bottom = state.stack_scroll
    assert bottom > 0
    assert update(state, Act.DOWN, seen, Size(80, 15))[0].stack_scroll == bottom
    assert update(state, Act.UNFOLD, seen, SIZE)[0].stack_scroll == 0


def test_update_never_changes_what_it_was_given() -> None:
    seen = snapshot()
    state = start(seen)
    before = replace(state)
    for act, _ in zip(Act, count(), strict=False):
        update(state, act, seen, SIZE)
    assert state == before


def test_a_run_that_is_over_has_no_threshold_to_change_and_nothing_to_reset() -> None:
    for key in ("t", "r"):
        state, effects = typed(snapshot(live=False), key)
        assert (state.prompt, effects, state.notice) == (None, [], "the run is over")


def test_only_one_cause_or_one_worker() -> None:
    seen = snapshot()
    state, _ = typed(seen, "f")
    assert {b.cause for b in state.rows} == {Cause.CPU}
    assert len(state.rows) == 2
    state, _ = press(state, seen, *"fffff")
    assert state.rows == BLOCKERS
    state, _ = press(state, seen, "W", "W")
    assert functions(state) == ["api::login::hash_password"]
    assert press(state, seen, "c")[0].rows == BLOCKERS


def test_enter_on_a_worker_or_a_task_type_lists_its_blockers() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "3", "down", "enter")
    assert (state.view, functions(state)) == ("blockers", ["api::login::hash_password"])
    state, _ = typed(seen, "5", "down", "enter")
    assert (state.view, functions(state)) == ("blockers", ["store::Index::save"])


def test_groups_add_up_to_what_they_are_made_of() -> None:
    seen = snapshot(**RICH)
    for keys_pressed in (("g",), ("g", "g"), ("g", "g", "g")):
        state, _ = typed(seen, *keys_pressed)
        assert sum(b.total_ns for b in state.rows) == sum(b.total_ns for b in seen.blockers)
        assert sum(b.count for b in state.rows) == sum(b.count for b in seen.blockers)
    assert functions(state)[:2] == ["api::login::{async fn}", "(task type not known)"]
    same_file = replace(GET, file=SAVE.file, function="store::other")
    state, _ = typed(snapshot(blockers=(SAVE, same_file)), "g", "g")
    (row,) = state.rows
    assert (row.function, row.where) == ("src/store.rs", "2 functions")
    assert (row.count, row.total_ns) == (31 + 96, SAVE.total_ns + GET.total_ns)
    assert dict(row.causes) == {Cause.SYNC: SAVE.total_ns, Cause.LOCK: GET.total_ns}


def test_the_drill_down_of_a_group_survives_the_next_snapshot() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "g", "enter")
    assert state.opened is not None
    assert settle(state, snapshot(**RICH, now_ns=NOW + S)).opened == state.opened


@pytest.mark.parametrize(
    ("view", "text", "left"), [("3", "w3", 1), ("5", "store", 1), ("6", "st", 1)]
)
def test_the_search_filters_every_list(view: str, text: str, left: int) -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, view, "/", *text)
    assert pages.page_of(state, seen, SIZE).total == left


def test_workers_and_tasks_are_sorted_too() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "3", "s", "s")
    assert [use.worker.worker_id for use in workerlist.listed(state, seen)] == [3, 2, 1, 0]
    state, _ = typed(seen, "5", *["s"] * 6)
    names = [use.kind.name for use in tasks.listed(state, seen)]
    assert names == sorted(names)
    for view, rows in (("3", workerlist.listed), ("5", tasks.listed)):
        state, _ = typed(seen, view)
        letter = state.order(state.view, VIEWS[state.view].sorts)[0]
        turned, _ = press(state, seen, "S", letter)
        assert rows(turned, seen) == rows(state, seen)[::-1]


def test_a_search_stays_where_it_was_typed() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "5", "/", *"store", "enter")
    assert len(tasks.listed(state, seen)) == 1
    state, _ = press(state, seen, "2")
    assert (state.search, state.rows) == ("", start(seen).rows)
    state, _ = press(state, seen, "/", *"cache", "enter")
    assert functions(state) == ["cache::get"]
    assert len(workerlist.listed(press(state, seen, "3")[0], seen)) == len(seen.workers)
    back, _ = press(state, seen, "5")
    assert back.search == "store"
    assert "/store" in "".join(text_of(compose(seen, back, SIZE)))
    opened, _ = press(state, seen, "2", "enter")
    assert (opened.view, opened.search) == ("stacks", "")
    clear, _ = press(back, seen, "c")
    assert (clear.search, press(clear, seen, "2")[0].search) == ("", "cache")


def click(state: UiState, seen: Snapshot, text: str, nth: int = 0) -> UiState:
    lines = ["".join(s.text for s in line) for line in compose(seen, state, SIZE)]
    y = [at for at, line in enumerate(lines) if text in line][nth]
    return update(state, Click(lines[y].index(text), y), seen, SIZE)[0]


def test_clicks_select_open_sort_and_change_the_view() -> None:
    seen = snapshot(**RICH)
    state = click(start(seen), seen, "cache::get")
    assert state.cursor == 2
    assert click(state, seen, "cache::get").view == "stacks"
    assert click(state, seen, "count").sort == "count"
    for tab in TABS:
        assert click(state, seen, tab.title).view == tab.name
    workers_view = click(state, seen, "Workers")
    assert click(workers_view, seen, " W2").at("workers").cursor == 2
    assert click(workers_view, seen, "worst").sorts["workers"] == "worst"
    assert update(state, Click(500, 500), seen, SIZE)[0].cursor == 2


def test_a_click_in_the_timeline_takes_the_episode_there() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "4")
    lines = ["".join(s.text for s in line) for line in compose(seen, state, SIZE)]
    y = next(at for at, line in enumerate(lines) if line.startswith(" W2"))
    x = next(at for at in range(len(lines[y]) - 1, 0, -1) if lines[y][at] in "▁▂▃▄▅▆▇█")
    clicked = update(state, Click(x, y), seen, SIZE)[0]
    episode = times.chosen(clicked, seen)
    assert episode is not None
    assert (clicked.at("workers").cursor, episode.worker_id, episode.cause) == (2, 2, Cause.SYNC)


def test_the_wheel_moves_three_lines() -> None:
    seen = many(100)
    state, _ = typed(seen, "wheel-down", "wheel-down", "wheel-up")
    assert state.cursor == 3
    assert press(state, seen, "?", "wheel-down")[0].help_scroll == 3
