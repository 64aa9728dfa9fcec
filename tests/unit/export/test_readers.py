"""Each format as its own reader takes it: the totals are the run's, to the nanosecond."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shutil
import subprocess
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hud.analysis.snapshot import Analyzer
from hud.commands import help as topics
from hud.export import FORMATS
from hud.model import Frame, Origin, Target
from hud.record.reader import Reader, open_recording
from hud.record.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from hud.analysis.recording import Recording
    from hud.analysis.results import Episode, Snapshot

SARIF_SCHEMA = Path(__file__).parents[2] / "data" / "schema" / "sarif-2.1.0.json"
EVIL = 'a<b>|`;\x1b[31m\n"\\=cmd, x'
"""What a thread, a file or a symbol may be called."""


class Run:
    """One run in all formats."""

    def __init__(self, analyzer: Analyzer, snapshot: Snapshot) -> None:
        self.analyzer = analyzer
        self.snapshot = snapshot

    def written(self, name: str) -> bytes:
        out = io.BytesIO()
        FORMATS[name].writer()(self.analyzer, self.snapshot, out)
        return out.getvalue()

    def text(self, name: str) -> str:
        return self.written(name).decode()

    def file(self, name: str, folder: Path) -> Path:
        path = folder / f"run{FORMATS[name].suffixes[0]}"
        path.write_bytes(self.written(name))
        return path


def of(recording: Recording) -> Run:
    analyzer = Analyzer(recording)
    return Run(analyzer, analyzer.snapshot(recording.ended_ns, False))


def hostile(build: ModuleType) -> Run:
    """One episode, all names of which are meant to break a format."""
    recording = build.empty_recording(target=Target(1, EVIL, EVIL))
    recording.add_stack(1, build.stack(Frame(16, EVIL, EVIL, EVIL, 7, EVIL, origin=Origin.USER)))
    tid, start = build.TIDS[0], build.START_NS
    recording.details[tid, start + 12 * build.MS] = "=HYPERLINK(1)"
    sleep = build.asleep(tid, start + 12 * build.MS, 11 * build.MS, 1, start, 74)
    recording.add_samples([sleep._replace(value=3), build.poll(tid, start, 12 * build.MS)])
    recording.finish(start + build.SECOND, "Ctrl-C")
    return of(recording)


@pytest.fixture(params=["sample", "demo", "hostile"])
def run(request: pytest.FixtureRequest, build: ModuleType) -> Run:
    if request.param == "sample":
        return of(build.demo_recording())
    if request.param == "hostile":
        return hostile(build)
    with closing(open_recording("tests/data/demo.hud")) as source:
        replay = Replay(Reader(source).entries())
        replay.advance()
    return Run(replay.analyzer, replay.snapshot())


def test_the_run_blocks(run: Run) -> None:
    """What the totals below are compared with."""
    episodes = [one for one in run.analyzer.episodes() if one.cause.blames_code]
    assert len(episodes) == run.snapshot.episodes > 0
    assert sum(one.charged_ns for one in episodes) == run.snapshot.blocked_ns > 10**6


def test_folded(run: Run) -> None:
    rows = [line.rpartition(" ") for line in run.text("folded").splitlines()]
    assert sum(int(ns) for _, _, ns in rows) == run.snapshot.blocked_ns
    causes = {re.fullmatch(r"\[(\w+)\]", stack.split(";")[-1])[1] for stack, _, _ in rows}  # type: ignore[index]
    assert causes == {row.cause.value for row in run.analyzer.episodes() if row.cause.blames_code}


def test_json(run: Run) -> None:
    whole = json.loads(run.written("json"))
    assert whole["schema"] == 1
    assert whole["run"]["blocked_ns"] == run.snapshot.blocked_ns
    assert sum(row["blocked_ns"] for row in whole["episodes"]) == run.snapshot.blocked_ns
    assert sum(row["blocked_ns"] for row in whole["blockers"]) == run.snapshot.blocked_ns
    assert sum(row["count"] for row in whole["blockers"]) == run.snapshot.episodes
    stacks = [row["stack"] for row in whole["episodes"] if row["stack"]]
    assert stacks
    assert all(whole["stacks"][str(key)]["frames"] for key in stacks)


def test_json_lines_and_csv_tell_the_same(run: Run) -> None:
    lines = [json.loads(line) for line in run.text("jsonl").splitlines()]
    rows = list(csv.DictReader(io.StringIO(run.text("csv"), newline="")))
    assert sum(row["blocked_ns"] for row in lines) == run.snapshot.blocked_ns
    assert sum(int(row["blocked_ns"]) for row in rows) == run.snapshot.blocked_ns
    assert [line["function"] for line in lines] == [row["function"] for row in rows]
    assert [line["start_ns"] for line in lines] == sorted(int(row["start_ns"]) for row in rows)


def test_openmetrics(run: Run, need: Callable[[object, str], None]) -> None:
    need(find_spec("prometheus_client"), "prometheus-client")
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    families = {one.name: one for one in text_string_to_metric_families(run.text("openmetrics"))}
    whole = sum(round(one.value * 10**9) for one in families["hud_blocked_seconds"].samples)
    assert whole == run.snapshot.blocked_ns
    assert sum(one.value for one in families["hud_blocked_polls"].samples) == run.snapshot.episodes
    assert {one.labels["reason"] for one in families["hud_lost"].samples} >= {"ring_full"}


def test_markdown(run: Run) -> None:
    text = run.text("markdown")
    rows = [line for line in text.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) == len(run.snapshot.blockers)
    cells = [re.split(r"(?<!\\)\|", row) for row in rows]
    assert {len(row) for row in cells} == {11}, "a name opens no column"
    counts = [int(row[4].replace(",", "")) for row in cells]
    assert sum(counts) == run.snapshot.episodes


def test_speedscope(
    run: Run, speedscope: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Its own format, folded stacks, pprof and the trace, in which it takes an end for one of what
    is open without a warning only where name and arguments are the same."""
    names = ("speedscope", "folded", "pprof", "trace")
    own, folded, pprof, trace = speedscope(*(run.file(name, tmp_path) for name in names))
    assert own["warned"] == folded["warned"] == pprof["warned"] == trace["warned"] == []
    assert pprof["profiles"][0]["total"] == run.snapshot.blocked_ns
    sampled, *workers = own["profiles"]
    assert sampled["total"] == run.snapshot.blocked_ns
    assert folded["profiles"][0]["total"] == run.snapshot.blocked_ns
    # on the clock; edges that overlap by their uncertainty are cut
    blocking = [one for one in run.analyzer.episodes() if one.cause.blames_code]
    clock = sum(one.duration_ns for one in blocking)
    assert 0.98 * clock <= sum(one["busy"] for one in workers) <= clock + len(blocking)
    assert sum(one["busy"] for one in trace["profiles"]) * 1000 >= 0.98 * clock


EPISODES = """select count(*), sum(extract_arg(arg_set_id, 'debug.blocked_ns')), sum(dur)
    from slice where category = 'execution'"""
WAITS = "select count(*) from slice where category = 'scheduling'"
ARROWS = """select f.name, t.name, tid from flow join slice f on slice_out = f.id
    join slice t on slice_in = t.id join thread_track on f.track_id = thread_track.id
    join thread using (utid) order by f.ts, tid"""
COUNTERS = """select name, value from counter join counter_track on track_id = counter_track.id"""
WRONG = "select name, value from stats where severity <> 'info' and value > 0"


def test_perfetto(run: Run, perfetto: Callable[..., list[list[list[Any]]]], tmp_path: Path) -> None:
    path = run.file("perfetto", tmp_path)
    asked = (EPISODES, WAITS, ARROWS, COUNTERS, WRONG)
    ((whole,), ((waits,),), arrows, counters, wrong) = perfetto(path, *asked)
    assert wrong == []
    blocking = [one for one in run.analyzer.episodes() if one.cause.blames_code]
    count, blocked_ns, clock_ns = whole
    assert (count, blocked_ns) == (run.snapshot.episodes, run.snapshot.blocked_ns)
    clock = sum(one.duration_ns for one in blocking)
    assert 0.98 * clock <= clock_ns <= clock + len(blocking)
    assert waits <= len(run.analyzer.latencies()) + len(run.analyzer.episodes()) - len(blocking)
    wakers = [one.holder for one in blocking if one.holder and one.holder.woke_ns]
    assert sorted(tid for *_, tid in arrows) == sorted(one.tid for one in wakers)
    shares = [value for name, value in counters if name.startswith("blocked")]
    graph = run.snapshot.graph
    assert shares == pytest.approx([100 * graph.share(at) for at in range(graph.slices)])
    whole_ns = graph.slice_ns * graph.workers * len(shares)
    assert sum(shares) / len(shares) >= 98 * run.snapshot.blocked_ns / whole_ns
    ready = sum(name.startswith("ready tasks") for name, _ in counters)
    readings = run.analyzer.recording.tasks.readings
    assert ready == sum((one.shared >= 0) + (one.own >= 0) for one in readings)


def test_firefox(run: Run, firefox: Callable[..., list[Any]], tmp_path: Path) -> None:
    path = run.file("firefox", tmp_path)
    threads = json.loads(path.read_bytes())["threads"]
    weights = [weight for thread in threads for weight in thread["samples"]["weight"]]
    assert sum(round(weight * 10**6) for weight in weights) == run.snapshot.blocked_ns
    assert len(weights) == run.snapshot.episodes
    (info, functions) = firefox(path, "profile info", "thread functions --thread t-0")
    assert info["threadCount"] == len(threads)
    own = {row["name"]: row["selfSamples"] for row in functions["functions"] if row["selfSamples"]}
    assert sum(own.values()) == pytest.approx(sum(threads[0]["samples"]["weight"]), abs=1e-3)
    first = [one for one in told_by(run) if one.tid == threads[0]["tid"]]
    assert own.keys() == {f"[{one.cause.value}]" for one in first}


def told_by(run: Run) -> list[Episode]:
    return [one for one in run.analyzer.episodes() if one.cause.blames_code]


def test_pprof(run: Run, need: Callable[[object, str], None], tmp_path: Path) -> None:
    need(shutil.which("go"), "go")
    path = run.file("pprof", tmp_path)
    ran = subprocess.run(
        ["go", "tool", "pprof", "-raw", str(path)], capture_output=True, text=True, check=True
    )
    assert "blocked/nanoseconds[dflt] episodes/count" in ran.stdout
    samples = re.findall(r"^ +(\d+) +(\d+): [\d ]+$", ran.stdout, re.MULTILINE)
    assert sum(int(ns) for ns, _ in samples) == run.snapshot.blocked_ns
    assert sum(int(count) for _, count in samples) == run.snapshot.episodes
    labels = set(re.findall(r"\bcause:\[(\w+)\]", ran.stdout))
    blocking = (one.cause for one in run.analyzer.episodes() if one.cause.blames_code)
    assert labels == {cause.value for cause in blocking}


def test_pprof_is_the_same_each_time(build: ModuleType) -> None:
    first, second = (of(build.demo_recording()).written("pprof") for _ in range(2))
    assert first == second
    assert gzip.decompress(first)


def test_sarif(run: Run, need: Callable[[object, str], None]) -> None:
    need(find_spec("jsonschema"), "jsonschema")
    import jsonschema

    whole = json.loads(run.written("sarif"))
    jsonschema.validate(whole, json.loads(SARIF_SCHEMA.read_text()))
    (found,) = whole["runs"]
    told = [one["properties"] for one in found["results"]]
    assert sum(one["blocked_ns"] for one in told) == run.snapshot.blocked_ns
    assert sum(one["count"] for one in told) == run.snapshot.episodes
    assert found["properties"]["blocked_ns"] == run.snapshot.blocked_ns


def test_the_help_has_every_format() -> None:
    text = topics.text("exports")
    told = re.findall(r"^    (\w+) +(\..*?)   ", text, re.MULTILINE)
    assert {name: tuple(suffixes.split()) for name, suffixes in told} == {
        row.name: row.suffixes for row in FORMATS.values()
    }


def test_hostile_names_stay_text(build: ModuleType) -> None:
    """In every text format: no control character, no new row, no formula, no markup."""
    run = hostile(build)
    for name in (
        "folded",
        "json",
        "jsonl",
        "csv",
        "openmetrics",
        "markdown",
        "speedscope",
        "sarif",
    ):
        text = run.text(name)
        assert "\x1b" not in text, name
        assert all(line.isprintable() for line in re.split("\r?\n", text)), name
    assert len(run.text("jsonl").splitlines()) == 1
    assert len(run.text("folded").splitlines()) == 1
    (row,) = csv.DictReader(io.StringIO(run.text("csv")))
    assert row["detail"] == "'=HYPERLINK(1)"
