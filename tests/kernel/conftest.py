"""Small BPF programs, compiled when a test asks for them, and a program that polls."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from polling import PROGRAM, Ran, started

from hud.model import Kind, Sample

SOURCES = Path(__file__).parents[1] / "data" / "bpf"
CLANG = "clang-19"
FLAGS = ("-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror", "-Wno-unused-variable")


@pytest.fixture(scope="session")
def compile_bpf(
    need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], bytes]:
    """``compile_bpf("kinds")``: the object of tests/data/bpf/kinds.bpf.c."""
    made: dict[str, bytes] = {}

    def compiled(name: str) -> bytes:
        if name not in made:
            need(shutil.which(CLANG), CLANG)
            out = tmp_path_factory.mktemp("bpf") / f"{name}.bpf.o"
            source = SOURCES / f"{name}.bpf.c"
            subprocess.run([CLANG, *FLAGS, "-c", str(source), "-o", str(out)], check=True)
            made[name] = out.read_bytes()
        return made[name]

    return compiled


@pytest.fixture(scope="session")
def program(need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    need(shutil.which("gcc"), "gcc")
    need(platform.machine() == "x86_64", "x86_64")
    where = tmp_path_factory.mktemp("polls")
    (where / "polls.c").write_text(PROGRAM)
    subprocess.run(
        ["gcc", "-O1", "-w", "-o", where / "polls", where / "polls.c", "-pthread"], check=True
    )
    return where / "polls"


@pytest.fixture
def run(program: Path) -> Callable[[str, int], Ran]:
    def ran(kind: str, us: int, *more: str, seconds: float = 1.5, **fields: int) -> Ran:
        samples: list[Sample] = []
        with started(program, kind, us, *more, **fields) as (process, probe):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                samples += probe.events()
                time.sleep(0.02)
            process.kill()
            assert process.stdout
            said = process.stdout.read().splitlines()
            lines = [line.split() for line in said]
            process.wait()
            samples += probe.events()
            polls = [
                (int(line[1]), int(line[2]), int(line[3]), int(line[4]), int(line[5]))
                for line in lines
                if line[0] == "poll" and len(line) == 6
            ]
            assert probe.counters.ring_full == 0
            states = probe.threads(time.monotonic_ns()).states
            keys = {s.value for s in samples if s.kind == Kind.SLEEP and s.value}
            waits = {key: wait for key in keys if (wait := probe.wait(key)) is not None}
            return Ran(samples, polls, probe, waits, said, states)

    return ran
