"""What is used up is said with its remedy, wherever in the error's causes it stands."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys

import pytest

from hud import cli
from hud.commands import limits
from hud.errors import HudError, KernelError, TargetError
from hud.process import room

FILES = OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def caused(error: Exception, cause: Exception) -> Exception:
    try:
        raise error from cause
    except type(error) as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "message", "remedy"),
    [
        (FILES, "too many open files", "LimitNOFILE=4096"),
        (OSError(errno.ENFILE, "Too many"), "too many", "fs.file-max"),
        (caused(TargetError("executable: too many"), FILES), "executable: too many", "ulimit -n"),
        (MemoryError(), "not enough memory", "MemoryMax="),
        (caused(KernelError("map x"), OSError(errno.ENOMEM, "")), "map x", "MemoryMax="),
        (OSError(errno.EAGAIN, "Try again"), "try again", "TasksMax="),
        (RuntimeError("can't start new thread"), "can't start new thread", "TasksMax="),
    ],
)
def test_what_is_used_up(error: Exception, message: str, remedy: str) -> None:
    found = limits.explained(error)
    assert found is not None
    assert (found.message, found.exit_code) == (message, 4)
    assert remedy in found.hint


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "I/O"), RuntimeError("x"), caused(HudError("a"), ValueError())]
)
def test_anything_else_is_not_explained(error: Exception) -> None:
    assert limits.explained(error) is None


def test_the_command_line_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise FILES

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert cli.main(["doctor"]) == 4
    first, second = capsys.readouterr().err.splitlines()
    assert first == "hud: too many open files"
    assert second.startswith("     hud may open ")


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [(50, 3000, 3000), (50, 70_000, 1 << 16), (50, -1, 1 << 16), (69_000, 70_000, 0), (-1, -1, 0)],
)
def test_the_soft_limit_is_raised_as_far_as_it_may_be(
    soft: int, hard: int, raised: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``raised`` 0 = it stays."""
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_to.append(limits))
    limits.raise_file_limit()
    assert set_to == ([(raised, hard)] if raised else [])


@pytest.mark.parametrize("left", [None, limits.LEAST_BYTES, limits.LEAST_BYTES - 1])
def test_a_cgroup_without_room(left: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "memory_left", lambda *_: left)
    if left is None or left >= limits.LEAST_BYTES:
        limits.require_memory()
        return
    with pytest.raises(HudError, match="44 MB of memory are left in hud's cgroup") as refused:
        limits.require_memory()
    assert "MemoryMax=" in refused.value.hint


def test_hud_goes_before_its_target() -> None:
    program = "from hud.commands import limits; limits.go_first()"
    program += "; print(open('/proc/self/oom_score_adj').read())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"1000"]
