"""Whom a Unix socket is connected to."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hud.process.descriptors import Open, describe
from hud.process.unixsockets import peer_name

if TYPE_CHECKING:
    from pathlib import Path

PID = os.getpid()


def inode(one: socket.socket) -> int:
    return os.fstat(one.fileno()).st_ino


@pytest.mark.parametrize("kind", ["path", "abstract", "odd"])
def test_a_client_is_told_by_the_server_s_name(tmp_path: Path, kind: str) -> None:
    name = {
        "path": os.fsencode(tmp_path / "s"),
        "abstract": b"\0hud test %d" % PID,
        "odd": os.fsencode(tmp_path) + b"/\xff s",
    }[kind]
    shown = os.fsdecode(name).replace("\0", "@")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(name)
        listener.listen()
        client.connect(name)
        accepted, _ = listener.accept()
        with accepted:
            assert peer_name(PID, inode(client)) == shown
            assert describe(PID, client.fileno()) == Open(stat.S_IFSOCK, shown)
            assert peer_name(PID, inode(accepted)) == ""  # the client has no name


def test_a_pair_has_no_names() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert peer_name(PID, inode(one)) == ""


def test_what_is_gone_has_no_name() -> None:
    assert peer_name(1 << 30, 1) == ""
    assert peer_name(PID, 0) == ""


def test_pyroute2_is_not_loaded_for_nothing() -> None:
    code = "import sys, hud.profiler.profiler; sys.exit('pyroute2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
