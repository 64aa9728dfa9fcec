"""hud attaches to a service whose workers hang already: in a poll they sleep and never wake, or
compute."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import program
import pytest
import targets
from test_screen import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e

FUTEX, RECVFROM = 202, 45
HANGING = {"update_shared": "lock", "wait_for_news": "lock", "ask_server": "net"}


def calls(pid: int) -> list[int]:
    """The system calls that the workers of a process sleep in."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            if (task / "comm").read_text() == "tokio-rt-worker\n":
                found.append((task / "syscall").read_text().split()[0])
    return sorted(int(call) for call in found if call != "running")


@contextlib.contextmanager
def hanging(binary: Path, block_ms: int) -> Iterator[targets.Running]:
    """The zoo, with each of three workers in a blocking call; the fourth drives the timers."""
    with tempfile.TemporaryDirectory() as place:
        options = ("--kinds", "mutex,condvar,tcp", "--block-ms", str(block_ms), "--seconds", "1")
        with targets.zoo(binary, Path(place, "truth"), *options) as zoo:
            assert program.within(20, lambda: calls(zoo.pid).count(FUTEX) >= 2)
            assert program.within(20, lambda: RECVFROM in calls(zoo.pid))
            yield zoo


@pytest.fixture(scope="module")
def stuck(build_target: Callable[..., Path]) -> Iterator[targets.Running]:
    with hanging(build_target("zoo"), 120_000) as zoo:
        yield zoo


def test_workers_that_hang_are_seen_named_and_in_progress(
    stuck: targets.Running, tmp_path: Path
) -> None:
    trace = tmp_path / "trace.json"
    done = program.run("--pid", stuck.pid, "--headless", "--duration", 1.5, "--export", trace)
    said = r"3 polls began before hud attached \(W\d, W\d, W\d\): the time until then is not known"
    assert re.search(rf"^  before   {said}, and 3 had not ended$", done.stdout, re.MULTILINE)
    written = program.trace(trace)
    found = program.blocked_in(written)
    assert {name: [event["args"]["cause"] for event in found[name]] for name in found} == {
        name: [cause] for name, cause in HANGING.items()
    }
    for (event,) in found.values():
        args = event["args"]
        assert args["in_progress"]
        assert args["began_before_attach"]
        assert args["stack_complete"]
        assert args["asleep_us"] > 1e6
        assert event["ts"] == 0
        assert "holder" not in args
        assert "woken_by" not in args
    assert found["ask_server"][0]["args"]["detail"].startswith("127.0.0.1:")
    assert written["otherData"]["losses"]["stacks_gone"] == 0


def test_the_screen_says_so_at_once(stuck: targets.Running) -> None:
    with Session("--pid", stuck.pid) as session:
        session.shows("3 workers are stuck: W")
        session.shows(", since before hud attached")
        session.shows("update_shared")
        session.press("q")
        session.ends()


def test_a_worker_that_wakes_after_all(build_target: Callable[..., Path], tmp_path: Path) -> None:
    """Who held the lock is known then."""
    trace = tmp_path / "trace.json"
    with hanging(build_target("zoo"), 5_000) as zoo:
        program.run("--pid", zoo.pid, "--headless", "--duration", 20, "--export", trace)
    written = program.trace(trace)
    found: dict[str, list[dict[str, Any]]] = program.blocked_in(written)
    assert found.keys() == HANGING.keys()
    for name, (event,) in found.items():
        args = event["args"]
        assert args["cause"] == HANGING[name]
        assert args["began_before_attach"]
        assert args["stack_complete"]
        assert "in_progress" not in args
        assert 0.5e6 < args["asleep_us"] < 5.1e6
    assert found["update_shared"][0]["args"]["holder"]["function"] == "zoo::locks::keep_lock"
    assert found["wait_for_news"][0]["args"]["woken_by"]["name"] == "notifier"


def test_parked_workers_do_not_hang(build_target: Callable[..., Path], tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    options = ("--kinds", "timer", "--pause-ms", "60000", "--seconds", "60")
    with targets.zoo(build_target("zoo"), tmp_path / "truth", *options) as zoo:
        assert program.within(20, lambda: len(calls(zoo.pid)) == 4)
        done = program.run("--pid", zoo.pid, "--headless", "--duration", 1, "--export", trace)
    assert program.begins(program.trace(trace)) == []
    assert re.search(r"No poll of 5 ms or more in 1(\.\d)? s", done.stdout)


@contextlib.contextmanager
def computing(binary: Path, place: Path, block_ms: int) -> Iterator[targets.Running]:
    """The zoo with more workers in a loop than there are CPUs."""
    options = ("--kinds", "deflate,json,sort", "--block-ms", str(block_ms), "--seconds", "1")
    with targets.zoo(binary, place, *options) as zoo:
        assert program.within(20, lambda: busy(zoo.pid) == 3)
        yield zoo


def busy(pid: int) -> int:
    """How many of its threads are running or runnable."""
    stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return [stat.rpartition(")")[2].split()[0] for stat in stats].count("R")


COMPUTING = {"compress_text", "parse_document", "sort_numbers"}


def test_workers_that_compute_since_before(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    """Also those that wait for a CPU as hud attaches."""
    trace = tmp_path / "trace.json"
    with computing(build_target("zoo"), tmp_path / "truth", 60_000) as zoo:
        done = program.run("--pid", zoo.pid, "--headless", "--duration", 1.5, "--export", trace)
    said = r"3 polls began before hud attached \(W\d, W\d, W\d\): the time until then is not known"
    assert re.search(rf"^  before   {said}, and 3 had not ended$", done.stdout, re.MULTILINE)
    found = program.blocked_in(program.trace(trace))
    assert found.keys() == COMPUTING
    for (event,) in found.values():
        args = event["args"]
        assert args["in_progress"]
        assert args["began_before_attach"]
        assert args["cause"] == "cpu"
        assert event["ts"] == 0


def test_a_computation_that_ends(build_target: Callable[..., Path], tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    # so long that enough of it is left after the attach, on a busy machine too
    with computing(build_target("zoo"), tmp_path / "truth", 9_000) as zoo:
        program.run("--pid", zoo.pid, "--headless", "--duration", 30, "--export", trace)
    found = program.blocked_in(program.trace(trace))
    assert found.keys() == COMPUTING
    for (event,) in found.values():
        assert event["args"]["began_before_attach"]
        assert "in_progress" not in event["args"]


def test_short_polls_without_a_pause_did_not_begin_before(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    options = ("--kinds", "yield_now", "--pause-ms", "0", "--seconds", "60")
    with targets.zoo(build_target("zoo"), tmp_path / "truth", *options) as zoo:
        assert program.within(20, lambda: busy(zoo.pid) > 0)
        for _ in range(3):
            done = program.run("--pid", zoo.pid, "--headless", "--duration", 0.3, "--threshold", 1)
            assert "began before" not in done.stdout


def test_a_root_future_that_hangs_from_now_on(
    build_target: Callable[..., Path], tmp_path: Path
) -> None:
    """Its thread drives no scheduler, and nothing ends."""
    options = ("--kinds", "root", "--pause-ms", "4000", "--block-ms", "60000", "--seconds", "60")
    with (
        targets.zoo(build_target("zoo"), tmp_path / "truth", *options) as zoo,
        Session("--pid", zoo.pid) as session,
    ):
        session.shows("has been in one poll for ")
        session.press("q")
        session.ends()
