"""Blocked time over the run in slices: whatever comes and goes, each has what lay in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hud.analysis.slices import SHORTEST_NS, Amounts, History, Shown, Slices, together

MS = 1_000_000
SPANS = st.tuples(st.integers(0, 19_000 * MS), st.integers(1, 5_000 * MS), st.integers(0, 100))


def _own(length_ns: int, percent: int) -> int:
    return length_ns * percent // 100


@given(st.lists(SPANS, max_size=20))
def test_time_lies_where_its_stretch_does(spans: list[tuple[int, int, int]]) -> None:
    slices = Slices(32)
    slices.fit(0, 24_800 * MS)
    amounts = Amounts(slices)
    for start, length, percent in spans:
        amounts.add(start, length, _own(length, percent))
    values, each = amounts.values(), slices.length_ns
    assert each == 16 * SHORTEST_NS
    assert len(values) == 31
    for number, value in enumerate(values):
        begin, end = number * each, (number + 1) * each
        expected = 0.0
        for start, length, percent in spans:
            inside = max(0, min(end, start + length) - max(begin, start))
            expected += inside / length * _own(length, percent)
        assert abs(value - expected) <= len(spans) + 1
    assert sum(values) == sum(_own(length, percent) for _, length, percent in spans)


@given(st.lists(SPANS, max_size=20), st.lists(SPANS, max_size=10))
def test_pairs_that_merged_are_those_of_longer_slices(
    stay: list[tuple[int, int, int]], go: list[tuple[int, int, int]]
) -> None:
    grown, late = Slices(32), Slices(32)
    early = Amounts(grown)
    end = 50 * MS
    for start, length, percent in sorted([*stay, *go], key=sum):
        end = max(end, start + length)
        grown.fit(0, end)
        early.add(start, length, _own(length, percent))
    for start, length, percent in go:
        early.add(start, length, _own(length, percent), -1)
    late.fit(0, end)
    whole = Amounts(late)
    for start, length, percent in stay:
        whole.add(start, length, _own(length, percent))
    assert early.values() == whole.values()


def test_there_are_never_more_slices_than_allowed() -> None:
    slices, seen = Slices(32), set()
    for end in range(MS, 3_600_000 * MS, 7_001 * MS):
        assert not slices.fit(0, end), "they only grow"
        assert 16 <= len(slices.shown) <= 32 or slices.length_ns == SHORTEST_NS
        assert slices.shown.stop * slices.length_ns >= end
        seen.add(slices.length_ns)
    assert len(seen) > 5


def test_a_window_moves_over_slices_that_stay() -> None:
    slices = Slices(32)
    amounts = Amounts(slices)
    for second in range(100):
        begin, end = max(0, second - 10) * 1_000 * MS, second * 1_000 * MS + 1
        slices.fit(begin, end)
        amounts.add(max(0, end - 500 * MS), 500 * MS, 100 * MS)
        values = amounts.values()
        assert slices.shown.start * slices.length_ns >= begin
        assert len(values) == len(slices.shown) <= 32
        if second > 11:
            assert 900 * MS <= sum(values) <= 1_000 * MS + 2
            assert len(amounts._at) <= 3 * 32, "what lies before the window is forgotten"


def test_an_end_far_beyond_now_fills_no_memory() -> None:
    slices = Slices(32)
    slices.fit(0, 1_000 * MS)
    amounts = Amounts(slices)
    for _ in range(2):
        amounts.add(900 * MS, 10**18, 10**18)
        assert len(amounts._at) <= 3 * 32
    amounts.add(900 * MS, 10**18, 10**18, -1)
    amounts.add(900 * MS, 10**18, 10**18, -1)
    assert amounts._at == {}


def test_a_smaller_window_needs_finer_slices() -> None:
    slices = Slices(32)
    assert not slices.fit(0, 600_000 * MS)
    assert slices.fit(590_000 * MS, 600_000 * MS)
    assert slices.length_ns == 400 * MS
    assert slices.shown == range(1475, 1500)


HISTORIES = st.builds(
    History,
    st.sampled_from([SHORTEST_NS, 2 * SHORTEST_NS, 4 * SHORTEST_NS]),
    st.integers(0, 20),
    st.lists(st.integers(0, 100), max_size=12).map(tuple),
)


@given(HISTORIES, st.integers(0, 30), st.integers(0, 30))
def test_a_history_is_seen_through_any_slices_that_are_as_long(
    history: History, start: int, number: int
) -> None:
    shown = Shown(4 * SHORTEST_NS, range(start, start + number))
    expected = dict.fromkeys(shown.numbers, 0)
    for at, ns in enumerate(history.values, history.first):
        slot = at * history.length_ns // shown.length_ns
        if slot in expected:
            expected[slot] += ns
    assert history.over(shown) == tuple(expected.values())


def test_a_history_is_not_seen_through_shorter_slices() -> None:
    assert History(4 * SHORTEST_NS, 0, (1, 2)).over(Shown(2 * SHORTEST_NS, range(4))) == ()


@given(st.lists(HISTORIES, max_size=5), st.integers(0, 30))
def test_histories_add_up_slice_by_slice(histories: list[History], start: int) -> None:
    shown = Shown(4 * SHORTEST_NS, range(start, start + 20))
    columns = zip(*(one.over(shown) for one in histories), strict=True)
    sums = tuple(map(sum, columns)) or (0,) * 20
    assert together(histories).over(shown) == sums
