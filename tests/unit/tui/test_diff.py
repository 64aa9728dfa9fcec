"""Only what changed is written, and applying it gives the new screen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hud.tui.diff import Run, diff, row_of
from hud.tui.style import Line, Span
from hud.tui.text import cells, clean

WIDTH = 12

spans = st.builds(
    Span,
    st.text(st.sampled_from("ab 你é\u0301"), max_size=4).map(clean),
    st.sampled_from(["", "bold", "label"]),
)


def fitted(parts: list[Span]) -> Line:
    line: list[Span] = []
    for span in parts:
        if sum(cells(s.text) for s in (*line, span)) <= WIDTH:
            line.append(span)
    return tuple(line)


frames = st.lists(st.lists(spans, max_size=5).map(fitted), min_size=3, max_size=3)


Cell = tuple[str, str]


def cells_of(line: Line, width: int) -> list[Cell]:
    return list(zip(*row_of(line, width), strict=True))


def applied(old: list[Line] | None, runs: list[Run]) -> list[list[Cell]]:
    screen = [cells_of(line, WIDTH) for line in (old or [()] * 3)]
    for run in runs:
        written = cells_of(run.spans, sum(cells(s.text) for s in run.spans))
        for x, cell in enumerate(written, start=run.x):
            before = screen[run.y][x]
            # A terminal blanks the other half of a wide character that is overwritten.
            if before[0] == "" and x == run.x:
                screen[run.y][x - 1] = (" ", "")
            screen[run.y][x] = cell
    return screen


@given(st.one_of(st.none(), frames), frames)
def test_the_difference_makes_the_new_screen(old: list[Line] | None, new: list[Line]) -> None:
    wanted = [cells_of(line, WIDTH) for line in new]
    assert applied(old, diff(old, new, WIDTH)) == wanted


@given(frames)
def test_nothing_is_written_for_the_same_frame(lines: list[Line]) -> None:
    assert diff(lines, lines, WIDTH) == []


def test_only_the_changed_cells_are_written() -> None:
    old: list[Line] = [(Span("total 14.2s", "label"),), (Span("same"),)]
    new: list[Line] = [(Span("total 14.3s", "label"),), (Span("same"),)]
    assert diff(old, new, 20) == [Run(0, 9, (Span("3", "label"),))]


def test_near_changes_are_one_run_and_far_ones_are_two() -> None:
    base: list[Line] = [(Span("a" * 20),)]
    near: list[Line] = [(Span("b" + "a" * 3 + "b" + "a" * 15),)]
    far: list[Line] = [(Span("b" + "a" * 8 + "b" + "a" * 10),)]
    assert [run.x for run in diff(base, near, 20)] == [0]
    assert [run.x for run in diff(base, far, 20)] == [0, 9]


def test_a_shorter_line_is_blanked() -> None:
    assert diff([(Span("abc"),)], [(Span("a"),)], 5) == [Run(0, 1, (Span("  "),))]
