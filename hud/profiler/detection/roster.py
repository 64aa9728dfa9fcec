"""The target's threads by name, and which of them are workers as far as is known now.

Terms: a thread is *outside* if ``--workers`` leaves it out; one that has *ended* is no new worker,
until the kernel's last word of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set

from hud.model import Sample, Worker
from hud.runtime.workers import COMM_BYTES, WorkerIds


class Roster:
    """``prefix``: of the workers' names, the value of ``--workers``."""

    def __init__(self, prefix: str | None) -> None:
        self.names: dict[int, str] = {}
        """By tid, of every thread."""
        self.by_tid: dict[int, Worker] = {}
        self._prefix = prefix
        self._ids = WorkerIds()
        self._outside: set[int] = set()
        self._ended: set[int] = set()

    @property
    def workers(self) -> list[Worker]:
        """By number; those found so far."""
        return sorted(self.by_tid.values(), key=lambda worker: worker.worker_id)

    def choose(self, workers: tuple[Worker, ...]) -> dict[int, int]:
        """These and no others are workers; returns their numbers by tid."""
        self.by_tid = {worker.tid: worker for worker in self._ids.number(workers)}
        return {tid: worker.worker_id for tid, worker in self.by_tid.items()}

    def enter(self, runtimes: Mapping[int, str]) -> list[Worker]:
        """Threads that drive a scheduler, with the names of their runtimes: they are workers.

        Returns new ones, and those whose runtime is known better now, as with a second copy of
        Tokio.
        """
        found = []
        for tid, runtime in sorted(runtimes.items()):
            known = self.by_tid.get(tid)
            if known is None or known.runtime != runtime:
                found.append(self._add(tid, runtime))
        return [worker for worker in found if worker is not None]

    def see_polling(self, tids: Set[int]) -> list[Worker]:
        """Threads that poll without driving a scheduler: ``block_on`` of a multi_thread runtime.

        Returns those that are new.
        """
        new = tids - self.by_tid.keys() - self._outside - self._ended
        found = [self._add(tid, "block_on") for tid in new]
        return [worker for worker in found if worker is not None]

    def _add(self, tid: int, runtime: str) -> Worker | None:
        name = self.names.get(tid, "")
        if self._prefix is not None and not name.startswith(self._prefix[:COMM_BYTES]):
            self._outside.add(tid)
            return None
        (worker,) = self._ids.number([Worker(0, tid, name, runtime)])
        self.by_tid[tid] = worker
        return worker

    def inside(self, samples: list[Sample]) -> list[Sample]:
        """The samples without those of threads outside."""
        if not self._outside:
            return samples
        return [sample for sample in samples if sample.tid not in self._outside]

    # ------------------------------------------------------------------- threads come and go

    def born(self, tid: int) -> None:
        """A thread whose name comes later."""
        self._ended.discard(tid)
        self.names.setdefault(tid, "")

    def rename(self, tid: int, name: str) -> Worker | None:
        """The worker that has this name now, if the thread is one."""
        self.names[tid] = name
        worker = self.by_tid.get(tid)
        if worker is None:
            return None
        renamed = self.by_tid[tid] = Worker(worker.worker_id, tid, name, worker.runtime)
        return renamed

    def exited(self, tid: int) -> None:
        """The thread is gone."""
        self.names.pop(tid, None)
        self._outside.discard(tid)
        if self._remove(tid):
            self._ended.add(tid)

    def _remove(self, tid: int) -> bool:
        self._ids.forget(tid)
        return self.by_tid.pop(tid, None) is not None

    def buried(self, tids: Iterable[int]) -> list[int]:
        """These are gone, and the kernel has no more to say; returns those that were workers.

        A thread that lived for a moment only is found, and told as a worker, after its end.
        """
        return [tid for tid in tids if self._remove(tid)]

    def last_word(self, exited: Collection[int]) -> set[int]:
        """The kernel knows too that these are gone; returns those that were told as gone before."""
        known = self._ended.intersection(exited)
        self._ended -= known
        return known

    def clear(self) -> None:
        """The target runs another program: none is a worker yet."""
        self.by_tid.clear()
        self._outside.clear()
        self._ended.clear()
