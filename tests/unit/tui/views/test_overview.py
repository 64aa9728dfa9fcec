"""The overview: one page for all sizes, and its panels."""

from __future__ import annotations

from dataclasses import replace

import pytest
from draw import GoldenCheck, drawn, style_of, text_of
from pressing import press
from screen_build import INFO, QUIET, RICH_BLOCKERS, many, on_rung, service, snapshot

from hud.model import Rung
from hud.tui.actions import Act, Click
from hud.tui.frame import compose
from hud.tui.glyphs import ASCII
from hud.tui.pages import page_of
from hud.tui.settle import settle
from hud.tui.state import PANELS, Size, UiState
from hud.tui.style import THEMES
from hud.tui.update import update
from hud.tui.views import overview

SIZES = [Size(60, 15), Size(80, 24), Size(120, 36), Size(200, 50), Size(300, 80)]
ENDS = SIZES[0], SIZES[-1]
"""Those between have their goldens with the other pages, in test_pages.py."""
EACH = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.width}x{size.height}")
FEW, MANY = (3, 4), (40, 64)


@pytest.mark.parametrize("size", ENDS, ids=lambda size: f"{size.width}x{size.height}")
@pytest.mark.parametrize("shape", [FEW, MANY], ids=lambda shape: f"{shape[0]}-{shape[1]}")
def test_the_page(size: Size, shape: tuple[int, int], golden: GoldenCheck) -> None:
    seen = service(*shape)
    name = f"overview-{shape[0]}-blockers-{shape[1]}-workers-{size.width}x{size.height}"
    golden(name, drawn(seen, size, view="overview"))


def test_in_ascii(golden: GoldenCheck) -> None:
    lines = drawn(service(*FEW), Size(120, 36), view="overview", glyphs=ASCII)
    assert all(line.isascii() for line in text_of(lines))
    golden("overview-ascii-120x36", lines)


@EACH
def test_every_style_has_a_look_in_every_theme(size: Size) -> None:
    used = {
        name
        for shape in (FEW, MANY)
        for line in drawn(service(*shape), size, view="overview")
        for span in line
        for name in span.style.split()
    }
    assert used <= THEMES["dark"].keys() & THEMES["light"].keys()


def test_hud_starts_here() -> None:
    assert UiState().view == "overview"
    assert text_of(compose(snapshot(), settle(UiState(), snapshot()), Size(80, 24)))[2].startswith(
        "  1 Over"
    )


@pytest.mark.parametrize("width", [60, 80, 100, 120, 300])
@pytest.mark.parametrize("total", [1, 5, 40])
def test_lines_to_spare_go_to_the_detail_and_then_to_the_graph(width: int, total: int) -> None:
    before = overview.plan(width, 11, total)
    for height in range(12, 90):
        made = overview.plan(width, height, total)
        rules = 1 + (made.latest > 0 and not made.split)
        below = made.detail if made.split else made.detail + made.latest
        assert made.top + made.rows + made.below + rules + below == height
        assert made.rows + made.below * 2 >= min(total, 3)
        assert made.rows <= total
        assert made.detail >= 2
        if made[:3] == before[:3]:
            assert made.rows >= before.rows
        before = made


def test_the_list_says_what_is_below_it() -> None:
    lines = text_of(drawn(service(*MANY), Size(120, 36), view="overview"))
    assert any("of 40, " in line and "below: together" in line for line in lines)


def test_without_a_blocker_the_page_says_so_in_the_middle() -> None:
    for size in SIZES:
        lines = text_of(drawn(snapshot(**QUIET), size, view="overview"))
        assert any("No poll of 5 ms or more in 2 min 14 s." in line for line in lines[3:]), size


def test_what_to_know_of_the_run_is_on_the_page() -> None:
    seen = replace(
        service(*FEW), info=replace(INFO, notes=("no debug info", "the symbol resolver died"))
    )
    lines = text_of(drawn(seen, Size(100, 30), view="overview"))
    assert lines[3].strip() == "the symbol resolver died  (1 more: ?)"
    assert "died" not in "".join(text_of(drawn(seen, Size(60, 15), view="overview")))
    blind = text_of(drawn(on_rung(Rung.STACKS, "because"), Size(100, 30), view="overview"))
    assert blind[3].startswith(" Polls are not seen (STACKS).")


@pytest.mark.parametrize("size", [Size(80, 24), Size(120, 36)])
@pytest.mark.parametrize("notes", [(), ("no debug info",)])
def test_a_click_selects_the_row_that_is_there_and_a_second_one_opens_it(
    size: Size, notes: tuple[str, ...]
) -> None:
    seen = replace(service(*FEW), info=replace(INFO, notes=notes))
    state = settle(UiState(), seen)
    row = next(
        at for at, line in enumerate(text_of(compose(seen, state, size))) if "Index::save" in line
    )
    state, _ = update(state, Click(20, row), seen, size)
    assert (state.view, state.cursor) == ("overview", 1)
    state, _ = update(state, Click(20, row), seen, size)
    assert (state.view, state.opened) == ("stacks", RICH_BLOCKERS[1])
    assert press(state, seen, "esc")[0].view == "overview"


def test_the_cursor_is_that_of_the_blockers() -> None:
    seen = many(200)
    state = settle(UiState(), seen)
    state, _ = press(state, seen, "pgdn", "down")
    shown = page_of(state, seen, Size(120, 32)).shown
    assert state.cursor == shown + 1
    assert state.selected == seen.blockers[shown + 1].key
    assert press(state, seen, "2")[0].cursor == state.cursor


def test_tab_goes_through_the_panels_and_enter_opens_what_they_belong_to() -> None:
    seen = service(*FEW)
    state = settle(UiState(), seen)
    there = []
    for _ in PANELS:
        there.append((state.panel, press(state, seen, "enter")[0].view))
        state, _ = press(state, seen, "tab")
    assert state.panel == PANELS[0]
    assert there == [
        ("blockers", "stacks"),
        ("detail", "stacks"),
        ("latest", "timeline"),
        ("graph", "timeline"),
        ("workers", "workers"),
    ]
    assert press(state, seen, "backtab")[0].panel == PANELS[-1]


def test_who_chooses_a_blocker_opens_it() -> None:
    """Whatever panel was chosen before, which a smaller terminal may not even show."""
    seen = service(*FEW)
    state, _ = press(settle(UiState(), seen), seen, "tab", "tab", "down", "enter")
    assert (state.view, state.opened) == ("stacks", RICH_BLOCKERS[1])
    large, _ = press(settle(UiState(), seen), seen, "tab", "z", "down")
    assert (large.panel, large.zoomed, large.cursor) == ("detail", True, 1)


@pytest.mark.parametrize(
    ("panel", "shown", "hidden"),
    [
        ("blockers", "store::Index::save", "latest long polls"),
        ("detail", "your code blocks here", "latest long polls"),
        ("latest", "cache::get", "your code blocks here"),
        ("graph", " 0% ", "latest long polls"),
        ("workers", "W63", "latest long polls"),
    ],
)
def test_a_panel_has_the_page_to_itself(panel: str, shown: str, hidden: str) -> None:
    seen = service(5, 64)
    lines = text_of(drawn(seen, Size(120, 80), Act.ZOOM_PANEL, view="overview", panel=panel))
    assert any(shown in line for line in lines[3:])
    assert not any(hidden in line for line in lines[3:])


def test_the_chosen_panel_is_marked() -> None:
    lines = drawn(service(*FEW), Size(120, 36), view="overview", panel="latest")
    assert "── ▌ latest long polls ──" in "\n".join(text_of(lines))
    assert style_of(lines, "latest long polls") == "title"
