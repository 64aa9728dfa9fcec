"""stacks: what one costs in the kernel, how many are complete, and whether perf sees the same"""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import perf, running, table
from benchmarks.perf import Chain, Functions

from hud import resources
from hud.demo import load as demo_load
from hud.demo import server as demo_server
from hud.model import Kind, Stack
from hud.process.find import find_target
from hud.process.rights import ordinary_user
from hud.profiler import Options, Profiler

SETTLE_S = 2.0
SLICE_S = 0.5
OFTEN = 3
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
PERF_EVENT = 7
"""BPF_PROG_TYPE_PERF_EVENT of linux/bpf.h: the CPU sample is the only program of that type."""


class Runs(NamedTuple):
    """What the kernel counted of programs: nanoseconds and runs."""

    ns: int
    count: int


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=10.0, help="of each part")
    parser.add_argument("--hz", type=int, default=199, help="samples/s of hud and of perf")
    parser.add_argument("--dump", type=int, default=65528, help="bytes of stack that perf copies")
    parser.add_argument("--no-perf", action="store_true")


def run(options: argparse.Namespace) -> int:
    seconds = 2.0 if options.quick else options.seconds
    guest = ordinary_user()
    counters = demo_load.LoadCounters()
    life = 3 * seconds + 60
    with (
        demo_server.running(guest, seconds=life, say=lambda _: None) as (server, port),
        demo_load.running(port, counters, seconds=life, user=guest),
        _kernel_statistics(),
    ):
        _complete(server.pid, seconds)
        with _profiler(server.pid, use_context=False, hz=997) as profiler:
            _cost(profiler, seconds)
        if not options.no_perf and running.have("perf"):
            with _profiler(server.pid, use_context=False, hz=options.hz) as profiler:
                _beside_perf(profiler, server.pid, seconds, options)
    return 0


def _profiler(pid: int, *, use_context: bool, hz: int = 0) -> Profiler:
    options = Options(use_context=use_context, sample_hz=hz)
    data = resources.read(f"hud-{os.uname().machine}.bpf.o")
    return Profiler(find_target(None, pid), options, lambda: data)


# --------------------------------------------------------------------------- the kernel's counts


@contextlib.contextmanager
def _kernel_statistics() -> Iterator[None]:
    """kernel.bpf_stats_enabled, as it was before at the end."""
    before = STATS.read_text()
    STATS.write_text("1")
    try:
        yield
    finally:
        STATS.write_text(before)


def _runs(wanted: Callable[[int], bool]) -> Runs:
    """Of this process' BPF programs of those types, by /proc/self/fdinfo."""
    total = Runs(0, 0)
    for path in Path("/proc/self/fdinfo").iterdir():
        try:
            words = dict(line.split(":\t") for line in path.read_text().splitlines())
        except (OSError, ValueError):
            continue
        if "run_cnt" in words and wanted(int(words["prog_type"])):
            total = Runs(total.ns + int(words["run_time_ns"]), total.count + int(words["run_cnt"]))
    return total


def _loop(profiler: Profiler, seconds: float, stacks: dict[int, Stack]) -> Counter[int]:
    """Drain as the session does; how often each stack came in a CPU sample."""
    seen: Counter[int] = Counter()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        running.wait_to_pump(profiler, end)
        batch = profiler.pump()
        stacks.update(batch.stacks)
        seen.update(s.stack for s in batch.samples if s.kind == Kind.CPU and s.stack)
    return seen


# --------------------------------------------------------------------------- parts


def _complete(pid: int, seconds: float) -> None:
    """As users run it: only what blocks costs a stack."""
    with _profiler(pid, use_context=True) as profiler:
        stacks: dict[int, Stack] = {}
        _loop(profiler, SETTLE_S, stacks)
        before, used = profiler.counters(), _runs(lambda _: True)
        began = time.monotonic()
        _loop(profiler, seconds, stacks)
        elapsed = time.monotonic() - began
        after, spent = profiler.counters(), _runs(lambda _: True)
    grown = {name: after[name] - before[name] for name in after}
    cells: list[table.Cell] = [
        "default settings",
        grown["stacks_taken"],
        table.percent(grown["stacks_complete"], grown["stacks_taken"]),
        f"{grown['frames'] / max(1, grown['stacks_taken']):.1f}",
        grown["stacks_skipped"],
        len(stacks),
        f"{(spent.ns - used.ns) / elapsed / 1e7:.2f} %",
        f"{(spent.ns - used.ns) / max(1, spent.count - used.count):.0f} ns",
    ]
    head = (
        "what",
        "stacks",
        "complete",
        "frames each",
        "not taken",
        "distinct",
        "kernel side",
        "per run",
    )
    table.show(
        f"demo server under load, {elapsed:.0f} s after the first {SETTLE_S:g} s"
        f" ({running.load_average()})",
        head,
        [cells],
    )
    stops = Counter(stack.stop for stack in stacks.values() if not stack.complete)
    if stops:
        table.show(
            "distinct stacks that end early, the first seconds too",
            ("why", "stacks"),
            stops.most_common(),
        )


def _cost(profiler: Profiler, seconds: float) -> None:
    """The same samples of the same threads, with and without a stack in turn.

    Slices of time are told apart: what the hypervisor or an interrupt takes away hits some of them.
    """
    workers = {worker.tid: worker.worker_id for worker in profiler.workers}
    stacks: dict[int, Stack] = {}
    per_stack, per_frame, depths, plain = [], [], [], []
    samples = 0
    for number in range(2 * max(2, round(seconds / SLICE_S))):
        with_stacks = number % 2 == 1
        profiler._events.probe.set_workers(workers if with_stacks else {})
        before = _runs(lambda kind: kind == PERF_EVENT)
        seen = _loop(profiler, SLICE_S, stacks)
        after = _runs(lambda kind: kind == PERF_EVENT)
        took, count = after.ns - before.ns, max(1, after.count - before.count)
        if not with_stacks:
            plain.append(took / count)
            continue
        taken = sum(seen.values())
        frames = sum(len(stacks[key].addresses) * n for key, n in seen.items())
        if taken:
            extra = took - plain[-1] * count
            per_stack.append(extra / taken)
            per_frame.append(extra / frames)
            depths.append(frames / taken)
            samples += taken
    table.show(
        f"CPU samples with a stack, against those without in turn ({running.load_average()})",
        (
            *("what", "stacks", "frames each", "run without"),
            *("per stack", "spread", "per frame", "spread"),
        ),
        [
            [
                "in the kernel",
                samples,
                f"{table.median(depths):.1f}",
                f"{table.median(plain):.0f} ns",
                f"{table.median(per_stack):.0f} ns",
                table.spread(per_stack),
                f"{table.median(per_frame):.0f} ns",
                table.spread(per_frame),
            ]
        ],
    )


def _beside_perf(profiler: Profiler, pid: int, seconds: float, options: argparse.Namespace) -> None:
    """hud and ``perf record --call-graph dwarf`` sample the same threads at the same time."""
    stacks: dict[int, Stack] = {}
    workers = {worker.tid for worker in profiler.workers}
    with perf.recording(pid, seconds + 1, options.hz, options.dump) as record:
        before = _runs(lambda kind: kind == PERF_EVENT)
        own = profiler.usage.cost()[0]
        seen = _loop(profiler, seconds, stacks)
        spent = _runs(lambda kind: kind == PERF_EVENT).ns - before.ns
        own = profiler.usage.cost()[0] - own
        functions = Functions(pid)
        ours: Counter[Chain] = Counter()
        _loop(profiler, 1.0, stacks)
        for key, count in seen.items():
            if key in stacks and stacks[key].complete:
                ours[functions.of_stack(stacks[key])] += count
        recorded = record()
        theirs = perf.script(recorded, functions, workers)
    samples = sum(seen.values())
    rows: list[list[table.Cell]] = [
        [
            "hud",
            samples,
            f"{spent / 1e9:.3f} s",
            f"{own / 1e9:.2f} s",
            "-",
            f"{1128 * len(stacks) / 1e6:.2f} MB",
        ],
        [
            "perf",
            recorded.samples,
            "-",
            f"{recorded.cpu_s:.2f} s",
            f"{theirs.cpu_s:.2f} s",
            f"{recorded.size_mb:.1f} MB",
        ],
    ]
    table.show(
        f"the same {seconds:g} s at {options.hz} Hz: what it took",
        ("who", "samples", "kernel side", "recording", "script", "bytes copied"),
        rows,
    )
    _compare(ours, theirs.chains)


def _compare(ours: Counter[Chain], theirs: Counter[Chain]) -> None:
    """What one took and the other did not is mostly what was sampled once or twice."""
    ends = {chain[-1] for chain in ours}
    whole = Counter({chain: n for chain, n in theirs.items() if chain[-1] in ends})
    rows: list[list[table.Cell]] = []
    for name, chains, others in (("hud", ours, whole), ("perf", whole, ours)):
        total = sum(chains.values())
        depths = [len(chain) for chain, count in chains.items() for _ in range(count)]
        often = {chain: count for chain, count in chains.items() if count >= OFTEN}
        callers = {chain[1:] for chain in others}
        rows.append(
            [
                name,
                total,
                len(chains),
                f"{sum(depths) / max(1, total):.2f}",
                f"{table.median(depths):.0f}",
                table.percent(sum(n for c, n in chains.items() if c in others), total),
                table.percent(sum(n for c, n in chains.items() if c[1:] in callers), total),
                table.percent(sum(n for c, n in often.items() if c in others), sum(often.values())),
            ]
        )
    cut = sum(theirs.values()) - sum(whole.values())
    table.show(
        f"stacks to the thread's start, by function (of perf's {cut} others are cut off)",
        (
            *("who", "stacks", "distinct", "mean depth", "median"),
            *("the other has it", "its callers", f"of those taken {OFTEN} times"),
        ),
        rows,
    )
