"""hud's own CPU time and memory on the demo server under its load or none, after a warm-up"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import running, table

from hud.demo import load as demo_load
from hud.demo import server as demo_server
from hud.process.rights import ordinary_user

PROFILE = """
import cProfile, signal, sys
from hud.cli import main
profile = cProfile.Profile()
signal.signal(signal.SIGALRM, lambda *_: profile.enable())
signal.setitimer(signal.ITIMER_REAL, {warm_up})
status = main()
profile.disable()
profile.dump_stats({file!r})
sys.exit(status)
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--warm-up", type=float, default=8.0, metavar="S")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--idle", action="store_true", help="no load")
    parser.add_argument("--slices", type=int, default=3, help="parts of the time told apart")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="show N hot functions")
    parser.add_argument("--hud", default="", help="further options for hud")


def run(options: argparse.Namespace) -> int:
    warm_up, seconds = (2.0, 6.0) if options.quick else (options.warm_up, options.seconds)
    counters = demo_load.LoadCounters()
    life = warm_up + seconds + 60
    guest = ordinary_user()
    rows: list[list[table.Cell]] = []
    with (
        demo_server.running(guest, seconds=life, say=lambda _: None, build=False) as (server, port),
        contextlib.nullcontext()
        if options.idle
        else demo_load.running(port, counters, seconds=life, user=guest),
    ):
        if options.profile:
            _profiled(server.pid, warm_up + seconds, options)
            return 0
        with running.attached(server.pid, *options.hud.split()) as hud:
            time.sleep(warm_up)
            length = seconds / options.slices
            rows += [
                _slice(hud.pid, server.pid, length, number, counters)
                for number in range(options.slices)
            ]
    table.show(
        f"hud on the demo server ({running.load_average()})",
        ("slice", "s", "requests/s", "server cpu", "hud", "resolver", "both", "rss", "pss", "maps"),
        rows,
    )
    return 0


def _slice(
    hud: int, server: int, seconds: float, number: int, counters: demo_load.LoadCounters
) -> list[table.Cell]:
    family = running.family(hud)
    pids = [hud, server, *family[1:]]
    before = {pid: running.cpu_ns(pid) for pid in pids}
    answered = counters.read().answered
    began = time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - began
    share = {pid: (running.cpu_ns(pid) - before[pid]) / 1e7 / elapsed for pid in pids}
    resolver = sum(share[pid] for pid in family[1:])
    return [
        str(number + 1),
        f"{elapsed:.0f}",
        f"{(counters.read().answered - answered) / elapsed:.0f}",
        f"{share[server]:.1f} %",
        f"{share[hud]:.2f} %",
        f"{resolver:.2f} %",
        f"{share[hud] + resolver:.2f} %",
        f"{sum(map(running.rss_mb, family)):.0f} MB",
        f"{sum(map(running.pss_mb, family)):.0f} MB",
        f"{running.maps_mb(hud):.1f} MB",
    ]


def _profiled(pid: int, seconds: float, options: argparse.Namespace) -> None:
    """hud under cProfile after its warm-up: the figures are inflated, their proportions tell."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "hud.prof"
        code = PROFILE.format(warm_up=options.warm_up, file=str(file))
        command = [sys.executable, "-c", code, "--pid", str(pid), "--headless", "--quiet"]
        command += ["--duration", str(seconds), *options.hud.split()]
        subprocess.run(command, cwd=running.ROOT, check=True, stdout=subprocess.DEVNULL)
        import pstats

        stats = pstats.Stats(str(file)).strip_dirs()
        for order in ("cumulative", "tottime"):
            stats.sort_stats(order).print_stats(options.profile)
