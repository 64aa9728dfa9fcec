"""Follows the target while it lives: threads born, renamed and gone, exec, and its end.

In mode ``connector`` the kernel reports these (see ``hud.process.connector``), in mode ``proc`` hud
looks into /proc/PID/task every ``POLL_INTERVAL_S``. Either way a pidfd reports the end at once.
"""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING, NamedTuple

from hud.closing import Closing
from hud.errors import HudError
from hud.process import connector
from hud.process.connector import readable
from hud.process.procfs import PROC, live_tids, living_thread, read_stat, read_thread_stat
from hud.process.threads import read_comm

if TYPE_CHECKING:
    import socket
    from collections.abc import Set
    from pathlib import Path

POLL_INTERVAL_S = 0.05
RENAME_INTERVAL_S = 1.0
"""Mode proc: every name is read again this often; those of new threads at every look."""

MESSAGES_PER_READ = 16_384
_YOUNG_S = 1.0
_LAST_WORDS_S = 0.02


class Born(NamedTuple):
    """A thread is there that was not; its name may follow as ``Renamed``."""

    tid: int


class Renamed(NamedTuple):
    """A thread has this name now (raw; see ``hud.process.threads``)."""

    tid: int
    name: str


class ThreadExited(NamedTuple):
    """A thread is gone."""

    tid: int


class Exec(NamedTuple):
    """The process runs another program; ``ThreadExited`` of its other threads follows."""


class ProcessExited(NamedTuple):
    """The process is gone; the last event there is."""

    wait_status: int | None
    """As waitpid(2) gives it; None = not known."""


LifeEvent = Born | Renamed | ThreadExited | Exec | ProcessExited


class LifeCycle(Closing):
    """The life of one process as events.

    Starts in mode *proc*; ``open_connector`` goes over to the better mode. ``threads`` are those of
    the start, which give no event. Watch ``fileno()`` for reading, and call ``read`` then, and also
    every ``poll_interval_s`` if that is not None. A process that is gone already gives
    ProcessExited.
    """

    def __init__(self, pid: int, proc: Path = PROC) -> None:
        self.pid = pid
        self.mode = "proc"
        """``connector`` or ``proc``."""
        self.reason = "the process connector is not asked yet"
        """Why this mode."""
        self.overflows = 0
        """How often the connector's queue was full, so that /proc had to show what was lost."""
        self.ended = False
        self._proc = proc
        self._socket: socket.socket | None = None
        self._poll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._pidfd = _pidfd(pid)
        if self._pidfd is not None:
            self._poll.register(self._pidfd, select.EPOLLIN)
        self._last_code: int | None = None
        self._pending: list[LifeEvent] = []
        self._names: dict[int, str] = {
            tid: read_comm(pid, tid, proc) or "" for tid in self._tids() or ()
        }
        self._born: dict[int, float] = {}
        self._next_rename = time.monotonic() + RENAME_INTERVAL_S
        stat = read_stat(pid, proc)
        self._start_ticks = stat.start_ticks if stat else None
        self._start_stack = self._stack()

    @property
    def poll_interval_s(self) -> float | None:
        """How often ``read`` must be called besides ``fileno()``; None = not needed."""
        if self.ended:
            return None
        polled = self.mode == "proc" or self._pidfd is None
        return POLL_INTERVAL_S if polled else None

    @property
    def threads(self) -> Set[int]:
        """The tids that live, as far as the events returned so far say."""
        return self._names.keys()

    def fileno(self) -> int:
        """An epoll descriptor: readable when ``read`` has something."""
        return self._poll.fileno()

    def open_connector(self) -> bool:
        """Go over to mode connector; False and ``reason`` if it is refused.

        Takes up to 0.2 s where the kernel does not answer. What happened meanwhile comes with the
        next ``read``.
        """
        if self.mode == "connector" or self.ended:
            return self.mode == "connector"
        try:
            self._socket = connector.subscribe(self.pid)
        except HudError as error:
            self.reason = str(error)
            return False
        self._poll.register(self._socket, select.EPOLLIN)
        self.mode = "connector"
        self.reason = "the process connector reports them"
        self._look(self._pending)
        self._born.clear()
        return True

    def read(self) -> list[LifeEvent]:
        """What happened since the last call; never blocks (at the end up to 20 ms)."""
        if self.ended:
            return []
        events, self._pending = self._pending, []
        if self._socket is not None:
            self._receive(events, self._socket)
        else:
            self._look(events)
        if self._is_over():
            self._finish(events)
        return events

    def close(self) -> None:
        """Give back every descriptor; may be called twice."""
        if self._socket is not None:
            connector.unsubscribe(self._socket)
            self._socket = None
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        self._poll.close()

    # ----------------------------------------------------------------- the connector

    def _receive(self, events: list[LifeEvent], source: socket.socket) -> None:
        lost = False
        for _ in range(MESSAGES_PER_READ):
            try:
                message, sender = source.recvfrom(4096)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: the queue was full
                self.overflows += 1
                lost = True
                continue
            if sender[0] != 0:  # not from the kernel
                continue
            notice = connector.parse_notice(message, self.pid)
            if notice is not None:
                self._take(notice, events)
        if lost:
            self._look(events)

    def _take(self, notice: connector.Notice, events: list[LifeEvent]) -> None:
        if notice.what == connector.PROC_EVENT_FORK:
            self._add(notice.tid, events)
        elif notice.what == connector.PROC_EVENT_COMM:
            self._rename(notice.tid, notice.name, events)
        elif notice.what == connector.PROC_EVENT_EXIT:
            self._last_code = notice.value
            self._remove(notice.tid, events)
        elif notice.what == connector.PROC_EVENT_EXEC:
            self._exec(events)

    # ----------------------------------------------------------------- /proc

    def _look(self, events: list[LifeEvent]) -> None:
        """Make up the difference between what is known and what /proc shows."""
        tids = self._tids()
        if tids is None:
            return
        stack = self._stack()
        if stack != self._start_stack and stack:
            if self._start_stack:
                # in mode connector its message may follow: better twice than not at all
                self._exec(events)
            self._start_stack = stack
        now = time.monotonic()
        for tid in self._names.keys() - set(tids):
            self._remove(tid, events)
        for tid in tids:
            if tid not in self._names:
                self._add(tid, events)
                self._born[tid] = now
        if now >= self._next_rename:
            self._next_rename = now + RENAME_INTERVAL_S
            to_read = list(self._names)
        else:
            to_read = list(self._born)
        for tid in to_read:
            name = read_comm(self.pid, tid, self._proc)
            if name is not None:
                self._rename(tid, name, events)
        self._born = {tid: born for tid, born in self._born.items() if now - born < _YOUNG_S}

    def _tids(self) -> list[int] | None:
        try:
            return live_tids(self.pid, self._proc)
        except OSError:
            return None

    def _stack(self) -> int:
        """Where the main stack starts: random for each exec; 0 if it cannot be known."""
        tid = living_thread(self.pid, self._proc)
        try:
            stat = read_thread_stat(self.pid, tid, self._proc) if tid is not None else None
        except OSError:
            return 0
        return stat.start_stack if stat else 0

    # ----------------------------------------------------------------- what is known

    def _add(self, tid: int, events: list[LifeEvent]) -> None:
        if tid not in self._names:
            self._names[tid] = ""
            events.append(Born(tid))

    def _rename(self, tid: int, name: str, events: list[LifeEvent]) -> None:
        if tid in self._names and self._names[tid] != name:
            self._names[tid] = name
            events.append(Renamed(tid, name))

    def _remove(self, tid: int, events: list[LifeEvent]) -> None:
        if self._names.pop(tid, None) is not None:
            self._born.pop(tid, None)
            events.append(ThreadExited(tid))

    def _exec(self, events: list[LifeEvent]) -> None:
        events.append(Exec())
        for tid in sorted(self._names.keys() - {self.pid}):
            self._remove(tid, events)
        self._add(self.pid, events)  # its leader may have ended before
        self._start_stack = self._stack() or self._start_stack
        name = read_comm(self.pid, self.pid, self._proc)
        if name is not None:
            self._rename(self.pid, name, events)

    # ----------------------------------------------------------------- the end

    def _is_over(self) -> bool:
        if self._pidfd is not None and not readable(self._pidfd, 0):
            return False
        # Before Linux 6.15 a pidfd could be readable for a moment during an exec.
        stat = read_stat(self.pid, self._proc)
        if stat is None or stat.start_ticks != self._start_ticks:
            return True
        return stat.dead and stat.threads <= 1

    def _finish(self, events: list[LifeEvent]) -> None:
        if self._socket is not None:
            # The kernel wakes the pidfd a little before it sends the last exit message.
            end = time.monotonic() + _LAST_WORDS_S
            while self._names and (left := end - time.monotonic()) > 0:
                if readable(self._socket.fileno(), left):
                    self._receive(events, self._socket)
        status = self._last_code
        if status is None:
            stat = read_stat(self.pid, self._proc)
            mine = stat is not None and stat.dead and stat.start_ticks == self._start_ticks
            status = stat.exit_code if stat is not None and mine and os.geteuid() == 0 else None
        for tid in sorted(self._names):
            self._remove(tid, events)
        events.append(ProcessExited(status))
        self.ended = True
        if self._pidfd is not None:
            self._poll.unregister(self._pidfd)
        if self._socket is not None:
            self._poll.unregister(self._socket)


def exit_text(wait_status: int | None) -> str:
    """``status 0``, ``killed by SIGSEGV, core dumped`` ...; empty if it is not known."""
    if wait_status is None:
        return ""
    number = wait_status & 0x7F
    if number == 0:
        return f"status {wait_status >> 8 & 0xFF}"
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return f"killed by {name}{', core dumped' if wait_status & 0x80 else ''}"


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except OSError:  # gone, or forbidden by a seccomp filter
        return None
