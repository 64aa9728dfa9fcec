"""``hud dump``: its arguments, and how it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tui"))

from screen_build import STUCK, on_rung, snapshot

from hud.cli import parser_of
from hud.commands import dump
from hud.errors import UsageError
from hud.model import Rung

if TYPE_CHECKING:
    from hud.analysis.results import Snapshot


def ran(
    seen: Snapshot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> str:
    monkeypatch.setattr(dump, "_look", lambda _: seen)
    assert dump.run(parser_of("dump").parse_args(["demo-server", *words])) == 0
    return capsys.readouterr().out


def test_one_process_is_named_once() -> None:
    for words, said in (([], "no process"), (["api", "--pid", "7"], "both a process name")):
        with pytest.raises(UsageError, match=said):
            dump.run(parser_of("dump").parse_args(words))


def test_a_title_the_workers_and_the_notes(monkeypatch: Any, capsys: Any) -> None:
    lines = ran(snapshot(workers=STUCK), monkeypatch, capsys).splitlines()
    assert lines[0] == "demo-server (pid 22967), tokio 1.54.1, 4 workers"
    assert [line.split()[0] for line in lines if line.startswith("W")] == ["W0", "W1", "W2", "W3"]
    assert not any(line.startswith("note: ") for line in lines)
    lower = ran(on_rung(Rung.NAMES, "12 threads named api-N"), monkeypatch, capsys)
    assert lower.endswith("note: hud cannot see what the workers poll: 12 threads named api-N\n")


def test_json_has_the_same_workers(monkeypatch: Any, capsys: Any) -> None:
    data = json.loads(ran(snapshot(workers=STUCK), monkeypatch, capsys, "--json"))
    assert (data["target"], data["pid"], data["sees"]) == ("demo-server", 22967, "context")
    assert [one["doing"] for one in data["workers"]] == ["poll", "parked", "poll", "allowed"]
    assert data["ended"] is None
