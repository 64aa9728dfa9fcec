"""Who called sudo, whatever the environment says."""

from __future__ import annotations

import os

import pytest

from hud.process.rights import NOBODY, User, invoking_user, ordinary_user


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
