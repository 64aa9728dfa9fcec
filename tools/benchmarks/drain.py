"""events per second: what the reader can do, and a live run at the smallest threshold"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import targets
from benchmarks import running, table

from hud import resources
from hud.analysis.store import SampleStore
from hud.kernel.ring import HEADER, RingReader
from hud.model import Sample
from hud.probe import wire
from hud.process.find import find_target
from hud.profiler import Options, Profiler

RING = 1 << 20
STRIDE = HEADER + wire.EVENT.size


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--tasks", type=int, default=32, help="that sleep 1 ms, each on a worker")


def run(options: argparse.Namespace) -> int:
    rounds = 5 if options.quick else 50
    seconds = 3 if options.quick else options.seconds
    table.show(
        "reading a full ring of 64-byte events, no kernel involved",
        ("what", "events", "ns per event", "events/s"),
        [_pure("RingReader.drain", rounds, store=False), _pure("and store", rounds, store=True)],
    )
    head = [
        "what",
        "events",
        "events/s",
        "ring full",
        "other losses",
        "drain cpu",
        "hud cpu",
        "of a core",
    ]
    rows = [_live(seconds, options.tasks, threshold_ms) for threshold_ms in (5.0, 0.1)]
    table.show(f"live: {options.tasks} tasks sleeping 1 ms ({running.load_average()})", head, rows)
    return 0


def _pure(name: str, rounds: int, *, store: bool) -> list[table.Cell]:
    count = RING // STRIDE
    header = wire.EVENT.size.to_bytes(4, "little") + bytes(4)
    event = wire.EVENT.pack(10**12, 10**7, 2**63 + 1, 10**12, 77, 0, 1234, 1, 35, 3, 3, 0)
    ring = ((header + event) * count).ljust(RING, b"\0")
    data = memoryview(bytearray(ring + ring))
    taken = 0.0
    for _ in range(rounds):
        consumer = memoryview(bytearray(8)).cast("Q")
        producer = memoryview(bytearray(8)).cast("Q")
        producer[0] = count * STRIDE
        reader = RingReader(data, consumer, producer, RING, wire.EVENT)
        samples = SampleStore(1_000_000)
        began = time.perf_counter()
        got = list(map(Sample._make, reader.drain()))
        if store:
            samples.append(got)
        taken += time.perf_counter() - began
        assert len(got) == count and got[-1].tid == 1234
    total = count * rounds
    return [name, total, f"{taken / total * 1e9:.0f}", f"{total / taken:,.0f}"]


def _live(seconds: int, tasks: int, threshold_ms: float) -> list[table.Cell]:
    """hud's own profiler, drained when the session would do it."""
    with tempfile.TemporaryDirectory() as scratch:
        kinds = ",".join(["thread_sleep"] * tasks)
        words = ["--kinds", kinds, "--workers", str(tasks), "--block-ms", "1", "--pause-ms", "0"]
        words += ["--seconds", str(seconds + 4)]
        with targets.zoo(targets.build("zoo"), Path(scratch) / "truth", *words) as zoo:
            options = Options(threshold_ns=int(threshold_ms * 1e6))
            target = find_target(None, zoo.pid)
            with Profiler(target, options, _object) as profiler:
                return _drained(profiler, seconds, threshold_ms)


def _drained(profiler: Profiler, seconds: int, threshold_ms: float) -> list[table.Cell]:
    running.wait_until(time.monotonic() + 0.5)
    profiler.pump()
    events = 0
    pumping = 0.0
    before, losses = profiler.usage.cost()[0], profiler.losses()
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        running.wait_to_pump(profiler)
        mark = time.thread_time()
        events += len(profiler.pump().samples)
        pumping += time.thread_time() - mark
    elapsed = time.monotonic() - began
    cpu = (profiler.usage.cost()[0] - before) / 1e9
    after = profiler.losses()
    full = after.ring_full - losses.ring_full
    return [
        f"threshold {threshold_ms:g} ms",
        events,
        f"{events / elapsed:,.0f}",
        full,
        after.total() - losses.total() - full,
        f"{pumping / max(1, events) * 1e6:.2f} us/event",
        f"{cpu:.2f} s",
        f"{100 * cpu / elapsed:.1f} %",
    ]


def _object() -> bytes:
    return resources.read(f"hud-{os.uname().machine}.bpf.o")
