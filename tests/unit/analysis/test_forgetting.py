"""A run that lasts forgets what it needs no more, and nobody can tell."""

from __future__ import annotations

import pickle
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hud.analysis import snapshot as snapshot_module
from hud.analysis import tasktables
from hud.analysis.recording import Recording
from hud.analysis.snapshot import Analyzer
from hud.model import (
    Batch,
    Culprit,
    SampleFlag,
    Stack,
    TaskKind,
    TasksRead,
    TimeSplit,
    Where,
    Worker,
)
from hud.profiler.sent import Sent

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.results import Snapshot
    from hud.model import Sample, ThreadState

WORKERS = (1, 2, 3)
VTABLE = 0x77


class Service:
    """Batches as a profiler makes them, of threads that do anything."""

    def __init__(self, build: ModuleType, random: Random) -> None:
        self.build = build
        self.now_ns = build.START_NS
        self._random = random
        self._sent = Sent()
        self._tasks_sent = Sent()
        self._open: dict[int, tuple[int, int]] = {}
        """Start and task of the poll that each worker is in."""
        self._stuck: dict[int, int] = {}
        """The stack at which it sleeps for minutes."""
        self._late: dict[int, Stack] = {}
        self._named: set[int] = set()
        """The resolver knows their names the next time."""
        self._alive = set(WORKERS)
        self._task = 0
        self._born = 10

    def stack(self, key: int) -> Stack:
        build = self.build
        function = build.user(f"api::f{key % 7}", "src/api.rs", key % 7)
        inner = (build.c("fsync"), build.std("std::fs::sync")) if key % 2 else ()
        found: Stack = build.stack(*inner, function, complete=key % 5 > 0)
        return found

    def _name(self, batch: Batch, key: int) -> int:
        if key not in self._sent:
            self._sent.add(key, self.now_ns)
            stack = self.stack(key)
            if key not in self._named and self._random.random() < 0.3:
                self._late[key] = stack
                stack = replace(stack, frames=None)
            self._named.add(key)
            batch.stacks[key] = stack
        return key

    def _some_key(self) -> int:
        # some all the time, some for a while, some once
        era = self.now_ns // (100 * self.build.SECOND)
        return self._random.choice((self._random.randrange(1, 9), 100 * era % 10_000 + 100))

    def batch(self) -> Batch:
        random, build = self._random, self.build
        self.now_ns += round(random.choice((0.1, 1, 9)) * random.random() * build.SECOND) + 1
        now = self.now_ns
        self._sent.forget_old(now)
        self._tasks_sent.forget_old(now)
        batch = Batch(now, stacks=self._late)
        self._late = {}
        if self._born == 10:
            batch.workers = [Worker(tid, tid, f"w{tid}") for tid in WORKERS]
            batch.task_kinds = [TaskKind(VTABLE, "api::serve")]
        for tid in WORKERS:
            if tid in self._alive:
                self._work(tid, batch)
        self._come_and_go(batch)
        batch.states = [self._state(tid) for tid in sorted(self._alive)]
        batch.tasks = TasksRead(now, (), True, queued=tuple((tid, 3) for tid in self._open))
        return batch

    def _work(self, tid: int, batch: Batch) -> None:
        random, build, now = self._random, self.build, self.now_ns
        if tid not in self._open:
            self._task = random.choice((1, 2, self._task + 3))
            self._open[tid] = now, self._task
            if self._task not in self._tasks_sent:
                self._tasks_sent.add(self._task, now)
                batch.task_ids[self._task] = VTABLE
            return
        start, task = self._open[tid]
        samples: list[Sample] = batch.samples
        if tid in self._stuck:
            if random.random() < 0.03:
                del self._stuck[tid]
            return
        for _ in range(random.randrange(3)):
            key = self._name(batch, self._some_key())
            samples.append(build.cpu(tid, now, key, start))
        if random.random() < 0.4:
            key = self._name(batch, self._some_key())
            call = random.choice((build.FUTEX, build.FSYNC))
            slept = build.asleep(tid, now, (now - start) // 2, key, start, call)
            samples.append(slept._replace(value=1, flags=0x8000))
            batch.details[tid, now] = f"/data/{random.randrange(9)}"
            waker = build.wake(tid, now, 9, start, random.choice(sorted(self._alive)), key)
            flags = SampleFlag.OTHER_PROCESS * (random.random() < 0.2)
            samples.append(waker._replace(stack=self._name(batch, self._some_key()), flags=flags))
        if random.random() < 0.3:
            culprit = random.randrange(1000, 1009)
            batch.culprits.append(Culprit(culprit, 1000, f"stress-{culprit}"))
            key = self._name(batch, self._some_key())
            samples.append(build.latency(tid, now, 7 * build.MS, culprit, key))
        if random.random() < 0.03:
            self._stuck[tid] = self._name(batch, self._some_key())
            batch.details[tid, start] = "/data/stuck"
        elif random.random() < 0.6:
            del self._open[tid]
            if random.random() < 0.8:
                asleep = (now - start) // 2 if random.random() < 0.5 else 0
                samples.append(build.poll(tid, start, now - start, asleep_ns=asleep, task_id=task))

    def _come_and_go(self, batch: Batch) -> None:
        self._born += 1
        self._alive.add(self._born)
        batch.names[self._born] = f"pool-{self._born}"
        gone = [tid for tid in self._alive if 10 < tid < self._born - 4]
        if self._random.random() < 0.02:
            gone += [tid for tid in (WORKERS[-1],) if tid in self._alive]
        for tid in gone:
            self._alive.discard(tid)
            self._open.pop(tid, None)
            self._stuck.pop(tid, None)
            batch.died.append(tid)

    def _state(self, tid: int) -> ThreadState:
        build, now = self.build, self.now_ns
        start, task = self._open.get(tid, (0, 0))
        key = self._stuck.get(tid, 0)
        state: ThreadState = build.state(
            tid,
            where=Where.POLL if start else Where.RUNTIME,
            running=not key,
            since_ns=start or now,
            poll_start_ns=start,
            task_id=task,
            split=TimeSplit(poll_cpu_ns=(now - build.START_NS) // 3, waiting_ns=now // 9),
            asleep_stack=key,
            syscall=(build.FUTEX, build.FSYNC)[key % 2] if key else -1,
        )
        return state


def comparable(snapshot: Snapshot) -> Snapshot:
    """Without the stacks that nobody names."""
    named = [key for row in snapshot.blockers for key, _ in row.stacks]
    named += [use.stack for row in snapshot.blockers for use in row.holders]
    named += [episode.stack for episode in snapshot.timeline]
    return replace(snapshot, stacks={key: snapshot.stacks.get(key) for key in named})


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 1 << 32), st.sampled_from((0, 20, 60)))
def test_snapshots_are_those_of_a_run_that_never_forgot(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, seed: int, window_s: int
) -> None:
    monkeypatch.setattr(tasktables, "_MANY", 0)
    service = Service(build, Random(seed))
    info = build.info(window_ns=window_s * build.SECOND)
    whole, lean = Analyzer(Recording(info)), Analyzer(Recording(info))
    for _ in range(120):
        batch = service.batch()
        whole.recording.take(batch)
        lean.recording.take(batch)
        expected = whole.snapshot(service.now_ns, True)
        assert comparable(lean.snapshot(service.now_ns, True)) == comparable(expected)
        lean.forget(service.now_ns)
    whole.recording.finish(service.now_ns, "over")
    lean.recording.finish(service.now_ns, "over")
    expected = whole.snapshot(service.now_ns, False)
    assert comparable(lean.snapshot(service.now_ns, False)) == comparable(expected)


@pytest.mark.parametrize("window_s", [0, 30])
def test_a_long_run_needs_no_more_than_half_of_it(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch, window_s: int
) -> None:
    """What is named once and blocks nobody goes; with a window all else goes too."""
    monkeypatch.setattr(tasktables, "_MANY", 50)
    recording = Recording(build.info(window_ns=window_s * build.SECOND))
    analyzer = Analyzer(recording)
    tid = 1
    sizes: list[list[int]] = []
    for second in range(2400):
        now = build.START_NS + second * build.SECOND
        start = now - 400 * build.MS
        key = 1000 + second
        blocks = second % 60 == 0 and (window_s or second < 60)
        batch = Batch(now, names={key: f"pool-{key}"})
        batch.workers = [Worker(second, key, "short")] * (second % 2)
        batch.died = [key - 5]
        batch.stacks = {key: build.stack(build.user(f"api::f{key}", address=0x9000 + key))}
        batch.samples = [build.cpu(tid, now, key, start), build.latency(tid, now, 1, key)]
        batch.samples = batch.samples[: 1 + blocks]
        batch.samples += [build.poll(tid, start, 400 * build.MS, task_id=key)] * blocks
        batch.culprits = [Culprit(key, key, "other")]
        batch.task_ids = {key: VTABLE}
        batch.details = {(tid, now): "/data"}
        batch.tasks = TasksRead(now, (), True, queued=((tid, 1),))
        batch.states = [
            build.state(tid, where=Where.POLL, poll_start_ns=start),
            build.state(key, split=TimeSplit(poll_cpu_ns=second)),
        ]
        recording.take(batch)
        analyzer.snapshot(now, True)
        if second % 10 == 0:
            analyzer.forget(now)
        if second in (1200, 2399):
            sizes.append(
                [
                    len(recording.stacks),
                    len(recording.thread_names),
                    len(recording.details),
                    len(recording.tasks._queued),
                    len(recording.workers.died_ns) if window_s else 0,
                    len(recording.tasks.vtables) if window_s else 0,
                    len(analyzer._detector._polls._open),
                    len(analyzer._detector._polls._closed),
                    len(analyzer._blames._known),
                    len(analyzer._quality._uses),
                    len(analyzer._ledger.by_tid),
                ]
            )
    before, after = sizes
    assert all(now <= then + 12 for then, now in zip(before, after, strict=True)), (before, after)
    assert max(after) <= (150 if window_s else 700)
    assert len(recording.culprits) <= 1024
    assert len(recording.workers) <= 600
    assert len(recording.samples) <= 4096 + 2400 * bool(window_s)


def test_a_snapshot_that_is_held_keeps_its_stacks(build: ModuleType) -> None:
    recording = Recording(build.info())
    analyzer = Analyzer(recording)
    recording.take(Batch(build.START_NS, stacks=dict(build.STACKS)))
    held = analyzer.snapshot(build.START_NS, True)
    analyzer.forget(build.START_NS + 50 * build.SECOND)
    assert recording.stacks == build.STACKS
    analyzer.forget(build.START_NS + 100 * build.SECOND)
    assert not recording.stacks
    assert held.stacks == build.STACKS


@pytest.mark.parametrize("window_s", [0, 300])
def test_what_forgotten_workers_did_still_counts(build: ModuleType, window_s: int) -> None:
    recording = Recording(build.info(window_ns=window_s * build.SECOND))
    analyzer = Analyzer(recording)
    count = 1000
    for number in range(count):
        now = build.START_NS + (number + 1) * build.SECOND
        tid = 5000 + number
        split = TimeSplit(poll_cpu_ns=700 * build.MS, waiting_ns=300 * build.MS)
        batch = Batch(now, workers=[Worker(number, tid, "short")])
        batch.states = [build.state(tid, split=split)]
        batch.samples = [build.poll(tid, now - 700 * build.MS, 700 * build.MS)]
        recording.take(batch)
        recording.take(Batch(now, died=[tid], states=[]))
        snapshot = analyzer.snapshot(now, True)
        analyzer.forget(now)
    snapshot = analyzer.snapshot(now, True)
    assert len(snapshot.workers) == 64
    assert snapshot.workers[-1].worker.worker_id == count - 1
    seconds = window_s or count
    assert abs(snapshot.worker_time_ns - seconds * build.SECOND) <= build.SECOND
    assert abs(snapshot.waiting_ns - seconds * 300 * build.MS) <= 300 * build.MS
    (row,) = snapshot.blockers
    assert abs(row.count - seconds) <= 1
    assert sum(ns for _, ns in row.workers) == row.total_ns
    if not window_s:
        assert len(row.workers) <= 66
        assert row.workers[0] == (-1, (count - 64) * 700 * build.MS)
        assert len(analyzer._ledger.by_tid) <= 66
        recording.set_window(10 * build.SECOND)
        later = analyzer.snapshot(now, True)
        assert sum(one.count for one in later.blockers) == later.episodes == 11


def test_a_stack_without_its_names_does_not_undo_them(build: ModuleType) -> None:
    recording = Recording(build.info())
    named = build.stack(build.user("api::f"))
    recording.add_stack(7, named)
    recording.add_stack(7, replace(named, frames=None))
    assert recording.stacks[7] == named
    other = Stack((1, 2), complete=True)
    recording.add_stack(7, other)
    assert recording.stacks[7] == other


def test_a_long_run_does_not_grow(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory follows what is held and the code that blocks, not the number of episodes."""
    monkeypatch.setattr(snapshot_module, "_MAX_HELD", 500)
    recording = build.empty_recording()
    recording.take(Batch(task_kinds=[TaskKind(1, "t")]))
    analyzer = Analyzer(recording)
    sizes = []
    for second in range(160):
        at = build.START_NS + second * build.SECOND
        samples = [
            build.poll(build.TIDS[turn % 4], at + turn // 4 * 7 * build.MS, (5 + turn) * build.MS)
            for turn in range(80)
        ]
        recording.take(Batch(at, samples=samples, task_ids={7: 1}))
        analyzer.absorb(at + build.SECOND)
        analyzer.forget_samples()
        if second % 40 == 39:
            analyzer.forget(at)
            sizes.append(len(pickle.dumps(analyzer)))
    assert len(analyzer.episodes()) == 500
    assert max(sizes) < 1.3 * sizes[0]
    found = analyzer.snapshot(at + build.SECOND, True)
    assert (found.episodes, found.losses.recording_full) == (12_800, 12_300)
    assert found.blocked_ns == 160 * sum(range(5, 85)) * build.MS
    assert [(row.episodes, row.max_ns) for row in found.tasks] == [(12_800, 84 * build.MS)]


def test_a_window_holds_no_more(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_module, "_MAX_HELD", 5)
    recording = build.empty_recording()
    recording.set_window(60 * build.SECOND)
    at = build.START_NS + build.SECOND
    recording.add_samples(
        [build.poll(build.TIDS[0], at + turn * 7 * build.MS, 6 * build.MS) for turn in range(8)]
    )
    found = Analyzer(recording).snapshot(at + build.SECOND, True)
    assert (found.episodes, found.losses.recording_full) == (5, 3)


def test_what_is_not_held_one_by_one_still_counts(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build.demo_recording()
    kinds = Batch(task_kinds=[TaskKind(1, "a")], task_ids=dict.fromkeys(range(150, 250), 1))
    whole.take(kinds)
    expected = Analyzer(whole).snapshot(whole.ended_ns, False)
    monkeypatch.setattr(snapshot_module, "_MAX_HELD", 5)
    analyzer = Analyzer(build.demo_recording())
    analyzer.recording.take(kinds)
    found = analyzer.snapshot(whole.ended_ns, False)
    assert len(analyzer.episodes()) == len(analyzer.latencies()) == 5
    assert found.losses.recording_full == expected.episodes + 3 + expected.latencies - 10
    for row, exact in zip(found.blockers, expected.blockers, strict=True):
        assert row.p50_ns == pytest.approx(exact.p50_ns, rel=1 / 64)
        assert row.p99_ns == pytest.approx(exact.p99_ns, rel=1 / 64)
    rows = tuple(
        replace(row, p50_ns=exact.p50_ns, p99_ns=exact.p99_ns)
        for row, exact in zip(found.blockers, expected.blockers, strict=True)
    )
    tasks = tuple(
        replace(row, task_ids=exact.task_ids)
        for row, exact in zip(found.tasks, expected.tasks, strict=True)
    )
    assert found.waits == expected.waits[:5], "the latest"
    latest = {name: getattr(expected, name) for name in ("losses", "timeline", "waits")}
    held = replace(found, **latest)
    assert replace(held, blockers=rows, tasks=tasks) == expected
    assert [row.episodes for row in expected.tasks] == [100]
    # a window is of those that are held
    analyzer.recording.set_window(3600 * build.SECOND)
    found = analyzer.snapshot(whole.ended_ns, False)
    held = [episode for episode in analyzer.episodes() if episode.cause.blames_code]
    assert found.episodes == len(held) == sum(row.count for row in found.blockers)
    assert found.blocked_ns == sum(episode.duration_ns for episode in held)
    assert found.latencies == sum(row.count for row in found.pressure) == 5
    assert found.losses.recording_full == expected.episodes + 3 + expected.latencies - 10
