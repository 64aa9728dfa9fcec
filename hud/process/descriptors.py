"""What a descriptor of the target is, while a thread of it sleeps in a call on it.

The caller makes sure that the same sleep goes on after the question: the descriptor was then open
all the while, and the answer is about the right thing.
"""

from __future__ import annotations

import re
import socket
import stat
from pathlib import Path
from typing import NamedTuple

from hud.process.procfs import PROC, proc_directory, read_bytes
from hud.process.unixsockets import peer_name

_SOCKET = re.compile(r"socket:\[(\d+)\]$")
_TABLES = (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6))
_MOST_BYTES = 4 << 20


class Open(NamedTuple):
    """An open file, socket or pipe."""

    file_type: int
    """``stat.S_IFMT``."""
    detail: str
    """Its path, or the peer; empty = not known."""


def describe(pid: int, descriptor: int, proc: Path = PROC) -> Open | None:
    """None where it is not open or may not be looked at."""
    link = proc_directory(pid, proc) / "fd" / str(descriptor)
    try:
        text = str(link.readlink())
        file_type = stat.S_IFMT(link.stat().st_mode)
    except OSError:
        return None
    found = _SOCKET.match(text)
    if found:
        name = peer(pid, found[1], proc) or peer_name(pid, int(found[1]), proc)
        return Open(file_type, name or "a socket")
    if text.startswith("/"):
        return Open(file_type, text)
    return Open(file_type, "" if text.startswith("pipe:") else text.removeprefix("anon_inode:"))


def peer(pid: int, inode: str, proc: Path = PROC) -> str:
    """``10.0.0.7:5432`` of a TCP socket; empty = not found.

    The tables (Documentation/networking/proc_net_tcp.rst) have the address in the machine's order
    of bytes, word by word, and the inode in the tenth column.
    """
    wanted = inode.encode()
    for name, family in _TABLES:
        try:
            table = read_bytes(proc_directory(pid, proc) / "net" / name, _MOST_BYTES)
        except OSError:
            continue
        for line in table.split(b"\n")[1:]:
            fields = line.split(None, 10)
            if len(fields) > 9 and fields[9] == wanted:
                return _address(fields[2].decode("ascii", "replace"), family)
    return ""


def _address(text: str, family: int) -> str:
    address, _, port = text.partition(":")
    try:
        words = bytes.fromhex(address)
        plain = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
        shown, number = socket.inet_ntop(family, plain), int(port, 16)
    except (OSError, ValueError):
        return ""
    if not number:
        return ""  # it listens
    return f"[{shown}]:{number}" if family == socket.AF_INET6 else f"{shown}:{number}"
