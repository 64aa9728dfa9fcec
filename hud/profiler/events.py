"""Completes the events of the kernel programs: with their stacks, and with waits in words."""

from __future__ import annotations

import time
from collections.abc import Iterable

from hud.model import Batch, Culprit, Kind, Sample
from hud.probe.probe import Probe
from hud.profiler.detection.before import Before
from hud.profiler.kernel_stacks import Stacks
from hud.profiler.naming.addresses import Addresses
from hud.profiler.notes import Notes
from hud.profiler.programs import Programs
from hud.profiler.starters import Starters
from hud.profiler.stuck import Stuck
from hud.profiler.unseen import Unseen
from hud.profiler.waits import Waits

CULPRITS_NS = 2_000_000_000
"""So long who a thread is is not asked again: it may have another name by then."""
START_S = 0.2
"""How long after its start a thread may be expected to enter a runtime."""
HURRY_S = 1.0
"""How long a library that was loaded is worth haste."""


class Events:
    """Of one probe."""

    def __init__(
        self, pid: int, probe: Probe, addresses: Addresses, notes: Notes, *, starters: bool = False
    ) -> None:
        self._starters = Starters(pid) if starters else None
        self.probe = probe
        self.before = Before(pid, probe)
        self.stuck = Stuck(pid, probe)
        self.stacks = Stacks(probe, addresses, self.before, self.stuck)
        self.waits = Waits(pid, probe.wait, probe.asleep_since, notes.add)
        self._unseen = Unseen()
        self._programs = Programs()
        self._culprits_sent: set[int] = set()
        self._next_culprits = 0
        self._period_ns = 0
        self._hurried_until = 0.0

    def take(self, batch: Batch) -> list[Sample]:
        """The samples that have come; what they name is put into the batch."""
        lost, emptied_ns = int(self.probe.counters.ring_full), time.monotonic_ns()
        events = self.probe.events()
        batch.unseen_ns = self._unseen.after(events, lost, emptied_ns)
        if self._starters is not None:
            events = self._starters.take(events, batch)
        samples = self.stuck.take(events)
        self.stacks.take(samples, batch)
        batch.culprits += self._culprits(samples)
        samples, batch.details = self.waits.take(samples, batch.stacks)
        return samples

    def _culprits(self, samples: Iterable[Sample]) -> list[Culprit]:
        blaming = (Kind.LATENCY, Kind.WAKE)
        tids = {one.other for one in samples if one.kind in blaming and one.other}
        now = time.monotonic_ns()
        if now >= self._next_culprits:
            self._next_culprits = now + CULPRITS_NS
            self._culprits_sent.clear()
        found = (self.probe.culprit(tid) for tid in tids - self._culprits_sent)
        named = self._programs.named(culprit for culprit in found if culprit is not None)
        self._culprits_sent.update(one.tid for one in named)
        return named

    def fill_period(self, batch: Batch) -> None:
        """That of the CPU samples, where it is another than before."""
        period_ns = int(self.probe.config.period_ns)
        if period_ns != self._period_ns:
            batch.sample_period_ns = self._period_ns = period_ns

    # ------------------------------------------------------------------- new code

    def refresh(self) -> bool:
        """Look whether other code is mapped now. True: a library was loaded, it is worth haste."""
        self.stacks.refresh(changed=self.probe.code_changed())
        loaded, self.stacks.new_file = self.stacks.new_file, False
        if loaded:
            self._hurried_until = time.monotonic() + HURRY_S
        return loaded

    @property
    def hurried(self) -> bool:
        """A library was just loaded."""
        return time.monotonic() < self._hurried_until

    @property
    def thread_started(self) -> bool:
        """Lately; known only where starters are asked for."""
        latest_s = self._starters.latest_s if self._starters else 0.0
        return time.monotonic() < latest_s + START_S

    def calm(self) -> None:
        """All is known of what was loaded."""
        self._hurried_until = 0.0
