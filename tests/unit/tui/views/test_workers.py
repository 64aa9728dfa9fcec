"""The workers: frames at named sizes, and what a row says."""

from __future__ import annotations

import pytest
from draw import WHICH, GoldenCheck, drawn, text_of
from screen_build import ELAPSED, STUCK, WORKERS, S, crowd, idle_worker, snapshot

from hud.analysis.results import RuntimeUse
from hud.tui.actions import Act, Click, Show, Typed
from hud.tui.glyphs import ASCII
from hud.tui.pages import page_of
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.update import update

WORKER_PAGES = [Size(60, 15), Size(80, 24), Size(120, 36), Size(200, 50)]
MANY = pytest.mark.parametrize("number", [64, 512])


@WHICH
def test_a_few_with_a_stuck_one(size: Size, golden: GoldenCheck) -> None:
    seen = snapshot(workers=STUCK)
    golden(f"workers-{size.width}x{size.height}", drawn(seen, size, Show("workers")))


@MANY
@pytest.mark.parametrize("size", WORKER_PAGES, ids=lambda s: f"{s.width}x{s.height}")
def test_many(number: int, size: Size, golden: GoldenCheck) -> None:
    name = f"workers-{number}-{size.width}x{size.height}"
    golden(name, drawn(crowd(number), size, Show("workers"), Act.DOWN))


def test_many_in_ascii(golden: GoldenCheck) -> None:
    lines = drawn(crowd(64), Size(120, 36), Show("workers"), glyphs=ASCII)
    assert all(line.isascii() for line in text_of(lines))
    golden("workers-64-ascii-120x36", lines)


def test_without_a_state_and_dead_ones() -> None:
    uses = (WORKERS[0]._replace(state=None), WORKERS[1]._replace(alive=False, drives=False))
    lines = text_of(drawn(snapshot(workers=uses), Size(120, 32), view="workers"))
    assert "gone" in lines[6]
    assert "1 worker " in lines[0]


def test_once_the_run_is_over_there_is_no_now() -> None:
    lines = text_of(drawn(snapshot(live=False, ended="detached"), Size(120, 32), view="workers"))
    assert "now" not in lines[4].split()
    assert not any(line.startswith(" now ") for line in lines)


def test_an_idle_worker_was_parked_all_the_time() -> None:
    lines = text_of(drawn(snapshot(workers=(idle_worker(0),)), Size(120, 32), view="workers"))
    assert any("parked 100 %" in line for line in lines)


def test_the_parts_of_its_time_agree_with_the_row() -> None:
    lines = text_of(drawn(snapshot(), Size(120, 32), view="workers"))
    assert lines[5].split()[:2] == ["▌W0", "14%"]
    assert any("blocked 14 %" in line for line in lines[10:])


def test_several_runtimes_have_no_average() -> None:
    some = tuple(RuntimeUse(name, 2, 2 * ELAPSED, S, 0, 1) for name in ("main", "ui"))
    lines = text_of(drawn(snapshot(runtimes=some), Size(120, 32), view="workers"))
    assert "on average" not in lines[3]
    assert lines[3].rstrip().endswith("runtimes: main 0.4 % of 2, ui 0.4 % of 2")


def test_a_search_finds_idle_ones_too() -> None:
    seen, size = crowd(64), Size(120, 36)
    typed = [Typed(char) for char in "w63"]
    lines = text_of(drawn(seen, size, Show("workers"), Act.SEARCH, *typed))
    assert "▌W63" in lines[7]


def test_rows_in_two_columns_are_clicked_where_they_stand() -> None:
    seen, size = crowd(64), Size(120, 36)
    state = settle(UiState(view="workers"), seen)
    page = page_of(state, seen, size)
    assert page.columns == 2
    lines = text_of(drawn(seen, size, view="workers"))
    number = lines[page.top + 1][60:].split()[0]
    state, _ = update(state, Click(70, page.top + 1), seen, size)
    assert state.at("workers").cursor == page.shown // 2 + 1
    drawn_again = text_of(drawn(seen, size, view="workers", lists=state.lists))
    assert drawn_again[page.top + 1][60:].startswith(f"▌{number} ")
    head = lines[page.top - 1].rindex("worst")
    state, _ = update(state, Click(head, page.top - 1), seen, size)
    assert state.sorts["workers"] == "worst"


def test_the_cursor_goes_down_one_column_and_on_in_the_next() -> None:
    seen, size = crowd(64), Size(120, 36)
    shown = page_of(settle(UiState(view="workers"), seen), seen, size).shown
    lines = text_of(drawn(seen, size, *[Act.DOWN] * (shown // 2), view="workers"))
    assert lines[7][60] == "▌"


def test_no_worker_yet() -> None:
    lines = text_of(drawn(snapshot(workers=(), lasting=()), Size(80, 24), view="workers"))
    assert any("no worker so far" in line for line in lines)


def test_states_in_words() -> None:
    words = ("in a poll", "parked", "between polls", "allowed to block")
    for use, said in zip(WORKERS, words, strict=True):
        lines = text_of(drawn(snapshot(workers=(use,)), Size(120, 32), view="workers"))
        assert said in lines[5], said
