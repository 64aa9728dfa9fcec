"""When a run began, how long its start took, what hud itself costs, what the machine is under."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hud.model import Batch
from hud.process.pressure import HostWatch
from hud.process.procfs import read_bytes
from hud.resolver.client import Resolver

HOST_INTERVAL_NS = 2_000_000_000
COST_INTERVAL_NS = 900_000_000
"""With readings twice a second every second one."""
_OWN_MEMORY = Path("/proc/self/statm")


class Usage:
    """Of one run; its clock starts with it."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, float]] = []
        """(what, seconds since the start): for benchmarks and --verbose."""
        self._started = time.monotonic()
        self.start_ns = 0
        """CLOCK_MONOTONIC when events began to flow."""
        self.end_ns = 0
        """CLOCK_MONOTONIC when they had ceased; names may come later."""
        self._resolver: Resolver | None = None
        self._host: HostWatch | None = None
        self._next_host_ns = self._next_cost_ns = 0
        self._cost_before_ns = 0

    def phase(self, what: str) -> None:
        """That much of the start is done."""
        self.phases.append((what, time.monotonic() - self._started))

    def begin(self, pid: int, resolver: Resolver) -> None:
        """Events begin to flow: what is used counts from here."""
        self._resolver = resolver
        self._host = HostWatch(pid)
        self.start_ns = time.monotonic_ns()
        self._cost_before_ns = self.cost()[0]

    def end(self) -> None:
        """They have ceased."""
        self.end_ns = time.monotonic_ns()

    def cost(self) -> tuple[int, int]:
        """CPU nanoseconds of hud and its resolver since ``begin``; their resident bytes."""
        own = int(time.process_time() * 1e9) - self._cost_before_ns
        pages = int(read_bytes(_OWN_MEMORY).split()[1])
        rss = pages * os.sysconf("SC_PAGE_SIZE")
        if self._resolver is None:
            return own, rss
        return own + self._resolver.cpu_ns(), rss + self._resolver.rss_bytes()

    def fill(self, batch: Batch, now_ns: int) -> None:
        """Put it into a batch, and what the machine is under; both now and then."""
        if now_ns >= self._next_cost_ns:
            self._next_cost_ns = now_ns + COST_INTERVAL_NS
            batch.cost = self.cost()
        if now_ns >= self._next_host_ns and self._host is not None:
            self._next_host_ns = now_ns + HOST_INTERVAL_NS
            batch.host = self._host.read()

    def fill_last(self, batch: Batch) -> None:
        """As it is at the end."""
        batch.cost = self.cost()
        if self._host is not None:
            batch.host = self._host.read(last=True)
