"""``hud dump``: a worker in a long call is named, parked ones say so."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import program
import pytest
import targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def hanging(
    build_target: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> targets.Running:
    """Of six workers one sleeps, one waits for a lock and one computes."""
    place = tmp_path_factory.mktemp("zoo")
    options = ("--kinds", "thread_sleep,mutex,cpu", "--workers", "6", "--seconds", "1")
    with targets.zoo(build_target("zoo"), place / "truth", *options, "--block-ms", "120000") as zoo:
        time.sleep(1)
        yield zoo


def test_each_worker_says_what_it_does(hanging: targets.Running) -> None:
    began = time.monotonic()
    done = program.run("dump", "--pid", hanging.pid)
    assert time.monotonic() - began < 20, "a moment, whatever else the machine does"
    lines = done.stdout.splitlines()
    assert lines[0] == f"zoo (pid {hanging.pid}), tokio 1.54.1, 6 workers"
    workers = [at for at, line in enumerate(lines) if line.startswith("W")]
    assert len(workers) == 6
    said = {
        lines[at]: "\n".join(lines[at + 1 : end])
        for at, end in zip(workers, [*workers[1:], None], strict=True)
    }
    parked = [line for line in said if "parked" in line]
    assert len(parked) >= 2
    assert not any(stack.strip().startswith("zoo::") for line in parked for stack in [said[line]])
    for function, doing in (
        ("zoo::blocking::take_a_nap", "asleep (sleep)"),
        ("zoo::locks::update_shared", "asleep (lock)"),
        ("zoo::blocking::cpu::{async}", "a CPU"),  # what it calls is inlined
    ):
        (line,) = [line for line, stack in said.items() if f"{function} " in stack]
        assert " in a poll" in line
        assert " for more than " in line
        assert doing in line
        (blamed,) = [one for one in said[line].splitlines() if "<- blocks here" in one]
        assert function in blamed or function.endswith("{async}")


def test_the_same_for_scripts(hanging: targets.Running) -> None:
    found = json.loads(program.run("dump", "--pid", hanging.pid, "--json").stdout)
    assert (found["pid"], found["sees"], found["tokio"]) == (hanging.pid, "context", ["1.54.1"])
    asleep = next(one for one in found["workers"] if one["cause"] == "sleep")
    assert (asleep["doing"], asleep["how"]) == ("poll", "asleep")
    assert asleep["since_before_attach"]
    assert asleep["stack_complete"]
    names = [frame["function"] for frame in asleep["stack"]]
    assert names.index("clock_nanosleep") < names.index("zoo::blocking::take_a_nap")
    parked = [one for one in found["workers"] if one["doing"] == "parked"]
    assert parked and all(one["stack"] is None for one in parked)


def test_a_process_without_tokio_has_no_workers() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            lines = program.run("dump", "--pid", process.pid).stdout.splitlines()
        finally:
            process.kill()
    assert lines[0] == f"sleep (pid {process.pid}), 0 workers"
    assert any(line.startswith("note: hud cannot see what the workers poll: ") for line in lines)
