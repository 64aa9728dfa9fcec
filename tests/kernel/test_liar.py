"""hud on a program that writes into Tokio's state what no Tokio would: bounded, said, not shown."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hud import resources
from hud.model import Rung, TasksRead
from hud.process.find import find_target
from hud.profiler import Options, Profiler
from hud.profiler.contradictions import About
from tests import peak

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
LIAR = ROOT / "tests" / "targets" / "liar.c"
TASKS = 64

HAYSTACK = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#define STRAWS (1 << 17)
const char *volatile version = "/build/registry/src/index/tokio-1.54.1/src/runtime/park.rs";
static _Thread_local unsigned long *volatile straw[STRAWS];
int main(void) {
	unsigned long *arc = calloc(64, 8), *schedulers = calloc(STRAWS, 32);
	arc[0] = arc[1] = 1;
	for (int i = 0; i < STRAWS; i++) {
		straw[i] = schedulers + 4 * i;
		straw[i][0] = 1;
		straw[i][1] = (unsigned long)arc;
	}
	printf("ready\n");
	fflush(stdout);
	for (;;) pause();
}
"""
"""A stripped one whose thread-locals are full of what leads to schedulers."""


@contextmanager
def running(*command: str | Path) -> Iterator[int]:
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
            assert process.poll() is None, "hud ended it"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def build(
    need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    need(shutil.which("gcc"), "gcc")
    place = tmp_path_factory.mktemp("liar")

    def built(source: Path, *options: str) -> Path:
        out = place / source.stem
        subprocess.run(["gcc", "-O1", "-pthread", *options, "-o", out, source], check=True)
        return out

    return built


def machine_object() -> bytes:
    return resources.read(f"hud-{platform.machine()}.bpf.o")


class Watched:
    """A profiler of the liar, and what it told of the tasks last."""

    def __init__(self, profiler: Profiler) -> None:
        self.profiler = profiler
        self.tasks: TasksRead | None = None

    def until(self, enough: Callable[[], object]) -> None:
        end = time.monotonic() + 30
        while not enough():
            assert time.monotonic() < end, "not seen"
            self.profiler.pump()
            self.tasks = self.profiler.states().tasks or self.tasks
            time.sleep(0.03)

    def says(self, sentence: str) -> bool:
        return any(sentence in note for note in self.profiler.notes)


@contextmanager
def watched(liar: Path, lie: str, honest_ms: int = 0) -> Iterator[Watched]:
    with (
        running(liar, lie, str(honest_ms)) as pid,
        Profiler(find_target(None, pid), Options(), machine_object) as profiler,
    ):
        assert profiler.detection.rung is Rung.CONTEXT
        yield Watched(profiler)


def test_what_is_true_is_shown(build: Callable[..., Path]) -> None:
    with watched(build(LIAR), "none") as seen:
        seen.until(lambda: seen.tasks and seen.tasks.counts)
        assert seen.tasks is not None
        assert seen.tasks.whole
        assert sum(count.idle for count in seen.tasks.counts) == TASKS
        assert (seen.tasks.injected, seen.tasks.pool_threads) == (0, 1)
        assert not seen.says("not shown")


@pytest.mark.parametrize("lie", ["circle", "huge"])
def test_a_list_that_cannot_be_is_not_shown(build: Callable[..., Path], lie: str) -> None:
    with watched(build(LIAR), lie) as seen:
        seen.until(lambda: seen.says(About.LIST.value))
        seen.until(lambda: seen.tasks and not seen.tasks.counts)
        assert seen.tasks is not None
        assert not seen.tasks.whole


def test_numbers_that_cannot_be_are_not_shown(build: Callable[..., Path]) -> None:
    with watched(build(LIAR), "huge") as seen:
        seen.until(lambda: seen.says(About.POOL.value))
        seen.until(lambda: seen.tasks and seen.tasks.pool_threads < 0)
        assert seen.tasks is not None
        assert (seen.tasks.pool_busiest, seen.tasks.pool_full) == (-1, 0)


def test_a_context_that_changes_while_its_thread_sleeps_is_none(build: Callable[..., Path]) -> None:
    with watched(build(LIAR), "states", honest_ms=1000) as seen:
        seen.until(lambda: seen.profiler.detection.rung is not Rung.CONTEXT)
        assert "times CONTEXT changed while its thread slept" in seen.profiler.detection.reason
        assert seen.profiler.workers == []


def run_hud(pid: int, seconds: int, place: Path) -> peak.Ran:
    """Within bounds, whatever is in the target's memory."""
    ran = peak.run(place, "--pid", pid, "--headless", "--duration", seconds)
    assert ran.code == 0
    assert ran.cpu_s < 10
    assert ran.megabytes < 150
    return ran._replace(out=" ".join(ran.out.split()))


def test_all_lies_in_turn(build: Callable[..., Path], tmp_path: Path) -> None:
    """Pages that are taken away among them."""
    with running(build(LIAR), "all") as pid:
        run_hud(pid, 2, tmp_path)


def test_thread_locals_full_of_leads(build: Callable[..., Path], tmp_path: Path) -> None:
    source = tmp_path / "haystack.c"
    source.write_text(HAYSTACK)
    with running(build(source, "-s")) as pid:
        ran = run_hud(pid, 1, tmp_path)
    assert "more than 256 places in the threads' TLS lead to a scheduler" in ran.out


def test_of_a_process_that_stands_still_the_last_reading_holds(build: Callable[..., Path]) -> None:
    with watched(build(LIAR), "none") as seen:
        seen.until(lambda: seen.tasks and seen.tasks.counts)
        os.kill(seen.profiler.target.pid, signal.SIGSTOP)
        probe = seen.profiler._events.probe
        seen.until(lambda: not probe.threads(time.monotonic_ns()).moved)
        before, batch = seen.tasks, seen.profiler.states()
        assert before is not None
        assert batch.tasks == replace(before, time_ns=batch.time_ns)
        os.kill(seen.profiler.target.pid, signal.SIGCONT)
        seen.until(lambda: probe.threads(time.monotonic_ns()).moved)
