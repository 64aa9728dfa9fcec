"""What the profiler and its symbol resolver say to each other, and how it is packed.

Terms: a *packet* is one SOCK_SEQPACKET message of at most PACKET_LIMIT bytes: one byte, INLINE or
SPILLED, and then the msgpack of one message; a spilled message lies in a sealed memfd that comes
with the packet by SCM_RIGHTS, before the message's own descriptor if it has one.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from hud.errors import FormatError
from hud.model import Frame
from hud.symbols.facts import Point, Recovered

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKET_LIMIT = 60_000
"""Bytes; well below net.core.wmem_default, so that a packet always fits an empty socket."""
BODY_LIMIT = 64 << 20
"""Bytes that a memfd may bring; also the resolver's RLIMIT_FSIZE."""
INLINE, SPILLED = 0, 1

# <linux/fcntl.h>; fcntl has the names, the values are part of the kernel's ABI
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class AddModule(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Comes with the module's descriptor."""

    module: int
    name: str


class AskFacts(msgspec.Struct, frozen=True, array_like=True, tag=2):
    request: int
    module: int


class AskFrames(msgspec.Struct, frozen=True, array_like=True, tag=3):
    request: int
    module: int
    offsets: list[int]
    """File offsets of pcs."""


class AskUnwind(msgspec.Struct, frozen=True, array_like=True, tag=4):
    request: int
    module: int


class AddDebug(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Comes with the descriptor of a file that may have debug information of the module."""

    request: int
    module: int
    name: str


class AskCode(msgspec.Struct, frozen=True, array_like=True, tag=30):
    request: int
    module: int
    offset: int
    """File offset of the pc, for a caller of the byte before it."""
    caller: bool


class AskPoints(msgspec.Struct, frozen=True, array_like=True, tag=20):
    request: int
    module: int


class AskKinds(msgspec.Struct, frozen=True, array_like=True, tag=6):
    request: int
    module: int
    vtables: list[tuple[int, ...]]
    """Of each, file offsets of poll, schedule, dealloc, drop_join_handle_slow and shutdown."""


class AskTails(msgspec.Struct, frozen=True, array_like=True, tag=7):
    request: int
    pairs: list[tuple[int, int, int, int]]
    """A caller's module, file offset of the byte before its return address; the module and file
    offset of the pc of the next inner frame, of a caller likewise."""


Request: TypeAlias = (
    AddModule
    | AskFacts
    | AskFrames
    | AskUnwind
    | AddDebug
    | AskPoints
    | AskCode
    | AskKinds
    | AskTails
)


class Facts(msgspec.Struct, frozen=True, array_like=True, tag=1):
    request: int
    facts: msgspec.Raw
    """A ModuleFacts, decoded when the parent needs it."""
    crates: dict[str, str]
    tokio_versions: tuple[str, ...]


class Frames(msgspec.Struct, frozen=True, array_like=True, tag=2):
    request: int
    frames: list[tuple[Frame, ...]]
    objects: list[str] = []
    """Paths of .dwo files that would tell more."""


class Unwind(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """With a table it comes with a memfd that holds the rows, then the buckets."""

    request: int
    segments: list[tuple[int, int, int]]
    note: str
    table: tuple[int, int, int, int, int] | None
    """base, rows, functions, unsupported, bucket bytes."""
    build_id: str = ""
    debuglink: str = ""
    has_dwarf: bool = False
    tls: int = 0


class Failed(msgspec.Struct, frozen=True, array_like=True, tag=4):
    request: int
    """0: the resolver's last words."""
    message: str


class Debug(msgspec.Struct, frozen=True, array_like=True, tag=5):
    request: int
    why_not: str
    """Empty: the file is in use."""


class Code(msgspec.Struct, frozen=True, array_like=True, tag=30):
    request: int
    instructions: list[tuple[int, str, str]]
    """(vaddr, instruction, whom it calls)."""
    at: int
    note: str


class Points(msgspec.Struct, frozen=True, array_like=True, tag=20):
    request: int
    points: list[Point]


class Kinds(msgspec.Struct, frozen=True, array_like=True, tag=6):
    request: int
    kinds: list[tuple[str, str, bool]]
    """Name, where and ``inferred`` of a TaskKind, for each vtable."""


class Tails(msgspec.Struct, frozen=True, array_like=True, tag=7):
    request: int
    between: list[list[Recovered]]
    """For each pair the functions between the two, innermost first."""


Answer: TypeAlias = Facts | Frames | Unwind | Failed | Debug | Points | Code | Kinds | Tails

encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


def memfd(*parts: bytes) -> int:
    """A sealed memfd that holds the parts; the caller owns it."""
    fd = os.memfd_create("hud-symbols", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for part in parts:
            view = memoryview(part)
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


def pack(message: Request | Answer) -> tuple[bytes, int | None]:
    """A packet and the memfd that it must come with, which the caller owns."""
    body = encode(message)
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
