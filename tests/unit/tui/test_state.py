"""Keys and new snapshots: what they change."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from screen_build import BLOCKERS, GET, HASH, RESOLVE, SAVE, blocker, many, snapshot

from hud.model import Blocker, Cause, Snapshot
from hud.tui import keys, pages
from hud.tui.keys import BINDINGS, TABS, Act, Scope, Typed
from hud.tui.listing import key_of
from hud.tui.state import Size, UiState, settle
from hud.tui.update import Yank, update
from hud.wish import Clear, Quit, Wish

SIZE = Size(120, 32)


def press(state: UiState, seen: Snapshot, *names: str) -> tuple[UiState, list[Wish | Yank]]:
    effects: list[Wish | Yank] = []
    for name in names:
        action = keys.action(name, state.scope, state.playback is not None)
        if action is not None:
            state, effect = update(state, action, seen, SIZE)
            effects += [effect] if effect else []
    return state, effects


def start(seen: Snapshot) -> UiState:
    return settle(UiState(), seen)


def functions(state: UiState) -> list[str]:
    return [b.function for b in state.rows]


def test_the_cursor_moves_and_stops_at_the_ends() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "down", "j", "up")
    assert (state.cursor, state.selected) == (
        1,
        ("store::Index::save", "src/store.rs", Cause.SYNC),
    )
    assert press(state, seen, "k", "k", "k")[0].cursor == 0
    assert press(state, seen, *["down"] * 99)[0].cursor == len(BLOCKERS) - 1


def test_pages_and_ends_of_a_long_list() -> None:
    seen = many(1_000)
    page = pages.page_of(start(seen), seen, SIZE).shown
    state, _ = press(start(seen), seen, "pgdn")
    assert (state.cursor, state.scroll) == (page, 1)
    state, _ = press(state, seen, "end")
    assert (state.cursor, state.scroll) == (999, 1_000 - page)
    state, _ = press(state, seen, "pgup")
    assert (state.cursor, state.scroll) == (999 - page, 999 - page)
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
    assert (state.view, state.opened) == (Scope.STACKS, SAVE)
    for key in ("esc", "q"):
        back, effects = press(state, seen, key)
        assert (back.view, back.opened, back.cursor, effects) == (Scope.BLOCKERS, None, 1, [])


def test_the_open_blocker_is_updated_and_survives_its_end() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "enter")
    grown = replace(HASH, count=999)
    state = settle(state, snapshot(blockers=(SAVE, grown)))
    assert (state.opened, state.cursor) == (grown, 1)
    state = settle(state, snapshot(blockers=(SAVE,)))
    assert state.opened == grown


def test_enter_on_an_empty_list_does_nothing() -> None:
    seen = snapshot(blockers=())
    assert press(start(seen), seen, "enter")[0].view is Scope.BLOCKERS


def test_views() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "tab")
    assert state.view is Scope.WORKERS
    state, _ = press(state, seen, "down", "down", "down", "down", "down")
    assert state.workers.cursor == 3
    order = [Scope.TIMELINE, Scope.TASKS, Scope.PRESSURE, Scope.BLOCKERS, Scope.WORKERS]
    for there in order:
        state, _ = press(state, seen, "tab")
        assert state.view is there
    assert press(state, seen, "backtab")[0].view is Scope.BLOCKERS
    for key, there in zip("12345", TABS, strict=True):
        assert press(state, seen, key)[0].view is there
    assert press(state, seen, "1", "enter", "2")[0].opened is None


def test_sorting_goes_through_the_columns_and_starts_at_the_top() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "down", "s")
    assert (state.sort, state.cursor) == ("count", 0)
    assert [b.count for b in state.rows] == [214, 96, 31, 6, 2]
    state, _ = press(state, seen, "s")
    assert [b.max_ns for b in state.rows] == sorted((b.max_ns for b in BLOCKERS), reverse=True)
    state, _ = press(state, seen, "s", "s", "s", "s")
    assert functions(state) == sorted(b.function for b in BLOCKERS)
    assert press(state, seen, "s", "s")[0].rows == BLOCKERS


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
    assert (state.rows, state.selected, state.view) == ([], None, Scope.BLOCKERS)


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


# --------------------------------------------------------------------------- order


def with_totals(*totals: tuple[Blocker, int]) -> Snapshot:
    changed = [replace(b, total_ns=ns) for b, ns in totals]
    return snapshot(blockers=tuple(sorted(changed, key=lambda b: (-b.total_ns, b.function))))


def test_the_top_of_the_list_is_live() -> None:
    state = start(with_totals((HASH, 9), (SAVE, 5)))
    state = settle(state, with_totals((HASH, 9), (SAVE, 50)))
    assert functions(state) == ["store::Index::save", "api::login::hash_password"]
    assert (state.cursor, state.selected and state.selected[0]) == (0, "store::Index::save")


def test_a_held_order_keeps_known_rows_and_appends_new_ones() -> None:
    state = start(with_totals((HASH, 9), (SAVE, 5)))
    later = with_totals((HASH, 9), (SAVE, 50), (GET, 100), (RESOLVE, 7))
    held = settle(state, later, held=True)
    assert functions(held) == [
        "api::login::hash_password",
        "store::Index::save",
        "cache::get",
        "net::resolve_peer",
    ]
    assert settle(held, with_totals((SAVE, 50), (GET, 100)), held=True).rows[0].total_ns == 50


def test_the_cursor_follows_its_blocker() -> None:
    state = start(with_totals((HASH, 9), (SAVE, 5), (GET, 3)))
    state = replace(state, cursor=1, selected=key_of(SAVE))
    gone_above = settle(state, with_totals((SAVE, 5), (GET, 3)), held=True)
    assert gone_above.cursor == 0
    resorted = settle(state, with_totals((HASH, 9), (GET, 7), (SAVE, 5)))
    assert resorted.cursor == 2
    gone = settle(state, with_totals((HASH, 9)), held=True)
    assert (gone.cursor, gone.selected and gone.selected[0]) == (0, "api::login::hash_password")


def test_equal_keys_are_all_listed() -> None:
    first, second = (blocker("f", "", Cause.CPU, 9 - n) for n in range(2))
    state = start(snapshot(blockers=(first, second)))
    held = settle(state, snapshot(blockers=(first, second, GET)), held=True)
    assert list(held.rows) == [first, second, GET]


# --------------------------------------------------------------------------- the table of keys


def test_no_key_means_two_things_in_one_place() -> None:
    meanings: dict[tuple[Scope, str], set[Act]] = {}
    for row in BINDINGS:
        for scope in row.scopes:
            for key in row.keys:
                meanings.setdefault((scope, key), set()).add(row.act)
    assert [place for place, acts in meanings.items() if len(acts) > 1] == []


def test_every_act_has_a_key_and_a_help_line() -> None:
    assert {row.act for row in BINDINGS} == set(Act)
    assert {row.act for row in BINDINGS if row.help} == set(Act)


def test_typed_takes_single_printable_characters_only() -> None:
    assert keys.action("ä", Scope.SEARCH) == Typed("ä")
    assert keys.action("delete", Scope.SEARCH) is None
    assert keys.action("x", Scope.BLOCKERS) is None


def test_update_never_changes_what_it_was_given() -> None:
    seen = snapshot()
    state = start(seen)
    before = replace(state)
    for act, _ in zip(Act, count(), strict=False):
        update(state, act, seen, SIZE)
    assert state == before
