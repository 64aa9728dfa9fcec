"""Declares the structs that the kernel programs and user space share, transcribed from bpf_src.

``struct event`` and ``struct stack`` are in bpf_src/event.h, the rest in bpf_src/state.h unless
said otherwise. A test holds each of them to the BTF of the compiled object. Little endian, natural
alignment, as clang lays them out for BPF.
"""

from __future__ import annotations

import ctypes
import struct
from typing import NamedTuple

EVENT = struct.Struct("<QQQQQQIIIBBH")
"""``struct event``: 64 bytes; unpacks to the fields of ``hud.model.Sample`` in order."""

MAX_FRAMES = 128
STACK_HEAD = struct.Struct("<II")
STACK_SIZE = STACK_HEAD.size + 8 * MAX_FRAMES
"""``struct stack``: count, stop, addresses[MAX_FRAMES]."""

STOPS = (
    "",
    "no unwind rule",
    "unreadable stack memory",
    f"more than {MAX_FRAMES} frames",
    "code outside every known module",
    "end of the frame pointers",
)
"""Why a stack ends, by ``enum stack_stop``."""

THREAD = struct.Struct("<24Q6Q6QI2H7I16s10B2x")
"""``struct thread``; ``Thread`` names the fields."""


class Thread(NamedTuple):
    """The fields of ``struct thread``, in order; the two arrays by ``enum where``."""

    since_ns: int
    waking_ns: int
    seen_ns: int
    poll_start_ns: int
    poll_first_ns: int
    poll_last_ns: int
    poll_sure_ns: int
    poll_asleep_ns: int
    poll_waiting_ns: int
    evidence_cpu_ns: int
    evidence_asleep_ns: int
    slept_ns: int
    late_ns: int
    late_end_ns: int
    late_stack: int
    task_id: int
    parked_id: int
    turn: int
    scheduler: int
    stack: int
    credit_ns: int
    argument: int
    cpu_ns: int
    waiting_ns: int
    asleep_ns: tuple[int, ...]
    samples: tuple[int, ...]
    begin_uncertain_us: int
    doubts: int
    budget: int
    syscall: int
    tid: int
    other: int
    other_tgid: int
    late_culprit: int
    driver: int
    operation: int
    other_comm: bytes
    where: int
    sched: int
    preempted: int
    entered: int
    exited: int
    turn_known: int
    late_preempted: int
    copy: int
    caught: int
    driver_known: int


def decode_thread(value: bytes) -> Thread:
    """One value of the threads map."""
    fields = THREAD.unpack(value)
    return Thread._make((*fields[:24], fields[24:30], fields[30:36], *fields[36:]))


def encode_thread(thread: Thread) -> bytes:
    """The reverse."""
    return THREAD.pack(*thread[:24], *thread.asleep_ns, *thread.samples, *thread[26:])


NO_BUDGET = 0xFFFF
"""``budget`` of a thread whose poll has none, or that is not known."""

STACK_SAVED_NS = 400_000
"""``credit_ns`` at the most: bpf_src/hud.bpf.c."""

SCHED_UNSEEN, SCHED_RUNNING, SCHED_ASLEEP, SCHED_RUNNABLE = range(4)
"""``enum scheduling``."""

MAPPING = struct.Struct("<QQQIIII")
"""``struct mapping``: start, end, bias, rows, buckets, count, pad."""

ROW_SIZE = 8
BUCKET_SIZE = 8
"""``struct bucket``: first, last."""

MAX_MAPPINGS = 1024
"""Two generations of 512: bpf_src/unwind.h."""

NAME = struct.Struct("<I16s")
"""``struct name`` of the culprits map: tgid, comm."""

NOT_A_SYSCALL = 0xFFFFFFFF
STOPPED = 0xFFFFFFFE

WAIT_FRAMES, WAIT_NAMES, WAIT_NAME = 24, 10, 64
WAIT = struct.Struct(f"<QIIHHHHII16s{WAIT_FRAMES}Q" + f"{WAIT_NAME}s" * WAIT_NAMES)
"""``struct wait``; ``Wait`` names the fields."""


class Wait(NamedTuple):
    """The fields of ``struct wait``, in order; arrays cut to what they hold."""

    inode: int
    device: int
    mode: int
    family: int
    port: int
    local: int
    rooted: int
    names: tuple[bytes, ...]
    frames: tuple[int, ...]
    """Kernel addresses, innermost first."""
    peer: bytes


def decode_wait(value: bytes) -> Wait:
    """One value of the waits map."""
    fields = WAIT.unpack(value)
    (names, frames, peer), rest = fields[7:10], fields[10:]
    texts = (name.split(b"\0")[0] for name in rest[WAIT_FRAMES:][: min(names, WAIT_NAMES)])
    return Wait._make((*fields[:7], tuple(texts), rest[: min(frames, WAIT_FRAMES)], peer))


CONTEXT_SIZE = 128
"""The most that is read of Tokio's CONTEXT: bpf_src/state.h."""
NOWHERE = -1
"""An offset of a word that is not known, or is not there."""
MAX_LAYOUTS = 4
"""Copies of Tokio in one process that can be looked at: bpf_src/state.h."""


class Layout(ctypes.LittleEndianStructure):
    """``struct layout``."""

    _fields_ = (
        ("tls_offset", ctypes.c_int64),
        ("task_tag", ctypes.c_int32),
        ("task_id", ctypes.c_int32),
        ("budget_tag", ctypes.c_int32),
        ("runtime", ctypes.c_int32),
        ("scheduler", ctypes.c_int32),
        ("core", ctypes.c_int32),
        ("tick_multi", ctypes.c_int32),
        ("tick_current", ctypes.c_int32),
        ("park", ctypes.c_int32),
        ("driver", ctypes.c_int32),
        ("valid", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("module", ctypes.c_uint32),
        ("current", ctypes.c_int32),
        ("kinds", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("cores", ctypes.c_uint32),
    )


KINDS_TAGGED, KINDS_CURRENT, KINDS_APART = range(3)
"""``enum kinds``."""
LEARNED = ("cores",)
"""Fields of ``Layout`` that the kernel programs set."""


class Config(ctypes.LittleEndianStructure):
    """``struct config``, mapped: a store is seen by the next event."""

    _fields_ = (
        ("threshold_ns", ctypes.c_uint64),
        ("evidence_ns", ctypes.c_uint64),
        ("period_ns", ctypes.c_uint64),
        ("attached_ns", ctypes.c_uint64),
        ("code_after_ns", ctypes.c_uint64),
        ("tgid", ctypes.c_uint32),
        ("enabled", ctypes.c_uint32),
        ("every_thread", ctypes.c_uint32),
        ("survey", ctypes.c_uint32),
        ("mappings_first", ctypes.c_uint32),
        ("layouts", ctypes.c_uint32),
        ("layout", Layout * MAX_LAYOUTS),
    )


class Counters(ctypes.LittleEndianStructure):
    """``struct counters``, mapped."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "ring_full",
            "stacks_full",
            "threads_full",
            "context_unreadable",
            "context_read",
            "stacks_skipped",
            "stacks_taken",
            "stacks_complete",
            "frames",
            "switches",
            "wakers",
            "kernel_stacks",
            "code_pages",
        )
    )
