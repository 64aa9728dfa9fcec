"""A recording is played, held and moved through."""

from __future__ import annotations

import io
from pathlib import Path

from hud.commands.player import Player
from hud.record.seekable import SeekableReplay
from hud.tui.effects import Play, Playback, Seek, Speed, Window

RECORDING = Path(__file__).parents[2] / "data" / "demo.hud"
SECOND = 1_000_000_000


class Clock:
    now = 50 * SECOND

    def __call__(self) -> int:
        return self.now


def test_playing_holding_and_seeking() -> None:
    run = SeekableReplay(io.BytesIO(RECORDING.read_bytes()))
    clock = Clock()
    player = Player(run, 2.0, clock)
    length = run.length_ns
    assert player.playback == Playback(length, length, 2.0, False)
    clock.now += SECOND
    player.move()
    assert player.playback == Playback(length, length, 2.0, False)

    player.obey(Play(True))
    assert player.playback == Playback(0, length, 2.0, True), "from the begin, at the end"
    clock.now += SECOND // 2
    player.move()
    assert player.playback == Playback(SECOND, length, 2.0, True)
    assert run.snapshot().live
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
    assert run.snapshot().span_ns == SECOND

    there = run.snapshot()
    player.obey(Seek(SECOND))
    player.obey(Seek(2 * SECOND))
    assert run.snapshot() is there, "it follows once, not for every key"
    player.move()
    assert run.snapshot().elapsed_ns == 2 * SECOND

    player.obey(Play(True))
    clock.now += 99 * SECOND
    player.move()
    assert player.playback == Playback(length, length, 0.5, False)
    assert run.snapshot().ended == "duration over"
