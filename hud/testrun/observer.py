"""Watch one program of a tree from before its ``main`` to its end, in a process of its own.

Programs of tests run beside each other and end at any time; none of them can hold up or harm what
watches the others.
"""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import msgspec

from hud.closing import Closing
from hud.errors import HudError, KernelError
from hud.testrun.findings import Report, program_of, report
from hud.testrun.tokio_in import may_hold_tokio

if TYPE_CHECKING:
    from collections.abc import Callable

    from hud.profiler import Options

PR_SET_PDEATHSIG = 1
"""linux/prctl.h."""
ATTACHED = b"+"
_PIECE = 1 << 16


class Observer(Closing):
    """The process that watches; ``report`` is there when ``take`` has returned True."""

    def __init__(
        self, pid: int, options: Options, programs: bytes, forked: Callable[[], None]
    ) -> None:
        """``forked`` is called in the child: it lets go of what it must not hold."""
        self.attached = False
        self.report = Report("")
        self._data = bytearray()
        self._pipe, theirs = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _watch(pid, options, programs, forked, theirs)
        os.close(theirs)

    def fileno(self) -> int:
        """Readable when ``take`` should be called."""
        return self._pipe

    def take(self) -> bool:
        """What it says; True = it has ended. ``attached`` is true then as well."""
        data = os.read(self._pipe, _PIECE)
        self._data += data
        self.attached |= self._data.startswith(ATTACHED) or not data
        if data:
            return False
        os.waitpid(self._pid, 0)
        self._pid = 0
        try:
            self.report = msgspec.json.decode(self._data[len(ATTACHED) :], type=Report)
        except msgspec.DecodeError:
            self.report = Report("a program", doubt="what watched it has failed")
        return True

    def stop(self) -> None:
        """Its program goes on after the command: what was seen until now is the result."""
        if self._pid:
            os.kill(self._pid, signal.SIGTERM)

    def close(self) -> None:
        os.close(self._pipe)
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0


def _watch(
    pid: int, options: Options, programs: bytes, forked: Callable[[], None], theirs: int
) -> NoReturn:
    """The child."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # its program gets that as well, and decides
        forked()
        said = _observe(pid, options, programs, lambda: os.write(theirs, ATTACHED))
        with open(theirs, "wb") as out:
            out.write(msgspec.json.encode(said))
        status = 0
    finally:
        os._exit(status)


def _observe(pid: int, options: Options, programs: bytes, attached: Callable[[], object]) -> Report:
    from hud.ending import Ending
    from hud.process.find import find_target
    from hud.process.program import command_words
    from hud.profiler import Profiler
    from hud.session import Observers, record

    words, name = command_words(pid), f"pid {pid}"
    try:
        target = find_target(None, pid)
        name = program_of(target.executable)
        with (
            Profiler(target, options, lambda: programs) as profiler,
            Ending().installed() as ending,
        ):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            attached()
            outcome = record(profiler, ending, Observers(), duration_s=0, window_ns=0)
    except KernelError as error:
        return Report(name, refused=(str(error), error.hint))
    except HudError as error:
        return Report(name, doubt=str(error))
    found = report(*outcome, words)
    # it may have become another program, of which nothing is to be seen
    holds = may_hold_tokio(outcome.snapshot.info.target.executable)
    return found if holds else msgspec.structs.replace(found, doubt="")
