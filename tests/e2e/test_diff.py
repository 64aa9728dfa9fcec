"""Before and after a fix: an endpoint that blocks, then its twin that does not."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import program
import pytest
import targets

from hud.demo import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e

SECONDS = 4
BAD, FIXED = ("/", "/sleep", "/", "/parse"), ("/", "/good/sleep", "/", "/parse")
ATTEMPTS = 4
"""Pairs of runs: on a machine that is busy in one of them only they cannot be compared, and of
twenty pairs one may tell a change too many, as is said."""


WORSE = ("--fail-on", "worse>20%")
CRATE = targets.CRATES / "demo-server"
CI = program.environment(GITHUB_ACTIONS="true", GITHUB_WORKSPACE=str(CRATE))


@contextlib.contextmanager
def loaded(server: Path, paths: tuple[str, ...]) -> Iterator[tuple[object, ...]]:
    """The arguments of a run on the server."""
    with (
        targets.demo_server(server, "--workers", "4") as running,
        load.running(running.port, load.LoadCounters(), seconds=60, paths=paths),
    ):
        yield "--pid", running.process.pid, "--headless", "--duration", SECONDS


def record(server: Path, paths: tuple[str, ...], to: Path) -> Path:
    with loaded(server, paths) as run:
        program.run(*run, "--record", to)
    return to


@pytest.fixture(scope="module")
def server(build_target: Callable[..., Path]) -> Path:
    """With debug information, so that files and lines are known."""
    return build_target("demo-server", debug=2)


@pytest.fixture(scope="module")
def runs(server: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(before, after)"""
    place = tmp_path_factory.mktemp("runs")
    said = []
    for attempt in range(ATTEMPTS):
        before = record(server, BAD, place / f"before{attempt}.hud")
        after = record(server, FIXED, place / f"after{attempt}.hud")
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


def test_the_annotation_points_at_the_line(runs: tuple[Path, Path]) -> None:
    before, after = runs
    annotated(program.run("diff", after, before, *WORSE, code=1, env=CI).stderr)
    told = program.run("diff", before, after, *WORSE, code=gate_code(after), env=CI).stderr
    assert "failed" not in told


def test_a_live_run_is_worse_than_its_baseline(server: Path, runs: tuple[Path, Path]) -> None:
    """Or the machine has been busy in one of them, and then nobody knows."""
    with loaded(server, BAD) as run:
        done = program.run(*run, *WORSE, "--baseline", runs[1], code=(1, 4), env=CI)
    if done.returncode == 1:
        annotated(done.stderr)
    else:
        assert "hud: worse>20% cannot be decided: the two runs cannot be compared: " in done.stderr


def annotated(said: str) -> None:
    """One annotation, at the line that sleeps."""
    error = r"^::error file=(.*),line=(\d+),title=hud%3A worse>20%25 failed::"
    ((file, line),) = re.findall(error, said, re.MULTILINE)
    assert "sleep(" in (CRATE / file).read_text().splitlines()[int(line) - 1]


def gate_code(run: Path) -> int:
    """4 where the machine was so busy that the run says itself that it did not see everything."""
    return 0 if "every long poll seen" in program.run("export", run).stdout else 4
