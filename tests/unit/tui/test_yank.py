"""What is copied and exported."""

from __future__ import annotations

from dataclasses import replace

from pressing import press, typed
from screen_build import (
    HASH,
    RICH,
    snapshot,
)

from hud.tui.effects import (
    Export,
)
from hud.tui.settle import settle
from hud.tui.update import Yank


def test_an_export_is_what_was_selected_when_its_key_was_pressed() -> None:
    seen = snapshot()
    state, _ = typed(seen, "down", "e")
    assert state.prompt is not None
    assert state.prompt.text == "hud-demo-server-store-Index-save.txt"
    later = settle(state, snapshot(blockers=(HASH,)))
    _, effects = press(later, snapshot(blockers=(HASH,)), "enter")
    assert isinstance(effects[0], Export)
    assert effects[0].path == "hud-demo-server-store-Index-save.txt"
    assert "store::Index::save  src/store.rs:143 " in effects[0].text
    assert "std::fs::File::sync_all" in effects[0].text
    assert typed(seen, "e", *["backspace"] * 99, "enter")[1] == []


def test_a_yank_is_the_blocker_in_the_lists_and_the_page_elsewhere() -> None:
    seen = snapshot(**RICH)
    _, effects = typed(seen, "y")
    assert isinstance(effects[0], Yank)
    text = effects[0].text
    about = "demo-server (pid 22967), tokio 1.54.1, seen for 2 min 14 s"
    assert text.startswith(f"{about}\n\n api::login::")
    assert "fix   call bcrypt::hash in spawn_blocking" in text
    assert all(line.isprintable() for line in text.splitlines())
    _, effects = typed(seen, "3", "y")
    assert isinstance(effects[0], Yank)
    assert "in a poll 3.2ms" in effects[0].text


def test_names_of_files_are_plain() -> None:
    hostile = replace(HASH, function="../../etc/\x1b[2Jpass wd::<T>", where="")
    state, _ = typed(snapshot(blockers=(hostile,)), "e")
    assert state.prompt is not None
    assert state.prompt.text == "hud-demo-server-etc-2Jpass-wd-T.txt"


def test_a_filter_takes_nothing_from_what_is_copied() -> None:
    seen = snapshot(**RICH)
    _, effects = typed(seen, "2", "W", "W", "y")
    assert isinstance(effects[0], Yank)
    assert "214 long polls" in effects[0].text
