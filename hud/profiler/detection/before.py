"""Seeds the kernel's map with threads whose polls began before the attach.

The kernel programs see a thread when it comes to a CPU, or leaves it; a deadlocked worker never
does. User space makes its entry in their map instead, with the attach as the begin of its poll and
of its sleep: from then on it is a thread like others, and wakes, ends its poll or exits as they do.
The entry of a thread that computes is made before the attach: if the programs find the thread in
the very same poll (task and tick), the poll began before, else the entry is void.

The entry of a sleeping thread is made only if there is none, with the programs attached: then the
thread has not run since, and what was read of it is still so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import NamedTuple

from hud.errors import FormatError, TargetError
from hud.model import BEGAN_BEFORE, Where
from hud.probe import wire
from hud.probe.probe import Probe, RawStack
from hud.probe.walk import walk
from hud.process.procfs import read_thread_stat
from hud.process.threads import Call, read_call
from hud.profiler.detection.context import Copy
from hud.runtime.live import Reading, confirm, lent_core, turn_of
from hud.runtime.memory import Read, memory_reader

MOST_SEEDS = 1024
RUNNABLE, ASLEEP, STOPPED = "R", "SD", "Tt"
"""States of proc_pid_stat(5)."""
WENT_ON = "it went on before the stack was read"


class SeededThread(NamedTuple):
    """One that sleeps."""

    tid: int
    since_ns: int
    call: Call


class Before:
    """Those of one process."""

    def __init__(self, pid: int, probe: Probe) -> None:
        self._pid = pid
        self._probe = probe
        self._running: list[int] = []
        """Threads that ``seed_running`` made entries for."""
        self._waiting: dict[int, SeededThread] = {}
        """By the key of the stack, which the entry names before it is read."""
        self.stacks: dict[int, RawStack] = {}
        """By key; the others are the kernel's."""

    def seed_running(self, copies: Sequence[Copy]) -> None:
        """Make entries for the threads that compute in a poll now.

        ``copies`` in the order of the kernel's layouts; to be called before the attach.
        """
        self._running = []
        with _memory(self._pid) as read:
            for index, copy in enumerate(copies):
                for reading in confirm(copy.layout, copy.origins, read).readings:
                    where = _where(reading, copy, read)
                    if where is None or self._state(reading.tid) != RUNNABLE:
                        continue
                    turn = turn_of(copy.layout, reading, read)
                    thread = _thread(reading, where, turn, index)
                    if len(self._running) < MOST_SEEDS and self._probe.seed_thread(thread):
                        self._running.append(reading.tid)

    def _forget_not_running(self) -> None:
        """Those that ceased to compute before the attach: nobody will come to see."""
        ceased = [tid for tid in self._running if self._state(tid) != RUNNABLE]
        self._probe.forget_threads(tid for tid in ceased if self._probe.unseen(tid))
        self._running = []

    def seed_sleeping(self, copies: Sequence[Copy]) -> set[int]:
        """Make entries for the threads that sleep in a poll and that the kernel has not seen.

        ``copies`` in the order of the kernel's layouts; to be called after the attach. Returns
        their tids.
        """
        seeded = set()
        self._forget_not_running()
        with _memory(self._pid) as read:
            for index, copy in enumerate(copies):
                for reading in confirm(copy.layout, copy.origins, read).readings:
                    where = _where(reading, copy, read)
                    if where is not None and self._seed(reading, where, copy, index, read):
                        seeded.add(reading.tid)
        self.read_stacks(pending=True)  # some wake soon
        return seeded

    def _seed(self, reading: Reading, where: Where, copy: Copy, index: int, read: Read) -> bool:
        tid = reading.tid
        state = self._state(tid)
        call = read_call(self._pid, tid) if state and state in ASLEEP + STOPPED else None
        if call is None or len(self._waiting) + len(self.stacks) >= MOST_SEEDS:
            return False
        turn = turn_of(copy.layout, reading, read)
        thread = _thread(reading, where, turn, index)
        now = thread.poll_start_ns
        key = _key(tid, now)
        thread = thread._replace(
            since_ns=now,
            poll_last_ns=now,
            stack=key,
            argument=call.arguments[0] if call.arguments else 0,
            operation=call.arguments[1] & 0xFFFFFFFF if call.arguments else 0,
            syscall=wire.STOPPED if state in STOPPED else call.number & 0xFFFFFFFF,
            sched=wire.SCHED_ASLEEP,
            entered=1,
        )
        if not self._probe.seed_thread(thread):
            return False
        if not self._state(tid):
            # it may have ended before the kernel had an entry to close
            self._probe.forget_threads([tid])
            return False
        self._waiting[key] = SeededThread(tid, now, call)
        return True

    def _state(self, tid: int) -> str:
        """Empty = it has ended."""
        try:
            stat = read_thread_stat(self._pid, tid)
        except (OSError, FormatError):
            return ""
        return stat.state if stat is not None and not stat.dead else ""

    # ------------------------------------------------------------------- stacks

    def waits_for(self, key: int) -> bool:
        """Is this the key of a stack that is yet to be read?"""
        return key in self._waiting

    def read_stacks(self, *, pending: bool) -> list[int]:
        """Walk the stacks that can be had now; returns the keys that are in ``stacks`` from now on.

        ``pending``: more unwind rules will come, so that an incomplete one can wait.
        """
        if not self._waiting:
            return []
        done = []
        with _memory(self._pid) as read:
            for key, thread in self._waiting.items():
                raw = walk(thread.call.pc, thread.call.sp, self._probe.unwind, read)
                if self._probe.asleep_since(thread.tid) != thread.since_ns:
                    raw = RawStack((thread.call.pc,), WENT_ON)
                elif raw.stop and pending:
                    continue
                self.stacks[key] = raw
                done.append(key)
        for key in done:
            del self._waiting[key]
        return done


def _where(reading: Reading, copy: Copy, read: Read) -> Where | None:
    """As the kernel judges a thread that it sees for the first time (bpf_src/tokio.h)."""
    if not reading.entered or not reading.in_budget:
        return None
    if copy.layout.knows_drivers and not reading.scheduler and reading.task_id:
        return None  # a block_on inside a spawn_blocking job
    if copy.layout.apart:
        if reading.scheduler and turn_of(copy.layout, reading, read) is None:
            return None  # it polls, but holds up no worker
        return Where.POLL if reading.scheduler else Where.ROOT
    if lent_core(copy.layout, reading, read):
        return None
    return Where.POLL if reading.task_id else Where.ROOT


def _thread(reading: Reading, where: Where, turn: int | None, copy: int) -> wire.Thread:
    """What is known of a thread in a poll, whether it sleeps or not."""
    now = time.monotonic_ns()
    return wire.decode_thread(bytes(wire.THREAD.size))._replace(
        seen_ns=now,
        poll_start_ns=now,
        begin_uncertain_us=BEGAN_BEFORE,
        task_id=reading.task_id,
        # where the scheduler is not known
        scheduler=reading.scheduler or int(reading.task_id > 0),
        credit_ns=wire.STACK_SAVED_NS,
        turn=turn or 0,
        turn_known=int(turn is not None),
        budget=wire.NO_BUDGET,
        tid=reading.tid,
        where=where,
        copy=copy,
    )


def _key(tid: int, since_ns: int) -> int:
    digest = blake2b(f"{tid} {since_ns}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") | 1


@contextmanager
def _memory(pid: int) -> Iterator[Read]:
    """Where it cannot be read, it is empty."""
    try:
        descriptor, read = memory_reader(pid)
    except TargetError:
        yield lambda _address, _size: b""
        return
    try:
        yield read
    finally:
        os.close(descriptor)
