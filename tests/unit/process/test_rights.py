"""Who called sudo, whatever the environment says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from hud.process.rights import (
    NOBODY,
    FileRights,
    User,
    invoking_user,
    ordinary_user,
    owners_rights,
    with_file_rights,
)


def environment(
    monkeypatch: pytest.MonkeyPatch, euid: int, uid: str | None, gid: str | None
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    for name, value in (("SUDO_UID", uid), ("SUDO_GID", gid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)


NONSENSE = [
    (None, None),
    ("1000", None),
    (None, "1000"),
    ("", ""),
    ("0", "0"),
    ("12x", "1"),
    ("-1", "1"),
    (" 1", "1"),
    ("1_0", "1"),
    ("\u0661", "1"),
    (str(1 << 31), "1"),
    (str((1 << 32) - 1), "1"),
    ("99999999999", "1"),
    ("9" * 5000, "1"),
    ("1", "9" * 5000),
]


@pytest.mark.parametrize(("uid", "gid"), NONSENSE)
def test_nobody_called_sudo(
    uid: str | None, gid: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, 0, uid, gid)
    assert invoking_user() is None
    assert ordinary_user() == NOBODY == (65534, 65534)


def test_who_called_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, 0, "1000", "100")
    assert invoking_user() == ordinary_user() == User(1000, 100)


def test_a_child_never_keeps_the_group_of_root(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, 0, "1000", "0")
    assert invoking_user() == User(1000, 0)
    assert ordinary_user() == NOBODY


def test_without_root_sudo_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, 1000, "1001", "1001")
    assert invoking_user() is None
    assert ordinary_user() is None


STATUS = "Name:\tUid:\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t9 10 \nNSpid:\t7\n"


def test_rights_of_a_process_are_those_that_its_files_are_opened_with(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text(STATUS)
    assert owners_rights(7, tmp_path) == FileRights(4, 8, (9, 10))


@pytest.mark.parametrize("status", ["", STATUS.replace("4", "x"), STATUS.replace("Groups", "G")])
def test_rights_that_are_not_to_be_seen(status: str, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text(status)
    with pytest.raises(OSError, match="process 7"):
        owners_rights(7, tmp_path)
    with pytest.raises(FileNotFoundError):
        owners_rights(8, tmp_path)


A_USER, ANOTHER, GROUP = 51_234, 51_235, 54_321


@pytest.mark.parametrize(
    ("rights", "opens"),
    [
        (FileRights(A_USER, 1, ()), {"user's"}),
        (FileRights(ANOTHER, 1, ()), set()),
        (FileRights(ANOTHER, GROUP, ()), {"group's"}),
        (FileRights(ANOTHER, 1, (7, GROUP)), {"group's"}),
        (FileRights(0, 0, ()), {"user's", "group's"}),
    ],
)
def test_what_opens_with_whose_rights(
    rights: FileRights, opens: set[str], tmp_path: Path, need: Callable[[object, str], None]
) -> None:
    need(os.geteuid() == 0, "root")
    for name, mode, owner in (("user's", 0o400, (A_USER, 0)), ("group's", 0o040, (0, GROUP))):
        (tmp_path / name).touch(mode)
        (tmp_path / name).chmod(mode)
        os.chown(tmp_path / name, *owner)
    tmp_path.chmod(0o755)
    folder = os.open(tmp_path, os.O_RDONLY)
    found = set()
    for name in ("user's", "group's"):
        with suppress(PermissionError):
            os.close(with_file_rights(rights, partial(os.open, name, os.O_RDONLY, dir_fd=folder)))
            found.add(name)
    os.close(folder)
    assert found == opens
    assert os.access(tmp_path / "user's", os.R_OK), "of that thread alone"


def test_rights_that_cannot_be_had_open_nothing(need: Callable[[object, str], None]) -> None:
    need(os.geteuid() == 0, "root")
    for rights in (FileRights(0xFFFFFFFF, 1, ()), FileRights(1, 0xFFFFFFFF, ())):
        with pytest.raises(OSError, match="file rights cannot be changed"):
            with_file_rights(rights, lambda: pytest.fail("was opened"))


OVERRIDES = """
import ctypes, os, struct
libc = ctypes.CDLL(None)
libc.prctl(8, 1, 0, 0, 0)
os.setgid(1234), os.setuid(1234)
all_files = 1 << 1 | 1 << 2
libc.capset(struct.pack("<Ii", 0x20080522, 0), struct.pack("<6I", *[all_files] * 2, *[0] * 4))
from hud.process.rights import FileRights, with_file_rights
os.close(os.open("/etc/shadow", os.O_RDONLY))
with_file_rights(FileRights(1, 1, ()), lambda: os.open("/etc/shadow", os.O_RDONLY))
"""


def test_a_user_with_capabilities_opens_nothing_by_them(
    need: Callable[[object, str], None],
) -> None:
    need(os.geteuid() == 0, "root")
    command = [sys.executable, "-c", OVERRIDES]
    ran = subprocess.run(
        command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert ran.stderr.splitlines()[-1].startswith("PermissionError"), ran.stderr
    assert "with_file_rights" in ran.stderr


def test_what_is_raised_with_other_rights_reaches_the_caller() -> None:
    rights = owners_rights(os.getpid())
    with pytest.raises(ZeroDivisionError):
        with_file_rights(rights, lambda: 1 // 0)
    assert with_file_rights(rights, lambda: 3) == 3
