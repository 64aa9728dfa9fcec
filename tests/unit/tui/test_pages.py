"""Every page, of a service with few and one with many blockers and workers, at three sizes.

A golden holds the text of all pages of one size; another their styles, once for each shape. What a
terminal makes of the styles is held as a rule, for each page in each theme and number of colours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

import pytest
from conftest import GOLDEN, compared
from draw import text_of

from hud.analysis.results import Snapshot
from hud.analysis.snapshot import Analyzer
from hud.tui import keys
from hud.tui.frame import compose
from hud.tui.settle import settle
from hud.tui.state import Size, UiState
from hud.tui.style import THEMES, Line, Look, numbers
from hud.tui.update import update
from hud.tui.views.table import TABS
from tests.builders.service import NOW_NS, service

SHAPES = [(3, 4), (40, 64)]
SIZES = [Size(80, 24), Size(120, 36), Size(200, 50)]
KEYS = {
    **{view.name: [str(at)] for at, view in enumerate(TABS, 1)},
    "stacks": ["2", "enter"],
    "help": ["?"],
}
"""What is pressed for each page."""
TERMINALS = [(theme, colours) for theme in ("dark", "light") for colours in (256, 16, 8)]
STYLED = SIZES[1]
IDS = [f"{blockers}-blockers-{workers}-workers" for blockers, workers in SHAPES]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=IDS)


@cache
def seen(shape: tuple[int, int]) -> Snapshot:
    return Analyzer(service(*shape)).snapshot(NOW_NS, live=True)


@cache
def page(shape: tuple[int, int], name: str, size: Size, coloured: bool = True) -> list[Line]:
    snapshot = seen(shape)
    state = settle(UiState(coloured=coloured), snapshot)
    for key in KEYS[name]:
        action = keys.action(key, state.scope)
        assert action is not None
        state, _ = update(state, action, snapshot, size)
    return compose(snapshot, state, size)


def all_pages(coloured: bool = True) -> Iterator[list[Line]]:
    for shape, name, size in product(SHAPES, KEYS, SIZES):
        yield page(shape, name, size, coloured)


def sheet(pages: Sequence[tuple[str, Sequence[str]]]) -> str:
    """One below the other, each under its name."""
    return "".join(f"#### {name}\n" + "\n".join(lines) + "\n" for name, lines in pages)


def styles_of(line: Line) -> str:
    """``12 label 4 own``: the cells of each style."""
    return " ".join(f"{len(span.text)} {span.style or '-'}" for span in line)


@each_shape
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.width}x{size.height}")
def test_the_text_of_all_pages(
    shape: tuple[int, int], size: Size, request: pytest.FixtureRequest
) -> None:
    drawn = [(name, [line.rstrip() for line in text_of(page(shape, name, size))]) for name in KEYS]
    name = f"{IDS[SHAPES.index(shape)]}-{size.width}x{size.height}"
    compared(request, GOLDEN / "pages" / f"{name}.txt", sheet(drawn))


@each_shape
def test_the_styles_of_all_pages(shape: tuple[int, int], request: pytest.FixtureRequest) -> None:
    drawn = [(name, [styles_of(line) for line in page(shape, name, STYLED)]) for name in KEYS]
    path = GOLDEN / "pages" / f"{IDS[SHAPES.index(shape)]}-styles.txt"
    compared(request, path, sheet(drawn))


def test_a_page_fills_the_screen_and_no_line_is_cut_by_its_edge() -> None:
    for shape, name, size in product(SHAPES, KEYS, SIZES):
        lines = text_of(page(shape, name, size))
        assert len(lines) == size.height
        assert max(map(len, lines)) <= size.width


def test_every_style_has_a_look_in_both_themes() -> None:
    used = {
        name
        for lines in all_pages()
        for line in lines
        for span in line
        for name in span.style.split()
    }
    assert {"own", "label", "wait", "selected", "cause.cpu", "verdict.slow"} <= used
    assert used <= THEMES["dark"].keys() & THEMES["light"].keys()


@pytest.mark.parametrize(("theme", "colours"), TERMINALS)
def test_text_is_never_of_the_colour_of_its_ground(theme: str, colours: int) -> None:
    """Nor does a terminal with few colours lose the selected row or the verdict."""
    for style in {span.style for lines in all_pages() for line in lines for span in line}:
        looks = [THEMES[theme].get(name, Look()) for name in style.split()]
        inks = [ink for look in looks if (ink := numbers(look, colours)[0]) >= 0]
        grounds = [ground for look in looks if (ground := numbers(look, colours)[1]) >= 0]
        assert not set(inks) & set(grounds), style
        marked = grounds or any({"bold", "reverse"} & set(look.attributes) for look in looks)
        if re.search(r"selected|verdict|tab", style):
            assert marked, style


def test_without_colour_the_pages_say_the_same() -> None:
    """But for the timeline, which has letters for hues."""
    for shape, name, size in product(SHAPES, KEYS.keys() - {"timeline"}, SIZES):
        assert page(shape, name, size) == page(shape, name, size, coloured=False)
    plain = page(SHAPES[0], "timeline", STYLED, coloured=False)
    letters = {letter for line in text_of(plain)[5:18] for letter in line[6:] if letter.isalpha()}
    assert {"c", "f", "l"} <= letters


def test_what_is_shown_could_have_been() -> None:
    """No figure of the pages contradicts another."""
    for blockers, workers in SHAPES:
        snapshot = seen((blockers, workers))
        assert (len(snapshot.blockers), len(snapshot.workers)) == (blockers, workers)
        for one in snapshot.blockers:
            assert one.p50_ns <= one.p99_ns <= one.max_ns <= one.total_ns <= one.count * one.max_ns
        assert sum(one.total_ns for one in snapshot.blockers) == snapshot.blocked_ns
        for use in snapshot.workers:
            assert use.split.total_ns() == use.time_ns
            assert use.blocked_ns <= use.split.poll_cpu_ns + use.split.poll_asleep_ns
