"""Snapshots of recordings: figures, order, names that arrive late."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hud.analysis.cause import Cause
from hud.analysis.results import Pressure, Snapshot
from hud.analysis.snapshot import Analyzer
from hud.analysis.stacks import StackStore
from hud.model import Stack, Worker

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.recording import Recording


def test_the_sample_run(build: ModuleType, sample_recording: Recording) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    rows = [(one.function, one.operation, one.cause, one.count) for one in snapshot.blockers]
    assert rows == [
        ("api::login::hash_password", "bcrypt::hash", Cause.CPU, 240),
        ("store::Index::save", "std::fs::File::sync_all", Cause.SYNC, 30),
        ("cache::get", "std::sync::Mutex<T>::lock", Cause.LOCK, 90),
        ("resolve_peer", "<str as std::net::ToSocketAddrs>::to_socket_addrs", Cause.DNS, 6),
        ("api::retry::{async fn}", "std::thread::sleep", Cause.SLEEP, 3),
        ("api::config::{async fn}", "std::fs::read", Cause.FILE, 10),
    ]
    assert snapshot.episodes == 379
    assert snapshot.blocked_ns == sum(one.total_ns for one in snapshot.blockers)
    assert snapshot.worker_time_ns == 4 * 30 * build.SECOND
    top = snapshot.blockers[0]
    assert snapshot.share(top) == top.total_ns / snapshot.worker_time_ns
    assert (top.p50_ns, top.max_ns) == (79 * build.MS, 92 * build.MS)
    assert sum(ns for _, ns in top.workers) == sum(ns for _, ns in top.stacks) == top.total_ns
    assert len(snapshot.history(top)) == 19
    assert snapshot.slices.length_ns == 1_600 * build.MS
    assert sum(snapshot.history(top)) == top.total_ns
    assert snapshot.pressure == (
        Pressure("stress-ng", 9000, False, 8, 64 * build.MS, 8 * build.MS),
    )
    assert (snapshot.latencies, snapshot.latency_total_ns) == (8, 64 * build.MS)
    assert snapshot.waiting_ns == (64 + 3 * 8) * build.MS
    assert snapshot.allowed_ns == 10 * build.SECOND
    assert snapshot.longest_poll_ns == 312 * build.MS
    assert snapshot.stacks_total - snapshot.stacks_complete == 6, "resolve_peer is cut off"
    assert snapshot.frames_named == 1.0
    assert [use.worker.worker_id for use in snapshot.workers] == [0, 1, 2, 3]
    assert sum(use.episodes for use in snapshot.workers) == 379
    assert snapshot.ended == "duration reached"


def test_many_snapshots_end_where_one_does(build: ModuleType) -> None:
    whole = build.demo_recording()
    expected = build.as_shown(Analyzer(whole).snapshot(whole.ended_ns, False))
    samples = build.demo_samples()
    recording = build.empty_recording()
    analyzer = Analyzer(recording)
    for at in range(0, len(samples), 97):
        recording.add_samples(samples[at : at + 97])
        analyzer.snapshot(recording.samples.end and samples[at].time_ns, True)
    recording.set_states(build.demo_states(samples, whole.ended_ns), whole.ended_ns)
    recording.set_cost(whole.cpu_ns, whole.rss_bytes)
    recording.finish(whole.ended_ns, whole.ended)
    assert build.as_shown(analyzer.snapshot(whole.ended_ns, False)) == expected


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.randoms(use_true_random=False))
def test_names_may_come_at_any_time(build: ModuleType, random: object) -> None:
    whole = build.demo_recording(6)
    expected = build.as_shown(Analyzer(whole).snapshot(whole.ended_ns, False))
    samples = build.demo_samples(6)
    recording = build.empty_recording()
    recording.distinct = StackStore()
    analyzer = Analyzer(recording)
    late = list(build.STACKS.items())
    random.shuffle(late)  # type: ignore[attr-defined]
    for at in range(0, len(samples), 23):
        recording.add_samples(samples[at : at + 23])
        choice = random.random()  # type: ignore[attr-defined]
        if late and choice < 0.5:
            key, stack = late.pop()
            bare = Stack(stack.addresses, stack.complete)
            recording.add_stack(key, bare if choice < 0.2 else stack)
            if choice < 0.2:
                late.insert(0, (key, stack))
        analyzer.snapshot(samples[at].time_ns, True)
    for key, stack in late:
        recording.add_stack(key, stack)
    recording.set_states(build.demo_states(samples, whole.ended_ns), whole.ended_ns)
    recording.set_cost(whole.cpu_ns, whole.rss_bytes)
    recording.finish(whole.ended_ns, whole.ended)
    found = build.as_shown(analyzer.snapshot(whole.ended_ns, False))
    assert found.blockers == expected.blockers
    assert found == expected


def test_a_thousand_late_names_at_once(build: ModuleType) -> None:
    recording = build.empty_recording()
    tid = build.TIDS[0]
    for number in range(3000):
        start = build.START_NS + number * 10 * build.MS
        key = 10_000 + number % 1000
        recording.add_stack(key, Stack(addresses=(key,), complete=True))
        recording.add_samples(
            [build.cpu(tid, start + build.MS, key, start), build.poll(tid, start, 6 * build.MS)]
        )
    analyzer = Analyzer(recording)
    now = build.START_NS + 40 * build.SECOND
    assert [row.function for row in analyzer.snapshot(now, True).blockers] == [
        "(names not resolved)"
    ]
    for key in range(10_000, 11_000):
        recording.add_stack(key, build.stack(build.user(f"app::f{key % 2}")))
    rows = analyzer.snapshot(now, True).blockers
    assert [(row.function, row.count) for row in rows] == [("app::f0", 1500), ("app::f1", 1500)]
    assert sum(row.total_ns for row in rows) == 3000 * 6 * build.MS


def test_what_was_over_when_the_run_began_is_none_of_it(build: ModuleType) -> None:
    """The programs see it while they are attached."""
    recording, ms = build.empty_recording(), build.MS
    tid, other = build.TIDS[:2]
    recording.add_samples(
        [
            build.poll(tid, build.START_NS - 12 * ms, 12 * ms),
            build.latency(tid, build.START_NS, 8 * ms, build.STRESS.tid),
            build.poll(other, build.START_NS - 5 * ms, 12 * ms),
            build.latency(other, build.START_NS + ms, 8 * ms, build.STRESS.tid),
        ]
    )
    analyzer = Analyzer(recording)
    analyzer.snapshot(build.START_NS + build.SECOND, True)
    assert [one.tid for one in analyzer.episodes()] == [other]
    assert [one.tid for one in analyzer.latencies()] == [other]


def test_the_window_forgets(build: ModuleType) -> None:
    window = 10 * build.SECOND
    recording = build.demo_recording(30, finished=False, window_ns=window)
    analyzer = Analyzer(recording)
    now = build.START_NS + 30 * build.SECOND
    snapshot = analyzer.snapshot(now, True)
    assert snapshot.span_ns == window
    assert all(one.start_ns + one.duration_ns >= now - window for one in analyzer.episodes())
    late = [one for one in build.demo_samples() if one.kind == 4 and one.time_ns >= now - window]
    pressed = [one for one in late if one.value]
    assert snapshot.episodes == len(late) - len(pressed)
    assert snapshot.blocked_ns == sum(o.duration_ns for o in late if not o.value)
    empty = analyzer.snapshot(now + 2 * window, True)
    assert (empty.blockers, empty.episodes, empty.latencies, empty.pressure) == ((), 0, 0, ())
    assert empty.longest_poll_ns == 0
    assert empty.losses.total() == 0


def test_a_larger_window_shows_what_the_smaller_one_left(build: ModuleType) -> None:
    second = build.SECOND
    recording = build.demo_recording(30, finished=False, window_ns=10 * second)
    analyzer = Analyzer(recording)
    now = build.START_NS + 30 * second
    before = analyzer.snapshot(now, True)
    recording.set_window(0)
    wide = analyzer.snapshot(now, True)
    assert (wide.elapsed_ns, wide.span_ns) == (30 * second, 10 * second)
    assert (wide.episodes, wide.blocked_ns) == (before.episodes, before.blocked_ns)
    assert wide.worker_time_ns == before.worker_time_ns, "the share stays true"
    assert wide.waiting_ns == before.waiting_ns
    assert analyzer.snapshot(now + 5 * second, True).span_ns == 15 * second


def test_a_worker_counts_from_its_birth_to_its_death(build: ModuleType) -> None:
    recording = build.empty_recording()
    second = build.SECOND
    now = build.START_NS + 10 * second
    recording.set_states([], build.START_NS + 6 * second)
    recording.add_worker(Worker(4, 777, "late"))
    recording.thread_died(build.TIDS[0])
    assert Analyzer(recording).snapshot(now, True).worker_time_ns == (3 * 10 + 4) * second


def test_order_does_not_depend_on_arrival(build: ModuleType) -> None:
    def run(keys: list[int]) -> Snapshot:
        recording = build.empty_recording()
        for number, key in enumerate(keys):
            start = build.START_NS + number * build.SECOND
            tid = build.TIDS[0]
            recording.add_samples(
                [build.cpu(tid, start + 1, key, start), build.poll(tid, start, 10 * build.MS)]
            )
        return Analyzer(recording).snapshot(build.START_NS + 9 * build.SECOND, True)

    keys = [build.SAVE, build.HASH, build.CACHE]
    forward, backward = run(keys), run(keys[::-1])
    names = ["api::login::hash_password", "cache::get", "store::Index::save"]
    assert [row.function for row in forward.blockers] == names
    assert [row.function for row in backward.blockers] == names


def test_rows_shown_again_are_renewed_in_the_end(build: ModuleType) -> None:
    recording = build.empty_recording()
    for number in range(150):
        key, start = 500 + number, build.START_NS + number * 10 * build.MS
        recording.add_stack(key, build.stack(build.user(f"app::f{number:03}")))
        tid = build.TIDS[0]
        recording.add_samples(
            [build.cpu(tid, start + 1, key, start), build.poll(tid, start, 6 * build.MS)]
        )
    analyzer = Analyzer(recording)
    now = build.START_NS + 10 * build.SECOND
    analyzer.snapshot(now, True)
    later = analyzer.snapshot(now + build.SECOND, False)
    assert later == replace(Analyzer(recording).snapshot(now + build.SECOND, False))


def test_the_graph_holds_all_blocked_time_by_cause(sample_recording: Recording) -> None:
    snapshot = Analyzer(sample_recording).snapshot(sample_recording.ended_ns, False)
    graph = snapshot.graph
    assert graph.start_ns == sample_recording.info.start_monotonic_ns
    assert graph.end_ns == snapshot.now_ns
    assert graph.workers == 4
    assert (graph.slices - 1) * graph.slice_ns < snapshot.span_ns
    assert snapshot.span_ns <= graph.slices * graph.slice_ns
    assert {len(values) for _, values in graph.causes} == {graph.slices}
    assert list(graph.causes) == sorted(graph.causes)
    sums = {cause: sum(values) for cause, values in graph.causes}
    rows: dict[Cause, int] = {}
    for row in snapshot.blockers:
        for cause, ns in row.causes:
            rows[cause] = rows.get(cause, 0) + ns
    assert sums == rows
    assert sum(sums.values()) == snapshot.blocked_ns
    workers: dict[Cause, int] = {}
    for use in snapshot.workers:
        assert sum(snapshot.history(use)) == use.blocked_ns == sum(ns for _, ns in use.causes)
        for cause, ns in use.causes:
            workers[cause] = workers.get(cause, 0) + ns
    assert workers == rows
    shares = [graph.share(at) for at in range(graph.slices)]
    assert all(0 <= share <= 1 for share in shares)
    mean = sum(shares) * graph.slice_ns / snapshot.span_ns
    assert abs(mean - snapshot.blocked_ns / snapshot.worker_time_ns) < 0.01


def test_the_graph_of_a_window_begins_in_it(build: ModuleType) -> None:
    recording = build.empty_recording()
    samples = build.demo_samples(11)
    recording.add_samples(samples)
    now = build.START_NS + 11 * build.SECOND
    recording.set_states(build.demo_states(samples, now), now)
    analyzer = Analyzer(recording)
    whole = analyzer.snapshot(now, True)
    recording.set_window(3 * build.SECOND)
    part = analyzer.snapshot(now, True)
    assert whole.graph.start_ns == build.START_NS
    begin = now - 3 * build.SECOND
    assert begin <= part.graph.start_ns < begin + part.graph.slice_ns
    assert part.graph.slice_ns == 50 * build.MS, "as fine as if it had been the window always"
    assert (part.slices.length_ns, whole.slices.length_ns) == (100 * build.MS, 400 * build.MS)
    assert part.graph.slices == 60
    latest = ((cause, values[-60:]) for cause, values in whole.graph.causes)
    assert part.graph.causes == tuple(one for one in latest if any(one[1]))
    fresh = Analyzer(recording).snapshot(now, True)
    assert part.graph == fresh.graph
    assert list(map(part.history, part.blockers)) == list(map(fresh.history, fresh.blockers))


def test_what_did_not_change_is_the_same_object(build: ModuleType) -> None:
    recording = build.empty_recording()
    key, late = 0x77, build.STACKS[build.CACHE]
    recording.add_stack(key, Stack(late.addresses, late.complete))

    def block(at_ns: int) -> None:
        tid, length = build.TIDS[0], 40 * build.MS
        slept = build.asleep(tid, at_ns + length, length, key, at_ns, build.FUTEX)
        recording.add_samples([slept, build.poll(tid, at_ns, length, asleep_ns=length)])

    block(build.START_NS)
    analyzer = Analyzer(recording)
    moments = [build.START_NS + at * build.SECOND for at in range(1, 5)]
    first, second = (analyzer.snapshot(now, True) for now in moments[:2])
    assert second.blockers is first.blockers
    assert second.timeline is first.timeline
    recording.add_stack(key, late)
    third = analyzer.snapshot(moments[2], True)
    assert third.timeline != second.timeline
    assert third.blockers[0].function != second.blockers[0].function
    block(moments[2])
    fourth = analyzer.snapshot(moments[3], True)
    assert fourth.timeline[:-1] == third.timeline
    assert fourth.blockers[0].count == 2
