"""A gate on a live run: the demo server's endpoint that sleeps, and its twin that does not."""

from __future__ import annotations

from pathlib import Path

import program
import pytest
import targets

from hud.demo import load

pytestmark = pytest.mark.e2e


def gated(server: Path, code: int, *paths: str) -> str:
    """What it says on standard error; ``code`` is what it must exit with."""
    with (
        targets.demo_server(server, "--workers", "2") as running,
        load.running(running.port, load.LoadCounters(), seconds=60, paths=paths),
    ):
        run = ("--pid", running.process.pid, "--headless", "--duration", "2s")
        return program.run(*run, "--fail-on", "count(cause=sleep)>0", code=code).stderr


def test_it_fails_for_the_blocking_endpoint(prebuilt_demo: Path) -> None:
    said = gated(prebuilt_demo, 1, "/sleep")
    assert "hud: count(cause=sleep)>0 failed: " in said
    assert "(sleep in std::thread::sleep)" in said


def test_a_moment_is_no_pass(prebuilt_demo: Path) -> None:
    with targets.demo_server(prebuilt_demo, "--workers", "2") as running:
        run = ("--pid", running.process.pid, "--headless", "--duration", "0.5s")
        said = program.run(*run, "--fail-on", "blockers>0", code=4).stderr
    assert "hud: blockers>0 cannot be decided: " in said
    assert "too short" in said
