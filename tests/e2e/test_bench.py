"""Each benchmark runs with the smallest sizes and prints its table."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.e2e


def bench(*words: str) -> str:
    command = [sys.executable, str(ROOT / "tools" / "bench"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"$ tools/bench {' '.join(words)}\n")
    return done.stdout


def row(table: str, name: str) -> list[str]:
    """The cells of the first row that begins so: two spaces and more between two cells."""
    line = next(line for line in table.splitlines() if line.startswith(name))
    return re.split(r"  +", line)


def test_start() -> None:
    table = bench("start", "--quick", "--no-install", "--no-zipapp")
    first = row(table, "from source  first" if "from source  first" in table else "from source")
    wall, loaded, attached = int(first[2]), int(first[6]), int(first[8])
    assert wall > attached > loaded > 0
    assert row(table, "offcputime-bpfcc")[0] == "offcputime-bpfcc"


def test_drain(build_target: Callable[..., Path]) -> None:
    build_target("zoo")
    table = bench("drain", "--quick", "--tasks", "8")
    assert int(row(table, "RingReader.drain")[1]) > 10_000
    live = row(table, "threshold 0.1 ms")
    assert int(live[1]) > 1000
    assert live[3] == "0"


def test_overhead(build_target: Callable[..., Path]) -> None:
    build_target("zoo")
    table = bench("overhead", "--quick", "--only", "requests,polls")
    exact = bench("overhead", "--quick", "--only", "polls", "--exact")
    table += exact[exact.index("polls: per s, exact") :]
    for name in ("requests, 1 at once: per s", "polls: per s", "polls: per s, exact"):
        cells = row(table, name)
        assert cells[1] == "1"
        assert float(cells[2].replace(",", "")) > 100
        assert re.fullmatch(r"[+-]\d+\.\d\d %", cells[6])


def test_accuracy(build_target: Callable[..., Path]) -> None:
    build_target("zoo")
    table = bench(
        "accuracy", "--quick", "--flavors", "multi_thread", "--kinds", "thread_sleep,pipe"
    )
    assert int(row(table, "thread_sleep")[1]) > 20
    assert int(row(table, "total")[1]) > 40


def test_steady() -> None:
    table = bench("steady", "--quick")
    assert row(table, "3")[3].endswith("%")


def test_symbols(build_target: Callable[..., Path]) -> None:
    build_target("zoo", profile="dev", debug=2)
    table = bench("symbols", "--quick", "--addresses", "60")
    assert float(row(table, "hud, first stack")[4]) < 60
    cold = row(table, "hud  ")
    assert cold[:3] == ["hud", "cold", "60"]
    assert float(cold[7]) > 0
    assert 10 < int(cold[5]) < 300
    assert int(row(table, "equal")[1]) > 60
    assert row(table, "different")[1] == "0"


def test_long() -> None:
    table = bench("long", "--quick")
    assert int(row(table, "21000")[1]) == 10_000
    assert "\n0 episodes are left out of them" in table
    assert 5 < float(row(table, "trace")[1]) < 20


def test_unwind() -> None:
    table = bench("unwind", "--quick", "--no-perf")
    taken, complete, frames = row(table, "default settings")[1:4]
    assert int(taken) > 0
    assert float(complete.removesuffix(" %")) > 95
    assert float(frames) > 5
    cost = row(table, "in the kernel")
    assert int(cost[1]) > 20
    assert 0 < int(cost[6].removesuffix(" ns")) < 5000
