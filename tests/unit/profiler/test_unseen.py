"""How long the ring was full follows from the last event that did fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hud.profiler.unseen import Unseen

if TYPE_CHECKING:
    from types import ModuleType


def test_from_the_last_event_until_the_ring_was_emptied(build: ModuleType) -> None:
    unseen = Unseen()
    start = build.START_NS * 10**6  # after any moment of this machine
    assert unseen.after([build.cpu(1, start, 0)], 0, start + 10) == 0
    early, late = build.cpu(1, start + 20, 0), build.cpu(2, start + 30, 0)
    assert unseen.after([late, early], 7, start + 100) == 70
    assert unseen.after([build.cpu(1, start + 110, 0)], 7, start + 200) == 0
    assert unseen.after([], 8, start + 250) == 50
    assert unseen.after([build.cpu(1, start + 260, 0)], 9, start + 255) == 0
