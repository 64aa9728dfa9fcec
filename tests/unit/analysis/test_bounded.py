"""A table forgets its oldest entries."""

from __future__ import annotations

from hud.analysis import bounded


def test_the_oldest_go_first() -> None:
    known = {1: "a", 2: "b"}
    bounded.update(known, {3: "c", 1: "d"}, most=2)
    assert known == {2: "b", 3: "c"}
