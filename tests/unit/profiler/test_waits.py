"""What sleeps were about, in words."""

from __future__ import annotations

import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from hud.model import (
    RESEND_NS,
    Frame,
    Kind,
    Origin,
    Sample,
    Stack,
    ThreadState,
    TimeSplit,
    Where,
)
from hud.probe.wire import Wait
from hud.process.descriptors import Open
from hud.profiler import waits as module
from hud.profiler.waits import Waits

BLANK = Wait(1, 254 << 20 | 16, 0, 0, 0, 0, 0, (), (), bytes(16))
FILE = BLANK._replace(mode=stat.S_IFREG | 0o600, rooted=1, names=(b"7", b"index"))
TCP = BLANK._replace(mode=stat.S_IFSOCK, family=socket.AF_INET, port=socket.htons(5432))
MOUNTS = "22 21 254:16 / /data rw - xfs /dev/vdb rw\n"


class Names:
    """Two functions."""

    reason = ""

    def find(self, address: int) -> tuple[str, str]:
        return {1: ("__schedule", "kernel"), 2: ("xfs_file_fsync", "xfs")}.get(
            address, ("", "kernel")
        )


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "mountinfo").write_text(MOUNTS)
    real = module.mounts_of
    monkeypatch.setattr(module, "mounts_of", lambda pid: real(pid, tmp_path))
    monkeypatch.setattr(module, "kernel_names", Names)


def told(*waits: Wait) -> Waits:
    return Waits(7, dict(enumerate(waits, 1)).get, lambda _: 0, lambda _: None)


@pytest.mark.parametrize(
    ("wait", "detail"),
    [
        (FILE, "/data/index/7"),
        (FILE._replace(device=9), ".../index/7"),
        (FILE._replace(rooted=0, names=tuple(b"abcdefghij"[i : i + 1] for i in range(10))),
         ".../j/i/h/g/f/e/d/c/b/a"),
        (FILE._replace(names=(b"x" * 63,)), f"/data/{'x' * 63}..."),
        (FILE._replace(names=(b"\xff",)), "/data/\udcff"),
        (BLANK._replace(mode=stat.S_IFIFO, names=(b"",)), ""),
        (BLANK._replace(mode=0o600, names=(b"[eventfd]",)), "eventfd"),
        (BLANK._replace(mode=stat.S_IFDIR, names=(b"/",)), ""),
        (TCP._replace(peer=bytes([10, 0, 0, 7]) + bytes(12)), "10.0.0.7:5432"),
        (TCP._replace(family=socket.AF_INET6, peer=bytes(15) + b"\1"), "[::1]:5432"),
        (TCP._replace(port=0, local=80), "port 80, own"),
        (TCP._replace(family=socket.AF_UNIX), "a Unix socket"),
        (TCP._replace(family=16), "a socket"),
    ],
)  # fmt: skip
def test_details(wait: Wait, detail: str) -> None:
    assert told(wait).of(1).detail == detail


def test_kernel_functions_lead_a_stack_of_their_own() -> None:
    waits = told(FILE._replace(frames=(1, 2, 3)))
    sleep = Sample(9, 5, 100, 4, 0, 1, 11, 0, 74, Kind.SLEEP, Where.POLL, 0)
    user = Stack((5, 6), True)
    batch = {100: user}
    (joined,), details = waits.take([sleep], batch)
    assert details == {(11, 9): "/data/index/7"}
    assert joined._replace(stack=100) == sleep
    waits.join(batch)
    assert batch == {100: user, joined.stack: user}
    # named later, by which time both are
    named = Stack((5, 6), True, "", (Frame(5, "save"), Frame(6, "main")))
    later = {100: named}
    waits.join(later)
    kernel = Frame(2, "xfs_file_fsync", "xfs_file_fsync", module="[xfs]", origin=Origin.KERNEL)
    assert later[joined.stack].frames == (kernel, *(named.frames or ()))
    # and again with the same key
    assert waits.take([sleep], {})[0] == [joined]


def test_a_wait_that_is_gone_or_about_nothing() -> None:
    waits = told(BLANK)
    sleep = Sample(9, 5, 100, 4, 0, 1, 11, 0, 74, Kind.SLEEP, Where.POLL, 0)
    stacks = {100: Stack((5,), True)}
    for value in (0, 1, 2):
        assert waits.take([sleep._replace(value=value)], stacks) == (
            [sleep._replace(value=value)],
            {},
        )


def test_proc_is_asked_once_for_a_sleep_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def describe(_pid: int, descriptor: int) -> Open:
        asked.append(descriptor)
        return Open(stat.S_IFREG, "/data/index")

    monkeypatch.setattr(module, "describe", describe)
    began = {11: 1000}
    waits = Waits(7, lambda _: None, lambda tid: began.get(tid, 0), lambda _: None)
    state = ThreadState(11, Where.POLL, False, False, 1000, 900, 0, TimeSplit(), 5, 0, argument=3)
    details: dict[tuple[int, int], str] = {}
    soon, late = 1000 + module.MOST_HASTE_NS - 1, 1000 + module.MOST_HASTE_NS
    assert waits.lasting(state, soon, details) == state
    for _ in range(2):
        assert waits.lasting(state, late, details).file_type == stat.S_IFREG
    assert asked == [3]
    assert details == {(11, 1000): "/data/index"}
    # another sleep has begun meanwhile: the answer may be about anything
    began[11] = 5000
    other = replace(state, since_ns=2000)
    assert waits.lasting(other, late + 1000, details) == other
    assert waits.lasting(replace(other, argument=1 << 40), late + 1000, details).file_type == 0
    assert len(details) == 1


def test_joined_stacks_are_told_again_with_those_of_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Clock:
        now_ns = RESEND_NS + 1

        def monotonic_ns(self) -> int:
            return self.now_ns

        def monotonic(self) -> float:
            return self.now_ns / 1e9

    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    waits = told(FILE._replace(frames=(2,)))
    sleep = Sample(0, 0, 5, 0, 0, 1, 1, 0, 0, Kind.SLEEP, Where.POLL, 0)
    user = Stack((9,), complete=True, frames=(Frame(9, "main"),))

    def named(stacks: dict[int, Stack]) -> dict[int, Stack]:
        (taken,), _ = waits.take([sleep], stacks)
        waits.join(stacks)
        assert taken.stack != 5
        return {key: one for key, one in stacks.items() if key == taken.stack}

    first = named({5: user})
    ((_, joined),) = first.items()
    assert joined.frames is not None
    assert [frame.function for frame in joined.frames] == ["xfs_file_fsync", "main"]
    clock.now_ns += RESEND_NS
    assert named({}) == {}, "it was told, and not yet long ago"
    assert named({5: user}) == first
    for _ in range(3):
        clock.now_ns += RESEND_NS + 1
        waits.take([], {})
    assert not waits._users
    assert not waits._older
    assert not waits._inner
    assert not waits._outer
    assert named({5: user}) == first
