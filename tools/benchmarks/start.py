"""from the start of hud until it is attached, from source and from the zipapp, beside bpfcc"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import targets
from benchmarks import running, table

PEERS = {
    "offcputime-bpfcc": (("-p", "{pid}", "1"), "Tracing"),
    "runqlat-bpfcc": (("-p", "{pid}", "1", "1"), "Tracing"),
}


HEAD = (
    *("what", "start", "wall", "cpu", "import", "resolver forked", "programs loaded"),
    *("executable read", "attached", "rss", "resolver", "pss"),
)


class Start(NamedTuple):
    wall_s: float
    """Until it said that it watches."""
    cpu_s: float
    """Of both processes until then."""
    phases: dict[str, float]
    """Seconds since the profiler's own start."""
    rss_mb: float
    resolver_mb: float
    pss_mb: float


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=7, help="warm starts")
    parser.add_argument("--no-install", action="store_true", help="no apt-get for bpfcc-tools")
    parser.add_argument("--no-zipapp", action="store_true")


def run(options: argparse.Namespace) -> int:
    rounds = 3 if options.quick else options.rounds
    with targets.demo_server(running.DEMO_SERVER, seconds=600) as server:
        rows = _hud("from source", list(running.SOURCE), server.pid, rounds)
        if not options.no_zipapp:
            with tempfile.TemporaryDirectory() as scratch:
                archive = Path(scratch) / "hud.pyz"
                why = _build(archive)
                if why:
                    rows.append(["zipapp", why, *["-"] * 10])
                else:
                    command = [sys.executable, str(archive)]
                    rows += _hud("zipapp", command, server.pid, rounds)
        table.show(
            f"hud, ms ({running.load_average()})",
            HEAD,
            rows,
        )
        if not options.no_install:
            _install()
        table.show("others, ms", ("what", "start", "wall", "said"), _peers(server.pid, rounds))
    return 0


def _hud(name: str, command: list[str], pid: int, rounds: int) -> list[list[table.Cell]]:
    starts = [_start(command, pid) for _ in range(rounds + 1)]
    return [
        _row(name, "first", starts[:1]),
        _row(name, f"median of {rounds}", starts[1:]),
        [name, "spread", table.spread([s.wall_s * 1e3 for s in starts[1:]]), *["-"] * 9],
    ]


def _row(name: str, which: str, starts: list[Start]) -> list[table.Cell]:
    def phase(what: str) -> str:
        return f"{table.median([s.phases[what] for s in starts]) * 1e3:.0f}"

    imported = table.median([s.wall_s - s.phases["attached"] for s in starts]) * 1e3
    return [
        name,
        which,
        f"{table.median([s.wall_s for s in starts]) * 1e3:.0f}",
        f"{table.median([s.cpu_s for s in starts]) * 1e3:.0f}",
        f"{imported:.0f}",
        phase("resolver forked"),
        phase("programs loaded"),
        phase("executable read"),
        phase("attached"),
        *(
            f"{table.median([getattr(s, what) for s in starts]):.0f} MB"
            for what in ("rss_mb", "resolver_mb", "pss_mb")
        ),
    ]


def _start(command: list[str], pid: int) -> Start:
    words = [*command, "--pid", str(pid), "--headless", "--verbose", "--duration", "0.3"]
    began = time.monotonic()
    process = subprocess.Popen(
        words, cwd=running.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    phases = {}
    said = ""
    for line in process.stderr:
        said += line
        found = re.match(r"hud: +([\d.]+) ms +(?:after the start: )?(.+)", line)
        if found:
            phases[found[2]] = float(found[1]) / 1e3
        if "watching" in line:
            break
    else:
        raise SystemExit(f"bench: hud ended: {said}")
    wall = time.monotonic() - began
    family = running.family(process.pid)
    cpu = sum(map(running.cpu_ns, family)) / 1e9
    time.sleep(0.1)
    own = running.rss_mb(family[0])
    resolver = sum(running.rss_mb(child) for child in family[1:])
    pss = sum(running.pss_mb(one) for one in family)
    process.communicate()
    return Start(wall, cpu, phases, own, resolver, pss)


def _build(archive: Path) -> str:
    """Why there is no zipapp; empty = it was built."""
    command = [sys.executable, str(running.ROOT / "tools" / "build_zipapp")]
    done = subprocess.run([*command, "--output", str(archive)], capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def _install() -> None:
    if running.have("offcputime-bpfcc") or not running.have("apt-get"):
        return
    print("installing bpfcc-tools with apt-get, to compare", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "bpfcc-tools"]
    subprocess.run(command, env=environment, capture_output=True, timeout=300)


def _peers(pid: int, rounds: int) -> list[list[table.Cell]]:
    rows: list[list[table.Cell]] = []
    for name, (arguments, until) in PEERS.items():
        if not running.have(name):
            rows.append([name, "-", "-", "not installed"])
            continue
        words = [name, *(word.format(pid=pid) for word in arguments)]
        taken = [_until(words, until) for _ in range(rounds + 1)]
        good = [seconds * 1e3 for seconds, _ in taken if seconds]
        if not good:
            rows.append([name, "-", "-", f"does not run here: {taken[0][1]}"])
            continue
        rows.append([name, "first", f"{good[0]:.0f}", taken[0][1]])
        rows.append([name, f"median of {rounds}", f"{table.median(good[1:]):.0f}", ""])
    return rows


def _until(words: list[str], until: str) -> tuple[float, str]:
    """Seconds until that word was printed, and the line; 0 and the last line if it never was."""
    began = time.monotonic()
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        if until in line:
            taken = time.monotonic() - began
            process.kill()
            process.communicate()
            return taken, line.strip()[:60]
        last = line.strip() or last
    process.communicate()
    return 0.0, last[:90]
