"""A program is held before it begins, let go without a trace, and killed where hud gives up."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from hud.errors import TargetError
from hud.process import launch
from hud.process.launch import Launched, environment_of
from hud.process.procfs import tracer_of
from hud.process.rights import User

WRITES = "import os, threading; threading.Thread(target=os._exit, args=(3,)).start(); input()"


def test_it_is_held_and_let_go(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with Launched(["sh", "-c", f"(exit 0); touch {mark}; exit 4"], None) as launched:
        assert tracer_of(launched.pid) == os.getpid()
        assert not mark.exists()
        launched.let_go()
        assert os.waitstatus_to_exitcode(launched.wait()) == 4
    assert mark.exists()


def test_a_program_that_starts_a_thread_is_held_there() -> None:
    with Launched([sys.executable, "-c", WRITES], None) as launched:
        assert launched.status is None
        assert tracer_of(launched.pid) == os.getpid()
        launched.let_go()
        assert os.waitstatus_to_exitcode(launched.wait()) == 3


def test_one_that_only_waits_is_held_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "LONGEST_CALL_S", 0.05)
    with Launched(["sleep", "0.3"], None) as launched:
        assert launched.status is None
        launched.let_go()
        assert launched.wait() == 0, "its sleep goes on"


def test_one_that_was_to_stop_and_came_to_its_begin_first_is_let_go() -> None:
    """As on a machine that gives it no CPU for a second."""
    with Launched(["sh", "-c", "(exit 0); exit 6"], None) as launched:
        launched.stop()
        launched.let_go()
        assert os.waitstatus_to_exitcode(launched.wait()) == 6


def test_closed_before_it_was_let_go_it_never_ran(tmp_path: Path) -> None:
    with Launched(["sh", "-c", f"(exit 0); touch {tmp_path / 'mark'}"], None) as launched:
        pass
    assert launched.status is not None
    assert os.WTERMSIG(launched.status) == signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_one_that_ends_at_once() -> None:
    with Launched(["true"], None) as launched:
        assert launched.status == 0
        launched.let_go()


@pytest.mark.parametrize(
    ("name", "why"), [("/nothing/here", "no such file"), ("/etc/passwd", "permission denied")]
)
def test_one_that_cannot_be_started(name: str, why: str) -> None:
    with pytest.raises(TargetError, match=f"start {name}: {why}"):
        Launched([name], None)


def test_the_environment_is_the_users() -> None:
    sudo = {"SUDO_UID": "65534", "HOME": "/root", "USER": "root", "LANG": "C"}
    found = environment_of(User(65534, 65534), sudo)
    assert found == {"HOME": "/nonexistent", "USER": "nobody", "LOGNAME": "nobody", "LANG": "C"}
    assert environment_of(None, sudo) == sudo
    secure = environment_of(User(65534, 65534), {**sudo, "PATH": "/usr/bin:/bin"})
    assert secure["PATH"] == "/usr/bin:/bin:/nonexistent/.cargo/bin"
    assert environment_of(User(65534, 65534), secure)["PATH"] == secure["PATH"]
    assert environment_of(User(54321, 1), sudo)["HOME"] == "/root"


def test_what_nohup_ignores_stays_ignored_and_what_python_does_not(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    status = tmp_path / "status"
    try:
        command = ["sh", "-c", f"(exit 0); grep SigIgn /proc/self/status > {status}"]
        with Launched(command, None) as launched:
            launched.let_go()
            assert launched.wait() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    ignored = int(status.read_text().split()[1], 16)
    assert ignored >> (signal.SIGHUP - 1) & 1
    assert not ignored >> (signal.SIGPIPE - 1) & 1


def test_given_up_while_it_is_being_held_it_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []

    def given_up(launched: Launched) -> bool:
        pids.append(launched.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(Launched, "_begins", given_up)
    with pytest.raises(KeyboardInterrupt):
        Launched(["sleep", "60"], None)
    assert not Path(f"/proc/{pids[0]}").exists()
