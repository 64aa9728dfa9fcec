"""Ranges to values, .debug_aranges and the bounded cache."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hud.symbols.dwarf.addresses import RangeMap, read_aranges
from hud.symbols.dwarf.cache import Lru
from tests.builders import elfbuild as b

CODE = range(0x1000, 0x9000)


def all_rows(data: bytes) -> list[tuple[int, int, int]]:
    found = read_aranges(memoryview(data), CODE.__contains__)
    return list(zip(found.starts, found.ends, found.values, strict=True))


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda r: (r[0], r[0] + r[1])),
        max_size=12,
        unique=True,
    )
)
def test_the_innermost_range_counts(ranges: list[tuple[int, int]]) -> None:
    found = RangeMap([(low, high, number) for number, (low, high) in enumerate(ranges)])
    for address in range(100):
        covering = [
            (-low, high, n) for n, (low, high) in enumerate(ranges) if low <= address < high
        ]
        expected = min(covering, default=None)
        result = found.lookup(address)
        assert (None if result is None else (-result[0], result[1], result[2])) == expected


def test_of_equal_ranges_the_first_counts() -> None:
    assert RangeMap([(1, 5, 70), (1, 5, 80)]).lookup(2) == (1, 5, 70)
    assert RangeMap([]).lookup(2) is None


def test_aranges_of_several_units() -> None:
    data = b.aranges(0, [(0x3000, 16), (0x2000, 8), (0x2008, 8)]) + b.aranges(77, [(0x4000, 4)])
    assert all_rows(data) == [(0x2000, 0x2010, 0), (0x3000, 0x3010, 0), (0x4000, 0x4004, 77)]


def test_dead_and_empty_aranges_are_dropped() -> None:
    pairs = [(0, 0x5000), (0x2000, 0), (0xA000, 8), ((1 << 64) - 1, 8), (0x2000, 8)]
    assert all_rows(b.aranges(0, pairs)) == [(0x2000, 0x2008, 0)]


def test_damaged_aranges_keep_what_came_before() -> None:
    good = b.aranges(5, [(0x2000, 8)])
    assert all_rows(good + b"\xff\xff\xff") == [(0x2000, 0x2008, 5)]
    assert all_rows(good + b"\xff\x00\x00\x00ab") == [(0x2000, 0x2008, 5)]
    odd = bytearray(b.aranges(6, [(0x3000, 8)]))
    odd[4] = 9
    assert all_rows(bytes(odd) + good) == [(0x2000, 0x2008, 5)], "a version nobody knows"


@given(st.binary(max_size=200))
def test_hostile_aranges(data: bytes) -> None:
    for start, end, _ in all_rows(data):
        assert start < end


def test_lru_is_bounded_by_weight() -> None:
    made: list[int] = []

    def get(key: int) -> str:
        return cache.get(key, lambda: made.append(key) or "x" * key)

    cache: Lru[str] = Lru(10, len)
    for key in (4, 5, 4, 3):
        assert len(get(key)) == key
    assert made == [4, 5, 3]
    assert len(cache) == 2, "5 went: 4 was used after it"
    get(4)
    get(5)
    assert made == [4, 5, 3, 5]
    get(50)
    assert len(cache) == 1, "the newest stays whatever it weighs"
