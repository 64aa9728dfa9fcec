"""Samples become episodes: by polls, and by runs of CPU samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hud.analysis.snapshot import Analyzer
from hud.model import Cause, Detection, Episode, Method, Rung, Stack, Where

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.recording import Recording


def episodes(recording: Recording, now_ns: int) -> list[Episode]:
    analyzer = Analyzer(recording, machine="x86_64")
    analyzer.snapshot(now_ns, True)
    return list(analyzer.episodes())


def test_a_poll_with_its_split_and_evidence(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[2], build.START_NS + build.SECOND
    recording.add_samples(
        [
            build.asleep(tid, start + 30 * build.MS, 20 * build.MS, build.CACHE, start, 202),
            build.cpu(tid, start + 40 * build.MS, build.HASH, start),
            build.asleep(tid, start + 80 * build.MS, 30 * build.MS, build.SAVE, start, 74),
            build.poll(
                tid,
                start,
                90 * build.MS,
                asleep_ns=52 * build.MS,
                waiting_ns=3 * build.MS,
                task_id=11,
                begin_us=40,
                end_us=5,
            ),
        ]
    )
    assert episodes(recording, start + build.SECOND) == [
        Episode(
            worker_id=2,
            tid=tid,
            start_ns=start,
            duration_ns=90 * build.MS,
            on_cpu_ns=35 * build.MS,
            asleep_ns=52 * build.MS,
            waiting_ns=3 * build.MS,
            method=Method.POLL,
            cause=Cause.SYNC,
            stack=build.SAVE,
            task_id=11,
            begin_uncertainty_ns=40_000,
            end_uncertainty_ns=5_000,
            syscall=74,
        )
    ]


def test_a_wait_inside_a_poll_is_no_sleep(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[0], build.START_NS
    wait = build.latency(tid, start + 9 * build.MS, 8 * build.MS, 0, build.SAVE)
    recording.add_samples(
        [
            wait._replace(poll_start_ns=start),
            build.poll(tid, start, 40 * build.MS, waiting_ns=8 * build.MS),
        ]
    )
    (one,) = episodes(recording, start + build.SECOND)
    assert (one.stack, one.cause, one.asleep_ns, one.on_cpu_ns) == (0, Cause.CPU, 0, 32 * build.MS)


def test_stacks_that_blame_one_function_count_together(build: ModuleType) -> None:
    recording = build.empty_recording()
    recording.add_stack(1, build.stack(build.user("app::tight_loop")))
    tid, start = build.TIDS[0], build.START_NS
    seen = [1, 1, build.HASH, build.HASH_DEEPER, build.HASH]
    recording.add_samples(
        [build.cpu(tid, start + n * build.PERIOD_NS, key, start) for n, key in enumerate(seen)]
        + [build.poll(tid, start, 60 * build.MS)]
    )
    assert [one.stack for one in episodes(recording, start + build.SECOND)] == [build.HASH]


def test_names_that_come_later_change_stack_and_cause(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[0], build.START_NS
    named = {
        1: build.stack(build.c("read"), build.std("std::fs::read"), build.user("app::a")),
        2: build.stack(build.c("read"), build.std("std::io::stdio::stdin"), build.user("app::b")),
        3: build.stack(build.c("read"), build.std("std::io::stdio::stdin"), build.user("app::b")),
    }
    for key in named:
        recording.add_stack(key, Stack(addresses=(key,), complete=True))
    lengths = {1: 40, 2: 30, 3: 30}
    recording.add_samples(
        [
            build.asleep(tid, start + key, length * build.MS, key, start, build.READ)
            for key, length in lengths.items()
        ]
        + [build.poll(tid, start, 101 * build.MS, asleep_ns=100 * build.MS)]
    )
    analyzer = Analyzer(recording, machine="x86_64")
    now = start + build.SECOND
    (row,) = analyzer.snapshot(now, True).blockers
    assert (row.function, row.cause) == ("(names not resolved)", Cause.SYSCALL)
    assert row.stacks == ((1, 101 * build.MS),)
    for key, one in named.items():
        recording.add_stack(key, one)
    (row,) = analyzer.snapshot(now, True).blockers
    assert (row.function, row.cause, row.count) == ("app::b", Cause.PIPE, 1)
    assert row.stacks == ((2, 101 * build.MS),)


def test_a_poll_that_is_long_only_for_lack_of_a_cpu_blames_nobody(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[0], build.START_NS
    recording.add_samples(
        [
            build.poll(tid, start, 9 * build.MS, waiting_ns=8 * build.MS),
            build.poll(tid, start + build.SECOND, 30 * build.MS, waiting_ns=8 * build.MS),
        ]
    )
    analyzer = Analyzer(recording, machine="x86_64")
    snapshot = analyzer.snapshot(start + 2 * build.SECOND, True)
    assert [one.cause for one in analyzer.episodes()] == [Cause.WAITING, Cause.CPU]
    assert (snapshot.episodes, snapshot.blocked_ns) == (1, 30 * build.MS)
    assert [row.total_ns for row in snapshot.blockers] == [30 * build.MS]


def test_a_stuck_worker_is_shown_while_it_is_stuck_and_counted_once(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[1], build.START_NS + build.SECOND
    recording.add_samples([build.cpu(tid, start + 10 * build.MS, build.HASH, start)])
    analyzer = Analyzer(recording, machine="x86_64")

    def look(seconds: int) -> Any:
        now = start + seconds * build.SECOND
        recording.set_states(
            [
                build.state(
                    tid,
                    where=Where.POLL,
                    since_ns=start + 20 * build.MS,
                    poll_start_ns=start,
                    asleep_stack=build.SAVE,
                    syscall=build.FSYNC,
                )
            ],
            now,
        )
        return analyzer.snapshot(now, True)

    for seconds in (1, 2, 3):
        (row,) = look(seconds).blockers
        assert (row.function, row.cause) == ("store::Index::save", Cause.SYNC)
        assert (row.count, row.total_ns) == (1, seconds * build.SECOND)
    assert list(analyzer.episodes()) == []
    end = start + 4 * build.SECOND
    recording.finish(end, "stopped")
    snapshot = analyzer.snapshot(end, False)
    (stored,) = analyzer.episodes()
    assert stored.in_progress
    assert (stored.start_ns, stored.duration_ns) == (start, 4 * build.SECOND)
    assert stored.asleep_ns == 4 * build.SECOND - 20 * build.MS
    assert (stored.stack, stored.cause) == (build.SAVE, Cause.SYNC)
    assert snapshot.ended == "stopped"
    assert [row.count for row in snapshot.blockers] == [1]


def test_a_poll_that_ended_after_the_states_were_read_is_not_shown_twice(
    build: ModuleType,
) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[1], build.START_NS
    now = start + build.SECOND
    stuck = build.state(tid, where=Where.POLL, running=True, poll_start_ns=start)
    recording.set_states([stuck], now)
    recording.add_samples([build.poll(tid, start, build.SECOND)])
    analyzer = Analyzer(recording, machine="x86_64")
    assert analyzer.snapshot(now, True).episodes == 1
    recording.finish(now + build.MS, "stopped")
    assert analyzer.snapshot(now + build.MS, False).episodes == 1
    assert not analyzer.episodes()[0].in_progress


# --------------------------------------------------------------------------- without CONTEXT


def sampled(build: ModuleType) -> Recording:
    detection = Detection(Rung.NAMES, "--workers api")
    recording: Recording = build.empty_recording(detection=detection, sample_period_ns=2 * build.MS)
    return recording


def ticks(build: ModuleType, tid: int, first: int, keys: list[int]) -> list[Any]:
    period = 2 * build.MS
    return [
        build.cpu(tid, first + n * period, key)._replace(duration_ns=period)
        for n, key in enumerate(keys)
    ]


def test_consecutive_samples_in_one_function_are_an_episode(build: ModuleType) -> None:
    recording = sampled(build)
    tid, start = build.TIDS[0], build.START_NS + build.SECOND
    keys = [build.HASH, build.HASH_DEEPER, build.HASH_DEEPER, build.CACHE, build.CACHE]
    recording.add_samples(ticks(build, tid, start, keys))
    assert episodes(recording, start + build.SECOND) == [
        Episode(
            worker_id=0,
            tid=tid,
            start_ns=start - 2 * build.MS,
            duration_ns=6 * build.MS,
            on_cpu_ns=6 * build.MS,
            asleep_ns=0,
            waiting_ns=0,
            method=Method.SAMPLES,
            cause=Cause.CPU,
            stack=build.HASH_DEEPER,
            begin_uncertainty_ns=2 * build.MS,
            end_uncertainty_ns=2 * build.MS,
        )
    ], "threshold 5 ms needs three samples of 2 ms: two in the cache are too few"


def test_gaps_threads_and_idle_stacks_end_a_run(build: ModuleType) -> None:
    recording = sampled(build)
    parked = build.stack(build.c("epoll_wait"), build.std("mio::poll"))
    recording.add_stack(1, parked)
    tid, other, start = build.TIDS[0], build.TIDS[1], build.START_NS
    two = [build.HASH] * 2
    recording.add_samples(
        ticks(build, tid, start, two)
        + ticks(build, other, start + 4 * build.MS, two)
        + ticks(build, tid, start + 9 * build.MS, two)
        + ticks(build, tid, start + 13 * build.MS, [1, *two])
        + ticks(build, tid, start + 100 * build.MS, [1] * 50)
        + ticks(build, 4242, start + 200 * build.MS, [build.HASH] * 50)
    )
    assert episodes(recording, start + build.SECOND) == []


def test_samples_wait_for_their_names_but_not_for_ever(build: ModuleType) -> None:
    recording = sampled(build)
    tid, start = build.TIDS[0], build.START_NS
    for key in (1, 2):
        recording.add_stack(key, Stack(addresses=(key,), complete=True))
    recording.add_samples(ticks(build, tid, start, [1, 2, 1, 2]))
    analyzer = Analyzer(recording, machine="x86_64")
    assert analyzer.snapshot(start + 100 * build.MS, True).episodes == 0
    for key in (1, 2):
        recording.add_stack(key, build.stack(build.user("app::f")))
    assert analyzer.snapshot(start + 200 * build.MS, True).episodes == 1

    recording.add_stack(3, Stack(addresses=(3,), complete=True))
    recording.add_samples(ticks(build, tid, start + build.SECOND, [3, 3, 3]))
    assert analyzer.snapshot(start + 2 * build.SECOND, True).episodes == 1
    snapshot = analyzer.snapshot(start + 4 * build.SECOND, True)
    assert [(row.function, row.count) for row in snapshot.blockers] == [
        ("app::f", 1),
        ("(names not resolved)", 1),
    ]


def test_a_run_that_goes_on_is_shown_and_then_counted_once(build: ModuleType) -> None:
    recording = sampled(build)
    tid, start = build.TIDS[0], build.START_NS
    analyzer = Analyzer(recording, machine="x86_64")
    recording.add_samples(ticks(build, tid, start, [build.HASH] * 10))
    now = start + 19 * build.MS
    assert analyzer.snapshot(now, True).blocked_ns == 20 * build.MS
    assert list(analyzer.episodes()) == []
    recording.add_samples(ticks(build, tid, start + 20 * build.MS, [build.HASH] * 10))
    assert analyzer.snapshot(now + 20 * build.MS, True).blocked_ns == 40 * build.MS
    assert analyzer.snapshot(now + build.SECOND, True).blocked_ns == 40 * build.MS
    assert [one.duration_ns for one in analyzer.episodes()] == [40 * build.MS]
