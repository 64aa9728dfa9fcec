"""What is kept of what was decoded."""

from __future__ import annotations

from hud.symbols.dwarf.cache import Lru


def test_the_least_recently_used_goes() -> None:
    made: list[int] = []

    def make(key: int) -> str:
        return lru.get(key, lambda: made.append(key) or f"value {key}")

    lru: Lru[str] = Lru(2)
    assert [make(key) for key in (1, 2, 1, 3)] == ["value 1", "value 2", "value 1", "value 3"]
    assert made == [1, 2, 3]
    make(1)
    assert made == [1, 2, 3]
    make(2)
    assert made == [1, 2, 3, 2]
    assert len(lru) == 2


def test_values_have_weights_and_the_newest_stays() -> None:
    lru: Lru[str] = Lru(10, len)
    lru.get(1, lambda: "12345")
    lru.get(2, lambda: "12345")
    assert len(lru) == 2
    lru.get(3, lambda: "1")
    assert len(lru) == 2
    assert lru.get(4, lambda: "x" * 99) == "x" * 99
    assert len(lru) == 1
