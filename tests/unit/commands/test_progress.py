"""The line that says how far a run without a screen is."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from hud.analysis.snapshot import Analyzer
from hud.commands.progress import Progress

if TYPE_CHECKING:
    from hud.analysis.recording import Recording
    from hud.analysis.results import Snapshot


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    return made


@pytest.fixture
def snapshot(sample_recording: Recording) -> Snapshot:
    return Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)


def test_one_line_over_the_one_before(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    progress = Progress()
    assert progress.seen
    progress.show(snapshot, 12.3)
    progress.show(snapshot, 0)
    progress.close()
    _, first, second, last = terminal.getvalue().split("\r\x1b[K")
    found = f": {snapshot.episodes} blocking polls, most in {snapshot.blockers[0].function}"
    assert first == f"30 s, 12 s left{found}"
    assert second == f"30 s, Ctrl-C stops{found}"
    assert last == ""


def test_it_fits_the_terminal(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", "20")
    Progress().show(snapshot, 0)
    assert len(terminal.getvalue().removeprefix("\r\x1b[K")) == 19


def test_without_a_terminal_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not Progress().seen
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not Progress().seen


def test_nothing_shown_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    Progress().close()
    assert terminal.getvalue() == ""
