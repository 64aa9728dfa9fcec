"""Keys and new snapshots: what they change."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from screen_build import (
    BLOCKERS,
    GET,
    HASH,
    MS,
    NOW,
    RESOLVE,
    RICH,
    SAVE,
    WORKERS,
    S,
    blocker,
    episode,
    many,
    snapshot,
)

from hud.analysis.cause import Cause
from hud.analysis.results import Blocker, Snapshot
from hud.tui import keys, pages, times
from hud.tui.actions import Act, Click, Show, Typed
from hud.tui.effects import (
    Clear,
    Effect,
    Export,
    Play,
    Playback,
    Quit,
    Seek,
    Speed,
    Threshold,
    Window,
)
from hud.tui.frame import compose
from hud.tui.keys import BINDINGS
from hud.tui.listing import key_of
from hud.tui.settle import settle
from hud.tui.state import At, Line, Prompt, Size, UiState
from hud.tui.update import Yank, update
from hud.tui.views import tasks, workers
from hud.tui.views.table import TABS

SIZE = Size(120, 32)


def press(state: UiState, seen: Snapshot, *names: str) -> tuple[UiState, list[Effect | Yank]]:
    effects: list[Effect | Yank] = []
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
    assert press(start(seen), seen, "enter")[0].view == "blockers"


def test_views() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "tab")
    assert state.view == "workers"
    state, _ = press(state, seen, "down", "down", "down", "down", "down")
    assert state.at("workers").cursor == 3
    order = ["timeline", "tasks", "pressure", "blockers", "workers"]
    for there in order:
        state, _ = press(state, seen, "tab")
        assert state.view == there
    assert press(state, seen, "backtab")[0].view == "blockers"
    for key, there in zip("12345", TABS, strict=True):
        assert press(state, seen, key)[0].view == there.name
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
    state = replace(state.put("blockers", At(1)), selected=key_of(SAVE))
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
    meanings: dict[tuple[str, str], set[Act | Show]] = {}
    for row in BINDINGS:
        for scope in row.scopes:
            for key in row.keys:
                meanings.setdefault((scope, key), set()).add(row.act)
    assert [place for place, acts in meanings.items() if len(acts) > 1] == []


def test_every_act_has_a_key_and_a_help_line() -> None:
    every = {*Act, *(Show(view.name) for view in TABS)}
    assert {row.act for row in BINDINGS} == every
    assert {row.act for row in BINDINGS if row.help} == every


def test_typed_takes_single_printable_characters_only() -> None:
    assert keys.action("ä", "search") == Typed("ä")
    assert keys.action("delete", "search") is None
    assert keys.action("x", "blockers") is None


def test_update_never_changes_what_it_was_given() -> None:
    seen = snapshot()
    state = start(seen)
    before = replace(state)
    for act, _ in zip(Act, count(), strict=False):
        update(state, act, seen, SIZE)
    assert state == before


# --------------------------------------------------------------------------- lines that are typed


def typed(seen: Snapshot, *names: str) -> tuple[UiState, list[Effect | Yank]]:
    return press(start(seen), seen, *names)


def test_the_threshold_is_typed_over_the_present_one() -> None:
    seen = snapshot()
    state, effects = typed(seen, "t")
    assert state.prompt == Prompt(Line.THRESHOLD, "5")
    state, effects = press(state, seen, *"1.5", "enter")
    assert (state.prompt, effects) == (None, [Threshold(1_500_000)]), "it replaces what was there"
    state, effects = typed(seen, "t", "backspace", *"12", "backspace", "enter")
    assert effects == [Threshold(1_000_000)]
    assert typed(seen, "t", "enter")[1] == [Threshold(5_000_000)]


@pytest.mark.parametrize("text", ["", "0", "99999", ".", "1..2"])
def test_a_threshold_out_of_range_stays_and_is_explained(text: str) -> None:
    state, effects = typed(snapshot(), "t", "backspace", *text, "enter")
    assert (state.prompt, effects) == (Prompt(Line.THRESHOLD, text, touched=True), [])
    assert "0.1 to 60000 ms" in state.notice


def test_letters_are_no_numbers_and_esc_gives_up() -> None:
    state, _ = typed(snapshot(), "t", "q", "x", "3")
    assert state.prompt == Prompt(Line.THRESHOLD, "3", touched=True)
    state, effects = press(state, snapshot(), "esc")
    assert (state.prompt, state.view, effects) == (None, "blockers", [])


def test_the_window() -> None:
    assert typed(snapshot(), "w", "backspace", *"30", "enter")[1] == [Window(30 * S)]
    assert typed(snapshot(), "w", *"30", "enter")[1] == [Window(30 * S)]
    assert typed(snapshot(), "w", "enter")[1] == [Window(0)]


def test_a_run_that_is_over_has_no_threshold_to_change_and_nothing_to_reset() -> None:
    for key in ("t", "r"):
        state, effects = typed(snapshot(live=False), key)
        assert (state.prompt, effects, state.notice) == (None, [], "the run is over")


def test_an_export_is_what_was_selected_when_its_key_was_pressed() -> None:
    seen = snapshot()
    state, _ = typed(seen, "down", "e")
    assert state.prompt is not None
    assert state.prompt.text == "hud-demo-server-store-Index-save.txt"
    later = settle(state, snapshot(blockers=(HASH,)))
    _, effects = press(later, snapshot(blockers=(HASH,)), "enter")
    assert isinstance(effects[0], Export)
    assert effects[0].path == "hud-demo-server-store-Index-save.txt"
    assert "store::Index::save  src/store.rs:143" in effects[0].text
    assert "std::fs::File::sync_all" in effects[0].text
    assert typed(seen, "e", *["backspace"] * 99, "enter")[1] == []


def test_a_yank_is_the_blocker_in_the_lists_and_the_page_elsewhere() -> None:
    seen = snapshot(**RICH)
    _, effects = typed(seen, "y")
    assert isinstance(effects[0], Yank)
    text = effects[0].text
    about = "demo-server (pid 22967), tokio 1.54.1, seen for 2 min 14 s"
    assert text.startswith(f"{about}\n\n api::login::")
    assert "fix  call bcrypt::hash in spawn_blocking" in text
    assert all(line.isprintable() for line in text.splitlines())
    _, effects = typed(seen, "2", "y")
    assert isinstance(effects[0], Yank)
    assert "22969  in poll 3.2 ms" in effects[0].text


def test_names_of_files_are_plain() -> None:
    hostile = replace(HASH, function="../../etc/\x1b[2Jpass wd::<T>", where="")
    state, _ = typed(snapshot(blockers=(hostile,)), "e")
    assert state.prompt is not None
    assert state.prompt.text == "hud-demo-server-etc-2Jpass-wd-T.txt"


# --------------------------------------------------------------------------- filters and groups


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
    state, _ = typed(seen, "2", "down", "enter")
    assert (state.view, functions(state)) == ("blockers", ["api::login::hash_password"])
    state, _ = typed(seen, "4", "down", "enter")
    assert (state.view, functions(state)) == ("blockers", ["store::Index::save"])


def test_groups_add_up_to_what_they_are_made_of() -> None:
    seen = snapshot(**RICH)
    for keys_pressed in (("g",), ("g", "g")):
        state, _ = typed(seen, *keys_pressed)
        assert sum(b.total_ns for b in state.rows) == sum(b.total_ns for b in seen.blockers)
        assert sum(b.count for b in state.rows) == sum(b.count for b in seen.blockers)
    assert functions(state)[:2] == ["api::login::{async fn}", "(task type not known)"]
    same_file = replace(GET, file=SAVE.file, function="store::other")
    state, _ = typed(snapshot(blockers=(SAVE, same_file)), "g")
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
    ("view", "text", "left"), [("2", "w3", 1), ("4", "store", 1), ("5", "st", 1)]
)
def test_the_search_filters_every_list(view: str, text: str, left: int) -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, view, "/", *text)
    assert pages.page_of(state, seen, SIZE).total == left


def test_a_list_that_gets_shorter_under_its_cursor() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "2", "/", *"w", "enter", "end")
    assert state.at("workers").cursor > 0
    fewer = snapshot(**RICH | {"workers": WORKERS[:1]})
    assert press(settle(state, fewer), fewer, "enter")[0].filter.worker == 0


def test_workers_and_tasks_are_sorted_too() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "2", "s")
    assert [use.worker.worker_id for use in workers.listed(state, seen)] == [3, 2, 1, 0]
    state, _ = typed(seen, "4", *["s"] * 5)
    names = [use.kind.name for use in tasks.listed(state, seen)]
    assert names == sorted(names)


# --------------------------------------------------------------------------- the timeline


def test_the_cursor_steps_through_the_episodes_of_a_worker() -> None:
    seen = snapshot(**RICH)
    mine = [one for one in seen.timeline if one.worker_id == 1]
    state, _ = typed(seen, "3", "down")
    assert times.chosen(state, seen) == mine[-1]
    state, _ = press(state, seen, "left", "left", "h")
    assert times.chosen(state, seen) == mine[-4]
    state, _ = press(state, seen, "right")
    assert times.chosen(state, seen) == mine[-3]
    state, _ = press(state, seen, *["left"] * 500)
    assert times.chosen(state, seen) == mine[0]
    shown = times.shown(state.span, seen, SIZE.width)
    assert shown.start_ns <= mine[0].start_ns < shown.end_ns, "it pans along"
    state, _ = press(state, seen, "end")
    assert state.span.end_ns == 0


def test_zoom_keeps_the_episode_in_sight() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "3", *["left"] * 30)
    chosen = times.chosen(state, seen)
    assert chosen is not None
    for key in (*["+"] * 12, *["-"] * 30):
        state, _ = press(state, seen, key)
        shown = times.shown(state.span, seen, SIZE.width)
        assert shown.start_ns <= chosen.start_ns + chosen.duration_ns // 2 < shown.end_ns
        assert times.chosen(state, seen) == chosen


def test_enter_opens_the_blocker_of_the_episode_and_esc_comes_back() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "3", "down", "down", "enter")
    assert state.opened is not None
    assert (state.view, state.opened.function) == ("stacks", "store::Index::save")
    assert press(state, seen, "esc")[0].view == "timeline"


# --------------------------------------------------------------------------- the mouse


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
    assert click(workers_view, seen, "22971").at("workers").cursor == 2
    assert click(workers_view, seen, "longest").sorts["workers"] == "longest"
    assert update(state, Click(500, 500), seen, SIZE)[0].cursor == 2


def test_a_click_in_the_timeline_takes_the_episode_there() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "3")
    lines = ["".join(s.text for s in line) for line in compose(seen, state, SIZE)]
    y = next(at for at, line in enumerate(lines) if line.startswith("  W2"))
    x = lines[y].rindex("y")
    clicked = update(state, Click(x, y), seen, SIZE)[0]
    episode = times.chosen(clicked, seen)
    assert episode is not None
    assert (clicked.at("workers").cursor, episode.worker_id, episode.cause) == (2, 2, Cause.SYNC)


def test_the_wheel_moves_three_lines() -> None:
    seen = many(100)
    state, _ = typed(seen, "wheel-down", "wheel-down", "wheel-up")
    assert state.cursor == 3
    assert press(state, seen, "?", "wheel-down")[0].help_scroll == 3


# --------------------------------------------------------------------------- a replay


def replaying(seen: Snapshot) -> UiState:
    return replace(start(seen), playback=Playback(60 * S, 120 * S, 1.0, True))


def test_a_replay_is_played_sought_and_sped_up() -> None:
    seen = snapshot()
    state, effects = press(
        replaying(seen), seen, "space", ".", ".", ",", "right", "]", ">", ">", "<"
    )
    assert effects == [
        Play(False),
        Seek(65 * S),
        Seek(70 * S),
        Seek(65 * S),
        Seek(70 * S),
        Seek(82 * S),
        Speed(2.0),
        Speed(4.0),
        Speed(2.0),
    ]
    assert state.playback == Playback(82 * S, 120 * S, 2.0, False)
    _, effects = press(state, seen, *["["] * 20, *["]"] * 20)
    assert (effects[19], effects[-1]) == (Seek(0), Seek(120 * S))


def test_a_replay_has_no_threshold_no_reset_and_no_pause() -> None:
    seen = snapshot()
    state, effects = press(replaying(seen), seen, "t", "r")
    assert (state.prompt, effects) == (None, [])
    assert press(state, seen, "space")[0].paused is None
    listed = " ".join(text for text, _ in keys.footer("blockers", True))
    assert "space play" in listed
    assert "space pause" not in listed
    assert "threshold" not in listed


def test_the_arrows_step_in_the_timeline_of_a_replay() -> None:
    seen = snapshot(**RICH)
    state = replaying(seen)
    assert press(state, seen, "3", "left")[1] == []
    assert press(state, seen, "3", ",")[1] == [Seek(55 * S)]


def test_a_click_on_the_bar_seeks() -> None:
    seen = snapshot()
    line = "".join(s.text for s in compose(seen, replaying(seen), SIZE)[-2])
    state, effects = update(replaying(seen), Click(line.index("─"), SIZE.height - 2), seen, SIZE)
    assert isinstance(effects, Seek)
    assert abs(effects.position_ns - 60 * S) < 3 * S
    assert state.playback is not None
    assert state.playback.position_ns == effects.position_ns


def test_an_episode_that_only_waited_for_a_cpu_has_no_blocker_to_open() -> None:
    waited = episode(0, 0, 50 * MS, cause=Cause.WAITING, stack=0)
    seen = snapshot(**RICH | {"timeline": (waited,)})
    state, _ = typed(seen, "3", "enter")
    assert (state.view, state.opened) == ("timeline", None)
    assert "see Pressure (5)" in state.notice
