"""what the profiled program loses: requests and polls, with and without hud in turn"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import NamedTuple, TypeAlias

import targets
from benchmarks import running, table

REQUEST = b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n"
SETTLE_S = 2.0
"""After the attach the resolver still reads the files of the target for a second or so."""
OFF_CPU = """
BEGIN { printf("attached\\n"); }
tracepoint:sched:sched_switch /pid == PID/ { @since[tid] = nsecs; @stack[tid] = ustack; }
tracepoint:sched:sched_switch /@since[args->next_pid]/ {
  @[@stack[args->next_pid]] = sum(nsecs - @since[args->next_pid]);
  delete(@since[args->next_pid]);
}
"""
Profiler: TypeAlias = Callable[[int], AbstractContextManager[object]]
CLIENTS = 2
CONNECTIONS = 16


class Pairs(NamedTuple):
    """The same measure without and with hud, one after the other."""

    without: list[float]
    with_hud: list[float]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--only", default="", help="of requests,pipelined,polls,ping_pong")
    parser.add_argument("--exact", action="store_true", help="the same again with --exact")
    parser.add_argument("--hud", default="", help="further options for hud")


def run(options: argparse.Namespace) -> int:
    pairs = 1 if options.quick else options.pairs
    seconds = 0.7 if options.quick else options.seconds
    wanted = set(options.only.split(",")) if options.only else set(MEASURES)
    hud = options.hud.split()
    modes = [("", _hud(hud))]
    if options.exact:
        modes.append((", exact", _hud([*hud, "--exact"])))
    if shutil.which("bpftrace") and not options.quick:
        modes.append((", bpftrace", _bpftrace))
    rows: list[list[table.Cell]] = []
    for name, measure in MEASURES.items():
        for mode, profiler in modes if name in wanted else ():
            for what, found in measure(pairs, seconds, profiler).items():
                rows.append(_row(what + mode, found))
    table.show(
        f"without and with hud in turn ({running.load_average()})",
        ["what", "pairs", "without", "spread", "with it", "spread", "change", "of the pairs"],
        rows,
    )
    return 0


def _hud(words: list[str]) -> Profiler:
    return lambda pid: running.attached(pid, *words)


def _bpftrace(pid: int) -> AbstractContextManager[object]:
    """The nearest that it has: how long and with which stack each thread was off the CPU."""
    script = OFF_CPU.replace("PID", str(pid))
    return running.started(["bpftrace", "-e", script], until="attached", stream="stdout")


def _row(what: str, found: Pairs) -> list[table.Cell]:
    changes = [100 * (b / a - 1) for a, b in zip(found.without, found.with_hud, strict=True)]
    change = 100 * (table.median(found.with_hud) / table.median(found.without) - 1)
    return [
        what,
        len(changes),
        f"{table.median(found.without):,.0f}",
        table.spread(found.without),
        f"{table.median(found.with_hud):,.0f}",
        table.spread(found.with_hud),
        f"{change:+.2f} %",
        f"{table.median(changes):+.2f} % ({min(changes):+.1f} to {max(changes):+.1f})",
    ]


def _alternate(
    pid: int, pairs: int, profiler: Profiler, measure: Callable[[], dict[str, float]]
) -> dict[str, Pairs]:
    found: dict[str, Pairs] = {}
    for _ in range(pairs):
        time.sleep(SETTLE_S)
        for name, value in measure().items():
            found.setdefault(name, Pairs([], [])).without.append(value)
        with profiler(pid):
            time.sleep(SETTLE_S)
            for name, value in measure().items():
                found[name].with_hud.append(value)
    return found


# --------------------------------------------------------------------------- requests


def _requests(depth: int) -> Callable[[int, float, Profiler], dict[str, Pairs]]:
    def measure(pairs: int, seconds: float, profiler: Profiler) -> dict[str, Pairs]:
        words = ["--workers", "2"]
        with targets.demo_server(running.DEMO_SERVER, *words, seconds=900) as server:
            counts = [multiprocessing.Value("Q", 0) for _ in range(CLIENTS)]
            clients = [
                multiprocessing.Process(
                    target=_client, args=(server.port, depth, count), daemon=True
                )
                for count in counts
            ]
            for client in clients:
                client.start()

            def interval() -> dict[str, float]:
                answered, cpu = sum(c.value for c in counts), running.cpu_ns(server.pid)
                began = time.monotonic()
                time.sleep(seconds)
                elapsed = time.monotonic() - began
                answered = sum(c.value for c in counts) - answered
                cpu = running.cpu_ns(server.pid) - cpu
                what = f"requests, {depth} at once: "
                return {what + "per s": answered / elapsed, what + "server ns": cpu / answered}

            try:
                return _alternate(server.pid, pairs, profiler, interval)
            finally:
                for client in clients:
                    client.kill()

    return measure


def _client(port: int, depth: int, answered: Synchronized[int]) -> None:
    """Keep-alive connections in turn, ``depth`` requests written at once on each."""
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    connections[0].sendall(REQUEST)
    size = len(connections[0].recv(65536))
    wanted = size * depth
    for connection in connections:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(REQUEST * depth)
    while True:
        for connection in connections:
            left = wanted
            while left:
                got = len(connection.recv(min(left, 1 << 20)))
                if not got:
                    return
                left -= got
            connection.sendall(REQUEST * depth)
            answered.value += depth


# --------------------------------------------------------------------------- the zoo's loops


def _loop(kind: str, unit: str) -> Callable[[int, float, Profiler], dict[str, Pairs]]:
    def measure(pairs: int, seconds: float, profiler: Profiler) -> dict[str, Pairs]:
        with tempfile.TemporaryDirectory() as scratch:
            truth = Path(scratch) / "truth"
            words = ["--kinds", kind, "--block-ms", "100", "--pause-ms", "1"]
            words += ["--workers", "1", "--seconds", "900"]
            with targets.zoo(targets.build("zoo"), truth, *words) as zoo:

                def interval() -> dict[str, float]:
                    start, cpu = time.monotonic_ns(), running.cpu_ns(zoo.pid)
                    count = taken = 0
                    while not taken:  # on a busy machine it may get no CPU for long
                        time.sleep(seconds)
                        count, taken = _counted(truth, start)
                    cpu = running.cpu_ns(zoo.pid) - cpu
                    per_second = count / taken * 1e9
                    rounds = per_second * (time.monotonic_ns() - start) / 1e9
                    return {f"{unit}: per s": per_second, f"{unit}: cpu ns": cpu / rounds}

                return _alternate(zoo.pid, pairs, profiler, interval)

    return measure


def _counted(truth: Path, start_ns: int) -> tuple[int, int]:
    """Rounds, and nanoseconds, of the deeds that began after ``start_ns``."""
    count = taken = 0
    for line in truth.read_text().splitlines()[1:]:
        deed = json.loads(line)
        if deed["begin"] >= start_ns:
            count += int(deed["function"].rpartition("_")[2])
            taken += deed["end"] - deed["begin"]
    return count, taken


MEASURES = {
    "requests": _requests(1),
    "pipelined": _requests(32),
    "polls": _loop("polls", "polls"),
    "ping_pong": _loop("ping_pong", "rounds of 4 switches"),
}
