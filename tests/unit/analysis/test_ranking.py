"""Rows kept from one snapshot to the next say what rows made anew would say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hud.analysis.lengths import bucket_of
from hud.analysis.snapshot import Analyzer
from hud.analysis.stacks import StackStore
from hud.model import BUCKETS, Batch, Stack, TaskKind, bucket_floor_ns
from tests.builders import sample_recording

if TYPE_CHECKING:
    from types import ModuleType

    from hud.analysis.results import Blocker


GUARD = 0xC2
STACKS = sample_recording.STACKS | {
    GUARD: sample_recording.stack(
        sample_recording.c("syscall"),
        sample_recording.std("std::sys::sync::mutex::futex::Mutex::wake"),
        sample_recording.user("cache::put", "src/cache.rs", 70),
    )
}
WHOLE = 9
"""Instead of the frame that is left out."""


class _Run:
    """What comes at any time: episodes, names of stacks and of task types, moments."""

    def __init__(self, build: ModuleType, window_ns: int) -> None:
        self._build = build
        self.now_ns = build.START_NS
        self.recording = build.empty_recording(window_ns=window_ns)
        self.recording.distinct = StackStore()
        for key, stack in STACKS.items():
            self.recording.add_stack(key, Stack(stack.addresses, stack.complete))

    def block(self, tid: int, task: int, length: int, stack: int, other: int) -> None:
        """For so many milliseconds, woken by another worker at its stack."""
        build, length_ns = self._build, length * self._build.MS
        self.now_ns += length_ns
        start = self.now_ns - length_ns
        waker = build.TIDS[(build.TIDS.index(tid) + 1) % 4]
        samples = [
            build.asleep(tid, self.now_ns, length_ns, stack, start, build.FUTEX),
            build.wake(tid, self.now_ns, length_ns, start, waker, stack)._replace(stack=other),
            build.poll(tid, start, length_ns, asleep_ns=length_ns, task_id=task),
        ]
        self.recording.take(Batch(time_ns=self.now_ns, samples=samples, task_ids={task: task}))

    def name(self, stack: int, left_out: int) -> None:
        """Its frames, without one of them."""
        whole = STACKS[stack]
        frames = whole.frames[:left_out] + whole.frames[left_out + 1 :]
        self.recording.add_stack(stack, replace(whole, frames=frames))

    def name_type(self, task: int, name: str) -> None:
        self.recording.take(Batch(time_ns=self.now_ns, task_kinds=[TaskKind(task, name)]))

    def wait(self, length: int) -> None:
        """So many milliseconds go by."""
        self.now_ns += length * self._build.MS
        states = self._build.demo_states([], self.now_ns)
        self.recording.set_states(states, self.now_ns)


_TID = sample_recording.TIDS[0]
_NAMED = ("name", sample_recording.HASH, WHOLE)
_BLOCKED = ("block", _TID, 1, 9, sample_recording.HASH, 0)
_LOCKS = (("name", sample_recording.CACHE, WHOLE), ("name", GUARD, WHOLE))
_WAITED = ("block", _TID, 1, 9, sample_recording.CACHE, GUARD)
OFTEN_LOCKS = st.sampled_from([sample_recording.CACHE, *sorted(STACKS)])
TASKS = st.integers(1, 3)
STEPS = st.one_of(
    st.tuples(
        st.just("block"),
        st.sampled_from(sample_recording.TIDS),
        TASKS,
        st.integers(5, 400),
        OFTEN_LOCKS,
        OFTEN_LOCKS,
    ),
    st.tuples(st.just("name"), OFTEN_LOCKS, st.integers(0, WHOLE)),
    st.tuples(st.just("name_type"), TASKS, st.sampled_from(["api::serve", "store::write"])),
    st.tuples(st.just("wait"), st.integers(1, 2_000)),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=30), st.sampled_from([0, 3]))
@example([_NAMED, _BLOCKED, ("name", sample_recording.HASH, 4)], 0)
@example([_LOCKS[0], _WAITED, _LOCKS[1]], 0)
@example([*_LOCKS, ("block", _TID, 1, 9, GUARD, 0), *[_WAITED] * 2], 0)
def test_kept_rows_are_those_that_are_made_from_nothing(
    build: ModuleType, steps: list[tuple[str, Any]], window_s: int
) -> None:
    run = _Run(build, window_s * build.SECOND)
    kept = Analyzer(run.recording)
    for what, *how in steps:
        getattr(run, what)(*how)
        seen = build.as_shown(kept.snapshot(run.now_ns, live=True))
        fresh = build.as_shown(Analyzer(run.recording).snapshot(run.now_ns, live=True))
        assert list(map(_lasting, seen.blockers)) == list(map(_lasting, fresh.blockers))
        assert seen.workers == fresh.workers
        assert list(map(seen.share, seen.blockers)) == list(map(fresh.share, fresh.blockers))


def _lasting(row: Blocker) -> Blocker:
    """Without which older tasks are remembered: that depends on what was forgotten."""
    return replace(row, task_ids=())


def test_histograms_count_every_episode(build: ModuleType) -> None:
    now = build.START_NS + 30 * build.SECOND
    seen = Analyzer(build.demo_recording()).snapshot(now, live=False)
    for row in seen.blockers:
        assert sum(row.durations) == row.count
        assert row.durations[-1] > 0
        assert bucket_of(row.max_ns) == len(row.durations) - 1


@given(st.integers(4, 1 << 39))
def test_a_bucket_holds_what_lies_between_its_floors(duration_ns: int) -> None:
    bucket = bucket_of(duration_ns)
    assert bucket_floor_ns(bucket) <= duration_ns
    assert bucket + 1 >= BUCKETS or duration_ns < bucket_floor_ns(bucket + 1)
