"""Reports the target's births, exits, renames and execs to the batch and to the ladder."""

from __future__ import annotations

from collections.abc import Callable

from hud.closing import Closing
from hud.model import Batch
from hud.process.life import (
    Born,
    Exec,
    LifeCycle,
    ProcessExited,
    Renamed,
    ThreadExited,
    exit_text,
)
from hud.profiler.detection.ladder import Ladder
from hud.profiler.notes import Notes


class Life(Closing):
    """Of one process."""

    def __init__(self, pid: int) -> None:
        self._life = LifeCycle(pid)

    def close(self) -> None:
        self._life.close()

    def fileno(self) -> int:
        """Readable when something has happened."""
        return self._life.fileno()

    def open_connector(self, notes: Notes) -> None:
        """From now on the kernel sends events; without it /proc is read."""
        if not self._life.open_connector():
            notes.add(f"thread events from /proc: {self._life.reason}")

    def take(self, batch: Batch, ladder: Ladder, replaced: Callable[[Batch], None]) -> None:
        """Put what has happened into a batch; ``replaced`` is called where the process runs another
        program now."""
        changed = False
        gone: set[int] = set()
        for event in self._life.read():
            if isinstance(event, ProcessExited):
                status = exit_text(event.wait_status)
                batch.ended = f"target exited ({status})" if status else "target exited"
            elif isinstance(event, Exec):
                replaced(batch)
            elif isinstance(event, ThreadExited):
                gone.add(event.tid)
                ladder.forget(event.tid)
                ladder.threads.exited(event.tid)
                batch.died.append(event.tid)
                changed = True
            elif isinstance(event, Born):
                ladder.threads.born(event.tid)
                changed = True
            elif isinstance(event, Renamed):
                batch.names[event.tid] = event.name
                worker = ladder.threads.rename(event.tid, event.name)
                if worker is not None:
                    batch.workers.append(worker)
                changed = True
        if changed and not batch.ended:
            ladder.choose_again(batch, gone)
