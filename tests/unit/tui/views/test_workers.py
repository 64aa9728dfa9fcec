"""The workers: frames at named sizes, and what a row says."""

from __future__ import annotations

from dataclasses import replace

from draw import WHICH, GoldenCheck, drawn, text_of
from screen_build import (
    STUCK,
    WORKERS,
    snapshot,
)

from hud.tui.actions import Show
from hud.tui.state import Size


@WHICH
def test_workers_with_a_stuck_one(size: Size, golden: GoldenCheck) -> None:
    seen = snapshot(workers=STUCK)
    golden(f"workers-{size.width}x{size.height}", drawn(seen, size, Show("workers")))


def test_workers_without_a_state_and_dead_ones() -> None:
    uses = (replace(WORKERS[0], state=None), replace(WORKERS[1], alive=False, drives=False))
    lines = text_of(drawn(snapshot(workers=uses), Size(120, 32), view="workers"))
    assert "gone" in lines[5]
    assert "1 worker " in lines[0]
