"""The parent's end of the symbol resolver: forks it, asks, hands each answer to who asked.

Nothing here blocks but ``run`` and ``run_until``. Fork before any BPF object, thread or screen
exists. A resolver that dies is started anew a few times, with the files that it had.
"""

from __future__ import annotations

import os
import select
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from hud.closing import Closing
from hud.errors import FormatError
from hud.resolver import child, messages, service
from hud.resolver.confinement import require_nobody
from hud.resolver.messages import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Set

    from hud.resolver.messages import Answer, AnswerT, Debug, Question

ELF = b"\x7fELF"
"""How each file that the child may have begins."""
LIVES = 4
"""Processes, one after another."""
MEMORY_LIMIT = 512 << 20
"""Bytes, besides the files."""
MOST_KEPT = 256
"""Files that a process which is started anew gets again."""
TURN_S = 0.05
"""How often ``run_until`` looks whether it is done, where no answer comes."""
_GONE = (BrokenPipeError, ConnectionResetError, ConnectionRefusedError)


class _Open(NamedTuple):
    """A question without an answer."""

    answer: type[Answer]
    then: Callable[[Any], None] | None
    """None: nobody waits for it any more."""
    owner: object


class _File(NamedTuple):
    """What the next process needs of the one before."""

    number: int
    message: Question[Any]
    descriptor: int


class Resolver(Closing):
    """The resolver process and what it was asked; a context manager.

    When the process dies, every open question gets Failed; after LIVES of that every question.
    """

    def __init__(
        self,
        *,
        memory_limit: int = MEMORY_LIMIT,
        imports: Sequence[str] = (),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Forks. ``memory_limit``: bytes for the child besides the files. ``imports``: packages
        that this run needs there. ``say`` gets a sentence when it died. OSError if refused,
        KernelError where the child would stay root."""
        require_nobody()
        self._open: dict[int, _Open] = {}
        self._outgoing: deque[tuple[bytes, list[int]]] = deque()
        self._last = 0
        self._trouble = ""
        self._decode = messages.decoder(messages.Answer)
        self.alive = True
        self._memory_limit, self._imports, self._say = memory_limit, tuple(imports), say
        self._files: list[_File] = []
        self._lives = LIVES
        self._child = child.fork(
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
        self._put_out(self._last, message, descriptor)
        return self._last

    def _put_out(self, number: int, message: Question[Any], descriptor: int | None) -> None:
        if descriptor is not None and len(self._files) < MOST_KEPT:
            with suppress(OSError):  # where none is left, another process goes without it
                self._files.append(_File(number, message, os.dup(descriptor)))
        packet, spilled = messages.pack(number, message)
        self._outgoing.append((packet, [d for d in (spilled, descriptor) if d is not None]))
        self._flush()

    def _flush(self) -> None:
        while self._outgoing and self.alive:
            packet, descriptors = self._outgoing[0]
            try:
                messages.send(self._child.socket, packet, descriptors)
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
            poller.register(
                self._child.socket, select.POLLIN | (select.POLLOUT * bool(self._outgoing))
            )
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
                packet, descriptors = messages.receive(self._child.socket, wait=False)
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
            failed = Failed(f"the symbol resolver died: {self._trouble}")
            unanswered = self._open.keys() - found.keys()
            found |= dict.fromkeys(sorted(unanswered), failed)
            if self._lives:
                self._start_again(unanswered)
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

    @property
    def pid(self) -> int:
        """Of the process that answers now, or answered last."""
        return self._child.pid

    def cpu_ns(self) -> int:
        """CPU time that it has used, nanoseconds; 0 once it is dead."""
        return self._child.cpu_ns() if self.alive else 0

    def rss_bytes(self) -> int:
        """Its resident memory, mapped files included; 0 once it is dead."""
        return self._child.rss_bytes() if self.alive else 0

    def _bury(self) -> None:
        self.alive = False
        for _, descriptors in self._outgoing:
            messages.close_all(descriptors)
        self._outgoing.clear()
        ending = self._child.end(at_once=bool(self._trouble))
        self._trouble = self._trouble or ending

    def _start_again(self, unanswered: Set[int]) -> None:
        """Another process, with what the dead one had, but no debug file that it died over."""
        self._lives -= 1
        died = f"the symbol resolver died: {self._trouble}"
        if not self._lives:
            self._say(f"{died}; no names from here on")
            return
        run = f"service.begin({os.getpid()}, {self._memory_limit}, {self._imports!a})"
        try:
            self._child = child.spawn(f"from hud.resolver import service; {run}")
            files, self._files = self._files, []
            self.alive, self._trouble = True, ""
            for file in files:
                if file.number not in unanswered:
                    self._hand_again(file)
                os.close(file.descriptor)
        except OSError as error:
            self._lives = 0
            self._say(f"{died}; no names from here on: {error.strerror}")
        else:
            self._say(f"{died}; it was restarted, and some names are missing")

    def _hand_again(self, file: _File) -> None:
        number = file.number
        if isinstance(file.message, messages.AddDebug):
            self._last = number = self._last + 1
            self._open[number] = _Open(messages.Debug, None, None)
        self._put_out(number, file.message, os.dup(file.descriptor))

    def close(self) -> None:
        """Ends the child, which keeps nothing, and reaps it; within child.CLOSE_TIMEOUT_S."""
        self._lives = 0
        if self.alive:
            self._trouble = self._trouble or "it was closed"
            self._bury()
        messages.close_all([file.descriptor for file in self._files])
        self._files.clear()


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
