"""Runs of a service that blocks at random, as two builds of it would: to compare them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import NamedTuple

from hud.analysis.recording import Recording
from hud.analysis.results import Snapshot
from hud.analysis.snapshot import Analyzer
from hud.model import Batch, Sample, Worker
from tests.builders.sample_recording import (
    MS,
    OUTER,
    SECOND,
    START_NS,
    TIDS,
    cpu,
    demo_states,
    info,
    poll,
    stack,
    user,
)

_SPREAD = 0.5
"""Sigma of the lognormal lengths."""


class Blocks(NamedTuple):
    """How one piece of code blocks."""

    a_second: float
    ms: float
    """On average."""


def run(code: Mapping[str, Blocks], seed: int, seconds: int = 20, **changes: object) -> Snapshot:
    """Episodes that come by chance, on four workers; ``code`` by function."""
    recording = Recording(info(**changes))
    for number, tid in enumerate(TIDS):
        recording.add_worker(Worker(number, tid, "tokio-rt-worker"))
    samples: list[Sample] = []
    for key, (function, blocks) in enumerate(code.items(), 0xA1):
        recording.add_stack(key, stack(user(function, "src/a.rs", 10), outer=OUTER))
        samples += _polls(key, blocks, random.Random(f"{seed} {function}"), seconds)
    samples.sort(key=lambda one: one.time_ns)
    end_ns = START_NS + seconds * SECOND
    recording.take(Batch(end_ns, samples, states=demo_states(samples, end_ns)))
    recording.finish(end_ns, "duration")
    return Analyzer(recording).snapshot(end_ns, live=False)


def _polls(key: int, blocks: Blocks, chance: random.Random, seconds: int) -> list[Sample]:
    samples: list[Sample] = []
    at = chance.expovariate(blocks.a_second)
    while at < seconds - 1:
        length = round(blocks.ms * MS * chance.lognormvariate(-(_SPREAD**2) / 2, _SPREAD))
        start, tid = START_NS + round(at * SECOND), chance.choice(TIDS)
        samples.append(cpu(tid, start + length // 2, key, start))
        samples.append(poll(tid, start, length))
        at += chance.expovariate(blocks.a_second)
    return samples
