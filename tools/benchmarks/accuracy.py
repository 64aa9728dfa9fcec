"""what hud reports against what the zoo says of itself: recall, durations, names, causes"""

from __future__ import annotations

import argparse
import collections
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import targets
from benchmarks import running, table
from benchmarks.truth import Score, Verdict, judge, read_deeds

BUILDS: dict[str, dict[str, Any]] = {
    "release": {},
    "dev": {"profile": "dev"},
    "lto": {"config": ('profile.release.lto="fat"', "profile.release.codegen-units=1")},
    "debug": {"debug": 2},
    "stripped": {"strip": True},
}
HEAD = [
    "kind",
    "deeds",
    "pressure",
    "recall",
    "nameable",
    "blamed",
    "in-stack",
    "cause",
    "holder",
    "exact",
    "err-med",
    "err-p95",
    "err-max",
]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--builds", default="release", help=f"of {','.join(BUILDS)}")
    parser.add_argument("--tokio", default="locked", help="exact versions, or `locked`")
    parser.add_argument("--flavors", default="multi_thread,current_thread")
    parser.add_argument("--seconds", type=int, default=12, help="for each combination")
    parser.add_argument("--threshold", type=float, default=5.0, metavar="MS")
    parser.add_argument("--block-ms", default="12", help="how long specimens block; several: 7,12")
    parser.add_argument("--pause-ms", default="20")
    parser.add_argument("--kinds", default="", help="of the zoo; default: all at once")
    parser.add_argument("--keep", type=Path, help="a directory for the truth and trace files")
    parser.add_argument("--exact", action="store_true", help="hud with --exact")
    parser.add_argument("--hud", default="", help="further options for hud, e.g. --no-context")


def run(options: argparse.Namespace) -> int:
    seconds = 4 if options.quick else options.seconds
    summary = []
    for build in options.builds.split(","):
        for version in options.tokio.split(","):
            tokio = None if version == "locked" else version
            binary = targets.build("zoo", tokio=tokio, **BUILDS[build])
            for flavor in options.flavors.split(","):
                for block in options.block_ms.split(","):
                    name = f"{build}, tokio {version}, {flavor}, {block} ms"
                    verdict, trace = measure(binary, flavor, seconds, block, options, name)
                    show(name, verdict, trace)
                    summary.append(_row(name, verdict.total(), verdict))
    table.show("all", ("run", *HEAD[1:], "alarms"), summary)
    return 0


def measure(
    binary: Path, flavor: str, seconds: int, block: str, options: argparse.Namespace, name: str
) -> tuple[Verdict, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(options.keep or scratch)
        place.mkdir(exist_ok=True)
        stem = name.replace(", ", "-").replace(" ", "")
        truth = place / f"{stem}.truth"
        words = ["--seconds", str(seconds), "--flavor", flavor, "--block-ms", block]
        words += ["--pause-ms", options.pause_ms]
        if options.kinds:
            words += ["--kinds", options.kinds]
        with targets.zoo(binary, truth, *words) as zoo:
            hud = ["--threshold", f"{options.threshold:g}", *options.hud.split()]
            hud += ["--exact"] if options.exact else []
            stolen = running.stolen_ms()
            trace = running.profile(zoo.pid, seconds - 1.5, *hud)
            trace["stolen_ms"] = running.stolen_ms() - stolen
        if options.keep:
            import json

            (place / f"{stem}.json").write_text(json.dumps(trace))
        at_least = int(max(7.0, options.threshold * 1.4) * 1e6)
        known = nameable(binary)
        return judge(read_deeds(truth), trace, at_least_ns=at_least, nameable=known), trace


def nameable(binary: Path) -> Callable[[str], bool]:
    """By the names in the symbols (mangled: each has its length before it); with debug info inlined
    calls have names too.
    """
    data = binary.read_bytes()
    described = b".debug_info\0" in data
    return lambda function: described or f"{len(function)}{function}".encode() in data


def show(name: str, verdict: Verdict, trace: dict[str, Any]) -> None:
    rows = [_row(kind, verdict.scores[kind], None) for kind in sorted(verdict.scores)]
    rows.append(_row("total", verdict.total(), None))
    table.show(name, HEAD, rows)
    other = trace["otherData"]
    print(f"  detection: {other['detection']['rung']}: {other['detection']['reason']}")
    if other["exact"]:
        # no uprobe sees the root future
        tasks = [score for kind, score in verdict.scores.items() if kind != "root"]
        sizes = [abs(error) * 1000 for score in tasks for error in score.errors_ms]
        print(f"  exact: {other['exact']}; durations of tasks' polls off by ", end="")
        print(f"{table.median(sizes):.0f} us in the median, {table.quantile(sizes, 0.95):.0f} p95")
    losses = {key: value for key, value in other["losses"].items() if value}
    print(f"  losses: {losses or 'none'}; {running.load_average()}")
    print(f"  CPU time that the hypervisor took away: {trace['stolen_ms']:.0f} ms")
    print(f"  in several episodes: {verdict.split}; several in one episode: {verdict.merged}")
    contended = sum(find.contended for find in verdict.alarms)
    print(f"  waits for the lock of Tokio's own pool, found beside: {contended}")
    alarms = collections.Counter((f.function, f.cause) for f in verdict.alarms if not f.contended)
    print(f"  false alarms: {sum(alarms.values())}", _most(alarms))
    allowed = collections.Counter(d.kind for _, d in verdict.allowed_alarms)
    print(f"  of allowed kinds: {sum(allowed.values())}", _most(allowed))
    wrong: collections.Counter[object] = collections.Counter()
    for kind, score in verdict.scores.items():
        wrong.update((kind, *pair) for pair in score.wrong)
        if score.missed:
            shown = ", ".join(f"{d.length / 1e6:.1f} ms" for d in score.missed[:6])
            print(f"  missed {kind}: {len(score.missed)} ({shown})")
    print(f"  blamed otherwise: {sum(wrong.values())}", _most(wrong))
    print(flush=True)


def _most(counter: collections.Counter[Any]) -> str:
    return "; ".join(f"{count} x {what}" for what, count in counter.most_common(8))


def _row(name: str, score: Score, verdict: Verdict | None) -> list[table.Cell]:
    sizes = [abs(error) for error in score.errors_ms]
    row: list[table.Cell] = [
        name,
        score.deeds,
        score.pressed,
        table.percent(score.found, score.expected),
        table.percent(score.nameable, score.found),
        table.percent(score.blamed, score.nameable),
        table.percent(score.in_stack, score.nameable),
        table.percent(score.cause, score.found),
        table.percent(score.holder, score.woken),
        table.percent(score.exact, score.timed),
        f"{table.median(score.errors_ms):+.2f}",
        f"{table.quantile(sizes, 0.95):.2f}",
        f"{max(sizes, default=0.0):.2f}",
    ]
    return row if verdict is None else [*row, sum(not f.contended for f in verdict.alarms)]
