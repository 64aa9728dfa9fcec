"""What the profiler and its symbol resolver say to each other, and how it is packed.

A packet is one SOCK_SEQPACKET message of at most PACKET_LIMIT bytes: one byte, INLINE or SPILLED,
and then the msgpack of a question's number and the message; a spilled message lies in a sealed
memfd that comes with the packet by SCM_RIGHTS, before the message's own descriptor if it has one.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import stat
from contextlib import suppress
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args

import msgspec

from hud.errors import FormatError
from hud.model import Frame
from hud.symbols.facts import Between, ModuleFacts, Point, UnwindTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PACKET_LIMIT = 60_000
"""Bytes; well below net.core.wmem_default, so that a packet always fits an empty socket."""
BODY_LIMIT = 64 << 20
"""Bytes that a memfd may bring; also the resolver's RLIMIT_FSIZE."""
INLINE, SPILLED = 0, 1

# <linux/fcntl.h>; fcntl has the names, the values are part of the kernel's ABI
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What comes back for one question."""

    def check(self) -> None:
        """FormatError where its parts do not fit together."""


class Failed(Answer, frozen=True):
    """Instead of any answer."""

    message: str


class Facts(Answer, frozen=True):
    """What a module is, and which crates it was built of."""

    facts: ModuleFacts
    crates: dict[str, str] = {}
    """Crate name (``_`` for ``-``) -> version, from the paths in its panic locations."""
    tokio_versions: tuple[str, ...] = ()


class Frames(Answer, frozen=True):
    """For each offset its frames, innermost first, never empty; ``address`` is 0."""

    frames: list[tuple[Frame, ...]]
    objects: list[str] = []
    """Paths of .dwo files without which names or lines are missing, 200 at most."""


class Unwind(Answer, frozen=True):
    """A module's unwind rules, and what it says of itself."""

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

    def check(self) -> None:
        table = self.table
        if table is not None and (
            len(table.rows) != 8 * table.count
            or table.count < 1
            or len(table.buckets) < 8
            or len(table.buckets) % 4
        ):
            raise FormatError("an unwind table of another size")


class Debug(Answer, frozen=True):
    """What came of a file with debug information."""

    why_not: str
    """Empty: the file is in use from now on."""


class Code(Answer, frozen=True):
    """The machine code around a pc."""

    instructions: list[tuple[int, str, str]]
    """(address in the file, instruction, whom it calls or empty), by address."""
    at: int
    """The instruction of the pc, of a caller the call; 0 = not known."""
    note: str
    """Why something is missing; may be empty."""


class Points(Answer, frozen=True):
    """What may be probed to see every poll (hud.symbols.machine.probes)."""

    points: list[Point]


class Kinds(Answer, frozen=True):
    """Types of tasks."""

    kinds: list[tuple[str, str, bool]]
    """For each vtable the name, where and ``inferred`` of its TaskKind."""


class Tails(Answer, frozen=True):
    """Functions that tail calls removed from stacks."""

    between: list[Between]
    """For each pair."""


AnswerT = TypeVar("AnswerT", bound=Answer)


class Question(msgspec.Struct, Generic[AnswerT], frozen=True, array_like=True, tag=True):
    """What is sent to the resolver; ``AnswerT`` is what comes back, if it is not Failed.

    Every subclass has its row in ``hud.resolver.service.HANDLERS``, but AddModule.
    """

    @property
    def answer(self) -> type[AnswerT]:
        """Facts of ``AskFacts(Question[Facts])``."""
        found: type[AnswerT] = get_args(type(self).__orig_bases__[0])[0]  # type: ignore[attr-defined]
        return found


class AddModule(Question[Answer], frozen=True):
    """Comes with the module's descriptor; its number is the module's. It has no answer."""

    name: str


class AddDebug(Question[Debug], frozen=True):
    """Comes with the descriptor of a file that may have debug information of the module: a
    separate debug file of the same build, a .dwp or a .dwo; the resolver sees which."""

    module: int
    name: str


class AskFacts(Question[Facts], frozen=True):
    module: int


class AskFrames(Question[Frames], frozen=True):
    module: int
    offsets: list[int]
    """File offsets of pcs, for a caller of the call."""


class AskUnwind(Question[Unwind], frozen=True):
    module: int


class AskCode(Question[Code], frozen=True):
    """For a resolver that was forked with ``capstone``."""

    module: int
    offset: int
    """File offset of the pc, for a caller of the byte before it."""
    caller: bool


class AskPoints(Question[Points], frozen=True):
    """For a resolver that was forked with ``capstone``."""

    module: int


class AskKinds(Question[Kinds], frozen=True):
    module: int
    vtables: list[tuple[int, ...]]
    """Of each, file offsets of poll, schedule, dealloc, drop_join_handle_slow and shutdown."""


class AskTails(Question[Tails], frozen=True):
    pairs: list[tuple[int, int, int, int]]
    """A caller's module, file offset of the byte before its return address; the module and file
    offset of the pc of the next inner frame, of a caller likewise."""


MessageT = TypeVar("MessageT")
encode = msgspec.msgpack.Encoder().encode


def decoder(kind: type[MessageT]) -> Callable[[bytes], tuple[int, MessageT]]:
    """Of the packets with one of the messages of a kind, and the number of its question."""
    union: Any = reduce(or_, kind.__subclasses__())
    found: Callable[[bytes], tuple[int, MessageT]] = msgspec.msgpack.Decoder(
        tuple[int, union]
    ).decode
    return found


def memfd(content: bytes) -> int:
    """A sealed memfd that holds it; the caller owns the descriptor."""
    fd = os.memfd_create("hud-symbols", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd


def read_memfd(fd: int) -> bytes:
    """The content of a memfd that another process made; FormatError if it is not one, or too big.

    Read, not mapped: then no later change of the file can hurt the reader.
    """
    status = os.fstat(fd)
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:
        seals = 0
    if not stat.S_ISREG(status.st_mode) or seals != _SEALS or status.st_size > BODY_LIMIT:
        raise FormatError("symbol resolver: a descriptor that is not a sealed memfd")
    parts = []
    at = 0
    while at < status.st_size:
        part = os.pread(fd, min(status.st_size - at, 1 << 24), at)
        if not part:
            break
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def pack(number: int, message: Question[Any] | Answer) -> tuple[bytes, int | None]:
    """A packet and the memfd that it must come with, which the caller owns.

    ``number``: of the question; that of an answer is the same.
    """
    body = encode((number, message))
    if len(body) < PACKET_LIMIT:
        return bytes((INLINE,)) + body, None
    return bytes((SPILLED,)), memfd(body)


def unpack(packet: bytes, descriptors: list[int]) -> bytes:
    """The message's bytes; takes its memfd, if it has one, out of ``descriptors`` and closes it."""
    if packet[:1] == bytes((INLINE,)):
        return packet[1:]
    if not descriptors:
        raise FormatError("symbol resolver: a message without its descriptor")
    fd = descriptors.pop(0)
    try:
        return read_memfd(fd)
    finally:
        os.close(fd)


def send(sock: socket.socket, packet: bytes, descriptors: Sequence[int]) -> None:
    """One packet; OSError (BlockingIOError where the socket is full)."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
    sock.sendmsg([packet], rights if descriptors else [], socket.MSG_NOSIGNAL)


def receive(sock: socket.socket, *, wait: bool = True) -> tuple[bytes, list[int]]:
    """One packet and its descriptors, now the caller's; an empty packet = the peer is gone.

    Raises BlockingIOError without ``wait`` where nothing has come.
    """
    flags = socket.MSG_CMSG_CLOEXEC | (0 if wait else socket.MSG_DONTWAIT)
    packet, controls, _, _ = sock.recvmsg(PACKET_LIMIT + 1, socket.CMSG_SPACE(4 * 4), flags)
    descriptors = array.array("i")
    for level, kind, data in controls:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    return packet, list(descriptors)


def close_all(descriptors: Sequence[int]) -> None:
    for fd in descriptors:
        with suppress(OSError):
            os.close(fd)
