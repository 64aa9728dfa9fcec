"""hud's stacks of sleeping Tokio workers, frame by frame against gdb's, for each way to build."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import targets

from hud import resources
from hud.demo.load import LoadCounters, running
from hud.model import Kind, Stack
from hud.probe.probe import RawStack
from hud.process.find import find_target
from hud.profiler import Options, Profiler
from tests import gdb_truth

pytestmark = pytest.mark.e2e

BUILDS: dict[str, dict[str, object]] = {
    "release": {},
    "dev": {"profile": "dev"},
    "fat LTO, panic=abort": {"config": targets.LTO_ABORT},
    "non-PIE": {"crateflags": "-C relocation-model=static"},
    "frame pointers": {"crateflags": targets.FRAME_POINTERS},
    "stripped": {},
}

BLOCK_MS = 8000
KINDS = {
    "thread_sleep": "take_a_nap",
    "mutex": "update_shared",
    "pipe": "read_answer",
    "root": "wait_in_root",
}


def profile(pid: int) -> Profiler:
    machine = platform.machine()
    return Profiler(
        find_target(None, pid), Options(), lambda: resources.read(f"hud-{machine}.bpf.o")
    )


@pytest.mark.parametrize("build", list(BUILDS))
def test_sleeping_workers_equal_gdbs(
    build: str,
    build_target: Callable[..., Path],
    need: Callable[[object, str], None],
    tmp_path: Path,
) -> None:
    need(gdb_truth.at_hand(), "gdb")
    need(platform.machine() == "x86_64", "x86_64")
    binary = build_target("zoo", **BUILDS[build])
    if build == "stripped":
        binary = targets.stripped(binary)
    # the pause comes first: hud is there before the first of them sleeps
    options = ["--seconds", "60", "--block-ms", str(BLOCK_MS), "--pause-ms", "2500"]
    options += ["--kinds", ",".join(KINDS), "--workers", "5"]
    with targets.zoo(binary, tmp_path / "truth", *options) as zoo, profile(zoo.pid) as profiler:
        if build != "stripped":
            assert profiler.detection.rung.value == "context", profiler.detection
        else:
            profiler._events.probe.config.every_thread = 1
        stacks: dict[int, Stack] = {}
        end = time.monotonic() + 30
        while True:
            assert time.monotonic() < end, "not all asleep at once"
            stacks |= profiler.pump().stacks
            batch = profiler.states()
            stacks |= batch.stacks
            now = time.monotonic_ns()
            asleep = {
                state.tid: state.asleep_stack
                for state in batch.states or ()
                if state.asleep_stack
                and 200_000_000 < now - state.since_ns < BLOCK_MS * 500_000
                and not state.began_before
                and (state.poll_start_ns or build == "stripped")
            }
            if len(asleep) >= len(KINDS):
                break
            time.sleep(0.05)
        truth = gdb_truth.stacks(zoo.pid)
        for tid, key in asleep.items():
            raw = profiler._events.probe.stack(key)
            assert raw is not None
            assert list(raw.addresses) == truth[tid], (
                f"{profiler.names[tid]}: {raw.stop}\nhud:\n"
                + gdb_truth.described(zoo.pid, list(raw.addresses))
                + "\ngdb:\n"
                + gdb_truth.described(zoo.pid, truth[tid])
            )
            assert raw.stop == ""
        if build != "dev":  # elsewhere these functions are inlined, and there is no debug info
            return
        end = time.monotonic() + 60
        while any(key not in stacks or stacks[key].frames is None for key in asleep.values()):
            assert time.monotonic() < end
            stacks |= profiler.pump().stacks
            time.sleep(0.05)
        named = {
            frame.function.rpartition("::")[2]
            for key in asleep.values()
            for frame in stacks[key].frames or ()
        }
        assert set(KINDS.values()) <= named


@pytest.mark.parametrize("build", ["release", "dev", "fat LTO, panic=abort", "frame pointers"])
def test_workers_that_slept_before_the_attach_equal_gdbs(
    build: str,
    build_target: Callable[..., Path],
    need: Callable[[object, str], None],
    tmp_path: Path,
) -> None:
    """Walked from pc and sp alone, the frame pointer unknown."""
    need(gdb_truth.at_hand(), "gdb")
    need(platform.machine() == "x86_64", "x86_64")
    kinds = [*KINDS, "condvar", "rwlock", "mpsc_recv", "tcp", "dns", "child", "block_on"]
    options = ["--seconds", "60", "--block-ms", "120000", "--pause-ms", "100", "--workers", "11"]
    binary = build_target("zoo", **BUILDS[build])
    options += ["--kinds", ",".join(kinds)]
    for _ in range(4):  # where the one that drives the timers blocks first, the others stay parked
        with targets.zoo(binary, tmp_path / "truth", *options) as zoo:
            found = blocked_before(zoo.pid, len(kinds))
            if len(found) < len(kinds):
                continue
            truth = gdb_truth.stacks(zoo.pid)
            for tid, raw in found.items():
                assert list(raw.addresses) == truth[tid], (
                    f"{raw.stop}\nhud:\n"
                    + gdb_truth.described(zoo.pid, list(raw.addresses))
                    + "\ngdb:\n"
                    + gdb_truth.described(zoo.pid, truth[tid])
                )
                assert raw.stop == ""
            return
    raise AssertionError(f"never all {len(kinds)} asleep")


def blocked_before(pid: int, number: int) -> dict[int, RawStack]:
    """The stacks of the threads that slept in a poll before the attach; of fewer after 8 s."""
    end = time.monotonic() + 8
    while True:
        time.sleep(0.5)
        with profile(pid) as profiler:
            while profiler._events.before._waiting and time.monotonic() < end:
                profiler.states()
                time.sleep(0.02)
            states = profiler.states().states or []
            stacks = profiler._events.before.stacks
        found = {
            state.tid: stacks[state.asleep_stack]
            for state in states
            if state.began_before and state.asleep_stack in stacks
        }
        if len(found) == number or time.monotonic() > end:
            return found


def test_stacks_of_the_demo_server_are_complete(prebuilt_demo: Path) -> None:
    with (
        targets.demo_server(prebuilt_demo) as server,
        running(server.port, LoadCounters(), seconds=60),
    ):
        time.sleep(0.5)
        with profile(server.pid) as profiler:
            end = time.monotonic() + 5
            stacks: dict[int, Stack] = {}
            keys: list[int] = []
            while time.monotonic() < end:
                batch = profiler.pump()
                stacks |= batch.stacks
                keys += [s.stack for s in batch.samples if s.kind != Kind.POLL and s.stack]
                time.sleep(0.05)
            taken, complete = profiler.stack_counts()
            losses = profiler.losses()
        assert taken > 100
        stops = sorted({stacks[key].stop for key in keys if key in stacks} - {""})
        assert complete >= 0.99 * taken, (taken, complete, stops)
        assert losses.stacks_gone == losses.stacks_full == losses.ring_full == 0
