"""Start a command, and hold each Rust program below it before its ``main``.

seccomp(2): the command's whole tree notifies hud of one system call, that by which Rust's runtime
checks the standard descriptors, ``poll([0, 1, 2], 3, 0)`` (library/std/src/sys/pal/unix/mod.rs,
since 1.34). There all libraries are mapped and the main thread has its thread-locals. The caller
waits in the kernel, unseen by its parent, until ``let_go``; nobody is traced, or stopped by a
signal.

Without somebody who answers, that call would fail in whatever of the tree is left: a *guard*, a
process of its own, answers once hud is gone, until the last of the tree has ended.
"""

from __future__ import annotations

import array
import ctypes
import errno
import os
import platform
import select
import signal
import socket
import struct
from contextlib import suppress
from fcntl import ioctl
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from hud.closing import Closing
from hud.errors import KernelError, TargetError
from hud.process.classicbpf import (
    ALLOW,
    ARCHITECTURE,
    AUDIT,
    IF_EQUAL,
    LOAD,
    NOTIFY,
    NUMBER,
    RETURN,
    argument,
    filter_of,
    step,
)
from hud.process.launch import become, environment_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hud.process.rights import User

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 2, 1 << 3
SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1
SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_SEND = 0xC050_2100, 0xC018_2101
"""linux/seccomp.h; a listener since Linux 5.0, CONTINUE since 5.5."""
_NOTIFICATION = struct.Struct("<QII 4x4x8x6Q")
"""struct seccomp_notif: id, pid, flags; of seccomp_data nr, arch, ip are skipped."""
_ANSWER = struct.Struct("<QqiI")
"""struct seccomp_notif_resp: id, val, error, flags."""
_TICKET = struct.Struct("<Q")
_GO = b"+"
"""The guard is there."""
STANDARD_STREAMS = 3
MOST_HELD = 4096
"""At a time."""


class _Calls(NamedTuple):
    """Numbers of system calls (asm/unistd.h)."""

    poll: int
    seccomp: int


_CALLS = {"x86_64": _Calls(7, 317), "aarch64": _Calls(73, 277)}
"""aarch64 has ppoll only."""


class Held(NamedTuple):
    """A program that waits."""

    ticket: int
    pid: int


class Tree(Closing):
    """A command that was started, with all that it starts. Closing it lets everybody go on."""

    def __init__(self, command: Sequence[str], user: User | None) -> None:
        """As ``user`` where one is given, with that user's groups and home.

        Raises TargetError where it cannot be started, KernelError where this cannot be done here.
        """
        calls = _CALLS.get(platform.machine())
        if calls is None:
            raise KernelError(f"hold programs: not known how on {platform.machine()}")
        environment = environment_of(user, os.environ)
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            _install_and_become(command, user, environment, calls, theirs)
        theirs.close()
        with ours:
            try:
                self._listener = _received(ours)
                end, self._life = os.pipe()
                _guard(self._listener, end, (self._life, ours.fileno()))
                os.close(end)
                ours.send(_GO)
                refused = ours.recv(16)
            except BaseException:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise
        if refused:
            self.close()
            os.waitpid(self.pid, 0)
            why = os.strerror(int(refused)).lower()
            raise TargetError(
                f"start {command[0]}: {why}", "check the name, and that it may be run"
            )

    def close(self) -> None:
        if self._life >= 0:
            os.close(self._life)
            os.close(self._listener)
            self._life = -1

    def fileno(self) -> int:
        """Readable when a program is held."""
        return self._listener

    def held(self) -> Held | None:
        """Who waits next; None = nobody does any more."""
        data = _next(self._listener)
        if data is None:
            return None
        ticket, pid, *_ = _NOTIFICATION.unpack(data)
        os.write(self._life, _TICKET.pack(ticket))
        return Held(ticket, pid)

    def let_go(self, ticket: int) -> None:
        """It runs on, if it is still there."""
        _answer(self._listener, ticket)

    def send(self, number: int) -> None:
        """A signal to the command itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


def _next(listener: int) -> bytes | None:
    data = bytearray(_NOTIFICATION.size)  # the kernel wants it to be zero
    try:
        ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, data)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
            return None
        raise
    return bytes(data)


def _answer(listener: int, ticket: int) -> None:
    with suppress(FileNotFoundError):
        ioctl(
            listener,
            SECCOMP_IOCTL_NOTIF_SEND,
            _ANSWER.pack(ticket, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE),
        )


def _guard(listener: int, end: int, huds: Iterable[int]) -> None:
    """A grandchild, nobody's: waits for the end of hud, then answers for it. Through ``end`` come
    the tickets that hud has taken, which nobody else is told of; ``huds`` are hud's alone.
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if os.fork():
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for descriptor in huds:
            os.close(descriptor)
        for stream in range(STANDARD_STREAMS):
            os.dup2(end, stream)  # no pipe of the command's stays open for it
        taken = b""
        while tickets := os.read(end, 1 << 16):
            taken = (taken + tickets)[-MOST_HELD * _TICKET.size :]
        for (ticket,) in _TICKET.iter_unpack(taken):
            _answer(listener, ticket)
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        while not any(event & select.POLLHUP for _, event in poll.poll()):
            data = _next(listener)
            if data is not None:
                _answer(listener, _NOTIFICATION.unpack(data)[0])
    finally:
        os._exit(0)


def _received(ours: socket.socket) -> int:
    """The listener that the child sends; KernelError where it has none."""
    data, descriptors, _, _ = socket.recv_fds(ours, 16, 1)
    if descriptors:
        return descriptors[0]
    number = int(data or 0)
    why = os.strerror(number).lower() if number else "the child ended"
    raise KernelError(f"hold programs: seccomp: {why}", _REMEDIES.get(number, ""))


_REMEDIES = {
    errno.EACCES: "run it with sudo",
    errno.EBUSY: "a sandbox around hud has such a filter already: start hud outside of it",
}


def _install_and_become(
    command: Sequence[str],
    user: User | None,
    environment: dict[str, str],
    calls: _Calls,
    theirs: socket.socket,
) -> NoReturn:
    """The child."""
    try:
        listener = _install(calls)
        rights = array.array("i", [listener])
        theirs.sendmsg([b"0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        os.close(listener)
    except OSError as error:
        theirs.send(str(error.errno).encode())
        os._exit(127)
    if not theirs.recv(len(_GO)):  # hud was killed, and nobody would answer
        os._exit(127)
    become(command, user, environment, theirs.fileno())


def _install(calls: _Calls) -> int:
    """For this process and all that it starts; the listener."""
    wanted = filter_of(_program(calls))
    libc = ctypes.CDLL(None, use_errno=True)
    flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW
    listener = int(libc.syscall(calls.seccomp, SECCOMP_SET_MODE_FILTER, flags, wanted.fprog))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


def _program(calls: _Calls) -> bytes:
    """The filter, as classic BPF: notify of a poll of three descriptors, allow all else."""
    tests = [
        (ARCHITECTURE, AUDIT[platform.machine()]),
        (NUMBER, calls.poll),
        (argument(1), STANDARD_STREAMS),
    ]
    code = []
    for left, (offset, value) in zip(range(len(tests), 0, -1), tests, strict=True):
        code += [step(LOAD, offset), step(IF_EQUAL, value, if_not=2 * left - 1)]
    return b"".join([*code, step(RETURN, NOTIFY), step(RETURN, ALLOW)])
