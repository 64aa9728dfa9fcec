"""names of addresses: hud's resolver beside llvm-symbolizer and addr2line, speed and truth"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import targets
from benchmarks import large, live, running, symbolizers, table
from benchmarks.symbolizers import Asked

STACK = 24
"""Addresses of a stack."""
LIVE_S = 6.0
LIVE_MS = 0.5
HEAD = ("who", "file", "addresses", "wall", "cpu", "peak rss", "without files", "x llvm, cpu")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--binary", type=Path, help="not stripped; else a large one, if built")
    parser.add_argument("--build-large", action="store_true", help="build the large target first")
    parser.add_argument("--addresses", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10, metavar="N", help="differences to print")


def run(options: argparse.Namespace) -> int:
    count = min(100, options.addresses) if options.quick else options.addresses
    binary = _binary(options)
    vaddrs, offsets = symbolizers.pick(binary, count, options.seed)
    print(f"{binary.name}: {large.debug_mb(binary):.0f} MB of debug information")
    rows: list[list[table.Cell]] = []
    llvm = shutil.which("llvm-symbolizer-19") or shutil.which("llvm-symbolizer")
    addr2line = shutil.which("addr2line")
    said: dict[str, Asked] = {}
    for file in ("cold", "warm"):
        base = 0.0
        if llvm is not None:
            _prepare(binary, file)
            said["llvm"] = symbolizers.ask_llvm(llvm, binary, vaddrs)
            base = said["llvm"].cpu_s
            rows.append(_row("llvm-symbolizer", file, len(vaddrs), said["llvm"], base))
        _prepare(binary, file)
        said["hud"], again = symbolizers.ask_hud(binary, offsets, offsets)
        rows.append(_row("hud", file, len(vaddrs), said["hud"], base))
        _prepare(binary, file)
        (stack,) = symbolizers.ask_hud(binary, offsets[:STACK])
        rows.append(_row("hud, first stack", file, len(offsets[:STACK]), stack, 0.0))
    rows.append(_row("hud, asked again", "warm", len(vaddrs), again, base))
    if addr2line is not None and not options.quick:
        used = symbolizers.ask_addr2line(addr2line, binary, vaddrs)
        rows.append(_row("addr2line -i -f", "warm", len(vaddrs), used, base))
    title = f"{len(vaddrs)} addresses of {binary.name}, s and MB ({running.load_average()})"
    table.show(title, HEAD, rows)
    if llvm is not None:
        _compare(binary, vaddrs, said, options.show)
    if binary == large.BINARY:
        _live(binary)
    return 0


def _live(binary: Path) -> None:
    """First without the cache and the file's pages, then with both."""
    rows = []
    with large.working(binary) as pid:
        for name, use_cache in (("cold", False), ("(filled)", True), ("warm", True)):
            _prepare(binary, name)
            rows.append(live.row(name, live.attach(pid, LIVE_S, LIVE_MS, use_cache=use_cache)))
    title = f"attached to {binary.name} at work, threshold {LIVE_MS:g} ms"
    table.show(f"{title} ({running.load_average()})", live.HEAD, rows)


def _binary(options: argparse.Namespace) -> Path:
    if options.build_large:
        return large.build()
    if options.binary is not None:
        return Path(options.binary)
    if large.BINARY.exists() and not options.quick:
        return large.BINARY
    return targets.build("zoo", profile="dev", debug=2)


def _prepare(binary: Path, file: str) -> None:
    if file == "cold":
        symbolizers.evict(binary)


def _row(who: str, file: str, count: int, used: Asked, base: float) -> list[table.Cell]:
    return [
        *(who, file, count),
        f"{used.wall_s:.2f}",
        f"{used.cpu_s:.2f}",
        f"{used.peak_mb:.0f}",
        f"{used.own_mb:.0f}" if used.own_mb else "-",
        f"{used.cpu_s / base:.2f}" if base else "-",
    ]


def _compare(binary: Path, vaddrs: list[int], said: dict[str, Asked], show: int) -> None:
    verdict = symbolizers.compare(binary, vaddrs, said["hud"].calls, said["llvm"].calls)
    rows: list[list[table.Cell]] = [
        [reason, count, table.percent(count, verdict.calls)]
        for reason, count in verdict.reasons.most_common()
    ]
    rows.append(["different", len(verdict.wrong), ""])
    title = "function, file and line of every call against llvm-symbolizer's"
    table.show(title, ("call", "count", "of all"), [*rows, ["total", verdict.calls, ""]])
    for line in verdict.wrong[:show]:
        print(line)
