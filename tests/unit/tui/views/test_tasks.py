"""The tasks: frames at named sizes, and what is not known."""

from __future__ import annotations

from draw import WHICH, GoldenCheck, drawn, text_of
from screen_build import (
    RICH,
    S,
    snapshot,
    task,
)

from hud.tui.actions import Show
from hud.tui.state import Size

_KNOWN = snapshot(**RICH)


@WHICH
def test_tasks(size: Size, golden: GoldenCheck) -> None:
    golden(f"tasks-{size.width}x{size.height}", drawn(_KNOWN, size, Show("tasks")))


def test_without_exact_mode_the_tasks_say_what_it_would_add() -> None:
    for seen in (snapshot(), snapshot(tasks=(task(1, "a", S, polls=False),))):
        text = "\n".join(text_of(drawn(seen, Size(120, 32), Show("tasks"))))
        assert "--exact adds all polls of each type" in text
        assert "p99" not in text
    assert "types of this program's tasks are not known" in "\n".join(
        text_of(drawn(snapshot(), Size(120, 32), Show("tasks")))
    )
