"""Marks of a total that grows."""

from __future__ import annotations

from hud.analysis.marks import MOST, PART, RECENT, Marks


def test_the_total_at_a_moment() -> None:
    marks: Marks[str] = Marks()
    assert marks.at(99, "outset") == "outset"
    marks.add(10, "a")
    marks.add(20, "b")
    assert [marks.at(at, "outset") for at in (9, 10, 19, 20, 10**18)] == [
        "outset", "a", "a", "b", "b",
    ]  # fmt: skip


def test_old_marks_are_thinned_out() -> None:
    marks: Marks[int] = Marks()
    last = 1_000_000
    for moment in range(last + 1):
        marks.add(moment, moment)
    assert all(marks.at(last - age, -1) == last - age for age in range(RECENT))
    for age in (1_000, 10_000, 100_000, 900_000):
        assert 0 <= last - age - marks.at(last - age, -1) <= age / (PART - 1)
    assert marks.at(0, -1) == 0
    assert len(marks._times) == len(marks._totals) <= MOST
