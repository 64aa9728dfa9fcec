"""What hud itself costs, and what the machine is under."""

from __future__ import annotations

import os
import time

from hud.model import Batch
from hud.profiler.usage import COST_INTERVAL_NS, HOST_INTERVAL_NS, Usage
from hud.resolver.client import Resolver


class Child(Resolver):
    def __init__(self) -> None:
        self._open = {}
        self.used_ns = 3_000_000_000

    def close(self) -> None: ...
    def cpu_ns(self) -> int:
        return self.used_ns

    def rss_bytes(self) -> int:
        return 1 << 40


def test_the_cost_is_that_of_both_processes_since_the_beginning() -> None:
    usage = Usage()
    before = usage.cost()[1]
    assert 1 << 20 < before < 1 << 33
    child = Child()
    usage.begin(os.getpid(), child)
    child.used_ns += 7_000_000_000
    spent = time.process_time()
    while time.process_time() - spent < 0.05:
        pass
    cost, rss = usage.cost()
    assert 7.05e9 <= cost < 12e9
    assert rss > 1 << 40


def test_the_machine_is_looked_at_now_and_then() -> None:
    usage = Usage()
    usage.begin(os.getpid(), Child())
    batches = [Batch(), Batch(), Batch(), Batch()]
    for batch, now in zip(batches, (1, 2, HOST_INTERVAL_NS + 1), strict=False):
        usage.fill(batch, now)
    assert [batch.host is not None for batch in batches] == [True, False, True, False]
    usage.fill_last(batches[3])
    assert batches[3].host is not None


def test_its_cost_is_taken_now_and_then() -> None:
    usage = Usage()
    usage.begin(os.getpid(), Child())
    batches = [Batch(), Batch(), Batch(), Batch()]
    for batch, now in zip(batches, (1, 2, COST_INTERVAL_NS + 1), strict=False):
        usage.fill(batch, now)
    assert [batch.cost is not None for batch in batches] == [True, False, True, False]
    usage.fill_last(batches[3])
    assert batches[3].cost is not None


def test_phases_and_the_end() -> None:
    usage = Usage()
    usage.phase("programs loaded")
    usage.phase("attached")
    usage.begin(os.getpid(), Child())
    usage.end()
    (_, first), (name, second) = usage.phases
    assert name == "attached"
    assert 0 <= first <= second
    assert 0 < usage.start_ns <= usage.end_ns
