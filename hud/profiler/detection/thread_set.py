"""The target's threads by name, and which of them are workers as far as is known now.

A thread that has exited is no new worker until the kernel has reported its exit too: events of its
last moments may come late.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set

from hud.model import Sample, Worker
from hud.runtime.workers import COMM_BYTES, WorkerIds


class ThreadSet:
    """``prefix``: of the workers' names, the value of ``--workers``."""

    def __init__(self, prefix: str | None) -> None:
        self.names: dict[int, str] = {}
        """By tid, of every thread."""
        self.by_tid: dict[int, Worker] = {}
        self._prefix = prefix
        self._ids = WorkerIds()
        self._excluded: set[int] = set()
        """Left out by ``--workers``."""
        self._exited: set[int] = set()

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

    def add_polling(self, tids: Set[int]) -> list[Worker]:
        """Threads that poll without driving a scheduler: ``block_on`` of a multi_thread runtime.

        Returns those that are new.
        """
        new = tids - self.by_tid.keys() - self._excluded - self._exited
        found = [self._add(tid, "block_on") for tid in new]
        return [worker for worker in found if worker is not None]

    def _add(self, tid: int, runtime: str) -> Worker | None:
        name = self.names.get(tid, "")
        if self._prefix is not None and not name.startswith(self._prefix[:COMM_BYTES]):
            self._excluded.add(tid)
            return None
        (worker,) = self._ids.number([Worker(0, tid, name, runtime)])
        self.by_tid[tid] = worker
        return worker

    def without_excluded(self, samples: list[Sample]) -> list[Sample]:
        """The samples without those of threads that ``--workers`` leaves out."""
        if not self._excluded:
            return samples
        return [sample for sample in samples if sample.tid not in self._excluded]

    # ------------------------------------------------------------------- threads come and go

    def born(self, tid: int) -> None:
        """A thread whose name comes later."""
        self._exited.discard(tid)
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
        self._excluded.discard(tid)
        if self._remove(tid):
            self._exited.add(tid)

    def _remove(self, tid: int) -> bool:
        self._ids.forget(tid)
        return self.by_tid.pop(tid, None) is not None

    def retire(self, tids: Iterable[int]) -> list[int]:
        """These are gone, and the kernel has no more to say; returns those that were workers.

        A thread that lived for a moment only is found, and reported as a worker, after its end.
        """
        return [tid for tid in tids if self._remove(tid)]

    def confirm_exits(self, exited: Collection[int]) -> set[int]:
        """The kernel has seen these exit too; returns those whose exit was known before."""
        known = self._exited.intersection(exited)
        self._exited -= known
        return known

    def clear(self) -> None:
        """The target runs another program: none is a worker yet."""
        self.by_tid.clear()
        self._excluded.clear()
        self._exited.clear()
