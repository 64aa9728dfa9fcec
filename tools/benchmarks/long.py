"""a long run: memory and CPU time of the analysis as episodes add up, and its exports; no target"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import running, table

from hud.analysis.snapshot import Analyzer
from hud.export import FORMATS
from hud.garbage import rare_collections
from hud.model import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hud.analysis.results import Snapshot
    from hud.model import Sample

POLLS = 1_000
"""Of a batch, four workers together; every tenth of one has a wait for a CPU behind it."""
FORGET_NS = 10_000_000_000
ROWS = 10
PEAK, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--samples", type=int, default=2_000_000)


def run(options: argparse.Namespace) -> int:
    from tests.builders import sample_recording as build

    most = 20_000 if options.quick else options.samples
    analyzer = Analyzer(build.empty_recording())
    rows: list[list[table.Cell]] = []
    began, done, forgotten_ns = time.process_time(), 0, 0
    with rare_collections():
        for now_ns, samples in _batches(most):
            analyzer.recording.take(Batch(now_ns, samples=samples))
            analyzer.absorb(now_ns)
            analyzer.forget_samples()
            if now_ns - forgotten_ns > FORGET_NS:
                forgotten_ns = now_ns
                analyzer.forget(now_ns)
            done += len(samples)
            if done * ROWS >= most * (len(rows) + 1):
                rows.append(_row(done, analyzer, time.process_time() - began))
    head = ("samples", "episodes held", "MB", "CPU s")
    table.show("analysis without a window", head, rows)
    _show_exports(analyzer, now_ns)
    return 0


def _batches(most: int) -> Iterator[tuple[int, list[Sample]]]:
    """(moment, samples) of polls that slept 5 to 60 ms."""
    from tests.builders import sample_recording as build

    rng, now_ns, done = random.Random(1), build.START_NS, 0
    naps = ((build.NAP, build.CLOCK_NANOSLEEP), (build.SAVE, build.FSYNC))
    while done < most:
        samples: list[Sample] = []
        for turn in range(POLLS // 4):
            for tid in build.TIDS:
                length, nap = rng.randrange(5 * build.MS, 60 * build.MS), naps[turn % 2]
                end_ns, slept = now_ns + length, length - build.MS // 2
                samples.append(build.asleep(tid, end_ns, slept, nap[0], now_ns, nap[1]))
                samples.append(build.poll(tid, now_ns, length, asleep_ns=slept, task_id=turn))
                if turn % 10 == 0:
                    wait = 5 * build.MS
                    samples.append(build.latency(tid, end_ns + wait, wait, build.STRESS.tid))
            now_ns += 70 * build.MS
        done += len(samples)
        yield now_ns, samples


def _row(done: int, analyzer: Analyzer, cpu_s: float) -> list[table.Cell]:
    rss = running.rss_mb(os.getpid())
    return [done, len(analyzer.episodes()), f"{rss:.0f}", f"{cpu_s:.1f}"]


def _show_exports(analyzer: Analyzer, now_ns: int) -> None:
    snapshot = analyzer.snapshot(now_ns, True)
    with tempfile.TemporaryDirectory() as scratch:
        rows = [[name, *_export(analyzer, snapshot, name, Path(scratch))] for name in FORMATS]
    print(f"{snapshot.losses.recording_full} episodes are left out of them")
    table.show("its exports", ("format", "MB", "CPU s", "most MB in memory"), rows)


def _export(analyzer: Analyzer, snapshot: Snapshot, name: str, scratch: Path) -> list[table.Cell]:
    path = scratch / name
    PEAK.write_text("5")  # begins anew
    began = time.process_time()
    with path.open("wb") as out:
        FORMATS[name].writer()(analyzer, snapshot, out)
    took = time.process_time() - began
    return [f"{path.stat().st_size / 1e6:.1f}", f"{took:.1f}", f"{_peak_mb():.0f}"]


def _peak_mb() -> float:
    (line,) = (one for one in STATUS.read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) / 1e3
