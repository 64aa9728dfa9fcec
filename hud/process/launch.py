"""Start a program and hold it before its ``main``, so that hud sees its first poll.

ptrace(2): the program is traced from its exec up to the one system call by which Rust's runtime
checks the standard descriptors, ``poll([0, 1, 2], 3, 0)`` (library/std/src/sys/pal/unix/mod.rs,
since 1.34). There all libraries are mapped and the main thread has its thread-locals. It is let go
there, and traced no more: nothing of hud stays in it. What is no Rust program never comes there; it
is held at its first fork or thread, or where a system call lasts for ``LONGEST_CALL_S``, or after
``MOST_CALLS`` of them.
"""

from __future__ import annotations

import ctypes
import os
import platform
import pwd
import signal
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from hud.closing import Closing
from hud.errors import KernelError, TargetError
from hud.process.rights import rights_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hud.process.rights import User

MOST_CALLS = 5_000
"""System calls of a program that starts: some hundred, with many libraries."""

LONGEST_CALL_S = 1.0

PTRACE_TRACEME, PTRACE_DETACH, PTRACE_SYSCALL = 0, 17, 24
PTRACE_SETOPTIONS, PTRACE_GET_SYSCALL_INFO = 0x4200, 0x420E
PTRACE_O_TRACESYSGOOD, PTRACE_O_EXITKILL, PTRACE_SYSCALL_INFO_ENTRY = 1, 1 << 20, 1
"""linux/ptrace.h; GET_SYSCALL_INFO since 5.3."""
_INFO = struct.Struct("<B3xIQQ7Q")
"""struct ptrace_syscall_info: op, arch, ip, sp, then nr and six arguments."""
_SYSCALL_STOP = signal.SIGTRAP | 0x80


class _Calls(NamedTuple):
    """Numbers of system calls (asm/unistd.h)."""

    poll: int
    spawning: frozenset[int]
    """clone, fork, vfork, clone3."""


_CALLS = {
    "x86_64": _Calls(7, frozenset((56, 57, 58, 435))),
    "aarch64": _Calls(73, frozenset((220, 435))),
}
"""aarch64 has ppoll only."""


class Launched(Closing):
    """A program that was started and is held until ``let_go``. Closed before that, or where hud
    itself ends, it is killed: it has not begun yet."""

    def __init__(self, command: Sequence[str], user: User | None) -> None:
        """As ``user`` where one is given, with that user's groups and home.

        Raises TargetError where it cannot be started. It may have ended already: ``status``.
        """
        self.status: int | None = None
        """As wait(2) has it, once it has ended."""
        self._held = False
        self._to_stop = False
        """Our SIGSTOP has not come to it yet."""
        self._ptrace = _ptrace()
        environment = environment_of(user, os.environ)
        readable, writable = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            become(command, user, environment, writable, self._ptrace)
        os.close(writable)
        try:
            with open(readable, "rb") as refused:
                self._hold(command[0], refused.read)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._held:
            self._held = False
            self.send(signal.SIGKILL)
            self.wait()

    def let_go(self) -> None:
        """It runs from here on, traced no more."""
        if self._held:
            self._held = False
            if self._to_stop:  # else it would stop now, for ever
                self.send(signal.SIGCONT)
            with suppress(OSError):
                self._ask(PTRACE_DETACH, 0)

    def send(self, number: int) -> None:
        """A signal, if it has not ended."""
        if self.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self) -> None:
        """Soon; another stop may come first."""
        self._to_stop = True
        self.send(signal.SIGSTOP)

    def wait(self) -> int:
        """For its end; its status, as wait(2) has it."""
        while self.status is None:
            with suppress(KeyboardInterrupt):  # it got that as well, and decides
                _, self.status = os.waitpid(self.pid, 0)
        return self.status

    def _hold(self, name: str, refusal: Callable[[], bytes]) -> None:
        self._step_to_exec(name, refusal)
        self._held = True
        self._ask(PTRACE_SETOPTIONS, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)
        with _children_wait():
            send = 0
            for _ in range(2 * MOST_CALLS):
                self._ask(PTRACE_SYSCALL, send)
                stop = self._next_stop()
                # another exec, and our own SIGSTOP, are none of its signals
                send = 0 if stop in (_SYSCALL_STOP, signal.SIGTRAP, signal.SIGSTOP) else stop
                if stop in (0, signal.SIGSTOP) or (stop == _SYSCALL_STOP and self._begins()):
                    return

    def _step_to_exec(self, name: str, refusal: Callable[[], bytes]) -> None:
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSTOPPED(status):
            return
        self.status = status
        number = int(refusal() or 0)
        why = os.strerror(number).lower() if number else "it ended at once"
        raise TargetError(f"start {name}: {why}", "check the name, and that it may be run")

    def _next_stop(self) -> int:
        """The signal that stopped it; SIGSTOP where its call lasts too long, 0 = it has ended."""
        found, status = os.waitpid(self.pid, os.WNOHANG)
        while not found:
            if signal.sigtimedwait((signal.SIGCHLD,), LONGEST_CALL_S) is None:
                self.stop()
            found, status = os.waitpid(self.pid, os.WNOHANG)
        if os.WIFSTOPPED(status):
            self._to_stop &= os.WSTOPSIG(status) != signal.SIGSTOP
            return os.WSTOPSIG(status)
        self._held, self.status = False, status
        return 0

    def _begins(self) -> bool:
        info = ctypes.create_string_buffer(_INFO.size)
        self._ask(PTRACE_GET_SYSCALL_INFO, ctypes.addressof(info), _INFO.size)
        kind, _, _, _, number, _, count, *_ = _INFO.unpack(info.raw)
        calls = _CALLS.get(platform.machine())
        if kind != PTRACE_SYSCALL_INFO_ENTRY or calls is None:
            return calls is None
        return (number == calls.poll and count == 3) or number in calls.spawning

    def _ask(self, request: int, data: int, address: int = 0) -> None:
        ctypes.set_errno(0)
        if self._ptrace(request, self.pid, address, data) < 0:
            number = ctypes.get_errno()
            raise KernelError(f"hold the program: ptrace: {os.strerror(number).lower()}")


def code_of(status: int) -> int:
    """The exit code that a shell gives to a status of wait(2)."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


@contextmanager
def _children_wait() -> Iterator[None]:
    """SIGCHLD is there for sigtimedwait(2), as long as it is blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def environment_of(user: User | None, environment: Mapping[str, str]) -> dict[str, str]:
    """What a program of that user finds: as before sudo(8), as far as is known. Its PATH, which
    sudo replaces (secure_path), has the user's own cargo again.
    """
    if user is None:
        return dict(environment)
    found = {name: value for name, value in environment.items() if not name.startswith("SUDO_")}
    with suppress(KeyError):
        entry = pwd.getpwuid(user.uid)
        found.update(HOME=entry.pw_dir, USER=entry.pw_name, LOGNAME=entry.pw_name)
        cargo = f"{entry.pw_dir}/.cargo/bin"
        if "PATH" in found and cargo not in found["PATH"].split(":"):
            found["PATH"] += f":{cargo}"
    return found


def become(
    command: Sequence[str],
    user: User | None,
    environment: Mapping[str, str],
    refused: int,
    ptrace: Callable[[int, int, int, int], int] | None = None,
) -> NoReturn:
    """A child of hud becomes the command; with ``ptrace`` traced by its parent. Never returns: what
    refused it goes to that descriptor, as errno in digits.
    """
    try:
        # what Python ignores; its handlers end with the exec, and what nohup ignores stays so
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        if user is not None:
            os.setgroups(rights_of(user).groups)
            os.setresgid(user.gid, user.gid, user.gid)
            os.setresuid(user.uid, user.uid, user.uid)
        if ptrace is not None:
            ptrace(PTRACE_TRACEME, 0, 0, 0)
        os.execvpe(command[0], list(command), environment)
    except OSError as error:
        os.write(refused, str(error.errno).encode())
    finally:
        os._exit(127)


def _ptrace() -> Callable[[int, int, int, int], int]:
    function = ctypes.CDLL(None, use_errno=True).ptrace
    function.restype = ctypes.c_long
    function.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    return function
