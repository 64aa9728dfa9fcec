"""The kernel's process connector: its socket and its messages.

It multicasts fork, exec, exit and rename of every task of the host; a socket filter keeps all but
the target's in the kernel. Layouts: linux/netlink.h, linux/connector.h, linux/cn_proc.h.

Not pyroute2's ``ProcEventSocket``: its import costs 0.11 s of CPU and 13 MB at every start, its
decoder is too slow for thousands of threads, and refuses names that are not UTF-8.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress
from ctypes import Structure, addressof, c_uint8, c_uint16, c_uint32, c_void_p, sizeof
from typing import NamedTuple

from hud.errors import KernelError

NETLINK_CONNECTOR = 11
"""linux/netlink.h."""
CN_IDX_PROC = 1
CN_VAL_PROC = 1

PROC_EVENT_NONE = 0x0
PROC_EVENT_FORK = 0x1
PROC_EVENT_EXEC = 0x2
PROC_EVENT_COMM = 0x200
PROC_EVENT_EXIT = 0x8000_0000

PROC_CN_MCAST_LISTEN = 1
PROC_CN_MCAST_IGNORE = 2

NLMSG_DONE = 3

CONTROL = struct.Struct("=IHHII IIIIHH I")
"""struct nlmsghdr, struct cn_msg, enum proc_cn_mcast_op."""

HEADER = struct.Struct("=16x II IIHH I 12x")
"""struct nlmsghdr; idx, val, seq, ack, len, flags of cn_msg; ``what`` of struct proc_event."""

EVENT_DATA = HEADER.size
MESSAGE_BYTES = 76
"""struct proc_event is sent whole, whatever it holds."""

SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
RECEIVE_BUFFER = 8 << 20
"""Bytes asked for: about 10,000 messages, which the kernel charges 768 bytes and more each."""

_WHAT = 36
_TGID = EVENT_DATA + 4
_CHILD_TGID = EVENT_DATA + 12
_ANSWER_S = 0.2

BPF_LD_W_ABS = 0x20
BPF_JEQ_K = 0x15
BPF_RET_K = 0x06


class sock_filter(Structure):  # noqa: N801
    """linux/filter.h."""

    _fields_ = [("code", c_uint16), ("jt", c_uint8), ("jf", c_uint8), ("k", c_uint32)]


class sock_fprog(Structure):  # noqa: N801
    """linux/filter.h."""

    _fields_ = [("len", c_uint16), ("filter", c_void_p)]


class Notice(NamedTuple):
    """One message about one task of the target."""

    what: int
    """PROC_EVENT_FORK (a thread was born), EXEC, COMM or EXIT."""
    tid: int
    value: int = 0
    """EXIT: the wait status."""
    name: str = ""
    """COMM: the new name."""


def parse_notice(message: bytes, pid: int) -> Notice | None:
    """What a message says of process ``pid``; None if it is malformed, or of another process."""
    if len(message) < MESSAGE_BYTES:
        return None
    index, value, _, _, _, _, what = HEADER.unpack_from(message)
    if (index, value) != (CN_IDX_PROC, CN_VAL_PROC):
        return None
    if what == PROC_EVENT_FORK:
        tid, tgid = struct.unpack_from("=8xII", message, EVENT_DATA)
        return Notice(what, tid) if tgid == pid else None
    tid, tgid = struct.unpack_from("=II", message, EVENT_DATA)
    if tgid != pid:
        return None
    if what == PROC_EVENT_EXIT:
        return Notice(what, tid, value=struct.unpack_from("=8xI", message, EVENT_DATA)[0])
    if what == PROC_EVENT_COMM:
        comm: bytes = struct.unpack_from("=8x16s", message, EVENT_DATA)[0]
        return Notice(what, tid, name=comm.split(b"\0")[0].decode("utf-8", "surrogateescape"))
    return Notice(what, tid) if what == PROC_EVENT_EXEC else None


def target_filter(pid: int) -> bytes:
    """A classic BPF program that lets pass the answers to control messages and what is about pid.

    The thread group is the second word of every event, and the fourth (the child's) of a fork.
    """
    # BPF_ABS loads are big-endian, the messages are not.
    word = int.from_bytes(pid.to_bytes(4, sys.byteorder), "big")
    program = [
        sock_filter(BPF_LD_W_ABS, 0, 0, _WHAT),
        sock_filter(BPF_JEQ_K, 5, 0, PROC_EVENT_NONE),
        sock_filter(BPF_LD_W_ABS, 0, 0, _TGID),
        sock_filter(BPF_JEQ_K, 3, 0, word),
        sock_filter(BPF_LD_W_ABS, 0, 0, _CHILD_TGID),
        sock_filter(BPF_JEQ_K, 1, 0, word),
        sock_filter(BPF_RET_K, 0, 0, 0),
        sock_filter(BPF_RET_K, 0, 0, 0xFFFF_FFFF),
    ]
    return b"".join(bytes(instruction) for instruction in program)


def subscribe(pid: int) -> socket.socket:
    """A non-blocking socket that receives the connector's messages about one process.

    Raises KernelError with the reason if the connector is refused or absent.
    """
    try:
        received = _open()
    except OSError as error:
        raise _refused(error) from error
    try:
        _attach_filter(received, target_filter(pid))
        _widen(received)
        received.setblocking(False)
        received.send(_control(PROC_CN_MCAST_LISTEN))
        _await_answer(received)
    except OSError as error:
        received.close()
        raise _refused(error) from error
    except KernelError:
        received.close()
        raise
    return received


def _refused(error: OSError) -> KernelError:
    return KernelError(f"process connector: {(error.strerror or 'refused').lower()}")


def unsubscribe(subscribed: socket.socket) -> None:
    """Tell the kernel that nobody listens (before Linux 6.6 it counts listeners), and close."""
    with suppress(OSError):
        subscribed.send(_control(PROC_CN_MCAST_IGNORE))
    subscribed.close()


def readable(descriptor: int, timeout_s: float) -> bool:
    """Whether a descriptor becomes readable in time; poll(2), as select(2) stops at 1,024."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _open() -> socket.socket:
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    opened = socket.socket(socket.AF_NETLINK, kind, NETLINK_CONNECTOR)
    try:
        opened.bind((0, CN_IDX_PROC))
    except OSError:
        opened.close()
        raise
    return opened


def _attach_filter(opened: socket.socket, program: bytes) -> None:
    code = (c_uint8 * len(program)).from_buffer_copy(program)
    whole = sock_fprog(len(program) // sizeof(sock_filter), addressof(code))
    opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(whole))


def _widen(opened: socket.socket) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except OSError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def _control(operation: int) -> bytes:
    return CONTROL.pack(
        *(CONTROL.size, NLMSG_DONE, 0, 0, 0),
        *(CN_IDX_PROC, CN_VAL_PROC, 0, 0, 4, 0),
        operation,
    )


def _await_answer(opened: socket.socket) -> None:
    """Wait for the kernel's acknowledgement.

    In a user or pid namespace of its own the kernel ignores the request without a word
    (drivers/connector/cn_proc.c, cn_proc_mcast_ctl).
    """
    end = time.monotonic() + _ANSWER_S
    while (left := end - time.monotonic()) > 0:
        if not readable(opened.fileno(), left):
            continue
        message = opened.recv(4096)
        if len(message) >= MESSAGE_BYTES and HEADER.unpack_from(message)[6] == PROC_EVENT_NONE:
            error: int = struct.unpack_from("=I", message, EVENT_DATA)[0]
            if error:
                raise OSError(error, os.strerror(error))
            return
    raise KernelError("process connector: no answer, as in a container")
