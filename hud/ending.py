"""The signals that ask a run to end: the loop of the run sees them as a readable descriptor."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

AGAIN_S = 0.3
"""A signal that follows another sooner is the same one: timeout(1) sends it to the process and then
to its group."""

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Remembers the first signal that asks for the end; the second one ends hud at once."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._since = 0.0
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Readable when a signal came."""
        return self._reader.fileno()

    def _note(self, number: int, _frame: object) -> None:
        now = time.monotonic()
        if self.signal is None:
            self.signal = signal.Signals(number)
            self._since = now
        elif now - self._since > AGAIN_S:
            raise KeyboardInterrupt

    @contextmanager
    def installed(self) -> Iterator[Ending]:
        """Take the signals over; put back what was there at the end."""
        before = {number: signal.getsignal(number) for number in ENDINGS}
        fd_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            for number in ENDINGS:
                # nohup stays nohup
                if before[number] is not signal.SIG_IGN or number is not signal.SIGHUP:
                    signal.signal(number, self._note)
            yield self
        finally:
            signal.set_wakeup_fd(fd_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._reader.close()
            self._writer.close()

    def drain(self) -> None:
        """Empty the descriptor."""
        try:
            while self._reader.recv(64):
                pass
        except BlockingIOError:
            pass
