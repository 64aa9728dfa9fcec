"""What is said on top: figures by runtime, and what keeps a service from its work besides polls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hud.analysis.recording import Recording
from hud.analysis.results import Snapshot
from hud.analysis.snapshot import Analyzer
from hud.analysis.verdict import Badge, badge, concentration, living, sentences
from hud.export.sure import how_sure
from hud.model import Batch, HostPressure, Losses, Rung, TasksRead, TimeSplit, Where, Worker

if TYPE_CHECKING:
    from types import ModuleType

SECONDS = 8


def _run(build: ModuleType, workers: dict[str, int]) -> tuple[Recording, dict[str, list[int]]]:
    """A recording with so many workers of each runtime, and their tids."""
    recording = Recording(build.info())
    tids: dict[str, list[int]] = {}
    number = 0
    for runtime, count in workers.items():
        for _ in range(count):
            tids.setdefault(runtime, []).append(1000 + number)
            recording.add_worker(Worker(number, 1000 + number, runtime, runtime))
            number += 1
    for key, stack in build.STACKS.items():
        recording.add_stack(key, stack)
    return recording, tids


def _block(build: ModuleType, recording: Recording, tid: int, share: float) -> TimeSplit:
    """Naps of 20 ms, for that share of the time."""
    blocked = 0
    while blocked < share * SECONDS * build.SECOND:
        start = build.START_NS + 2 * blocked
        end = start + 20 * build.MS
        recording.add_samples(
            [
                build.asleep(tid, end, 20 * build.MS, build.NAP, start, build.CLOCK_NANOSLEEP),
                build.poll(tid, start, 20 * build.MS, asleep_ns=20 * build.MS),
            ]
        )
        blocked += 20 * build.MS
    return TimeSplit(poll_asleep_ns=blocked, parked_ns=SECONDS * build.SECOND - blocked)


def _snapshot(build: ModuleType, recording: Recording, splits: dict[int, TimeSplit]) -> Snapshot:
    now = build.START_NS + SECONDS * build.SECOND
    recording.set_states([build.state(tid, split=split) for tid, split in splits.items()], now)
    return Analyzer(recording).snapshot(now, True)


@pytest.mark.parametrize("loss", ["ring_full", "threads_full"])
def test_where_events_were_lost_figures_are_the_least(build: ModuleType, loss: str) -> None:
    for runtimes in ({"serving": 1}, {"serving": 1, "idle": 1}):
        recording, tids = _run(build, runtimes)
        splits = {tid: TimeSplit(parked_ns=SECONDS * build.SECOND) for (tid,) in tids.values()}
        assert "lost" not in sentences(_snapshot(build, recording, splits))[-1]
        recording.set_losses(Losses(**{loss: 3}))
        said = sentences(_snapshot(build, recording, splits))[-1]
        assert said.endswith(", of those that were seen: events were lost.")
        tid = tids["serving"][0]
        splits[tid] = _block(build, recording, tid, 0.25)
        assert sentences(_snapshot(build, recording, splits))[0].startswith("At least 25 % of ")
        recording.set_losses(Losses(stacks_skipped=3, polls_bare=1))
        assert sentences(_snapshot(build, recording, splits))[0].startswith("25 % of ")


def test_where_nothing_is_known_of_a_time_shares_are_of_the_rest(build: ModuleType) -> None:
    recording, (tid,) = _run(build, {"api": 1})[0], _run(build, {"api": 1})[1]["api"]
    split = _block(build, recording, tid, 0.25)
    half = SECONDS * build.SECOND // 2
    recording.take(Batch(build.START_NS + half, unseen_ns=half, losses=Losses(ring_full=3)))
    snapshot = _snapshot(build, recording, {tid: split})
    assert sentences(snapshot)[0].startswith("50 % of worker time that was seen was blocked, in ")
    assert "hud was held up: 4 s of 8 s not seen, shares are of the rest" in how_sure(snapshot)


def test_the_worst_runtime_is_the_verdict(build: ModuleType) -> None:
    recording, tids = _run(build, {"idle": 64, "serving": 1, "never": 8})
    serving = tids["serving"][0]
    second = build.SECOND
    splits = {
        serving: _block(build, recording, serving, 0.48),
        tids["idle"][0]: TimeSplit(poll_cpu_ns=second // 100, parked_ns=SECONDS * second),
    }
    snapshot = _snapshot(build, recording, splits)
    assert sentences(snapshot) == [
        "48 % of the worker time of runtime serving was blocked, in 192 long polls (W64: 48 %); "
        "of idle 0 %.",
        "All of the blocked time is one call: std::thread::sleep in retry::{async fn}.",
    ]
    names = {use.name: use.time_ns for use in snapshot.runtimes}
    assert names == {"serving": SECONDS * second, "idle": 64 * SECONDS * second}
    assert snapshot.worker_time_ns == sum(names.values()), "never did not run"
    (row,) = snapshot.blockers
    assert snapshot.share(row) == pytest.approx(0.48), "of its own runtime"


def test_workers_of_no_known_runtime_have_words(build: ModuleType) -> None:
    recording, tids = _run(build, {"": 1, "api": 1})
    splits = {
        tids[""][0]: _block(build, recording, tids[""][0], 0.01),
        tids["api"][0]: _block(build, recording, tids["api"][0], 0.48),
    }
    said, _ = sentences(_snapshot(build, recording, splits))
    assert said.endswith("; of the others 1.0 %.")
    splits[tids[""][0]] = _block(build, recording, tids[""][0], 0.6)
    said, _ = sentences(_snapshot(build, recording, splits))
    assert said.startswith("61 % of the worker time of a runtime without a name was blocked")


def test_workers_that_slept_all_the_time_count_and_are_parked(build: ModuleType) -> None:
    recording, tids = _run(build, {"api": 64})
    splits = {tid: _block(build, recording, tid, 0.4) for tid in tids["api"][:25]}
    snapshot = _snapshot(build, recording, splits)
    assert snapshot.worker_time_ns == 64 * SECONDS * build.SECOND
    assert sentences(snapshot) == [
        "16 % of worker time was blocked, in 4,000 long polls (W0: 40 %).",
        "All of it is one call: std::thread::sleep in retry::{async fn}.",
    ]
    idle = snapshot.workers[63]
    assert idle.split == TimeSplit(parked_ns=SECONDS * build.SECOND)


def test_shares_stay_true_when_workers_die(build: ModuleType) -> None:
    """Runtimes of a hundred workers that come and go: the dead are forgotten, their time is not."""
    recording, tids = _run(build, {"api": 100, "jobs": 1})
    now = build.START_NS + SECONDS * build.SECOND
    splits = {tid: _block(build, recording, tid, 0.25) for tid in tids["api"]}
    splits[tids["jobs"][0]] = TimeSplit(poll_cpu_ns=build.MS, parked_ns=SECONDS * build.SECOND)
    analyzer = Analyzer(recording)
    recording.set_states([build.state(tid, split=split) for tid, split in splits.items()], now)
    before = analyzer.snapshot(now, True)
    recording.take(Batch(time_ns=now, died=tids["api"]))
    recording.set_states([build.state(tids["jobs"][0], split=splits[tids["jobs"][0]])], now)
    for _ in range(2):
        after = analyzer.snapshot(now, True)
        assert after.runtimes[0].share == pytest.approx(0.25)
        share = after.share(after.blockers[0])
        assert share == pytest.approx(before.share(before.blockers[0]))
        assert [use.workers for use in after.runtimes] == [0, 1]
        assert living(after) == 1
        analyzer.forget(now)
    assert len(recording.workers) < 101


def test_who_drives_no_scheduler_is_no_worker(build: ModuleType) -> None:
    recording, _ = _run(build, {"api": 4, "block_on": 1})
    recording.set_states(
        [build.state(1000, where=Where.FOREIGN), build.state(1001, where=Where.ALLOWED)],
        build.START_NS,
    )
    now = build.START_NS + SECONDS * build.SECOND
    assert living(Analyzer(recording).snapshot(now, True)) == 2
    recording.take(Batch(time_ns=now, died=list(range(1000, 1005))))
    recording.finish(now, "target exited (status 0)")
    assert living(Analyzer(recording).snapshot(now, False)) == 4, "they ended with the target"


# --------------------------------------------------------------------------- what to begin with


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (1.0, "All of it is"),
        (0.72, "Most (72 %) of it is"),
        (0.58, "58 % of it is"),
        (0.5, "Half of it is"),
        (0.4, "40 % of it is"),
        (0.337, "A third of it is"),
        (0.29, "29 % of it is"),
        (0.11, "11 % of it is"),
    ],
)
def test_fractions_are_words_only_where_they_are_right(
    sample_recording: Recording, share: float, said: str
) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    whole = round(snapshot.blockers[0].total_ns / share)
    (sentence,) = concentration(replace(snapshot, blocked_ns=whole))
    assert sentence == f"{said} one call: bcrypt::hash in api::login::hash_password."


def test_where_no_call_stands_out_that_is_said(sample_recording: Recording) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    whole = 20 * snapshot.blockers[0].total_ns
    assert concentration(replace(snapshot, blocked_ns=whole)) == [
        "No single call makes up more than 5.0 % of it."
    ]
    own = replace(snapshot.blockers[0], operation="", cases=())
    alone = replace(snapshot, blockers=(own,))
    assert concentration(replace(alone, blocked_ns=2 * own.total_ns)) == [
        "Half of it is one function: login::hash_password."
    ]


def _worst(snapshot: Snapshot, blocked: float, waiting: float = 0.0) -> Snapshot:
    (runtime,) = snapshot.runtimes
    time_ns = runtime.time_ns
    runtime = replace(
        runtime, blocked_ns=round(blocked * time_ns), waiting_ns=round(waiting * time_ns)
    )
    return replace(snapshot, runtimes=(runtime,))


@pytest.mark.parametrize(
    ("blocked", "waiting", "word"),
    [
        (0.009, 0.0, Badge.OK),
        (0.0096, 0.0, Badge.SLOW),
        (0.0994, 0.09, Badge.SLOW),
        (0.0996, 0.0, Badge.BLOCKED),
        (0.14, 0.13, Badge.BLOCKED),
        (0.14, 0.15, Badge.NO_CPU),
        (0.0, 0.11, Badge.NO_CPU),
    ],
)
def test_the_badge_is_one_word(
    sample_recording: Recording, blocked: float, waiting: float, word: Badge
) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    assert badge(_worst(snapshot, blocked, waiting)) is word


def test_where_the_cpu_is_missing_that_comes_first(sample_recording: Recording) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    part = snapshot.worker_time_ns // 4
    for blocked, at in ((0.3, 2), (0.2, 0)):
        said = sentences(replace(_worst(snapshot, blocked, 0.25), waiting_ns=part))
        assert said[at] == "Workers were ready to run but had no CPU for 25 % of their time."
        assert len(said) == 3


def test_behind_the_missing_cpu_there_is_room_for_what_is_blocked(
    sample_recording: Recording,
) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    part = snapshot.worker_time_ns // 4
    starved = replace(_worst(snapshot, 0.2, 0.25), waiting_ns=part)
    first, second, *_ = sentences(starved, room=110)
    assert first == "Workers were ready to run but had no CPU for 25 % of their time."
    assert second.startswith("20 % was blocked, in ")
    assert len(first) + len(second) < 110
    assert sentences(starved)[1].startswith("20 % of worker time was blocked, in ")


def test_a_stuck_worker_is_the_word(sample_recording: Recording) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    assert badge(snapshot) is Badge.BLOCKED
    (last,) = snapshot.timeline[-1:]
    for length, word in ((999 * 10**6, Badge.BLOCKED), (10**9, Badge.STUCK)):
        lasting = (replace(last, duration_ns=length, in_progress=True),)
        assert badge(replace(snapshot, lasting=lasting)) is word


def test_no_word_says_more_than_was_seen(sample_recording: Recording) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    quiet = _worst(snapshot, 0.0)
    assert badge(quiet) is Badge.OK
    samples = replace(quiet.info.detection, rung=Rung.STACKS)
    blind = replace(quiet, info=replace(quiet.info, detection=samples))
    assert badge(blind) is None, "what sleeps is not seen there"
    assert badge(replace(quiet, workers=())) is None
    full = TasksRead(0, (), True, pool_full=4, pool_waited=36)
    assert badge(replace(quiet, tasks_read=full)) is None, "something else is wrong"
    stopped = HostPressure(throttled_ns=quiet.elapsed_ns // 2)
    assert badge(replace(quiet, host=stopped)) is Badge.NO_CPU
