"""hud attached to a process: when its first stack has names, and what that costs meanwhile.

Terms: an event's *lag* is its age when user space takes it; the loop waits as the session does.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from benchmarks import running, table

from hud import resources
from hud.process.find import find_target
from hud.profiler import Options, Profiler


class Live(NamedTuple):
    """One run; times in seconds, memory in MB."""

    attached_s: float
    named_s: float
    """From the drain that brought the first stack until all its frames had names; -1 = never."""
    from_start_s: float
    """From the start of hud until then."""
    lag_s: float
    """Of the events until then, the largest."""
    later_lag_s: float
    pump_s: float
    """The longest that one drain took."""
    resolver_mb: float
    """Resident at most, mapped files included."""
    stacks: int
    complete: int


def attach(pid: int, seconds: float, threshold_ms: float, *, use_cache: bool) -> Live:
    """Profile that process for a while from this one."""
    options = Options(threshold_ns=int(threshold_ms * 1e6), use_cache=use_cache)
    data = resources.read(f"hud-{os.uname().machine}.bpf.o")
    began = time.monotonic()
    with Profiler(find_target(None, pid), options, lambda: data) as profiler:
        attached = time.monotonic()
        first, first_at, named_at = 0, 0.0, 0.0
        lags = [0.0, 0.0]
        pump = 0.0
        while time.monotonic() < attached + seconds:
            running.wait_to_pump(profiler)
            began_drain = time.monotonic()
            batch = profiler.pump()
            now = time.monotonic()
            pump = max(pump, now - began_drain)
            ages = [began_drain - sample.time_ns / 1e9 for sample in batch.samples]
            lags[named_at > 0] = max([lags[named_at > 0], *ages])
            if batch.stacks and not first:
                first, first_at = next(iter(batch.stacks)), began_drain
            if not named_at and first in batch.stacks and batch.stacks[first].frames:
                named_at = now
        stacks, complete = profiler.stack_counts()
        peak = running.peak_mb(profiler._naming.resolver.pid)
    named = (named_at - first_at, named_at - began) if named_at else (-1.0, -1.0)
    return Live(attached - began, *named, *lags, pump, peak, stacks, complete)


HEAD = (
    *("cache", "attached", "named after", "since start", "lag until then", "later"),
    *("longest drain", "resolver", "stacks", "complete"),
)


def row(name: str, run: Live) -> list[table.Cell]:
    return [
        name,
        *(f"{value:.2f} s" for value in (run.attached_s, run.named_s, run.from_start_s)),
        *(f"{value * 1e3:.0f} ms" for value in (run.lag_s, run.later_lag_s, run.pump_s)),
        f"{run.resolver_mb:.0f} MB",
        run.stacks,
        table.percent(run.complete, run.stacks),
    ]
