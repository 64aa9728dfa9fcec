"""The keys and the bar of a replay."""

from __future__ import annotations

from dataclasses import replace

from pressing import SIZE, press, start
from screen_build import (
    RICH,
    S,
    snapshot,
)

from hud.analysis.results import Snapshot
from hud.tui import keys
from hud.tui.actions import Click
from hud.tui.effects import (
    Play,
    Playback,
    Seek,
    Speed,
)
from hud.tui.frame import compose
from hud.tui.state import UiState
from hud.tui.update import update


def replaying(seen: Snapshot) -> UiState:
    return replace(start(seen), playback=Playback(60 * S, 120 * S, 1.0, True))


def test_a_replay_is_played_sought_and_sped_up() -> None:
    seen = snapshot()
    state, effects = press(
        replaying(seen), seen, "space", ".", ".", ",", "right", "]", ">", ">", "<"
    )
    assert effects == [
        Play(False),
        Seek(65 * S),
        Seek(70 * S),
        Seek(65 * S),
        Seek(70 * S),
        Seek(82 * S),
        Speed(2.0),
        Speed(4.0),
        Speed(2.0),
    ]
    assert state.playback == Playback(82 * S, 120 * S, 2.0, False)
    _, effects = press(state, seen, *["["] * 20, *["]"] * 20)
    assert (effects[19], effects[-1]) == (Seek(0), Seek(120 * S))


def test_a_replay_has_no_threshold_no_reset_and_no_pause() -> None:
    seen = snapshot()
    state, effects = press(replaying(seen), seen, "t", "r")
    assert (state.prompt, effects) == (None, [])
    assert press(state, seen, "space")[0].paused is None
    listed = " ".join(text for text, _ in keys.footer("blockers", True))
    assert "space play" in listed
    assert "space pause" not in listed
    assert "threshold" not in listed


def test_the_arrows_step_in_the_timeline_of_a_replay() -> None:
    seen = snapshot(**RICH)
    state = replaying(seen)
    assert press(state, seen, "4", "left")[1] == []
    assert press(state, seen, "4", ",")[1] == [Seek(55 * S)]


def test_a_click_on_the_bar_seeks() -> None:
    seen = snapshot()
    line = "".join(s.text for s in compose(seen, replaying(seen), SIZE)[-2])
    state, effects = update(replaying(seen), Click(line.index("─"), SIZE.height - 2), seen, SIZE)
    assert isinstance(effects, Seek)
    assert abs(effects.position_ns - 60 * S) < 3 * S
    assert state.playback is not None
    assert state.playback.position_ns == effects.position_ns
