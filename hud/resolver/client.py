"""The parent's end of the symbol resolver: forks it, asks, collects answers, never blocks.

Terms: see `hud.resolver.messages`. Fork before any BPF object, thread or screen exists.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, get_type_hints

import msgspec

from hud.closing import Closing
from hud.errors import FormatError
from hud.resolver import child, messages, service
from hud.symbols.facts import UnwindTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hud.model import Frame
    from hud.symbols.facts import ModuleFacts, Point, Recovered


@dataclass(frozen=True, slots=True)
class FactsReply:
    request: int
    facts: ModuleFacts
    crates: dict[str, str] = field(default_factory=dict)
    """Crate name (``_`` for ``-``) -> version, from the paths in its panic locations."""
    tokio_versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FramesReply:
    """For each offset its frames, innermost first, never empty; ``address`` is 0."""

    request: int
    frames: list[tuple[Frame, ...]]
    objects: list[str] = field(default_factory=list)
    """Paths of .dwo files without which names or lines are missing, 200 at most."""


@dataclass(frozen=True, slots=True)
class UnwindReply:
    request: int
    segments: list[tuple[int, int, int]]
    """(p_vaddr, p_offset, p_filesz) of each executable PT_LOAD."""
    table: UnwindTable | None
    """None: the module has no unwind rules."""
    note: str
    build_id: str = ""
    """Lower-case hex; empty = none."""
    debuglink: str = ""
    """Name of the separate debug file, as the module says."""
    has_dwarf: bool = False
    tls: int = 0
    """Bytes of thread-locals in each thread."""


@dataclass(frozen=True, slots=True)
class DebugReply:
    request: int
    why_not: str
    """Empty: the file is in use from now on."""


@dataclass(frozen=True, slots=True)
class PointsReply:
    """What may be probed to see every poll; a FailedReply says why nothing."""

    request: int
    points: list[Point]


@dataclass(frozen=True, slots=True)
class KindsReply:
    """For each vtable the name, where and ``inferred`` of its TaskKind."""

    request: int
    kinds: list[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True)
class TailsReply:
    """For each pair the functions that tail calls removed between the two, innermost first."""

    request: int
    between: list[list[Recovered]]


@dataclass(frozen=True, slots=True)
class FailedReply:
    request: int
    message: str


@dataclass(frozen=True, slots=True)
class CodeReply:
    request: int
    instructions: list[tuple[int, str, str]]
    """(address in the file, instruction, whom it calls or empty), by address."""
    at: int
    """The instruction of the pc, of a caller the call; 0 = not known."""
    note: str
    """Why something is missing; may be empty."""


Reply: TypeAlias = (
    FactsReply
    | FramesReply
    | UnwindReply
    | DebugReply
    | PointsReply
    | CodeReply
    | KindsReply
    | TailsReply
    | FailedReply
)

CLOSE_TIMEOUT_S = 1.0
_GONE = (BrokenPipeError, ConnectionResetError, ConnectionRefusedError)
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Resolver(Closing):
    """The resolver process and what it was asked; a context manager.

    Once it has died, ``fileno()`` stays readable until ``close()``: look at ``alive``.
    """

    def __init__(self, *, memory_limit: int = 2 << 30, imports: Sequence[str] = ()) -> None:
        """Forks. ``memory_limit``: bytes for the child besides the files. ``imports``: packages
        that this run needs there. OSError if refused."""
        self._waiting: set[int] = set()
        self._outgoing: deque[tuple[bytes, list[int]]] = deque()
        self._last_id = 0
        self._trouble = ""
        self.alive = True
        self.pid, self._socket = child.fork(
            lambda sock, parent: service.run(sock, parent, memory_limit, imports)
        )

    def fileno(self) -> int:
        """Readable when replies wait."""
        return self._socket.fileno()

    @property
    def pending(self) -> int:
        """Requests without a reply."""
        return len(self._waiting)

    # ------------------------------------------------------------------ asking

    def add_module(self, fd: int, name: str) -> int:
        """Hands a file over; the caller still owns ``fd``. Returns the module's number."""
        module = self._next_id()
        self._post(messages.AddModule(module, _sendable(name)), os.dup(fd))
        return module

    def add_debug(self, module: int, fd: int, name: str) -> int:
        """Offers a file with debug information of a module; the caller still owns ``fd``.

        A separate debug file of the same build, a .dwp or a .dwo: the resolver sees which, and
        answers with a DebugReply, before frames that are asked for later. Returns the request's
        number.
        """
        request = self._next_id()
        self._waiting.add(request)
        self._post(messages.AddDebug(request, module, _sendable(name)), os.dup(fd))
        return request

    def request_facts(self, module: int) -> int:
        """Asks for a FactsReply; returns the request's number, as all ``request_`` do."""
        return self._ask(messages.AskFacts(self._next_id(), module))

    def request_frames(self, module: int, offsets: Sequence[int]) -> int:
        """Asks for a FramesReply. ``offsets``: file offsets of pcs, for a caller of the call."""
        return self._ask(messages.AskFrames(self._next_id(), module, list(offsets)))

    def request_unwind(self, module: int) -> int:
        """Asks for an UnwindReply."""
        return self._ask(messages.AskUnwind(self._next_id(), module))

    def request_code(self, module: int, offset: int, *, caller: bool) -> int:
        """Asks for a CodeReply. ``offset``: file offset of the pc, for a caller of the call.

        Its resolver must have been forked with ``capstone``.
        """
        return self._ask(messages.AskCode(self._next_id(), module, offset, caller))

    def request_points(self, module: int) -> int:
        """Asks for a PointsReply. Its resolver must have been forked with ``capstone``."""
        return self._ask(messages.AskPoints(self._next_id(), module))

    def request_kinds(self, module: int, vtables: Sequence[tuple[int, ...]]) -> int:
        """Asks for a KindsReply. ``vtables``: of each, file offsets of poll, schedule, dealloc,
        drop_join_handle_slow and shutdown."""
        return self._ask(messages.AskKinds(self._next_id(), module, list(vtables)))

    def request_tails(self, pairs: Sequence[tuple[int, int, int, int]]) -> int:
        """Asks for a TailsReply. ``pairs``: adjacent frames of a stack, each as the module of the
        caller, the file offset of its call, and module and file offset of the inner frame."""
        return self._ask(messages.AskTails(self._next_id(), list(pairs)))

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _ask(
        self,
        message: messages.AskFacts
        | messages.AskFrames
        | messages.AskUnwind
        | messages.AskPoints
        | messages.AskCode
        | messages.AskKinds
        | messages.AskTails,
    ) -> int:
        self._waiting.add(message.request)
        self._post(message)
        return message.request

    def _post(self, message: messages.Request, descriptor: int | None = None) -> None:
        packet, spilled = messages.pack(message)
        self._outgoing.append((packet, [d for d in (spilled, descriptor) if d is not None]))
        self.flush()

    def flush(self) -> None:
        """Sends what the socket takes now; ``replies`` and ``wait`` do so as well."""
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

    # ------------------------------------------------------------------ answers

    def replies(self) -> list[Reply]:
        """What has been answered since the last call; never blocks.

        Once the child is dead, each request that it did not answer gets one FailedReply.
        """
        found: list[Reply] = []
        self.flush()
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
                reply = self._read(packet, descriptors)
            except (FormatError, OSError, msgspec.MsgspecError) as why:
                self._trouble = f"it sent nonsense ({why})"
                self._bury()
                break
            finally:
                messages.close_all(descriptors)
            if reply is not None:
                self._waiting.discard(reply.request)
                found.append(reply)
        if not self.alive and self._waiting:
            text = f"the symbol resolver died: {self._trouble}"
            found += [FailedReply(request, text) for request in sorted(self._waiting)]
            self._waiting.clear()
        self.flush()
        return found

    def wait(self, timeout_s: float) -> list[Reply]:
        """The replies as soon as there is one; empty after ``timeout_s`` or if nothing pends."""
        end = time.monotonic() + timeout_s
        while True:
            found = self.replies()
            left = end - time.monotonic()
            if found or left <= 0 or not (self._waiting and self.alive):
                return found
            poller = select.poll()
            poller.register(self._socket, select.POLLIN | (select.POLLOUT * bool(self._outgoing)))
            poller.poll(left * 1000)

    def _read(self, packet: bytes, descriptors: list[int]) -> Reply | None:
        answer = messages.decode_answer(messages.unpack(packet, descriptors))
        if isinstance(answer, messages.Failed) and answer.request == 0:
            self._trouble = answer.message
            return None
        if answer.request not in self._waiting:
            raise FormatError(f"an answer to request {answer.request}, which was not asked")
        if isinstance(answer, messages.Facts):
            facts = decode_facts(answer.facts)
            return FactsReply(answer.request, facts, answer.crates, answer.tokio_versions)
        if isinstance(answer, messages.Frames):
            return FramesReply(answer.request, answer.frames, answer.objects)
        if isinstance(answer, messages.Unwind):
            table = _table(answer, descriptors)
            return UnwindReply(
                *(answer.request, answer.segments, table, answer.note),
                *(answer.build_id, answer.debuglink, answer.has_dwarf, answer.tls),
            )
        if isinstance(answer, messages.Points):
            return PointsReply(answer.request, answer.points)
        if isinstance(answer, messages.Debug):
            return DebugReply(answer.request, answer.why_not)
        if isinstance(answer, messages.Code):
            return CodeReply(answer.request, answer.instructions, answer.at, answer.note)
        if isinstance(answer, messages.Kinds):
            return KindsReply(answer.request, answer.kinds)
        if isinstance(answer, messages.Tails):
            return TailsReply(answer.request, answer.between)
        return FailedReply(answer.request, answer.message)

    # ------------------------------------------------------------------ the process

    def cpu_ns(self) -> int:
        """CPU time that the child has used, nanoseconds (proc(5), schedstat); 0 once it is dead."""
        return self._from_proc("schedstat", 0)

    def rss_bytes(self) -> int:
        """The child's resident memory, mapped files included; 0 once it is dead."""
        return self._from_proc("statm", 1) * _PAGE

    def _from_proc(self, name: str, place: int) -> int:
        if not self.alive:
            return 0
        try:
            with open(f"/proc/{self.pid}/{name}") as file:
                return int(file.read().split()[place])
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


def decode_facts(raw: msgspec.Raw) -> ModuleFacts:
    """What ``messages.encode`` made of a ModuleFacts; MsgspecError for other bytes."""
    from hud.symbols.facts import ModuleFacts, Slot, TlsSegment

    hints = get_type_hints(ModuleFacts, localns={"TlsSegment": TlsSegment, "Slot": Slot})
    decoded = msgspec.msgpack.decode(raw, type=msgspec.defstruct("Facts", list(hints.items())))
    return ModuleFacts(**{name: getattr(decoded, name) for name in hints})


def _table(answer: messages.Unwind, descriptors: list[int]) -> UnwindTable | None:
    if answer.table is None:
        return None
    if not descriptors:
        raise FormatError("a table without its descriptor")
    base, count, functions, unsupported, bucket_bytes = answer.table
    body = messages.read_memfd(descriptors[0])
    cut = 8 * count
    if count < 1 or bucket_bytes < 8 or bucket_bytes % 4 or len(body) != cut + bucket_bytes:
        raise FormatError("a table of another size")
    return UnwindTable(base, body[:cut], body[cut:], count, functions, unsupported)
