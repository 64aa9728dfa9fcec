"""The drill-down: frames at named sizes, and what it says."""

from __future__ import annotations

from draw import SIZES, WHICH, GoldenCheck, drawn, text_of
from screen_build import RICH, snapshot

from hud.tui.actions import Act, Typed
from hud.tui.state import Size

_KNOWN = snapshot(**RICH)


@WHICH
def test_stacks(size: Size, golden: GoldenCheck) -> None:
    golden(f"stacks-{size.width}x{size.height}", drawn(snapshot(), size, Act.OPEN))


def test_the_last_line_can_be_scrolled_to() -> None:
    for size in SIZES[:4]:
        lines = text_of(drawn(snapshot(), size, Act.OPEN, Act.END))
        body = [line for line in lines[:-1] if line.strip()]
        assert body[-1].split() == ["0", "s", "2", "min", "14", "s"], size


def test_unfolded_stacks(golden: GoldenCheck) -> None:
    golden("stacks-unfolded-80x24", drawn(snapshot(), Size(80, 24), Act.OPEN, Act.UNFOLD))


def test_a_blocker_with_everything_known(golden: GoldenCheck) -> None:
    golden("stacks-rich-100x60", drawn(_KNOWN, Size(100, 60), Act.OPEN, Act.CODE, Act.HOME))
    holders = drawn(_KNOWN, Size(120, 50), Act.DOWN, Act.DOWN, Act.OPEN)
    golden("stacks-holders-120x50", holders)
    golden("blockers-rich-120x40", drawn(_KNOWN, Size(120, 40)))


def test_code_and_figures_stand_side_by_side_where_there_is_room() -> None:
    wide = text_of(drawn(_KNOWN, Size(120, 50), Act.OPEN))
    assert any(line.startswith("── stacks") and "┬── how long" in line for line in wide)
    narrow = text_of(drawn(_KNOWN, Size(100, 60), Act.OPEN))
    titles = [line.split("──")[1].split(" · ")[0].strip() for line in narrow if line[:3] == "── "]
    assert titles == [
        "stacks",
        "how long",
        "where the time went",
        "tasks",
        "source",
        "its latest long polls",
        "when",
    ]


def test_while_a_text_is_searched_there_is_one_column() -> None:
    lines = text_of(drawn(_KNOWN, Size(120, 50), Act.OPEN, Act.SEARCH, Typed("z")))
    assert not any("┬" in line for line in lines)


def test_where_stacks_part_each_way_has_its_part_and_a_bar() -> None:
    lines = text_of(drawn(_KNOWN, Size(120, 50), Act.OPEN))
    parts = [line for line in lines if line[:5].endswith("%")]
    assert [line.split()[0] for line in parts] == ["85%", "15%"]
    assert [line.split()[1][0] for line in parts] == ["█", "█"]


def test_spare_rows_go_to_its_long_polls() -> None:
    for height in (42, 46, 50):
        lines = text_of(drawn(_KNOWN, Size(120, height), Act.OPEN))
        assert lines[-2].split()[:2] == ["0", "s"], height
        polls = [line for line in lines if " task " in line]
        assert len(polls) >= 3


def test_its_long_polls_are_its_own() -> None:
    lines = text_of(drawn(_KNOWN, Size(120, 50), Act.DOWN, Act.OPEN))
    polls = [line for line in lines if " task " in line and line[1:3].isdigit()]
    assert polls
    assert all(line.split()[2] == "fsync" for line in polls)


def test_figures_give_way_to_the_last_segment_of_the_name() -> None:
    for width, facts in ((60, "2.6 % of worker time · cpu"), (100, "214 long polls · 14.2 s · ")):
        head = text_of(drawn(_KNOWN, Size(width, 24), Act.OPEN))[3]
        assert "hash_password" in head
        assert facts in head
