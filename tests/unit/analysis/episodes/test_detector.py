"""Samples become episodes: by polls, and by runs of CPU samples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from hud.analysis.cause import Cause
from hud.analysis.results import Episode, Holder, Method
from hud.analysis.snapshot import Analyzer
from hud.model import BEGAN_BEFORE, Batch, Culprit, Detection, Rung, SampleFlag, Stack, Where

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
            evidence="asleep in fsync; besides cpu 40 %, lock 20 %",
        )
    ]


def test_where_samples_are_missing_only_what_was_seen_counts(build: ModuleType) -> None:
    """A worker is seen asleep in a poll, and 10 ms before it in another one."""
    tid, start, ms = build.TIDS[0], build.START_NS + build.SECOND, build.MS
    recording = build.empty_recording()
    period_ms = recording.info.sample_period_ns // ms
    unseen = (3 * period_ms + 1) * ms
    polls = [(unseen, 3 * ms), (unseen, 20 * ms), (2 * period_ms * ms, 3 * ms)]
    for number, (gap, seen) in enumerate(polls):
        begin = start + number * build.SECOND
        recording.add_samples(
            [
                build.asleep(tid, begin + gap + seen, seen, build.CACHE, begin, 202),
                build.poll(tid, begin, gap + seen, asleep_ns=seen, begin_us=gap // 1000),
            ]
        )
    # the first sight of another thread: it may have begun at any time since the attach
    known = (start - build.START_NS) // 1000
    recording.add_samples([build.poll(build.TIDS[1], start, 1200 * ms, begin_us=known)])
    found = [(one.duration_ns, one.on_cpu_ns) for one in episodes(recording, start + 9 * ms)]
    gap = 2 * period_ms * ms
    assert found == [(20 * ms, 0), (gap + 3 * ms, gap), (1200 * ms, 1200 * ms)]


def waited_for_a_lock(build: ModuleType, library: str, **wake: int) -> Episode:
    recording = build.empty_recording()
    recording.add_stack(
        1, build.stack(build.c("syscall"), build.std(library), build.user("app::f"))
    )
    recording.add_thread_name(77, "refiller")
    recording.add_culprit(Culprit(79, 5, "short-lived"))
    tid, start = build.TIDS[2], build.START_NS
    end = start + 20 * build.MS
    other = build.wake(tid, end - 12 * build.MS, 2 * build.MS, start, waker=78, sleeper_stack=1)
    last = build.wake(tid, end, 10 * build.MS, start, waker=77, sleeper_stack=1)._replace(**wake)
    recording.add_samples(
        [
            other,
            last,
            build.asleep(tid, end, 19 * build.MS, 1, start, 202),
            build.poll(tid, start, 20 * build.MS, asleep_ns=19 * build.MS),
        ]
    )
    (one,) = episodes(recording, start + build.SECOND)
    assert one.cause is Cause.LOCK
    return one


def test_the_holder_is_who_ended_the_longest_wait(build: ModuleType) -> None:
    one = waited_for_a_lock(build, "std::sys::sync::mutex::futex::Mutex::lock_contended", stack=9)
    let_go = build.START_NS + 20 * build.MS
    assert one.holder == Holder(77, "refiller", "other thread", 9, 0, woke_ns=let_go)


@pytest.mark.parametrize(
    ("wake", "role"),
    [
        ({"where": Where.ALLOWED}, "pool thread"),
        ({"where": Where.ALLOWED, "other": 22971}, "pool thread"),
        ({"flags": SampleFlag.OTHER_PROCESS}, "other process"),
        ({"other": 22971, "task_id": 5}, "worker"),
        ({"other": 79}, "other thread"),
    ],
)
def test_roles(build: ModuleType, wake: dict[str, int], role: str) -> None:
    one = waited_for_a_lock(build, "std::sys::sync::rwlock::futex::RwLock::read_contended", **wake)
    assert one.holder
    assert (one.holder.role, one.holder.task_id) == (role, wake.get("task_id", 0))
    named = {77: "refiller", 79: "short-lived", 22971: "tokio-rt-worker"}
    assert one.holder.name == named[one.holder.tid]


@pytest.mark.parametrize(
    "library",
    [
        "std::sync::poison::condvar::Condvar::wait",
        "std::sync::mpmc::list::Channel<T>::recv",
        "std::thread::park",
        "std::sys::sync::once::futex::Once::call",
    ],
)
def test_who_sends_something_holds_nothing(build: ModuleType, library: str) -> None:
    one = waited_for_a_lock(build, library)
    assert one.holder
    assert not one.holder.held


STOPPED = 0xFFFFFFFE


def test_long_only_because_it_was_stopped(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[0], build.START_NS
    ms = build.MS
    recording.add_samples(
        [
            build.asleep(tid, start + 900 * ms, 890 * ms, build.CACHE, start, STOPPED),
            build.poll(tid, start, 893 * ms, asleep_ns=890 * ms),
            # the rest of this one is long enough by itself
            build.asleep(tid, start + 1500 * ms, 490 * ms, build.CACHE, start + 1000 * ms, STOPPED),
            build.cpu(tid, start + 1510 * ms, build.HASH, start + 1000 * ms),
            build.poll(tid, start + 1000 * ms, 520 * ms, asleep_ns=490 * ms),
        ]
    )
    analyzer = Analyzer(recording, machine="x86_64")
    snapshot = analyzer.snapshot(start + 2 * build.SECOND, True)
    stopped, busy = analyzer.episodes()
    assert (stopped.cause, stopped.stack) == (Cause.STOPPED, 0)
    assert not stopped.cause.blames_code
    assert (busy.cause, busy.stack, busy.evidence) == (Cause.CPU, build.HASH, "on the CPU")
    assert (snapshot.stopped, snapshot.stopped_ns) == (2, (890 + 490) * ms)
    assert (snapshot.episodes, snapshot.blocked_ns) == (1, 30 * ms)
    assert [row.total_ns for row in snapshot.blockers] == [30 * ms]


def test_what_a_sleep_was_about(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[0], build.START_NS
    read, pause = 0, 34
    for number, begin in ((read, start), (pause, start + build.SECOND)):
        sleep = build.asleep(tid, begin + 10, 9 * build.MS, build.SAVE, begin, number)
        recording.details[tid, begin + 10] = "/data/index"
        recording.add_samples(
            [
                sleep._replace(value=5, flags=0xC000),
                build.poll(tid, begin, 10 * build.MS, asleep_ns=9 * build.MS),
            ]
        )
    told, other = episodes(recording, start + 2 * build.SECOND)
    assert (told.detail, told.cause) == ("/data/index", Cause.NETWORK)
    assert told.evidence == "asleep in read of a socket"
    assert other.detail == "", "its first argument is no descriptor"


@pytest.mark.parametrize("finished", [False, True])
def test_what_a_sleep_that_lasts_is_about(build: ModuleType, finished: bool) -> None:
    recording = build.empty_recording()
    tid, start = build.TIDS[0], build.START_NS
    now = start + build.SECOND
    stuck = build.state(tid, poll_start_ns=start, where=Where.POLL)
    stuck = replace(stuck, since_ns=start + 5, running=False, asleep_stack=build.SAVE)
    for call, detail, cause in ((0, "10.0.0.7:80", Cause.NETWORK), (34, "", Cause.SYSCALL)):
        recording.details[tid, start + 5] = "10.0.0.7:80"
        state = replace(stuck, syscall=call, file_type=0xC000)
        recording.set_states([state], now)
        if finished and call == 0:
            recording.finish(now, "")
            (one,) = episodes(recording, now)
        else:
            analyzer = Analyzer(recording, machine="x86_64")
            (one,) = analyzer.snapshot(now, True).timeline
        assert (one.detail, one.in_progress) == (detail, True)
        if detail:
            assert one.cause is cause
        if finished:
            break


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
    assert (snapshot.episodes, snapshot.blocked_ns) == (1, 22 * build.MS)
    assert [(row.total_ns, row.waiting_ns) for row in snapshot.blockers] == [
        (22 * build.MS, 8 * build.MS)
    ]


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

    for seconds in (1, 2, 3, 4):
        (row,) = look(seconds).blockers
        assert (row.function, row.cause) == ("store::Index::save", Cause.SYNC)
        assert (row.count, row.total_ns) == (1, seconds * build.SECOND)
    assert list(analyzer.episodes()) == []
    end = start + 4 * build.SECOND + build.MS
    recording.finish(end, "stopped")
    snapshot = analyzer.snapshot(end, False)
    (stored,) = analyzer.episodes()
    assert stored.in_progress
    assert (stored.start_ns, stored.duration_ns) == (start, 4 * build.SECOND)
    assert stored.asleep_ns == 4 * build.SECOND - 20 * build.MS
    assert (stored.stack, stored.cause) == (build.SAVE, Cause.SYNC)
    assert snapshot.ended == "stopped"
    assert [row.count for row in snapshot.blockers] == [1]


def test_the_end_of_a_run_makes_nothing_last_longer_than_it_was_seen(build: ModuleType) -> None:
    """The states are read before the programs are detached, and that may take a while."""
    recording = build.empty_recording()
    one, two, three = build.TIDS[:3]
    now = build.START_NS + build.SECOND
    states = [
        build.state(
            one, where=Where.POLL, since_ns=now - 8 * build.MS, poll_start_ns=now - 8 * build.MS
        ),
        build.state(two, where=Where.POLL, since_ns=now - build.MS, poll_start_ns=now - build.MS),
        build.state(
            three, where=Where.POLL, since_ns=now - 9 * build.MS, poll_start_ns=now - 9 * build.MS
        ),
    ]
    recording.set_states(states, now)
    later = now + 20 * build.MS
    recording.add_samples(
        [
            build.poll(one, now - 8 * build.MS, 12 * build.MS),
            build.poll(one, later, 10 * build.MS),
        ]
    )
    recording.finish(now + 400 * build.MS, "duration over")
    analyzer = Analyzer(recording, machine="x86_64")
    analyzer.snapshot(recording.ended_ns, False)
    told = [(e.tid, e.duration_ns // build.MS, e.in_progress) for e in analyzer.episodes()]
    assert sorted(told) == sorted([(one, 12, False), (one, 10, False), (three, 9, True)])


def test_what_a_stuck_poll_has_waited_is_not_its_computing(build: ModuleType) -> None:
    """Neither while it lasts nor as the run ends in the middle of it."""
    recording = build.empty_recording()
    tid, start = build.TIDS[1], build.START_NS
    now = start + build.SECOND
    stuck = replace(
        build.state(tid, where=Where.POLL, runnable=True, poll_start_ns=start),
        since_ns=now - 100 * build.MS,
        slept_ns=50 * build.MS,
        waited_ns=700 * build.MS,
    )
    recording.set_states([stuck], now)
    analyzer = Analyzer(recording, machine="x86_64")
    (shown,) = analyzer.snapshot(now, True).timeline
    recording.finish(now, "stopped")
    analyzer.snapshot(now, False)
    (stored,) = analyzer.episodes()
    for one in (shown, stored):
        split = one.on_cpu_ns, one.asleep_ns, one.waiting_ns
        assert split == (150 * build.MS, 50 * build.MS, 800 * build.MS)


def test_a_long_poll_keeps_its_evidence_while_short_ones_come_and_go(build: ModuleType) -> None:
    recording = build.empty_recording()
    stuck, busy = build.TIDS[:2]
    start, step = build.START_NS, build.MS // 10
    short = [build.cpu(busy, start + n * step, build.NAP, start + n * step) for n in range(20_000)]
    recording.add_samples([build.cpu(stuck, start, build.HASH, start), *short])
    recording.add_samples([build.poll(stuck, start, 3 * build.SECOND)])
    analyzer = Analyzer(recording, machine="x86_64")
    analyzer.snapshot(start + 3 * build.SECOND, True)
    (stored,) = analyzer.episodes()
    assert stored.stack == build.HASH


def test_polls_that_began_before_are_remembered_as_long_as_the_window(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid, start, ms = build.TIDS[1], build.START_NS, build.MS
    first = build.poll(tid, start, 9 * ms)._replace(info=BEGAN_BEFORE)
    later = [build.poll(tid, start + n * 10 * ms, 6 * ms) for n in range(1, 5000)]
    recording.add_samples([first, *later])
    analyzer = Analyzer(recording, machine="x86_64")
    snapshot = analyzer.snapshot(start + 60 * build.SECOND, False)
    assert snapshot.episodes == 5000
    assert [one.duration_ns for one in snapshot.before] == [9 * ms]
    recording.set_window(20 * build.SECOND)
    assert analyzer.snapshot(start + 60 * build.SECOND, False).before == ()


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
            evidence="on the CPU",
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


def test_samples_of_a_thread_that_turns_out_to_be_no_worker_count_no_more(
    build: ModuleType,
) -> None:
    recording = sampled(build)
    tid, start = build.TIDS[0], build.START_NS
    recording.add_stack(1, Stack(addresses=(1,), complete=True))
    recording.add_samples(ticks(build, tid, start, [1, 1, 1]))
    analyzer = Analyzer(recording, machine="x86_64")
    assert analyzer.snapshot(start + 100 * build.MS, True).episodes == 0
    recording.take(Batch(withdrawn=[tid], stacks={1: build.stack(build.user("app::f"))}))
    snapshot = analyzer.snapshot(start + 200 * build.MS, True)
    assert snapshot.episodes == 0
    assert tid not in {use.worker.tid for use in snapshot.workers}


def test_polls_count_once_the_rung_is_left_behind(build: ModuleType) -> None:
    recording = sampled(build)
    tid, start = build.TIDS[0], build.START_NS
    recording.add_samples(ticks(build, tid, start, [build.HASH] * 3))
    poll_start = start + build.SECOND
    found = Detection(Rung.CONTEXT, "found later")
    poll = build.poll(tid, poll_start, 12 * build.MS)
    cpu = build.cpu(tid, poll_start + 9 * build.MS, build.HASH, poll_start)
    recording.take(Batch(samples=[cpu, poll], detection=found))
    told = {one.method: one for one in episodes(recording, start + 2 * build.SECOND)}
    assert told.keys() == {Method.SAMPLES, Method.POLL}
    assert told[Method.POLL].duration_ns == 12 * build.MS


@pytest.mark.parametrize(("seen_ms", "spoken_for"), [(1, False), (6, True)])
def test_a_short_sleep_does_not_speak_for_a_long_one_without_a_stack(
    build: ModuleType, seen_ms: int, spoken_for: bool
) -> None:
    recording = build.empty_recording()
    tid, start, end = build.TIDS[2], build.START_NS, build.START_NS + 60 * build.MS
    recording.add_samples(
        [
            build.asleep(tid, end - 10 * build.MS, 50 * build.MS, 0, start, 35),
            build.asleep(tid, end, seen_ms * build.MS, build.CACHE, start, 202),
            build.poll(tid, start, 60 * build.MS, asleep_ns=(50 + seen_ms) * build.MS),
        ]
    )
    (one,) = episodes(recording, start + build.SECOND)
    assert one.stack == (build.CACHE if spoken_for else 0)
