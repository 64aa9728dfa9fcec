"""Before and after a fix: an endpoint that blocks, then its twin that does not."""

from __future__ import annotations

import json
from pathlib import Path

import program
import pytest
import targets

from hud.demo import load

pytestmark = pytest.mark.e2e

SECONDS = 4
BAD, FIXED = ("/", "/sleep", "/", "/parse"), ("/", "/good/sleep", "/", "/parse")
ATTEMPTS = 4
"""Pairs of runs: on a machine that is busy in one of them only they cannot be compared, and of
twenty pairs one may tell a change too many, as is said."""


def record(server: Path, paths: tuple[str, ...], to: Path) -> Path:
    with (
        targets.demo_server(server, "--workers", "4") as running,
        load.running(running.port, load.LoadCounters(), seconds=60, paths=paths),
    ):
        run = ("--pid", running.process.pid, "--headless", "--duration", SECONDS)
        program.run(*run, "--record", to)
    return to


@pytest.fixture(scope="module")
def runs(prebuilt_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(before, after)"""
    place = tmp_path_factory.mktemp("runs")
    said = []
    for attempt in range(ATTEMPTS):
        before = record(prebuilt_demo, BAD, place / f"before{attempt}.hud")
        after = record(prebuilt_demo, FIXED, place / f"after{attempt}.hud")
        if list(told(before, after).values()) == ["gone"]:
            return before, after
        said.append(program.run("diff", before, after).stdout)
    raise AssertionError("\n".join(said))


def told(one: Path, other: Path) -> dict[str, str]:
    found = json.loads(program.run("diff", one, other, "--format", "json").stdout)
    return {
        change["function"].rpartition("::")[2]: change["verdict"]
        for change in found["changes"]
        if change["verdict"] not in ("no difference", "too little to tell")
    }


def test_the_fixed_endpoint_is_gone_and_nothing_else(runs: tuple[Path, Path]) -> None:
    before, after = runs
    (gone,) = told(before, after)
    assert gone in ("take_a_nap", "{async}")
    assert told(after, before) == {gone: "new"}


def test_a_run_and_itself(runs: tuple[Path, Path]) -> None:
    assert told(runs[0], runs[0]) == {}


def test_a_file_for_a_pull_request(runs: tuple[Path, Path], tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    done = program.run("diff", *runs, "--format", "markdown", "-o", table)
    assert done.stdout == ""
    assert done.stderr == f"hud: {table} written\n"
    assert "| gone |" in table.read_text()


def test_what_is_no_recording(runs: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("{}")
    said = program.run("diff", runs[0], other, code=4).stderr
    assert said.startswith(f"hud: {other}: not a recording of hud")
    assert str(tmp_path / "none") in program.run("diff", runs[0], tmp_path / "none", code=2).stderr
    assert "required: AFTER" in program.run("diff", runs[0], code=2).stderr


def test_a_gate_fails_before_the_fix_and_not_after_it(runs: tuple[Path, Path]) -> None:
    before, after = runs
    gate = ("--fail-on", "count(cause=sleep)>0")
    said = program.run("export", before, *gate, code=1).stderr
    assert "(sleep in std::thread::sleep)" in said
    told_after = program.run("export", after, *gate, code=gate_code(after)).stderr
    assert "failed" not in told_after


def gate_code(run: Path) -> int:
    """4 where the machine was so busy that the run says itself that it did not see everything."""
    return 0 if "every long poll seen" in program.run("export", run).stdout else 4
