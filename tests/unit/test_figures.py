"""Each number has one form for columns and one for sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hud import figures

MS = 1_000_000
S = 1_000_000_000


@pytest.mark.parametrize(
    ("ns", "column", "sentence"),
    [
        (0, "0", "0 s"),
        (-134 * S, "-2m14s", "-2 min 14 s"),
        (1, "1ns", "1 ns"),
        (999, "999ns", "999 ns"),
        (2_860, "2.9us", "2.86 us"),
        (310_000, "310us", "310 us"),
        (999_600, "1.0ms", "1 ms"),
        (3_140_000, "3.1ms", "3.14 ms"),
        (9_960_000, "10ms", "9.96 ms"),
        (12_500_000, "12ms", "12.5 ms"),
        (91_700_000, "92ms", "91.7 ms"),
        (999_600_000, "1.0s", "1 s"),
        (14_240 * MS, "14.2s", "14.2 s"),
        (30 * S, "30.0s", "30 s"),
        (99_960 * MS, "1m40s", "1 min 40 s"),
        (134 * S, "2m14s", "2 min 14 s"),
        (599_600 * MS, "10.0m", "10 min 0 s"),
        (1_000 * S, "16.7m", "16 min 40 s"),
        (7_500 * S, "2h05m", "2 h 5 min"),
        (10_921 * S, "3h02m", "3 h 2 min"),
        (45_000 * S, "12.5h", "12 h 30 min"),
        (100 * 3_600 * S, "4.2d", "100 h 0 min"),
    ],
)
def test_durations(ns: int, column: str, sentence: str) -> None:
    assert figures.duration(ns) == column
    assert figures.long_duration(ns) == sentence


@given(st.integers(0, 9_999 * 86_400 * S))
def test_a_duration_has_at_most_five_cells_in_a_column(ns: int) -> None:
    assert len(figures.duration(ns)) <= 5


@given(st.integers(0, 9_999 * 86_400 * S), st.integers(0, 9_999 * 86_400 * S))
def test_a_longer_duration_never_looks_shorter(one: int, other: int) -> None:
    short, long = sorted((one, other))
    assert _value(figures.duration(short)) <= _value(figures.duration(long))


_SCALES = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9, "d": 86_400e9}


def _value(column: str) -> float:
    total = 0.0
    number = unit = ""
    for char in f"{column} ":
        if unit and not char.isalpha():
            total += float(number) * _SCALES[unit]
            number = unit = ""
        if char.isalpha():
            unit += char
        else:
            number += char
    return total


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (-1, "0 %"),
        (0.0, "0 %"),
        (0.0001, "< 0.1 %"),
        (0.021, "2.1 %"),
        (0.0996, "10 %"),
        (0.31, "31 %"),
        (0.9996, "99.9 %"),
        (1, "100 %"),
        (float("nan"), "0 %"),
        (float("inf"), "0 %"),
    ],
)
def test_shares_have_the_same_digits_in_both(share: float, words: str) -> None:
    assert figures.percent(share) == words
    assert figures.share(share) == words.replace(" ", "")


@pytest.mark.parametrize(
    ("number", "column", "sentence"),
    [
        (0, "0", "0 polls"),
        (1, "1", "1 poll"),
        (1204, "1,204", "1,204 polls"),
        (12_204, "12k", "12,204 polls"),
        (999_499, "999k", "999,499 polls"),
        (999_500, "1.0M", "999,500 polls"),
        (10**15, "999G", "1,000,000,000,000,000 polls"),
    ],
)
def test_counts(number: int, column: str, sentence: str) -> None:
    assert figures.short_count(number) == column
    assert figures.count(number, "poll") == sentence
    assert figures.count(number) == sentence.split()[0]


def test_sizes_and_the_clock() -> None:
    sizes = {0: "0 bytes", 999: "999 bytes", 312_400: "312 KB", 1_240_000: "1.2 MB"}
    assert {size: figures.size(size) for size in sizes} == sizes
    assert (figures.clock(134 * S), figures.clock(-1)) == ("00:02:14", "00:00:00")
