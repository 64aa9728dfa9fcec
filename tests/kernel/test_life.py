"""The life of real processes: threads, renames, exec and the end, by the connector and by /proc."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hud.process import connector
from hud.process.life import (
    Born,
    Exec,
    LifeCycle,
    LifeEvent,
    ProcessExited,
    Renamed,
    ThreadExited,
)

pytestmark = pytest.mark.kernel

# Reads one command per line and answers each with a line.
CHILD = """
import ctypes, os, sys, threading, time
prctl = ctypes.CDLL(None).prctl
stop = threading.Event()
def work(name):
    if name:
        prctl(15, name)
    print(threading.get_native_id(), flush=True)
    stop.wait()
for line in sys.stdin:
    command, _, rest = line.strip().partition(" ")
    if command == "thread":
        threading.Thread(target=work, args=(os.fsencode(rest),), daemon=True).start()
    elif command == "short":
        for _ in range(int(rest)):
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
        print("done", flush=True)
    elif command == "end-threads":
        stop.set()
    elif command == "exec":
        os.execv("/bin/sleep", ["sleep", "60"])
    elif command == "exec-from-thread":
        threading.Thread(target=os.execv, args=("/bin/sleep", ["sleep", "60"])).start()
    elif command == "leader-exit":
        ctypes.CDLL(None).pthread_exit(None)
    elif command == "exit":
        os._exit(int(rest))
"""


class Child:
    """A process that does as it is told."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.pid = self.process.pid
        assert self.ask("thread first")

    def tell(self, command: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(command.encode("utf-8", "surrogateescape") + b"\n")

    def ask(self, command: str) -> str:
        self.tell(command)
        assert self.process.stdout
        return self.process.stdout.readline().decode().strip()


@pytest.fixture
def child() -> Iterator[Child]:
    started = Child()
    yield started
    started.process.kill()
    started.process.communicate()


@pytest.fixture(params=["connector", "proc"])
def life(request: pytest.FixtureRequest, child: Child) -> Iterator[LifeCycle]:
    with LifeCycle(child.pid) as living:
        if request.param == "connector":
            assert living.open_connector(), living.reason
        assert living.mode == request.param
        yield living


def until(
    living: LifeCycle, wanted: Callable[[list[LifeEvent]], object], within_s: float = 10
) -> list[LifeEvent]:
    """Everything that happens until ``wanted`` holds of it."""
    events: list[LifeEvent] = []
    end = time.monotonic() + within_s
    while not wanted(events):
        left = end - time.monotonic()
        assert left > 0, f"not seen; but {events[-20:]}"
        interval = living.poll_interval_s
        poll = select.poll()
        poll.register(living.fileno(), select.POLLIN)
        poll.poll(1000 * (left if interval is None else min(left, interval)))
        events += living.read()
    return events


def test_thread_born_after_the_attach_is_seen_with_its_name(child: Child, life: LifeCycle) -> None:
    tid = int(child.ask("thread api-\udcff-7"))
    asked = time.monotonic()
    events = until(life, lambda seen: Renamed(tid, "api-\udcff-7") in seen)
    assert time.monotonic() - asked < 1  # 0.1 s is the aim; this machine may be busy
    assert events[0] == Born(tid)
    assert tid in life.threads
    child.tell("end-threads")
    until(life, lambda seen: ThreadExited(tid) in seen)
    assert tid not in life.threads


@pytest.mark.parametrize("command", ["exec", "exec-from-thread"])
def test_exec(child: Child, life: LifeCycle, command: str) -> None:
    (other,) = life.threads - {child.pid}
    child.tell(command)
    events = until(life, lambda seen: Renamed(child.pid, "sleep") in seen)
    assert Exec() in events
    assert ThreadExited(other) in events
    assert set(life.threads) == {child.pid}
    assert not life.ended


@pytest.mark.parametrize(
    ("end", "status"), [("exit 3", 3 << 8), ("exit 0", 0), ("SIGKILL", signal.SIGKILL)]
)
def test_end_with_its_status(child: Child, life: LifeCycle, end: str, status: int) -> None:
    if end == "SIGKILL":
        child.process.kill()
    else:
        child.tell(end)
    events = until(life, lambda seen: life.ended)
    assert events[-1] == ProcessExited(status)
    assert {event.tid for event in events if isinstance(event, ThreadExited)} >= {child.pid}
    assert not life.threads
    assert life.read() == []
    assert not select.select([life], [], [], 0)[0]


def test_leader_that_ends_before_its_threads_is_not_the_end(child: Child, life: LifeCycle) -> None:
    (other,) = life.threads - {child.pid}
    child.tell("leader-exit")
    deadline = time.monotonic() + 0.3
    seen: list[LifeEvent] = []
    while time.monotonic() < deadline:
        seen += life.read()
        time.sleep(0.02)
    assert not life.ended
    assert other in life.threads
    child.process.kill()
    assert until(life, lambda _: life.ended)[-1] == ProcessExited(signal.SIGKILL)


def test_ten_thousand_short_lived_threads_leave_the_right_threads(
    child: Child, life: LifeCycle
) -> None:
    before = set(life.threads)
    done = threading.Thread(target=child.ask, args=("short 10000",))
    done.start()
    events: list[LifeEvent] = []
    while done.is_alive():
        select.select([life], [], [], 0.05)
        events += life.read()
    done.join()
    until(life, lambda seen: set(life.threads) == before)
    if life.mode == "connector" and not life.overflows:
        assert sum(isinstance(event, Born) for event in events) > 9_000


def test_full_queue_is_counted_and_made_up_from_proc(
    child: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "RECEIVE_BUFFER", 0)  # the kernel's least
    with LifeCycle(child.pid) as living:
        assert living.open_connector(), living.reason
        before = set(living.threads)
        child.ask("short 500")
        tid = int(child.ask("thread late"))
        # one of the short ones may be in /proc still
        events = until(living, lambda _: set(living.threads) == before | {tid})
        assert living.overflows > 0
        assert Born(tid) in events
        assert Renamed(tid, "late") in events


def test_what_happens_before_the_connector_opens_is_not_lost(child: Child) -> None:
    with LifeCycle(child.pid) as living:
        tid = int(child.ask("thread early"))
        assert living.open_connector(), living.reason
        assert living.read()[:2] == [Born(tid), Renamed(tid, "early")]


def test_other_processes_are_filtered_in_the_kernel(child: Child) -> None:
    with LifeCycle(child.pid) as living:
        assert living.open_connector(), living.reason
        living.read()
        for _ in range(5):
            subprocess.run(["/bin/true"], check=True)
        assert not select.select([living], [], [], 0.05)[0]


def test_descriptors_are_given_back(child: Child) -> None:
    with LifeCycle(child.pid) as first:
        assert first.open_connector()
    before = sorted(Path("/proc/self/fd").iterdir())
    with LifeCycle(child.pid) as second:
        assert second.open_connector()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_connector_is_refused_in_another_network_namespace(child: Child) -> None:
    program = (
        "import ctypes, sys\n"
        "from hud.process.life import LifeCycle\n"
        "life = LifeCycle(int(sys.argv[1]))\n"
        "assert ctypes.CDLL(None).unshare(0x40000000) == 0\n"
        "print(life.open_connector(), life.mode, life.reason)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(child.pid)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert ran.stdout.startswith("False proc process connector: "), ran.stderr


def test_zombie_has_ended_with_its_status() -> None:
    """A child that ended, and that its parent (this test) has not reaped."""
    process = subprocess.Popen(["/bin/sh", "-c", "exit 5"])
    end = time.monotonic() + 10
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT) is None:
        assert time.monotonic() < end
    with LifeCycle(process.pid) as living:
        assert living.read()[-1] == ProcessExited(5 << 8)
    process.wait()
