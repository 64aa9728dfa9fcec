"""The tasks of one run: read once Tokio's state is known, with the reason where they cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hud.errors import TargetError
from hud.model import Batch, Sample, TasksRead
from hud.probe.probe import Threads
from hud.profiler.detection.copies import Copies
from hud.profiler.naming.modules import Modules
from hud.profiler.notes import Notes
from hud.profiler.tasks import TaskReader
from hud.resolver.client import Resolver


class RunTasks:
    """Of one process."""

    def __init__(self, pid: int, modules: Modules, resolver: Resolver, notes: Notes) -> None:
        self._pid = pid
        self._modules = modules
        self._resolver = resolver
        self._notes = notes
        self._reader: TaskReader | None = None
        self._last: TasksRead | None = None
        """What was read when a thread had run."""
        self._trouble = ""

    def close(self) -> None:
        """Until the next ``fill``."""
        if self._reader is not None:
            self._reader.close()
            self._reader = self._last = None

    def note(self, samples: Sequence[Sample]) -> None:
        """These samples may name tasks."""
        if self._reader is not None:
            self._reader.note(samples)

    def ask_again(self) -> None:
        """More debug information is at hand: names may be better now."""
        if self._reader is not None:
            self._reader.ask_again()

    def fill(self, batch: Batch, copies: Copies, read: Threads, threshold_ns: int) -> None:
        """Put the runtimes' tasks and queues into a batch, where Tokio's state is known."""
        if not copies.known or batch.ended:
            return
        if self._reader is None:
            try:
                self._reader = TaskReader(self._pid, self._modules, self._resolver)
            except TargetError as error:
                self._notes.add(f"the runtime's tasks are not read: {error}")
                return
        if self._last is not None and not read.moved and self._reader.content:
            batch.tasks = replace(self._last, time_ns=batch.time_ns)
            return
        self._reader.fill(batch, copies.driving(read.entered, read.copies), threshold_ns)
        self._last = batch.tasks
        before, self._trouble = self._trouble, self._reader.trouble
        if before != self._trouble:
            self._notes.replace(before, self._trouble)
