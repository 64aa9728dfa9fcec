"""one program built in many ways: recall, alarms, the function and the place that hud tells"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import targets
from benchmarks import running, table
from benchmarks.accuracy import nameable
from benchmarks.builds import Build, builds
from benchmarks.truth import AT_LEAST_NS, Deed, Find, judge, read_deeds, read_finds

SOURCE = targets.CRATES / "corpus" / "src" / "blocking.rs"
LOADER = "/lib64/ld-linux-x86-64.so.2"
LATE_S = 2.0
ATTACH_S = 60
"""The program outlives any attach; it is killed at the end."""
HEAD = (
    *("build", "rung", "tick", "deeds", "pressure", "recall", "alarms", "marked"),
    *("nameable", "function", "told", "where", "cause", "complete"),
)
HOST = """
import ctypes, sys, time
print("host", flush=True)
time.sleep(float(sys.argv[1]))
ctypes.CDLL(sys.argv[2]).corpus_start("\\n".join(sys.argv[3:]).encode())
"""


class Row(NamedTuple):
    """What came of one build, in one flavor."""

    name: str
    rung: str = ""
    tick: str = ""
    deeds: int = 0
    pressed: int = 0
    found: int = 0
    alarms: int = 0
    marked: int = 0
    """Alarms of which hud itself says that they may be several polls."""
    nameable: int = 0
    function: int = 0
    told: int = 0
    where: int = 0
    cause: int = 0
    complete: float = 0.0

    def cells(self) -> list[table.Cell]:
        """Under ``HEAD``."""
        expected = self.deeds - self.pressed
        named = table.percent(self.nameable, self.found)
        return [
            *(self.name, self.rung, self.tick, self.deeds, self.pressed),
            *(table.percent(self.found, expected), self.alarms, self.marked),
            *(named, table.percent(self.function, self.nameable)),
            *(table.percent(self.told, self.found), table.percent(self.where, self.told)),
            *(
                table.percent(self.cause, self.found),
                f"{100 * self.complete:.0f} %" if self.complete else "-",
            ),
        ]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--builds", default="", help="those whose name has one of these words: a,b")
    parser.add_argument("--flavors", default="multi_thread,current_thread")
    parser.add_argument("--seconds", type=float, default=6.0, help="for each combination")
    parser.add_argument("--keep", type=Path, help="a directory for truth and traces")
    parser.add_argument("--only-build", action="store_true", help="build, do not run")
    parser.add_argument("-v", "--verbose", action="store_true", help="what was told wrong")


def run(options: argparse.Namespace) -> int:
    wanted = [word for word in options.builds.split(",") if word]
    rows: list[Row] = []
    for build in builds():
        if wanted and not any(word in build.name for word in wanted):
            continue
        binary = made(build)
        if binary is None or options.only_build:
            continue
        for flavor in options.flavors.split(","):
            if flavor == "multi_thread" and "--no-default-features" in build.words:
                continue
            with tempfile.TemporaryDirectory() as scratch:
                rows.append(measure(build, binary, flavor, options, Path(options.keep or scratch)))
            print("  ".join(map(str, rows[-1].cells())), flush=True)
    table.show(f"all ({running.load_average()})", HEAD, [row.cells() for row in rows])
    total = Row(
        "total", *("", ""), *(sum(map(int, n)) for n in zip(*(r[3:13] for r in rows), strict=True))
    )
    table.show("together", HEAD, [total.cells()])
    return 0


def made(build: Build) -> Path | None:
    """The binary; None after a word why it cannot be built here."""
    missing = build.missing()
    if not missing:
        try:
            return build.make()
        except subprocess.CalledProcessError as error:
            said = (error.stderr or "").strip() or str(error)
            missing = next((line for line in said.splitlines() if "error" in line), said[-200:])
    print(f"{build.name}: not built: {missing}", flush=True)
    return None


def measure(
    build: Build, binary: Path, flavor: str, options: argparse.Namespace, place: Path
) -> Row:
    seconds = 3.0 if options.quick else options.seconds
    name = f"{build.name}, {flavor.partition('_')[0]}"
    stem = re.sub(r"\W+", "-", name)
    place.mkdir(exist_ok=True)
    truth = place / f"{stem}.truth"
    truth.unlink(missing_ok=True)
    late = LATE_S if build.start == "late" else 0.0
    words = [
        str(truth),
        str(int(seconds + late + ATTACH_S)),
        "current" * (flavor == "current_thread"),
    ]
    with started(build, binary, words) as pid:
        try:
            trace = running.profile(pid, seconds + late)
        except SystemExit as error:
            print(f"{name}: {error}", flush=True)
            return Row(name, "none")
    if options.keep:
        import json

        (place / f"{stem}.json").write_text(json.dumps(trace))
    return graded(name, read_deeds(truth), trace, binary, verbose=options.verbose)


@contextlib.contextmanager
def started(build: Build, binary: Path, words: list[str]) -> Iterator[int]:
    """The corpus, or Python that has loaded it or will; its pid."""
    command = [str(binary), *words]
    if build.start == "loader":
        command = [LOADER, *command]
    elif build.start in ("object", "late"):
        command = [sys.executable, "-c", HOST, str(LATE_S * (build.start == "late")), *command]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            if build.start == "object":
                process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


def graded(
    name: str, deeds: list[Deed], trace: dict[str, Any], binary: Path, *, verbose: bool
) -> Row:
    known = nameable(binary)
    verdict = judge(deeds, trace, nameable=known)
    score, other = verdict.total(), trace["otherData"]
    finds = [find for find in read_finds(trace) if not find.pressed]
    told = placed = 0
    margin_ns = 20_000_000
    first = other["start_monotonic_ns"] + margin_ns
    last = first + int(other["duration_s"] * 1e9) - 2 * margin_ns
    for deed in deeds:
        whole = first <= deed.begin and deed.end <= last and deed.length >= AT_LEAST_NS
        find = _find_of(deed, finds) if whole else None
        if find is None or not find.args.get("file"):
            continue
        right = _right_place(deed, find)
        told, placed = told + 1, placed + right
        if verbose and not right:
            print(f"  {deed.kind}: placed {find.args['file']}:{find.args.get('line')}")
    # what slept for less and then had no CPU is told as just that
    alarms = [
        one
        for one in verdict.alarms
        if not (one.contended or one.args.get("pressed") or _happened(one, deeds))
    ]
    if verbose:
        for pair in sorted(set(score.wrong)):
            print(f"  told otherwise, {score.wrong.count(pair)} times: {pair}")
        for find in alarms:
            length = (find.end - find.begin) / 1e6
            print(f"  alarm: {find.function} {find.cause} {length:.1f} ms {find.stack[:4]}")
        print(f"  missed: {[deed.kind for deed in score.missed]}")
    marked = sum("maybe_several_polls" in find.args for find in alarms)
    return Row(
        name,
        other["detection"]["rung"],
        "unknown" if other["episodes_tick_unknown"] else "known",
        score.deeds,
        score.pressed,
        score.found,
        len(alarms) - marked,
        marked,
        score.nameable,
        score.blamed,
        told,
        placed,
        score.cause,
        _complete(finds),
    )


def _happened(find: Find, deeds: list[Deed]) -> bool:
    """Whether the poll was as long as that though no deed says so: in a short sleep that is
    allowed, as on a machine whose CPUs are not always its own one of some hundred wakes up
    milliseconds too late; in writing down the truth; or before hud had begun."""
    if "truth::Truth" in find.function or find.args.get("began_before_attach"):
        return True
    return any(
        deed.kind == "say_something"
        and deed.tid == find.tid
        and 10 * _shared(find, deed) >= 9 * (find.end - find.begin)
        for deed in deeds
    )


def _shared(find: Find, deed: Deed) -> int:
    return min(find.end, deed.end) - max(find.begin, deed.begin)


def _find_of(deed: Deed, finds: list[Find]) -> Find | None:
    """What was told of a deed: the find that covers half of it."""
    if deed.allowed:
        return None
    for find in finds:
        if find.tid == deed.tid and 2 * _shared(find, deed) >= deed.length:
            return find
    return None


def _right_place(deed: Deed, find: Find) -> bool:
    """In the function of the deed, or in the async fn of its kind, where the other is inlined."""
    if not str(find.args["file"]).endswith("src/blocking.rs"):
        return False
    line = find.args.get("line")
    ranges = [lines()[name] for name in (deed.function, deed.kind) if name in lines()]
    return not line or any(line in lines_of for lines_of in ranges)


@cache
def lines() -> dict[str, range]:
    """Function of the corpus -> its lines."""
    found, name, start = {}, "", 0
    for number, line in enumerate(SOURCE.read_text().splitlines(), 1):
        match = re.match(r"\s*(?:pub )?(?:async )?fn (\w+)", line)
        if match:
            name, start = match[1], number
        elif line in ("}", "    }") and name:
            found[name] = range(start, number + 1)
    return found


def _complete(finds: list[Find]) -> float:
    stacks = [find.args["stack_complete"] for find in finds if find.stack]
    return sum(stacks) / len(stacks) if stacks else 0.0
