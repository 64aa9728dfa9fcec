"""Runs against gates: the sample run has six blockers, 379 long polls, 25 % of worker time."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from hud.analysis.snapshot import Analyzer
from hud.gates.breach import Verdict
from hud.gates.grammar import parse
from hud.gates.judge import judge
from hud.gates.suppressions import Excuse, read
from hud.model import Frame, Losses, Origin, SampleFlag

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from hud.analysis.recording import Recording

TODAY = date(2027, 1, 1)


def verdict(recording: Recording, *gates: str, excuses: list[Excuse] | None = None) -> Verdict:
    analyzer = Analyzer(recording)
    snapshot = analyzer.snapshot(recording.ended_ns, False)
    return judge(analyzer, snapshot, [parse(gate) for gate in gates], excuses or [], TODAY)


def whole_run(build: ModuleType, **changes: object) -> Recording:
    """Of which every long poll was seen."""
    recording: Recording = build.demo_recording(sample_period_ns=5 * build.MS, **changes)
    return recording


@pytest.mark.parametrize(
    ("gate", "lines", "first"),
    [
        (
            "max(function=*::hash_password)>91ms",
            1,
            "api::login::hash_password src/login.rs:88: 92 ms (cpu in bcrypt::hash)",
        ),
        ("max(function=*::hash_password)>92ms", 0, ""),
        (
            "max(function=*::hash_password)>=92ms",
            1,
            "api::login::hash_password src/login.rs:88: 92 ms",
        ),
        (
            "blockers>5",
            6,
            "api::login::hash_password src/login.rs:88: 240 long polls, 19 s in all",
        ),
        ("blockers>6", 0, ""),
        ("count>378", 1, "379 long polls, in 6 functions, most in api::login::hash_password "),
        ("count>379", 0, ""),
        ("count(cause=lock)>89", 1, "90 long polls: cache::get src/cache.rs:51: 90 long polls"),
        ("count(cause=lock)>90", 0, ""),
        ("count(function=*::hash_*)>=240", 1, "240 long polls: api::login::hash_password"),
        ("total>20%", 1, "25 % of worker time, in 6 functions, most in api::login::hash_password"),
        ("total>26%", 0, ""),
        ("total(cause=sleep)>=1s", 0, ""),
        ("total(cause=sleep)>1ms", 1, ""),
        ("blockers(cause=child)>0", 0, ""),
    ],
)
def test_a_gate_holds_or_fails(build: ModuleType, gate: str, lines: int, first: str) -> None:
    found = verdict(whole_run(build), gate)
    assert len(found.breaches) == lines
    assert found.doubts == ()
    if lines:
        assert found.breaches[0].gate == gate
        assert found.breaches[0].says.startswith(first)


def test_a_breach_knows_its_line_and_how_bad_it_is(build: ModuleType) -> None:
    worst, *others = verdict(whole_run(build), "blockers>0").breaches
    assert (worst.file, worst.line) == ("/home/me/demo-server/src/login.rs", 88)
    assert worst.blocked_ns > max(one.blocked_ns for one in others) > 0


@pytest.mark.parametrize(("origin", "file"), [(Origin.USER, "/a/b.rs"), (Origin.DEPENDENCY, "")])
def test_only_own_code_is_in_the_project(build: ModuleType, origin: Origin, file: str) -> None:
    recording = build.empty_recording()
    frame = Frame(16, "dep::f", "", "/a/b.rs", 7, origin=origin, crate="dep")
    recording.add_stack(1, build.stack(frame, outer=()))
    tid, start = build.TIDS[0], build.START_NS
    sleep = build.asleep(tid, start + 12 * build.MS, 11 * build.MS, 1, start, 230)
    recording.add_samples([sleep, build.poll(tid, start, 12 * build.MS)])
    recording.finish(start + build.SECOND, "Ctrl-C")
    (found,) = verdict(recording, "max>5ms").breaches
    assert found.says.startswith("dep::f a/b.rs:7: ")
    assert (found.file, found.line) == (file, 7 if file else 0)


def test_each_gate_is_held_by_itself(build: ModuleType) -> None:
    found = verdict(whole_run(build), "max>1s", "count>1", "blockers>9")
    assert [one.gate for one in found.breaches] == ["count>1"]


def test_what_was_found_fails_though_more_may_be_lost(build: ModuleType) -> None:
    recording = whole_run(build, finished=False)
    recording.set_losses(Losses(ring_full=2))
    recording.finish(build.START_NS + 30 * build.SECOND, "Ctrl-C")
    found = verdict(recording, "max>50ms", "max>1s")
    assert {one.gate for one in found.breaches} == {"max>50ms"}
    (doubt,) = found.doubts
    assert (doubt.gate, doubt.says) == ("max>1s", "events were lost")


def test_what_may_be_several_polls_is_a_doubt(build: ModuleType) -> None:
    recording = build.empty_recording(sample_period_ns=5 * build.MS)
    tid, start = build.TIDS[0], build.START_NS
    long = build.poll(tid, start, 60 * build.MS)._replace(flags=SampleFlag.TICK_UNKNOWN)
    recording.add_samples([build.cpu(tid, start + build.MS, build.HASH, start), long])
    recording.finish(start + 2 * build.SECOND, "Ctrl-C")
    for gate in ("max>50ms", "count>0", "blockers>0", "total>1ms"):
        found = verdict(recording, gate)
        assert found.breaches == ()
        assert "if these are single polls" in found.doubts[0].says, gate


def test_excuses_cover_expire_and_are_missed(build: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "hud.txt"
    path.write_text(
        "api::login::*  cpu  2027-01-01  on its last day\n"
        "cache::get     any  2026-12-31  over\n"
        "other::*       any  never       not there\n"
        "cache::get     cpu  never       it locks\n"
    )
    found = verdict(whole_run(build), "max>30ms", excuses=read(str(path)))
    assert found.breaches[0].gate == f"{path}:2"
    assert found.breaches[0].says == "expired on 2026-12-31: cache::get, over"
    assert not any("hash_password" in one.says for one in found.breaches)
    assert [one.place for one in found.unused] == [f"{path}:3", f"{path}:4"]


def test_all_excused_is_no_breach(build: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "hud.txt"
    path.write_text("* any never everything\n")
    gates = ("max>0ms", "count>=0", "blockers>0", "total>0%")
    found = verdict(whole_run(build), *gates, excuses=read(str(path)))
    assert [one.gate for one in found.breaches] == ["count>=0"]
    assert [one.gate for one in found.doubts] == ["max>0ms"]
