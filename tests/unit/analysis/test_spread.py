"""How a blocker's time is spread over the lengths of its polls."""

from __future__ import annotations

import itertools

from hud.analysis import spread

MS = 1_000_000


def test_buckets_are_joined_until_the_rows_fit() -> None:
    many = tuple(range(1, 100))
    rows = spread.histogram(many)
    assert len(rows) <= 12
    assert sum(number for _, _, number in rows) == sum(many)
    assert all(row[1] == after[0] for row, after in itertools.pairwise(rows))
    assert spread.histogram(()) == []


def test_a_unit_is_said_once_where_it_is_the_same() -> None:
    assert spread.between(45 * MS, 53 * MS) == "45-53ms"
    assert spread.between(900_000, 1_100_000) == "900us-1.1ms"
