"""The summary, whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hud.analysis import inlining
from hud.analysis.snapshot import Analyzer
from hud.export import summary
from hud.model import Detection, HostPressure, Rung, Target, TasksRead, Worker

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
    assert "  OK: No poll of 5 ms or more in 2 min 14 s. Try --threshold 1.\n" in text
    assert "share" not in text
    assert "nothing lost" in text
    longest = replace(empty(build), longest_poll_ns=3_100_000)
    assert "in 2 min 14 s; the longest was 3.1 ms. Try --threshold 1" in summary.verdict(longest)[0]
    fine = empty(build, threshold_ns=500_000)
    assert summary.verdict(fine) == ["No poll of 500 us or more in 2 min 14 s."]


@pytest.mark.parametrize(
    ("rung", "says"),
    [
        (Rung.NAMES, "No stretch of CPU samples in one function of 5 ms or more in 2 min 14 s."),
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
    assert "Not counted" not in summary.text(calm)
    pressed = replace(
        calm,
        host=HostPressure(1_200_000_000, 24, 900_000_000, "0.5 CPUs in /system.slice/x"),
        stopped=1,
        stopped_ns=400_000_000,
    )
    said = " ".join(summary.text(pressed).split())
    assert (
        "Not counted above stopped by a CPU quota for 1.2 s in 24 periods "
        "(0.5 CPUs in /system.slice/x); 1 poll by a signal or a tracer, 400 ms; "
        "900 ms taken by the hypervisor How sure"
    ) in said
    unlucky = replace(calm, host=HostPressure(stolen_ns=calm.elapsed_ns // 2000))
    assert "stopped" not in summary.text(unlucky)


def test_the_pool_is_told_where_it_is_known(snapshot: Snapshot) -> None:
    read = TasksRead(0, (), True, pool_threads=9, pool_queue=2, pool_limit=9, pool_busiest=9)
    shown = replace(snapshot, tasks_read=read)
    text = summary.text(shown)
    assert "; at most 9 of 9 pool threads busy; 2 jobs waiting for one" in " ".join(text.split())
    idle = replace(read, pool_limit=512)
    text = " ".join(summary.text(replace(shown, tasks_read=idle)).split())
    assert "; at most 9 of 512 pool threads busy How" in text, "a job that is just being taken"


def test_what_to_begin_with_is_the_fix_of_what_makes_up_most(snapshot: Snapshot) -> None:
    lines = summary.text(snapshot).splitlines()
    assert lines[2:5] == [
        "  BLOCKED: 25 % of worker time was blocked, in 379 long polls.",
        "  Most (64 %) of it is one call: bcrypt::hash in api::login::hash_password.",
        "  Start here: call bcrypt::hash in spawn_blocking.",
    ]
    last = replace(snapshot.timeline[-1], in_progress=True, duration_ns=2_000_000_000)
    stuck = summary.text(replace(snapshot, lasting=(last,)))
    assert stuck.splitlines()[2].startswith("  STUCK: W")
    assert "Start here" not in stuck, "the stuck one is what matters"


def test_missing_names_and_their_cure_stand_above_the_table(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert inlining.CURE not in summary.text(snapshot)
    monkeypatch.setattr(inlining, "hidden_share", lambda _: 0.5)
    text = " ".join(summary.text(snapshot).split())
    assert text.index("hash_password") < text.index(inlining.CURE) < text.index("blocks in")


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


def test_a_path_is_never_broken(snapshot: Snapshot) -> None:
    path = "/a/long-path/" * 30
    assert f"\n  written  {path} (1 episode)\n" in summary.text(
        snapshot, width=60, written=f"{path} (1 episode)"
    )
