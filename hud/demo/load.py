"""The load of the demo: a few clients that send requests to the demo server.

A client is one keep-alive connection that sends one request after the other. They have a process
of their own, so that their CPU time does not count as hud's.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOST = "127.0.0.1"
BAD = ("/hash", "/parse", "/compress", "/read", "/dns", "/lock", "/sleep")
PATHS = tuple(path for bad in BAD for path in ("/", bad, f"/good{bad}"))
BODY = b"correct horse battery staple"

CLIENTS = 4
PAUSE_S = 0.03
"""Between two requests of a client: the workers shall be busy, not overrun."""
MAX_REQUESTS = 1_000_000
MAX_FAILURES = 20
"""After so many in a row a client gives up."""
TIMEOUT_S = 10.0
MAX_HEAD = 1 << 16

PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""


class Counts(NamedTuple):
    """Requests answered with 200, and all others."""

    answered: int
    failed: int


class LoadCounters:
    """Counts in memory that the load's process shares with the one that started it."""

    _CELLS = struct.Struct("=QQ")

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self._CELLS.size)
        self._lock = threading.Lock()

    def count(self, *, answered: bool) -> None:
        with self._lock:
            counts = self.read()
            self._CELLS.pack_into(
                self._memory, 0, counts.answered + answered, counts.failed + (not answered)
            )

    def read(self) -> Counts:
        return Counts(*self._CELLS.unpack_from(self._memory))


def drive(
    port: int,
    counters: LoadCounters,
    *,
    seconds: float,
    requests: int = MAX_REQUESTS,
    clients: int = CLIENTS,
    pause_s: float = PAUSE_S,
    paths: Sequence[str] = PATHS,
) -> None:
    """Send requests for ``seconds``, at most ``requests`` of them, and count them in ``counters``.

    Each client walks through ``paths`` in turn, every one from another place. Ends early when the
    server is gone.
    """
    until = time.monotonic() + seconds
    shares = [requests // clients + (n < requests % clients) for n in range(clients)]
    threads = [
        threading.Thread(
            target=_client,
            args=(port, counters, until, share, pause_s, _turned(paths, n * len(paths) // clients)),
        )
        for n, share in enumerate(shares)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _turned(paths: Sequence[str], by: int) -> list[str]:
    return [*paths[by:], *paths[:by]]


def _client(
    port: int, counters: LoadCounters, until: float, requests: int, pause_s: float, paths: list[str]
) -> None:
    # Only sockets and bytes: a client that runs as another user may not be able to import anything,
    # as Python itself may lie in root's home.
    connection: socket.socket | None = None
    in_a_row = 0
    for turn in range(requests):
        if time.monotonic() >= until or in_a_row >= MAX_FAILURES:
            break
        try:
            if connection is None:
                connection = socket.socket()
                connection.settimeout(TIMEOUT_S)
                connection.connect((HOST, port))
            answered = _ask(connection, paths[turn % len(paths)])
        except (OSError, ValueError):
            answered = False
        if not answered and connection is not None:
            connection.close()
            connection = None
        counters.count(answered=answered)
        in_a_row = 0 if answered else in_a_row + 1
        time.sleep(pause_s)
    if connection is not None:
        connection.close()


def _ask(connection: socket.socket, path: str) -> bool:
    """One request; True if it was answered with 200. OSError if the connection is of no use."""
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    connection.sendall(head.encode("ascii") + BODY)
    reply = b""
    while b"\r\n\r\n" not in reply:
        reply += _more(connection, reply)
    status, _, body = reply.partition(b"\r\n\r\n")
    length = 0
    for line in status.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    left = length - len(body)
    while left > 0:
        left -= len(_more(connection, b""))
    return status.startswith(b"HTTP/1.1 200")


def _more(connection: socket.socket, so_far: bytes) -> bytes:
    data = connection.recv(1 << 16)
    if not data or len(so_far) > MAX_HEAD:
        raise ConnectionResetError("no more of the answer")
    return data


@contextlib.contextmanager
def running(
    port: int,
    counters: LoadCounters,
    *,
    seconds: float,
    user: tuple[int, int] | None = None,
    paths: Sequence[str] = PATHS,
) -> Iterator[None]:
    """``drive`` in a forked process, killed at the end; as ``user`` (uid, gid) if given.

    The process shares no terminal signals with this one and dies with it.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            _enter(parent, user)
            drive(port, counters, seconds=seconds, paths=paths)
        os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _enter(parent: int, user: tuple[int, int] | None) -> None:
    """What a forked process does first, so that nothing of hud's reacts in it."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if user:
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])
    die_with(parent)


def die_with(parent: int) -> None:
    """SIGKILL for this process when the thread of ``parent`` that made it ends (prctl(2)).

    To be called after a change of user, which takes it back.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
