"""The other end of a Unix socket, from the kernel's socket diagnostics (linux/unix_diag.h).

A client's socket has no name of its own, and /proc/net/unix does not say whom it is connected to.
The dialogue with the kernel is pyroute2's. Its import takes 0.11 s of CPU and 13 MB, so that
it is done when a thread is first held by such a socket.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from hud.process.procfs import PROC, proc_directory, read_bytes

_MOST_BYTES = 4 << 20


def peer_name(pid: int, inode: int, proc: Path = PROC) -> str:
    """``/run/postgresql/.s.PGSQL.5432``, ``@abstract``; empty = it has none, or is not known.

    Only sockets of hud's own network namespace can be asked for.
    """
    try:
        ours = (PROC / "self" / "ns" / "net").stat().st_ino
        if ours != (proc_directory(pid, proc) / "ns" / "net").stat().st_ino:
            return ""
        return _name(
            read_bytes(proc_directory(pid, proc) / "net" / "unix", _MOST_BYTES), _peer(inode)
        )
    except OSError:
        return ""


def _peer(inode: int) -> int:
    """The inode of the socket that one is connected to; 0 = none."""
    try:
        from pyroute2.netlink.diag import UDIAG_SHOW_PEER, DiagSocket
        from pyroute2.netlink.exceptions import NetlinkError
    except ImportError as error:
        raise OSError("pyroute2 cannot be imported") from error
    try:
        with DiagSocket() as diagnostics:
            diagnostics.bind()
            rows = diagnostics.get_sock_stats(family=socket.AF_UNIX, show=UDIAG_SHOW_PEER)
    except NetlinkError as error:
        raise OSError(str(error)) from error
    peers = (row.get_attr("UNIX_DIAG_PEER") for row in rows if row["udiag_ino"] == inode)
    return next(peers, None) or 0


def _name(table: bytes, inode: int) -> str:
    """The socket's name; the inode is in the seventh column, the name behind it (unix(7))."""
    wanted = b"%d" % inode
    for line in table.split(b"\n")[1:]:
        fields = line.split(None, 7)
        if len(fields) == 8 and fields[6] == wanted:
            return os.fsdecode(fields[7])
    return ""
