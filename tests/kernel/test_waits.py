"""What the kernel programs say of sleeps: who ended them, and what they were about."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from polling import Ran, started

from hud.model import FILE_TYPE, Kind, Origin, Sample, SampleFlag, Stack, Where
from hud.probe import wire
from hud.profiler.waits import Waits

pytestmark = pytest.mark.kernel

BLOCK_US = 12_000


def told_by(ran: Ran, key: int) -> str:
    return Waits(os.getpid(), ran.waits.get, lambda _: 0, lambda _: None).of(key).detail


def known(ran: Ran, least: int = 30) -> list[Sample]:
    """The sleeps whose end the kernel told, all but a few.

    A kernel may leave out a switch: seen on a virtual machine, at each switch from a process
    that it hides. The thread is then next seen when its call is over, and nothing is known of
    what that was about.
    """
    sleeps = ran.of(Kind.SLEEP)
    told = [sample for sample in sleeps if sample.value]
    assert len(told) > least
    assert len(told) >= 0.9 * len(sleeps)
    assert all(sample.flags & FILE_TYPE == 0 for sample in sleeps if not sample.value)
    return told


def test_who_ends_a_wait_in_a_futex(run: Callable[..., Ran]) -> None:
    ran = run("futex", BLOCK_US, "-")
    sleeps = {s.poll_start_ns: s for s in ran.of(Kind.SLEEP)}
    wakes = ran.of(Kind.WAKE)
    assert len(wakes) > 30
    matched = 0
    for wake in wakes:
        assert wake.where == Where.FOREIGN
        assert not wake.flags & SampleFlag.OTHER_PROCESS
        sleep = sleeps.get(wake.poll_start_ns)
        if sleep is None:
            continue
        matched += 1
        assert sleep.tid == wake.tid != wake.other
        assert sleep.other == wake.other
        assert wake.value == sleep.stack
        assert wake.stack
        assert abs(sleep.duration_ns - wake.duration_ns) < 1_000_000
    assert matched >= len(wakes) - 1
    assert len({wake.other for wake in wakes}) == 1
    assert ran.waits == {}, "the call says all"


def test_another_process_may_hold_a_shared_lock(run: Callable[..., Ran]) -> None:
    wakes = run("shared futex", BLOCK_US, "-", seconds=0.8).of(Kind.WAKE)
    assert len(wakes) > 10
    assert {(wake.flags, wake.stack) for wake in wakes} == {(SampleFlag.OTHER_PROCESS, 0)}
    assert len({wake.other for wake in wakes}) == 1


def test_nobody_ends_a_wait_that_times_out(run: Callable[..., Ran]) -> None:
    ran = run("time out", BLOCK_US)
    assert len(ran.of(Kind.SLEEP)) > 30
    assert ran.of(Kind.WAKE) == []


def test_a_fifo_is_told_by_its_path_though_it_is_closed_by_then(
    run: Callable[..., Ran], tmp_path: Path
) -> None:
    path = tmp_path / "a name of its own"
    ran = run("fifo", BLOCK_US, str(path))
    status = path.stat()
    for sample in known(ran):
        assert sample.flags & FILE_TYPE == stat.S_IFIFO
        wait = ran.waits[sample.value]
        assert (wait.mode, wait.inode) == (status.st_mode, status.st_ino)
        assert wait.names[0] == b"a name of its own"
    assert len(ran.waits) < 10, "each distinct one is kept once"
    assert {told_by(ran, key) for key in ran.waits} == {str(path)}


def test_a_peer_is_told_by_its_address(run: Callable[..., Ran]) -> None:
    ran = run("tcp", BLOCK_US, "-")
    port = next(int(line.split()[1]) for line in ran.said if line.startswith("port"))
    for sample in known(ran):
        assert sample.flags & FILE_TYPE == stat.S_IFSOCK
        assert ran.waits[sample.value].family == socket.AF_INET6
    assert {told_by(ran, key) for key in ran.waits} == {f"[::1]:{port}"}


def test_an_eventfd_is_no_file(run: Callable[..., Ran]) -> None:
    ran = run("eventfd", BLOCK_US, "-", seconds=0.8)
    for sample in known(ran, least=10):
        assert sample.flags & FILE_TYPE == 0
    assert {told_by(ran, key) for key in ran.waits} == {"eventfd"}


def test_where_in_the_kernel_it_slept(run: Callable[..., Ran]) -> None:
    ran = run("pipe", BLOCK_US, "-")
    waits = Waits(os.getpid(), ran.waits.get, lambda _: 0, lambda _: None)
    sleeps = [sample for sample in ran.of(Kind.SLEEP) if sample.stack]
    assert len(sleeps) > 30
    user = {sample.stack: Stack((1, 2), True, "", ()) for sample in sleeps}
    joined, details = waits.take(sleeps, user)
    assert details == {}, "a pipe without a name"
    stacks = dict(user)
    waits.join(stacks)
    with_kernel = [sample for sample in joined if sample.stack not in user]
    assert len(with_kernel) > 0.9 * len(sleeps)
    for sample in with_kernel:
        frames = stacks[sample.stack].frames or ()
        assert {frame.origin for frame in frames} == {Origin.KERNEL}
        assert any(frame.function.endswith("pipe_read") for frame in frames)
        assert not any("schedule" in frame.function for frame in frames)


def test_a_stopped_thread_is_not_asleep_in_its_call(program: Path) -> None:
    samples: list[Sample] = []
    with started(program, "sleep", 40_000) as (process, probe):
        for _ in range(8):
            time.sleep(0.03)
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.06)
            process.send_signal(signal.SIGCONT)
        time.sleep(0.1)
        samples += probe.events()
    stops = [s for s in samples if s.kind == Kind.SLEEP and s.info == wire.STOPPED]
    assert stops
    assert max(stop.duration_ns for stop in stops) > 20_000_000
    assert all(stop.value == 0 for stop in stops)
