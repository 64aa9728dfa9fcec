"""A recording is moved through as one moves through a film."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hud.commands.player import Player
from hud.record import replay
from hud.record.reader import Reader, open_recording
from hud.record.replay import Film, Replay
from hud.tui.effects import Play, Playback, Seek, Speed, Window

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot
    from hud.record.format import Tale

REAL = Path(__file__).parents[2] / "data" / "demo.hud"
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def tales() -> list[Tale]:
    with open_recording(str(REAL)) as source:
        return list(Reader(source).tales())


@pytest.fixture
def film() -> Film:
    return Film(io.BytesIO(REAL.read_bytes()))


def at(tales: list[Tale], position_ns: int) -> Snapshot:
    run = Replay(iter(tales))
    run.advance(position_ns)
    return run.snapshot()


def test_a_film_opens_at_its_end(film: Film, tales: list[Tale]) -> None:
    whole = film.snapshot()
    assert 8 * SECOND <= film.length_ns < 9 * SECOND
    assert (whole.live, whole.ended) == (False, "duration over")
    assert whole == at(tales, film.length_ns + SECOND)


def test_the_way_to_a_position_does_not_matter(film: Film, tales: list[Tale]) -> None:
    for position_ns in (SECOND, 3 * SECOND, 2 * SECOND, 0, film.length_ns, 2 * SECOND + 1):
        film.seek(position_ns)
        shown = film.snapshot()
        assert shown == at(tales, position_ns) or position_ns >= film.length_ns
        assert shown.live is (position_ns < film.length_ns)
        assert shown.elapsed_ns <= max(1, position_ns) or not shown.live
    film.seek(0)
    assert film.snapshot().episodes == 0
    film.seek(2 * SECOND)
    half = film.snapshot().episodes
    film.seek(film.length_ns)
    assert 0 < half < film.snapshot().episodes


def test_stops_on_the_way_change_nothing(
    tales: list[Tale], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stops in the middle of chunks, before and behind the present; and again with a window."""
    monkeypatch.setattr(replay, "_WORK_S", 0.0)
    monkeypatch.setattr(replay, "_DEAR", 0)
    monkeypatch.setattr(replay, "_MOST_BYTES", 20 << 20)
    film = Film(io.BytesIO(REAL.read_bytes()))
    stops = film._stops
    assert len(stops) > 10
    assert {stop.told for stop in stops} > {0}
    assert sum(len(stop.state) for stop in stops) <= 20 << 20
    assert [stop.now_ns for stop in stops] == sorted({stop.now_ns for stop in stops})
    for position_ns in range(film.length_ns, -1, -SECOND // 3):
        film.seek(position_ns - 1)
        assert film.snapshot() == at(tales, position_ns - 1)
    for position_ns in (SECOND, 3 * SECOND, 2 * SECOND):
        film.seek(position_ns)
        assert film.snapshot() == at(tales, position_ns)
    film.look_through(SECOND)
    film.seek(4 * SECOND)
    film.seek(2 * SECOND)
    run = Replay(iter(tales), SECOND)
    run.advance(2 * SECOND)
    assert film.snapshot() == run.snapshot()


def test_another_window(film: Film) -> None:
    whole = film.snapshot().episodes
    film.look_through(SECOND)
    assert 0 < film.snapshot().episodes < whole
    assert film.snapshot().span_ns == SECOND
    film.look_through(0)
    assert film.snapshot().episodes == whole


class Clock:
    now = 50 * SECOND

    def __call__(self) -> int:
        return self.now


def test_playing_holding_and_seeking(film: Film) -> None:
    clock = Clock()
    player = Player(film, 2.0, clock)
    length = film.length_ns
    assert player.playback == Playback(length, length, 2.0, False)
    clock.now += SECOND
    player.move()
    assert player.playback == Playback(length, length, 2.0, False)

    player.obey(Play(True))
    assert player.playback == Playback(0, length, 2.0, True), "from the begin, at the end"
    clock.now += SECOND // 2
    player.move()
    assert player.playback == Playback(SECOND, length, 2.0, True)
    assert film.snapshot().live
    player.obey(Speed(0.5))
    clock.now += SECOND
    player.obey(Play(False))
    assert player.playback == Playback(SECOND * 3 // 2, length, 0.5, False)
    clock.now += SECOND
    player.obey(Seek(-5))
    assert player.playback.position_ns == 0
    player.obey(Seek(99 * SECOND))
    assert player.playback.position_ns == length
    player.obey(Seek(3 * SECOND))
    player.obey(Window(SECOND))
    assert player.playback.position_ns == 3 * SECOND
    assert film.snapshot().span_ns == SECOND

    there = film.snapshot()
    player.obey(Seek(SECOND))
    player.obey(Seek(2 * SECOND))
    assert film.snapshot() is there, "it follows once, not for every key"
    player.move()
    assert film.snapshot().elapsed_ns == 2 * SECOND

    player.obey(Play(True))
    clock.now += 99 * SECOND
    player.move()
    assert player.playback == Playback(length, length, 0.5, False)
    assert film.snapshot().ended == "duration over"
