"""The summary, whole."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import pytest

from hud.analysis.snapshot import Analyzer
from hud.export import summary
from hud.model import Detection, HostPressure, Losses, Rung, Target, TasksRead, Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from hud.analysis.results import Snapshot


def empty(build: ModuleType, seconds: int = 134, **changes: Any) -> Snapshot:
    recording = build.empty_recording(**changes)
    return Analyzer(recording).snapshot(build.START_NS + seconds * build.SECOND, False)


def test_golden(snapshot: Snapshot, golden: Callable[[str, str], None]) -> None:
    golden("summary.txt", summary.text(snapshot, written="trace.json (379 episodes)"))
    golden("summary-60.txt", summary.text(snapshot, width=60))


def test_verdict(snapshot: Snapshot) -> None:
    assert summary.verdict(snapshot) == [
        "25 % of worker time was blocked, in 379 long polls.",
        "Most (64 %) of it is one call: bcrypt::hash in api::login::hash_password.",
    ]
    (runtime,) = snapshot.runtimes
    runtime = replace(runtime, blocked_ns=1, episodes=1, worst=-1, worst_share=0.0)
    one = replace(snapshot, episodes=1, runtimes=(runtime,))
    assert summary.verdict(one)[0] == "< 0.1 % of worker time was blocked, in 1 long poll."


def test_nothing_found_is_an_answer(build: ModuleType) -> None:
    text = summary.text(empty(build))
    assert "  No poll of 5 ms or more in 2 min 14 s. --threshold 1 looks closer.\n" in text
    assert "share" not in text
    assert "nothing lost" in text
    longest = replace(empty(build), longest_poll_ns=3_100_000)
    assert "in 2 min 14 s; the longest was 3.1 ms. --threshold 1" in summary.verdict(longest)[0]
    fine = empty(build, threshold_ns=500_000)
    assert summary.verdict(fine) == ["No poll of 500 us or more in 2 min 14 s."]


@pytest.mark.parametrize(
    ("rung", "says"),
    [
        (Rung.NAMES, "No row of CPU samples in one function of 5 ms or more in 2 min 14 s."),
        (Rung.LATENCY, "No worker is known: only waits for a CPU were seen, 0 of 5 ms or more"),
    ],
)
def test_lower_rungs_do_not_speak_of_polls(build: ModuleType, rung: Rung, says: str) -> None:
    snapshot = empty(build, detection=Detection(rung, "12 threads named api-N"))
    text = summary.text(snapshot)
    assert says in text
    assert "(12 threads named api-N)" in text
    assert "CONTEXT" not in text


def test_pressure_from_outside(build: ModuleType) -> None:
    calm = empty(build)
    assert "pressure" not in summary.text(calm)
    pressed = replace(
        calm,
        host=HostPressure(1_200_000_000, 24, 900_000_000, "0.5 CPUs in /system.slice/x"),
        stopped=1,
        stopped_ns=400_000_000,
    )
    assert (
        "  pressure   stopped by a CPU quota for 1.2 s in 24 periods "
        "(0.5 CPUs in /system.slice/x); 1 poll stopped by a signal or a tracer, 400 ms; "
        "900 ms taken by the hypervisor\n"
    ) in summary.text(pressed)
    unlucky = replace(calm, host=HostPressure(stolen_ns=calm.elapsed_ns // 2000))
    assert "pressure" not in summary.text(unlucky)


def test_tasks_behind_and_the_pool_are_told_where_they_are_known(snapshot: Snapshot) -> None:
    first = replace(snapshot.blockers[0], types=(("a", 3), ("b", 1)), behind=11.6)
    read = TasksRead(0, (), True, pool_threads=9, pool_queue=2, pool_limit=9, pool_busiest=9)
    shown = replace(snapshot, blockers=(first,), tasks_read=read)
    text = summary.text(shown)
    assert "task a 75 %, b 25 %; 12 ready tasks behind it in the worker's own queue\n" in text
    assert "; at most 9 of 9 pool threads busy; 2 jobs waiting for one\n" in text
    idle = replace(read, pool_limit=512)
    text = summary.text(replace(shown, tasks_read=idle))
    assert "; at most 9 of 512 pool threads busy\n" in text, "a job that is just being taken"
    same = replace(first, types=((first.function, 3),), behind=0.0)
    assert "task " not in summary.text(replace(shown, blockers=(same,)))


def test_every_loss_has_words() -> None:
    names = [field.name for field in fields(Losses)]
    assert list(summary.LOSSES) == names
    losses = Losses(**dict.fromkeys(names, 1200))
    words = summary.losses_in_words(losses)
    assert words.count("1,200 ") == len(names)
    assert summary.losses_in_words(Losses()) == "nothing lost"
    assert summary.losses_in_words(Losses(stacks_gone=1)) == "1 stack gone before being read"
    assert set(summary.SEEN) == set(Rung)


def test_complete_is_never_rounded_up(snapshot: Snapshot) -> None:
    almost = replace(snapshot, stacks_total=100_000, stacks_complete=99_999)
    assert "99.9 % of stacks complete" in summary.text(almost)
    assert "100 % of stacks complete" in summary.text(replace(almost, stacks_complete=100_000))


def test_foreign_names_have_no_power(build: ModuleType) -> None:
    recording = build.empty_recording(
        target=Target(pid=1, name="x\x1b]0;evil\x07", executable="/x"), notes=("see \x1b[2J",)
    )
    recording.add_worker(Worker(9, 9, "\x1b[1m"))
    recording.add_stack(1, build.stack(build.user("f\u202e\x9b31m", "src/\n.rs", 3)))
    tid, start = build.TIDS[0], build.START_NS
    recording.add_samples(
        [build.cpu(tid, start + 1, 1, start), build.poll(tid, start, 10 * build.MS)]
    )
    recording.finish(start + build.SECOND, "target \x1b died")
    text = summary.text(Analyzer(recording).snapshot(start + build.SECOND, False))
    assert all(line.isprintable() for line in text.splitlines())
    assert "f\\u202e\\x9b31m" in text
    assert "src/\\x0a.rs:3" in text


def test_ascii_only_escapes_the_rest(build: ModuleType) -> None:
    recording = build.empty_recording(target=Target(pid=1, name="café", executable="/x"))
    snapshot = Analyzer(recording).snapshot(build.START_NS + build.SECOND, False)
    assert summary.text(snapshot, ascii_only=True).startswith("caf\\xe9 (pid 1)")
    assert summary.text(snapshot).startswith("café (pid 1)")
