"""New snapshots: rows keep their order, the cursor its blocker."""

from __future__ import annotations

from dataclasses import replace

from pressing import functions, press, start, typed
from screen_build import (
    BLOCKERS,
    GET,
    HASH,
    INFO,
    MS,
    NOW,
    RESOLVE,
    RICH,
    SAVE,
    WORKERS,
    S,
    blocker,
    crowd,
    snapshot,
)

from hud.analysis.cause import Cause
from hud.analysis.results import Blocker, Snapshot
from hud.tui.listing import key_of
from hud.tui.settle import settle
from hud.tui.state import At, UiState
from hud.tui.workerlist import listed


def test_the_open_blocker_is_updated_and_survives_its_end() -> None:
    seen = snapshot()
    state, _ = press(start(seen), seen, "enter")
    grown = replace(HASH, count=999)
    state = settle(state, snapshot(blockers=(SAVE, grown)))
    assert (state.opened, state.cursor) == (grown, 1)
    state = settle(state, snapshot(blockers=(SAVE,)))
    assert state.opened == grown


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


def test_a_list_that_gets_shorter_under_its_cursor() -> None:
    seen = snapshot(**RICH)
    state, _ = typed(seen, "3", "/", *"w", "enter", "end")
    assert state.at("workers").cursor > 0
    fewer = snapshot(**RICH | {"workers": WORKERS[:1]})
    assert press(settle(state, fewer), fewer, "enter")[0].filter.worker == 0


def test_a_threshold_of_which_nothing_is_shown_is_not_told() -> None:
    lower = snapshot(info=replace(INFO, threshold_ns=MS), elapsed_ns=200 * S, span_ns=200 * S)
    changed = settle(settle(UiState(), snapshot()), lower)
    assert changed.threshold == (MS, 5 * MS, 200 * S)
    windowed = replace(lower, elapsed_ns=240 * S, span_ns=30 * S)
    assert settle(changed, windowed).threshold == (MS, 0, 0), "older than the window"
    anew = replace(lower, elapsed_ns=S, span_ns=S)
    assert settle(changed, anew).threshold == (MS, 0, 0)
    assert settle(changed, replace(lower, elapsed_ns=240 * S, span_ns=60 * S)) is not None


def test_a_new_threshold_or_window_sorts_again_even_under_the_cursor() -> None:
    before = snapshot()
    state, _ = press(start(before), before, "down", "down")
    turned = tuple(replace(b, total_ns=S - b.total_ns // 100) for b in reversed(BLOCKERS))
    for info in (replace(INFO, threshold_ns=S), replace(INFO, window_ns=30 * S)):
        after = snapshot(blockers=turned, info=info)
        now = settle(state, after, held=True)
        assert list(now.rows) == list(turned)
        assert now.selected == state.selected, "the cursor goes with its row"
        later = snapshot(blockers=turned[::-1], info=info)
        assert functions(settle(now, later, held=True)) == functions(now), "data alone move none"


def test_the_cursor_stays_on_its_worker_while_the_order_changes() -> None:
    before = crowd(64)
    state, _ = typed(before, "3", "down", "down", "down")
    chosen = listed(state, before)[3].worker.tid
    uses = tuple(
        use._replace(blocked_ns=0) if use is listed(state, before)[0] else use
        for use in before.workers
    )
    after = replace(before, workers=uses, now_ns=NOW + S)
    moved = settle(state, after)
    assert moved.at("workers").cursor == 2
    assert listed(moved, after)[2].worker.tid == chosen
