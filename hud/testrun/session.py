"""The loop of ``hud test``: hold a program, watch it, let it go, until the command is over."""

from __future__ import annotations

import os
import selectors
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from hud.closing import Closing
from hud.ending import Ending
from hud.errors import KernelError
from hud.process.kallsyms import kernel_names
from hud.testrun.observer import Observer
from hud.testrun.tokio_in import is_tested

if TYPE_CHECKING:
    from hud.process.tree import Held, Tree
    from hud.profiler import Options
    from hud.testrun.findings import Report


class _Watched(NamedTuple):
    held: Held
    observer: Observer


class Session(Closing):
    """All programs of one command; ``reports`` are there when ``run`` has returned."""

    def __init__(self, tree: Tree, options: Options, programs: bytes) -> None:
        self.reports: list[Report] = []
        self._tree, self._options, self._programs = tree, options, programs
        self._watched: dict[int, _Watched] = {}
        """By ticket, those that have not ended."""
        self._replaced: set[int] = set()
        """Those whose process runs another program now: what was not seen of it says nothing."""
        self._status: int | None = None
        with ExitStack() as stack:
            self._selector = stack.enter_context(selectors.DefaultSelector())
            self._ending = stack.enter_context(Ending().installed())
            self._stack = stack.pop_all()

    def close(self) -> None:
        for one in self._watched.values():
            one.observer.close()
        self._stack.close()

    def run(self) -> int:
        """Until the command has ended, and whatever was watched; its status, as wait(2) has it.

        Raises KernelError, and ends the command, where nothing can be watched here.
        """
        command = os.pidfd_open(self._tree.pid)
        kernel_names()  # for all observers; the command has its own work to do meanwhile
        for descriptor, ready in (
            (self._tree.fileno(), self._hold),
            (command, lambda: self._ended(command)),
            (self._ending.fileno(), self._pass_on),
        ):
            self._selector.register(descriptor, selectors.EVENT_READ, ready)
        while self._status is None or self._watched:
            for key, _ in self._selector.select():
                key.data()
        return self._status

    def _hold(self) -> None:
        held = self._tree.held()
        if held is None:
            return
        for ticket, other in self._watched.items():
            if other.held.pid == held.pid:  # it runs another program now
                other.observer.stop()
                self._replaced.add(ticket)
        if self._status is not None or not is_tested(held.pid):
            self._tree.let_go(held.ticket)
            return
        observer = Observer(held.pid, self._options, self._programs, self._forked)
        self._watched[held.ticket] = _Watched(held, observer)
        self._selector.register(
            observer.fileno(), selectors.EVENT_READ, lambda: self._heard(held.ticket)
        )

    def _heard(self, ticket: int) -> None:
        held, observer = self._watched[ticket]
        before, over = observer.attached, observer.take()
        if observer.attached and not before:
            self._tree.let_go(held.ticket)
        if not over:
            return
        self._selector.unregister(observer.fileno())
        observer.close()
        del self._watched[ticket]
        refused, remedy = observer.report.refused
        if refused:
            self._tree.send(signal.SIGTERM)
            raise KernelError(refused, remedy)
        report = observer.report
        if ticket in self._replaced:
            report = msgspec.structs.replace(report, doubt="")
        self.reports.append(report)

    def _ended(self, command: int) -> None:
        self._selector.unregister(command)
        os.close(command)
        _, self._status = os.waitpid(self._tree.pid, 0)
        for _, observer in self._watched.values():
            observer.stop()

    def _pass_on(self) -> None:
        """A signal; Ctrl-C comes to the command by itself where it shares hud's terminal."""
        self._ending.drain()
        number = self._ending.signal
        if number is not None and self._status is None:
            self._tree.send(number)

    def _forked(self) -> None:
        """In an observer: the tree is hud's own."""
        self._tree.close()
        self._selector.close()
