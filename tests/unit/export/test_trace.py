"""The trace export against its format's rules and the users' jq lines."""

from __future__ import annotations

import ast
import inspect
import io
import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hud.analysis.snapshot import Analyzer
from hud.commands import help as topics
from hud.export import faces, summary, trace
from hud.export.telling import shown_frame
from hud.model import BEGAN_BEFORE, Frame, Losses, Origin, Precision, Target, Where, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from hud.analysis.recording import Recording


def stack_of(whole: dict[str, Any], number: int) -> list[str]:
    """The functions of an event's ``sf``, innermost first."""
    frame = whole["stackFrames"][str(number)]
    outer = stack_of(whole, frame["parent"]) if "parent" in frame else []
    return [frame["name"], *outer]


REQUIRED = {"name", "ph", "ts", "pid", "tid"}
"""What every importer wants of every event; old speedscope of metadata too."""


def exported(recording: Recording, now_ns: int = 0) -> dict[str, Any]:
    analyzer = Analyzer(recording)
    snapshot = analyzer.snapshot(now_ns or recording.ended_ns, False)
    out = io.BytesIO()
    trace.write(analyzer, snapshot, out)
    whole: dict[str, Any] = json.loads(out.getvalue().decode("utf-8"))
    return whole


def test_the_help_has_every_arg_and_no_other() -> None:
    text = topics.text("exports")
    table = text[text.index("The `args` of a `B`") : text.index("`ts` counts")]
    words = set(re.findall(r"\b[a-z]+(?:_[a-z]+)*\b", table))
    tree = ast.parse(inspect.getsource(faces))
    written: set[str] = set()
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
    for function in functions:
        if function.name in ("begin", "wait", "_list_once", "_split", "_precision"):
            written |= set(_keys(function))
    written -= {"args", "dur"}  # not of the arguments
    assert {"own_us", "woken_by", "place", "pressed", "culprit"} <= written
    assert written <= words
    names = {word for word in words if "_" in word}
    assert names - written == {"episodes_tick_unknown", "episodes_awaited"}


def _keys(function: ast.FunctionDef) -> Iterator[str]:
    """What it writes into dictionaries."""
    for node in ast.walk(function):
        keys: list[ast.expr | None] = []
        if isinstance(node, ast.Dict):
            keys = list(node.keys)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            one = node.slice
            keys = [one.body, one.orelse] if isinstance(one, ast.IfExp) else [one]
        yield from (key.value for key in keys if isinstance(key, ast.Constant))


def check_valid(whole: dict[str, Any]) -> None:
    """The rules of the format, and those that Perfetto and speedscope add."""
    assert set(whole) == {"displayTimeUnit", "otherData", "stackFrames", "traceEvents"}
    newest = 0.0
    open_names: dict[tuple[int, int], list[str]] = {}
    open_ends: dict[tuple[int, int], list[float]] = {}
    for event in whole["traceEvents"]:
        assert set(event) >= REQUIRED, event
        assert event["ph"] in ("M", "B", "E", "X"), event
        assert isinstance(event["name"], str) and event["name"]
        if event["ph"] == "M":
            continue
        assert event["ts"] >= newest, "events are sorted by time"
        newest = event["ts"]
        track = (event["pid"], event["tid"])
        names = open_names.setdefault(track, [])
        ends = open_ends.setdefault(track, [])
        while ends and ends[-1] <= event["ts"] + 1e-6:
            ends.pop()
        if event["ph"] == "B":
            names.append(event["name"])
            ends.append(float("inf"))
        elif event["ph"] == "E":
            assert names, "an end without a begin"
            assert names.pop() == event["name"], "ends name what they end"
            assert ends[-1:] == [float("inf")], "a wait crosses the end of an episode"
            ends.pop()
        else:
            assert event["dur"] > 0
            end = event["ts"] + event["dur"]
            assert not ends or end <= ends[-1] + 1e-6, "waits nest"
            ends.append(end)
    assert not any(open_names.values()), "every begin has its end"


def test_the_sample_run(build: ModuleType, sample_recording: Recording) -> None:
    whole = exported(sample_recording)
    check_valid(whole)
    events = whole["traceEvents"]
    begins = Counter(event["name"] for event in events if event["ph"] == "B")
    assert begins == {
        "api::login::hash_password": 240,
        "cache::get": 90,
        "store::Index::save": 30,
        "api::config::{async fn}": 10,
        "resolve_peer": 6,
        "api::retry::{async fn}": 3,
    }
    assert Counter(event["ph"] for event in events) == {"M": 9, "B": 379, "E": 379, "X": 11}


def test_who_held_the_lock_and_what_it_was_about(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[1], build.START_NS
    lock = build.std("std::sys::sync::mutex::futex::Mutex::lock_contended")
    recording.add_stack(1, build.stack(lock, build.user("app::update")))
    recording.add_stack(2, build.stack(build.user("app::refill", "src/a.rs", 7)))
    recording.add_thread_name(77, "filler")
    wake = build.wake(tid, start + 12 * build.MS, 11 * build.MS, start, waker=77, sleeper_stack=1)
    after = start + build.SECOND
    recording.details[tid, after + 12 * build.MS] = "/data/index"
    recording.add_samples(
        [
            wake._replace(stack=2, task_id=4),
            build.asleep(tid, start + 12 * build.MS, 11 * build.MS, 1, start, 202),
            build.poll(tid, start, 12 * build.MS, asleep_ns=11 * build.MS),
            build.asleep(tid, after + 12 * build.MS, 11 * build.MS, build.SAVE, after, 74)._replace(
                value=3, flags=0x8000
            ),
            build.poll(tid, after, 12 * build.MS, asleep_ns=11 * build.MS),
        ]
    )
    whole = exported(recording, after + build.SECOND)
    waited, saved = (event["args"] for event in whole["traceEvents"] if event["ph"] == "B")
    assert stack_of(whole, waited["holder"].pop("sf"))[0] == "app::refill"
    assert waited["holder"] == {
        "tid": 77,
        "name": "filler",
        "role": "other thread",
        "task_id": 4,
        "function": "app::refill",
        "file": "/home/me/demo-server/src/a.rs",
        "line": 7,
    }
    assert saved["detail"] == "/data/index"
    assert "holder" not in saved
    assert whole["otherData"]["host"]["throttled_ns"] == 0


def test_one_pair_in_full(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[1], build.START_NS + 1_234_567
    recording.add_samples(
        [
            build.asleep(tid, start + 30 * build.MS, 28 * build.MS, build.SAVE, start, 74),
            build.poll(
                tid,
                start,
                30_000_001,
                asleep_ns=28 * build.MS,
                waiting_ns=500,
                task_id=12,
                begin_us=7,
                end_us=3,
            ),
        ]
    )
    whole = exported(recording, build.START_NS + build.SECOND)
    begin, end = (event for event in whole["traceEvents"] if event["ph"] in "BE")
    assert begin == {
        "name": "store::Index::save",
        "cat": "execution",
        "ph": "B",
        "ts": 1234.567,
        "pid": 22967,
        "tid": tid,
        "sf": 8,
        "args": {
            "worker_id": 1,
            "detection_method": 4,
            "cause": "fsync",
            "on_cpu_us": 1999.501,
            "asleep_us": 28000.0,
            "waiting_us": 0.5,
            "own_us": 29999.501,
            "operation": "std::fs::File::sync_all",
            "advice": "write and sync in one spawn_blocking",
            "file": "/home/me/demo-server/src/store.rs",
            "line": 143,
            "evidence": "asleep in fsync",
            "task_id": 12,
            "task_type": "store::{async fn}",
            "syscall": "fsync",
            "begin_uncertainty_us": 7.0,
            "end_uncertainty_us": 3.0,
            "stack_complete": True,
            "stack": [
                "fsync",
                "std::fs::File::sync_all",
                "store::Index::save",
                "store::{async fn}",
                "tokio::runtime::task::raw::poll",
                "tokio::runtime::scheduler::multi_thread::worker::run",
                "std::sys::thread::unix::Thread::new::thread_start",
                "start_thread",
            ],
        },
    }
    assert end == {
        "name": "store::Index::save",
        "cat": "execution",
        "ph": "E",
        "ts": 31234.568,
        "pid": 22967,
        "tid": tid,
        "args": begin["args"],
    }


def test_a_stack_is_written_once(build: ModuleType, sample_recording: Recording) -> None:
    whole = exported(sample_recording)
    shown = [event for event in whole["traceEvents"] if "sf" in event]
    listed = [event for event in shown if "stack" in event["args"]]
    assert all(stack_of(whole, event["sf"]) == event["args"]["stack"] for event in listed)
    assert len(shown) > 300
    assert sorted(event["sf"] for event in listed) == sorted({event["sf"] for event in shown})
    # an outer frame that stacks have in common is one
    assert len(whole["stackFrames"]) < sum(len(event["args"]["stack"]) for event in listed)
    frames = [(one["name"], one.get("parent")) for one in whole["stackFrames"].values()]
    assert len(frames) == len(set(frames))


def test_what_a_script_needs_is_in_other_data(build: ModuleType) -> None:
    recording = build.demo_recording(finished=False, notes=("no debug info",))
    recording.set_losses(Losses(ring_full=2, symbols_late=1))
    recording.finish(build.START_NS + 30 * build.SECOND, "target exited (status 0)")
    other = exported(recording)["otherData"]
    assert other["hud"] == "0.1.0"
    assert other["target"] == {
        "pid": 22967,
        "name": "demo-server",
        "executable": "/srv/bin/demo-server",
    }
    assert other["start_monotonic_ns"] == build.START_NS
    assert other["start_unix_ns"] == 1_800_000_000 * build.SECOND
    assert (other["threshold_ms"], other["duration_s"], other["window_s"]) == (5.0, 30.0, 0.0)
    assert other["detection"] == {
        "rung": "context",
        "reason": "tokio 1.54.1: CONTEXT at tls-0x1a8",
        "tokio_versions": ["1.54.1"],
    }
    assert set(other["losses"]) == {field.name for field in fields(Losses)}
    assert (other["losses"]["ring_full"], other["losses"]["symbols_late"]) == (2, 1)
    assert (other["stacks_total"], other["stacks_complete"]) == (1899, 1893)
    assert other["hud_cpu_ns"] == 120 * build.MS
    assert other["ended"] == "target exited (status 0)"
    assert other["notes"] == ["no debug info"]
    assert [(one["worker_id"], one["tid"]) for one in other["workers"]] == list(
        enumerate(build.TIDS)
    )
    split = recording.splits(0)[build.TIDS[3]]._asdict()
    assert other["workers"][3]["split_ns"] == split


def test_threads_have_names_and_an_order(build: ModuleType) -> None:
    recording = build.empty_recording()
    recording.add_worker(Worker(4, 11, "zeta"))
    events = exported(recording, build.START_NS + build.SECOND)["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    order = {e["tid"]: e["args"]["sort_index"] for e in events if e["name"] == "thread_sort_index"}
    assert names[11] == "W4 zeta"
    assert names[build.TIDS[0]] == "W0 tokio-rt-worker"
    assert sorted(order, key=order.__getitem__) == [*build.TIDS, 11]
    (process,) = (e for e in events if e["name"] == "process_name")
    assert process["args"] == {"name": "demo-server"}


def test_waits_for_a_cpu_are_not_counted_as_blocking(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[0], build.START_NS
    recording.add_samples(
        [
            build.latency(tid, start + 8 * build.MS, 7 * build.MS, build.STRESS.tid, build.HASH),
            build.poll(tid, start, 9 * build.MS, waiting_ns=8 * build.MS),
        ]
    )
    whole = exported(recording, build.START_NS + build.SECOND)
    check_valid(whole)
    poll, wait = (event for event in whole["traceEvents"] if event["ph"] != "M")
    assert (poll["ph"], poll["cat"], poll["args"]["cause"]) == ("X", "scheduling", "wait")
    assert (wait["ph"], wait["ts"], wait["dur"]) == ("X", 1000.0, 7000.0)
    assert wait["args"]["detection_method"] == 2
    assert wait["args"]["culprit"] == "stress-ng"
    assert wait["args"]["culprit_pid"] == 9000
    assert stack_of(whole, wait["sf"])[3] == "api::login::hash_password"
    assert whole["otherData"]["episodes"] == 0


def test_an_episode_in_progress_says_so(build: ModuleType) -> None:
    recording = build.empty_recording()
    now = build.START_NS + build.SECOND
    recording.set_states(
        [
            build.state(
                build.TIDS[0], where=Where.POLL, running=True, poll_start_ns=now - 50 * build.MS
            )
        ],
        now,
    )
    recording.finish(now, "Ctrl-C")
    begin, end = (e for e in exported(recording)["traceEvents"] if e["ph"] in "BE")
    assert begin["args"]["in_progress"] is True
    assert begin["name"] == "(no stack caught)"
    assert (begin.get("sf"), begin["args"]["stack_complete"]) == (None, False)
    assert end["ts"] == 1_000_000.0


def test_a_poll_that_began_before_the_attach_says_so(build: ModuleType) -> None:
    """One that ended, and one that did not."""
    recording = build.empty_recording()
    now = build.START_NS + build.SECOND
    first, second = build.TIDS[:2]
    ended = build.poll(first, build.START_NS, 70 * build.MS, begin_us=BEGAN_BEFORE)
    recording.add_samples([ended, build.poll(first, now - 50 * build.MS, 20 * build.MS)])
    lasting = build.state(second, where=Where.POLL, poll_start_ns=build.START_NS)
    recording.set_states([replace(lasting, began_before=True)], now)
    recording.finish(now, "Ctrl-C")
    begins = [event for event in exported(recording)["traceEvents"] if event["ph"] == "B"]
    told = {
        (event["tid"], event["ts"]): event["args"].get("began_before_attach") for event in begins
    }
    assert told == {(first, 0): True, (first, 950_000): None, (second, 0): True}
    assert {event["args"]["begin_uncertainty_us"] for event in begins} == {0}
    text = summary.text(Analyzer(recording).snapshot(now, False))
    said = "2 polls began before hud attached (W0, W1): the time until then is not known"
    assert f"  before   {said}, and 1 had not ended\n" in text


def test_hostile_names_are_made_printable(build: ModuleType) -> None:
    evil = "a\x1b[31m\u202eb\udcff"
    recording = build.empty_recording(target=Target(pid=1, name=evil, executable="/tmp/" + evil))
    recording.add_worker(Worker(4, 5, evil))
    frames = (Frame(1, evil, file=evil, line=1, origin=Origin.USER),)
    recording.add_stack(1, build.stack(*frames))
    tid = build.TIDS[0]
    recording.add_samples(
        [
            build.cpu(tid, build.START_NS + 1, 1, build.START_NS),
            build.poll(tid, build.START_NS, 10 * build.MS),
        ]
    )
    text = json.dumps(exported(recording, build.START_NS + build.SECOND), ensure_ascii=False)
    assert text.isprintable()
    assert "a\\\\x1b[31m\\\\u202eb\\\\xff" in text


@pytest.mark.parametrize(
    ("precision", "want"),
    [
        (Precision.EXACT, {"file": "src/db.rs", "line": 9}),
        (Precision.NEAR, {"file": "src/db.rs", "line": 9, "place": "near"}),
        (Precision.DEFINITION, {"file": "src/db.rs", "line": 9, "place": "definition"}),
        (Precision.FILE, {"file": "src/db.rs", "place": "file"}),
    ],
)
def test_how_well_a_place_is_known(
    build: ModuleType, precision: Precision, want: dict[str, object]
) -> None:
    recording = build.empty_recording()
    recording.add_worker(Worker(4, 5, "worker"))
    line = 0 if precision is Precision.FILE else 9
    frame = Frame(1, "db", file="src/db.rs", line=line, origin=Origin.USER, precision=precision)
    recording.add_stack(1, build.stack(frame))
    tid = build.TIDS[0]
    recording.add_samples(
        [
            build.cpu(tid, build.START_NS + 1, 1, build.START_NS),
            build.poll(tid, build.START_NS, 10 * build.MS),
        ]
    )
    whole = exported(recording, build.START_NS + build.SECOND)
    (args,) = (one["args"] for one in whole["traceEvents"] if one["ph"] == "B")
    assert {name: args[name] for name in ("file", "line", "place") if name in args} == want


TIMES = st.integers(0, 40)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(TIMES, st.integers(1, 40), st.integers(0, 1)), max_size=12),
    st.lists(st.tuples(TIMES, TIMES, st.integers(0, 1)), max_size=12),
)
def test_whatever_was_measured_nests(
    build: ModuleType, polls: list[tuple[int, int, int]], waits: list[tuple[int, int, int]]
) -> None:
    recording = build.empty_recording(threshold_ns=0)
    begins: set[tuple[int, int]] = set()
    for start, length, number in polls:
        if (start, number) not in begins:
            begins.add((start, number))
            recording.add_samples([build.poll(build.TIDS[number], build.START_NS + start, length)])
    for start, length, number in waits:
        end = build.START_NS + start + length
        recording.add_samples([build.latency(build.TIDS[number], end, length)])
    whole = exported(recording, build.START_NS + build.SECOND)
    check_valid(whole)
    assert sum(1 for event in whole["traceEvents"] if event["ph"] == "B") == len(begins)


def test_golden(build: ModuleType, golden: Callable[[str, str], None]) -> None:
    recording = build.demo_recording(1)
    analyzer = Analyzer(recording)
    out = io.BytesIO()
    trace.write(analyzer, analyzer.snapshot(recording.ended_ns, False), out)
    golden("trace.json", out.getvalue().decode())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("""jq '[.traceEvents[] | select(.ph=="B")] | length' trace.json""", "379"),
        (
            """jq -r '.traceEvents[] | select(.ph=="B") | .name' trace.json """
            """| grep -c "hash_password" """,
            "240",
        ),
        (
            """jq -r '.traceEvents[] | select(.ph=="B") | .name' trace.json """
            """| sort | uniq -c | sort -rn | head -2 | sed 's/^ *//'""",
            "240 api::login::hash_password\n90 cache::get",
        ),
        (
            """jq '[.traceEvents[] | select(.ph=="B") | .args.worker_id] | unique' -c trace.json""",
            "[0,1,2,3]",
        ),
        ("""jq '.otherData.start_monotonic_ns / 1000000000' trace.json""", "5000"),
        (
            """jq -r '.stackFrames as $all | def up: select(.) | $all["\\(.)"] """
            """| .name, (.parent | up);
                .traceEvents[] | select(.ph=="B") | .sf | up' trace.json """
            """| grep -c "^start_thread$" """,
            "373",
        ),
    ],
)
def test_jq_lines_that_users_have(
    sample_recording: Recording,
    tmp_path: Path,
    need: Callable[[object, str], None],
    line: str,
    expected: str,
) -> None:
    need(shutil.which("jq"), "jq")
    (tmp_path / "trace.json").write_text(json.dumps(exported(sample_recording)))
    done = subprocess.run(
        ["/bin/sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == expected


def test_frames_that_a_tail_call_removed_are_marked(build: ModuleType) -> None:
    nap = replace(build.user("app::nap"), recovered=True)
    told = [nap, replace(nap, inferred=True), replace(nap, gap=True), build.user("app::main")]
    assert [shown_frame(frame) for frame in told] == [
        "app::nap (tail call)",
        "~app::nap (tail call)",
        "app::nap (via)",
        "app::main",
    ]
