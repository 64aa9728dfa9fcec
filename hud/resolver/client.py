"""The parent's end of the symbol resolver: forks it, asks, hands each answer to who asked.

Nothing here blocks but ``run`` and ``run_until``. Fork before any BPF object, thread or screen
exists.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hud.closing import Closing
from hud.errors import FormatError
from hud.resolver import child, messages, service
from hud.resolver.messages import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hud.resolver.messages import Answer, AnswerT, Debug, Question

ELF = b"\x7fELF"
"""How each file that the child may have begins."""
CLOSE_TIMEOUT_S = 1.0
TURN_S = 0.05
"""How often ``run_until`` looks whether it is done, where no answer comes."""
_GONE = (BrokenPipeError, ConnectionResetError, ConnectionRefusedError)
_PAGE = os.sysconf("SC_PAGE_SIZE")


class _Open(NamedTuple):
    """A question without an answer."""

    answer: type[Answer]
    then: Callable[[Any], None] | None
    """None: nobody waits for it any more."""
    owner: object


class Resolver(Closing):
    """The resolver process and what it was asked; a context manager.

    Once the process has died, every question gets Failed.
    """

    def __init__(self, *, memory_limit: int = 2 << 30, imports: Sequence[str] = ()) -> None:
        """Forks. ``memory_limit``: bytes for the child besides the files. ``imports``: packages
        that this run needs there. OSError if refused."""
        self._open: dict[int, _Open] = {}
        self._outgoing: deque[tuple[bytes, list[int]]] = deque()
        self._last = 0
        self._trouble = ""
        self._decode = messages.decoder(messages.Answer)
        self.alive = True
        self.pid, self._socket = child.fork(
            lambda sock, parent: service.run(sock, parent, memory_limit, imports)
        )

    # ------------------------------------------------------------------ asking

    def add_module(self, fd: int, name: str) -> int:
        """Hands a file over, if it is an ELF file; the caller still owns ``fd``.

        Returns the module's number. Questions about anything else fail.
        """
        return self._post(messages.AddModule(_sendable(name)), _handed(fd))

    def ask(
        self,
        question: Question[AnswerT],
        then: Callable[[AnswerT | Failed], None],
        owner: object = None,
    ) -> None:
        """Have the answer handed to ``then`` by a later ``run``.

        ``owner`` may drop its questions, and see how many are open.
        """
        self._put(question, then, owner, None)

    def add_debug(
        self,
        module: int,
        fd: int,
        name: str,
        then: Callable[[Debug | Failed], None],
        owner: object = None,
    ) -> None:
        """Offers a file with debug information of a module, for all that is asked later; the
        caller still owns ``fd``."""
        self._put(messages.AddDebug(module, _sendable(name)), then, owner, _handed(fd))

    def _put(
        self,
        question: Question[AnswerT],
        then: Callable[[AnswerT | Failed], None],
        owner: object,
        descriptor: int | None,
    ) -> None:
        number = self._post(question, descriptor)
        self._open[number] = _Open(question.answer, then, owner)

    def _post(self, message: Question[Any], descriptor: int | None) -> int:
        self._last += 1
        packet, spilled = messages.pack(self._last, message)
        self._outgoing.append((packet, [d for d in (spilled, descriptor) if d is not None]))
        self._flush()
        return self._last

    def _flush(self) -> None:
        while self._outgoing and self.alive:
            packet, descriptors = self._outgoing[0]
            try:
                messages.send(self._socket, packet, descriptors)
            except _GONE:
                return  # what it said before it died can still be read
            except OSError:
                return  # full (EAGAIN, ENOBUFS, ETOOMANYREFS): later
            self._outgoing.popleft()
            messages.close_all(descriptors)

    def pending(self, owner: object = None) -> int:
        """Questions that have no answer yet; of one owner, if it is given."""
        if owner is None:
            return len(self._open)
        return sum(one.owner is owner for one in self._open.values())

    def drop(self, owner: object) -> None:
        """Answers to this owner's questions are of no use any more."""
        for number, one in self._open.items():
            if one.owner is owner:
                self._open[number] = one._replace(then=None, owner=None)

    # ------------------------------------------------------------------ answers

    def run(self, timeout_s: float = 0.0) -> bool:
        """Hand out what has been answered, and wait for the first answer if there is none yet.

        False after ``timeout_s``, or where nothing is open. Once the process is dead, each question
        that it did not answer fails.
        """
        end = time.monotonic() + timeout_s
        while not (found := self._receive()):
            left = end - time.monotonic()
            if left <= 0 or not self._open:
                return False
            poller = select.poll()
            poller.register(self._socket, select.POLLIN | (select.POLLOUT * bool(self._outgoing)))
            poller.poll(left * 1000)
        for number, answer in found.items():
            then = self._open.pop(number).then
            if then is not None:
                then(answer)
        return True

    def run_until(self, done: Callable[[], object], timeout_s: float) -> bool:
        """Hand out answers until ``done``; False after ``timeout_s``."""
        end = time.monotonic() + timeout_s
        while not done():
            left = min(TURN_S, end - time.monotonic())
            if left <= 0:
                return False
            if not self.run(left) and not self._open:
                time.sleep(left)
        return True

    def _receive(self) -> dict[int, Answer]:
        """What has come, by the number of its question."""
        found: dict[int, Answer] = {}
        self._flush()
        while self.alive:
            try:
                packet, descriptors = messages.receive(self._socket, wait=False)
            except (BlockingIOError, InterruptedError):
                break
            except ConnectionResetError:
                continue  # said once, where it died with requests unread: its words come after
            except OSError:
                packet, descriptors = b"", []
            if not packet:
                self._bury()
                break
            try:
                self._read(packet, descriptors, found)
            except (FormatError, OSError, msgspec.MsgspecError) as why:
                self._trouble = f"it sent nonsense ({why})"
                self._bury()
                break
            finally:
                messages.close_all(descriptors)
        if not self.alive:
            text = f"the symbol resolver died: {self._trouble}"
            found |= {number: Failed(text) for number in self._open if number not in found}
        self._flush()
        return found

    def _read(self, packet: bytes, descriptors: list[int], found: dict[int, Answer]) -> None:
        number, answer = self._decode(messages.unpack(packet, descriptors))
        if isinstance(answer, Failed) and number == 0:
            self._trouble = answer.message
            return
        if number not in self._open or number in found:
            raise FormatError(f"an answer to question {number}, which is not open")
        if not isinstance(answer, (self._open[number].answer, Failed)):
            raise FormatError(f"{type(answer).__name__} for an answer to question {number}")
        answer.check()
        found[number] = answer

    # ------------------------------------------------------------------ the process

    def cpu_ns(self) -> int:
        """CPU time that the child has used, nanoseconds (proc(5), schedstat); 0 once it is dead."""
        return self._from_proc("schedstat", 0)

    def rss_bytes(self) -> int:
        """The child's resident memory, mapped files included; 0 once it is dead."""
        return self._from_proc("statm", 1) * _PAGE

    def _from_proc(self, name: str, index: int) -> int:
        if not self.alive:
            return 0
        try:
            with open(f"/proc/{self.pid}/{name}", "rb", buffering=0) as file:
                return int(file.read().split()[index])
        except (OSError, IndexError, ValueError):
            return 0

    def close(self) -> None:
        """Ends the child, which keeps nothing, and reaps it; within CLOSE_TIMEOUT_S."""
        if self.alive:
            self._trouble = self._trouble or "it was closed"
            self._bury()
        self._socket.close()

    def _bury(self) -> None:
        self.alive = False
        for _, descriptors in self._outgoing:
            messages.close_all(descriptors)
        self._outgoing.clear()
        end = time.monotonic() + CLOSE_TIMEOUT_S
        done, status = _reap(self.pid)
        if not done and not self._trouble:
            time.sleep(0.01)  # the socket closes a moment before the status is there
            done, status = _reap(self.pid)
        while not done and time.monotonic() < end:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.002)
            done, status = _reap(self.pid)
        if not self._trouble:
            self._trouble = _ending(status)


def _handed(fd: int) -> int | None:
    """A copy of the descriptor for the child, which is to see nothing but ELF files: others chose
    by which name root opens it."""
    try:
        is_elf = os.pread(fd, len(ELF), 0) == ELF
    except OSError:
        is_elf = False
    return os.dup(fd) if is_elf else None


def _sendable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _reap(pid: int) -> tuple[bool, int]:
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # someone else's waitpid took it
        return True, 0
    return found == pid, status


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exit status {os.WEXITSTATUS(status)}"
