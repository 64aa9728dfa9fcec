"""JSON Lines on standard output: an episode is there while the run goes on."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import program
import pytest

if TYPE_CHECKING:
    import targets

pytestmark = pytest.mark.e2e

STREAM = ("--export", "-", "--format", "jsonl")


def test_a_line_comes_while_the_run_goes_on(server: targets.Running) -> None:
    with program.attached("--pid", server.pid, *STREAM) as hud:
        assert hud.process.stdout is not None
        first = json.loads(hud.process.stdout.readline())
        assert hud.process.poll() is None
        hud.process.send_signal(signal.SIGINT)
        rows = [first, *map(json.loads, hud.process.stdout)]
        assert hud.process.wait(30) == 0
    keys = [(row["tid"], row["start_ns"]) for row in rows]
    assert len(set(keys)) == len(keys)
    assert all(row["blocked_ns"] > 0 and row["stack"] for row in rows)


def test_a_reader_that_goes_away_ends_it(server: targets.Running) -> None:
    with program.attached("--pid", server.pid, *STREAM) as hud:
        assert hud.process.stdout is not None
        hud.process.stdout.readline()
        hud.process.stdout.close()
        assert hud.process.wait(30) == 4
        assert hud.process.stderr is not None
        assert "write standard output: broken pipe" in hud.process.stderr.read()
