"""What the lines above every view say."""

from __future__ import annotations

from dataclasses import replace

from draw import GoldenCheck, drawn, style_of, text_of
from screen_build import (
    INFO,
    MS,
    RICH,
    S,
    on_rung,
    snapshot,
)

from hud.model import (
    Losses,
    Rung,
)
from hud.tui.actions import Act, Show, Typed
from hud.tui.frame import compose
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.views import header
from hud.tui.views.table import TABS


def test_another_rung_and_an_end(golden: GoldenCheck) -> None:
    seen = on_rung(
        Rung.NAMES, "12 threads named api-N", live=False, ended="target exited (status 0)"
    )
    golden("ended-names-100x24", drawn(seen, Size(100, 24)))


def test_header_status() -> None:
    wide = Size(120, 32)
    assert text_of(drawn(snapshot(), wide))[0].endswith(" LIVE")
    assert text_of(drawn(snapshot(), wide, Act.PAUSE))[0].endswith(" FROZEN")
    ended = text_of(drawn(snapshot(live=False, ended="target exited (status 0)"), wide))[0]
    assert ended.endswith("  ENDED: target exited (status 0)")
    assert "LIVE" not in ended


def test_an_ended_run_still_had_workers() -> None:
    gone = tuple(use._replace(alive=False) for use in snapshot().workers)
    seen = snapshot(live=False, workers=gone, ended="target exited (status 0)")
    assert f"{len(gone)} workers" in text_of(drawn(seen, Size(120, 32)))[0]


def test_filters_are_crumbs_where_they_hold() -> None:
    acts = (Act.FILTER_CAUSE, Act.FILTER_WORKER)
    lines = drawn(snapshot(), Size(140, 32), *acts)
    assert "  cpu ✕  W0 ✕ " in text_of(lines)[2]
    assert style_of(lines[2:3], "cpu ✕") == "cause.cpu"
    assert "cpu ✕" in text_of(drawn(snapshot(), Size(140, 32), *acts, Show("timeline")))[2]
    assert "✕" not in text_of(drawn(snapshot(), Size(140, 32), *acts, Show("workers")))[2]


def test_a_search_is_a_crumb_too() -> None:
    lines = text_of(drawn(snapshot(), Size(140, 32), Act.SEARCH, Typed("a"), Typed("p")))
    assert "  /ap ✕ " in lines[2]


def test_tabs_have_the_counts_of_what_is_behind_them() -> None:
    seen = snapshot(**RICH)
    tabs = text_of(drawn(seen, Size(140, 32)))[2]
    assert (
        " 1 Overview   2 Blockers 5   3 Workers 4   4 Timeline   5 Tasks 4   6 Pressure 1.5 % "
        in tabs
    )
    narrow = text_of(drawn(seen, Size(80, 24)))[2]
    assert " 1 Over  2 Block 5  3 Work 4  4 Time  5 Task 4  6 Press 1.5 %" in narrow
    assert "nothing lost" in narrow


def test_a_click_on_a_name_finds_its_view_at_any_width() -> None:
    seen = snapshot(**RICH)
    state = settle(UiState(), seen)
    for width in (60, 80, 120):
        line = text_of(drawn(seen, Size(width, 24)))[2]
        for number, tab in enumerate(TABS, 1):
            at = line.index(f" {number} {tab.short}") + 1
            assert header.tab_at(seen, state, width, at) == tab.name
            assert header.tab_at(seen, state, width, at - 2) != tab.name
    assert header.tab_at(seen, state, 120, 119) == ""


def test_how_sure_the_figures_are() -> None:
    wide = Size(160, 32)
    assert text_of(drawn(snapshot(stacks_complete=349), wide))[2].endswith(
        "every long poll seen · nothing lost · hud uses 0.4 % of a core"
    )
    few = drawn(snapshot(losses=Losses(ring_full=9, stacks_skipped=40)), wide)
    assert "long polls seen · 9 lost · 40 stacks left out" in text_of(few)[2]
    assert "every" not in text_of(few)[2]
    assert style_of(few[2:3], "9 lost") == "alarm"
    coarse = snapshot(info=replace(INFO, threshold_ns=MS))
    assert "every" not in text_of(drawn(coarse, wide))[2], "samples are farther apart than that"
    blind = drawn(on_rung(Rung.STACKS, "because"), wide)
    assert "polls not seen (STACKS)" in text_of(blind)[2]
    noted = snapshot(info=replace(INFO, notes=("no debug info", "the symbol resolver died")))
    assert "2 notes: ?" in text_of(drawn(noted, wide))[2]


def test_a_changed_threshold_is_told_in_the_header() -> None:
    before = snapshot()
    state = settle(UiState(), before)
    lower = snapshot(info=replace(INFO, threshold_ns=MS), elapsed_ns=200 * S)
    head = text_of(compose(lower, settle(state, lower), Size(130, 32)))[0]
    assert "polls of 1 ms and more (5 ms until 00:03:20)" in head
    assert "until" not in text_of(compose(before, state, Size(130, 32)))[0]


def test_the_window_and_the_threshold_stay_on_a_narrow_terminal() -> None:
    """They say what the figures mean; Tokio's version does not."""
    short = snapshot(info=replace(INFO, window_ns=30 * S))
    head = text_of(compose(short, settle(UiState(), short), Size(80, 24)))[0]
    assert "last 30 s" in head
    assert "≥ 5 ms" in head
    assert "tokio" not in head


def test_no_sentence_stands_without_the_one_it_speaks_of() -> None:
    starved = snapshot(waiting_ns=snapshot().worker_time_ns * 4 // 10)
    line = text_of(drawn(starved, Size(100, 24)))[1]
    assert line.startswith("  NO CPU  Workers were ready to run but had no CPU for 40 %")
    assert "bcrypt" not in line, "it is no part of that time"
    assert "bcrypt" in text_of(drawn(starved, Size(200, 24)))[1]
