"""What is said of numbers that cannot be."""

from __future__ import annotations

from hud.profiler.contradictions import STRIKES, About, Contradictions


def test_once_is_chance() -> None:
    seen = Contradictions()
    for _ in range(STRIKES):
        assert seen.believed(About.POOL)
        assert seen.said == ""
        seen.see(About.POOL)
    assert not seen.believed(About.POOL)
    assert seen.believed(About.LIST)
    assert seen.said == About.POOL.value


def test_all_of_them_are_said() -> None:
    seen = Contradictions()
    for about in About:
        for _ in range(STRIKES):
            seen.see(about)
    assert seen.said.split("; ") == [about.value for about in About]
