"""What a descriptor of a living process is."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from hud.process.descriptors import Open, describe

PID = os.getpid()


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "with a space"
    with path.open("w") as file:
        assert describe(PID, file.fileno()) == Open(stat.S_IFREG, str(path))
        number = file.fileno()
    assert describe(PID, number) != Open(stat.S_IFREG, str(path))


def test_a_pipe_has_no_name() -> None:
    reader, writer = os.pipe()
    try:
        assert describe(PID, reader) == Open(stat.S_IFIFO, "")
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(
    ("family", "host", "shown"),
    [(socket.AF_INET, "127.0.0.1", "127.0.0.1"), (socket.AF_INET6, "::1", "[::1]")],
)
def test_a_peer(family: int, host: str, shown: str) -> None:
    with socket.socket(family) as listener, socket.socket(family) as client:
        try:
            listener.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} here")
        listener.listen()
        assert describe(PID, listener.fileno()) == Open(stat.S_IFSOCK, "a socket")
        client.connect(listener.getsockname()[:2])
        port = listener.getsockname()[1]
        assert describe(PID, client.fileno()) == Open(stat.S_IFSOCK, f"{shown}:{port}")


def test_not_open_and_odd_tables(tmp_path: Path) -> None:
    assert describe(PID, 1 << 19) is None
    (tmp_path / "7" / "net").mkdir(parents=True)
    for line in ("", "  0: x", "0: a b:c d e f g h i 9", f"0: a {'0' * 9}:1 1 1 1 1 1 1 9"):
        (tmp_path / "7" / "net" / "tcp").write_text(f"head\n{line}\n")
        (tmp_path / "7" / "fd").mkdir(exist_ok=True)
        link = tmp_path / "7" / "fd" / "3"
        link.unlink(missing_ok=True)
        link.symlink_to("socket:[9]")
        (tmp_path / "7" / "fd" / "socket:[9]").touch()
        assert describe(7, 3, tmp_path) == Open(stat.S_IFREG, "a socket")
