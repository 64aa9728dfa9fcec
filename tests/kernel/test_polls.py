"""What the kernel programs say of polls."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from polling import THRESHOLD, Ran, started

from hud.model import BEGAN_BEFORE, Kind, Sample, SampleFlag, Where
from hud.probe import wire

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("kind", ["sleep", "spin"])
def test_every_long_poll_is_told_with_its_times(run: Callable[[str, int], Ran], kind: str) -> None:
    ran = run(kind, 12_000)
    told = {sample.task_id: sample for sample in ran.of(Kind.POLL)}
    assert len(told) == len(ran.of(Kind.POLL))  # each once
    assert len(ran.polls) > 30
    missed = [task for task, *_ in ran.polls if task not in told]
    assert len(missed) <= 1
    assert {(sample.tid, sample.where) for sample in told.values()} == {
        (told[ran.polls[2][0]].tid, Where.POLL)
    }
    short = []
    for task, before, begun, ending, after in ran.polls:
        if task not in told:
            continue
        sample = told[task]
        assert not sample.flags & SampleFlag.TICK_UNKNOWN
        # the truth is within the uncertainty that is told
        slack = 50_000
        begin, doubt = sample.time_ns - sample.duration_ns, sample.info * 1000 + slack
        assert before - doubt <= begin <= begun + doubt
        doubt = sample.other * 1000 + slack
        assert ending - doubt <= sample.time_ns <= after + doubt
        asleep, waiting = sample.stack, sample.value
        assert asleep + waiting <= sample.duration_ns + slack
        if kind == "spin":
            assert asleep < 1_000_000
        elif asleep + waiting < 11_000_000:
            short.append(sample)
    # preempted on its way to sleep it waits for a CPU while its timer runs; and some kernels do
    # not tell each switch (ftrace does not see those either)
    assert len(short) <= 2, short
    # a sampling period at most; more only of a thread that was never seen before
    assert sum(sample.info > 2_000 for sample in told.values()) <= 2


def test_a_thread_that_is_told_of_by_user_space(program: Path) -> None:
    """It takes part as others do, and one that was seen is left as it is."""
    blank = wire.decode_thread(bytes(wire.THREAD.size))
    with started(program, "sleep", 12_000) as (process, probe):
        time.sleep(0.3)
        before = {state.tid for state in probe.threads(time.monotonic_ns()).states}
        assert len(before) >= 1
        assert not any(probe.seed_thread(blank._replace(tid=tid)) for tid in before)
        now = time.monotonic_ns()
        absent = next(tid for tid in range(1, 1 << 22) if tid not in before)
        seed = blank._replace(
            tid=absent,
            since_ns=now,
            poll_start_ns=now,
            poll_last_ns=now,
            begin_uncertain_us=BEGAN_BEFORE,
            sched=wire.SCHED_ASLEEP,
            where=Where.POLL,
            stack=99,
            entered=1,
        )
        assert probe.seed_thread(seed)
        assert not probe.seed_thread(seed)
        read = probe.threads(now + 5)
        (state,) = (state for state in read.states if state.tid == absent)
        assert (state.began_before, state.asleep_stack, state.split.poll_asleep_ns) == (True, 99, 5)
        assert absent in read.entered
        assert not any(state.began_before for state in read.states if state.tid != absent)
        assert probe.asleep_since(absent) == now
        other = next(tid for tid in range(absent + 1, 1 << 22) if tid not in before)
        assert not probe.unseen(other)
        assert probe.seed_thread(seed._replace(tid=other, sched=wire.SCHED_UNSEEN, poll_last_ns=0))
        assert probe.unseen(other)
        assert not probe.unseen(absent)
        assert other not in {state.tid for state in probe.threads(now + 5).states}
        process.kill()


def test_sleep_is_evidence_of_its_poll(run: Callable[[str, int], Ran]) -> None:
    ran = run("sleep", 12_000)
    sleeps = {s.poll_start_ns: s for s in ran.of(Kind.SLEEP)}
    assert len(sleeps) == len(ran.of(Kind.SLEEP)) > 30
    for sample in sleeps.values():
        assert sample.info in (35, 230)
        assert sample.stack
    compared = 0
    for poll in ran.of(Kind.POLL):
        # a POLL and its SLEEP name the same begin, and the same time asleep
        begin = poll.time_ns - poll.duration_ns
        if poll.stack >= THRESHOLD // 4:
            assert sleeps[begin].duration_ns == poll.stack
            assert sleeps[begin].task_id == poll.task_id
            compared += 1
    assert compared > 30
    assert ran.of(Kind.CPU) == []


def test_cpu_evidence_adds_up(run: Callable[[str, int], Ran]) -> None:
    ran = run("spin", 12_000)
    cpu = Counter[int]()
    for sample in ran.of(Kind.CPU):
        cpu[sample.task_id] += sample.duration_ns
        assert sample.where == Where.POLL
    told = all_told = 0
    for poll in ran.of(Kind.POLL):
        on_cpu = poll.duration_ns - poll.stack - poll.value
        assert cpu[poll.task_id] <= on_cpu + 2_000_000
        told += cpu[poll.task_id]
        all_told += on_cpu
    # a virtual machine that has no CPU for a while takes no samples
    assert told > 0.5 * all_told
    print(f"{told / all_told:.3f} of the time on a CPU is told")


def test_polls_of_one_task_are_told_apart_by_the_tick(run: Callable[[str, int], Ran]) -> None:
    ran = run("same task", 12_000)
    told = ran.of(Kind.POLL)
    assert abs(len(told) - len(ran.polls)) <= 2
    assert {sample.task_id for sample in told} == {100}
    assert max(sample.duration_ns for sample in told) < 10**9


def test_a_turn_that_becomes_known_in_the_middle_of_a_poll(program: Path) -> None:
    """Most of it is one poll for sure then, and only how it began is not certain."""
    with started(program, "spin", 100_000, tick_multi=-1) as (process, probe):
        assert process.stdout
        samples: list[Sample] = []
        while sum(one.kind == Kind.POLL for one in samples) < 2:
            samples += probe.events()
        time.sleep(0.02)
        known_ns = time.monotonic_ns()
        probe.config.layout[0].tick_multi = 104
        before, samples = samples, []
        while sum(one.kind == Kind.POLL for one in samples) < 4:
            samples += probe.events()
    unsure = [one for one in before if one.kind == Kind.POLL]
    assert all(one.flags & SampleFlag.TICK_UNKNOWN for one in unsure)
    polls = [one for one in samples if one.kind == Kind.POLL]
    began = [one.time_ns - one.duration_ns for one in polls]
    midst = [one for one, begin in zip(polls, began, strict=True) if begin < known_ns]
    for one in midst:
        sure = (one.time_ns - known_ns) * 2 > one.duration_ns + 4_000_000
        unsure_too = (one.time_ns - known_ns) * 2 < one.duration_ns - 4_000_000
        assert sure or unsure_too or one.flags in (0, SampleFlag.TICK_UNKNOWN)
        if sure:
            assert not one.flags
            uncertain_ns = known_ns - (one.time_ns - one.duration_ns)
            assert uncertain_ns - 1_000_000 <= one.info * 1000 <= uncertain_ns + 10_000_000
        if unsure_too:
            assert one.flags == SampleFlag.TICK_UNKNOWN
    later = [one for one, begin in zip(polls, began, strict=True) if begin >= known_ns]
    assert later
    assert not any(one.flags for one in later)


def test_short_sleeps_add_up(run: Callable[[str, int], Ran]) -> None:
    ran = run("naps", 20_000)
    told = ran.of(Kind.POLL)[:-1]  # the last one ended with the program
    assert len(told) > 20
    for sample in told:
        assert sample.stack + sample.value > 15_000_000
        assert sample.stack + sample.value <= sample.duration_ns
    slept = Counter[int]()
    for sample in ran.of(Kind.SLEEP):
        slept[sample.poll_start_ns] += sample.duration_ns
    for poll in told:
        assert slept[poll.time_ns - poll.duration_ns] <= poll.stack + 1_000


def test_a_long_sleep_has_a_stack_where_none_could_be_afforded(program: Path) -> None:
    """Another thread of the process reads it; what it finds is what the sleeper would have told."""
    samples: list[Sample] = []
    with started(program, "drained", 60_000) as (process, probe):
        end = time.monotonic() + 3
        while time.monotonic() < end:
            time.sleep(0.1)
            samples += probe.events()
        process.kill()
        polls = [one for one in samples if one.kind == Kind.POLL and one.duration_ns >= 55_000_000]
        assert len(polls) > 5
        begins = {one.time_ns - one.duration_ns for one in polls}
        sleeps = [one for one in samples if one.kind == Kind.SLEEP and one.poll_start_ns in begins]
        stacks = {one.stack for one in sleeps if one.duration_ns >= 55_000_000}
        assert len({one.poll_start_ns for one in sleeps if one.stack}) == len(polls)
        found = [probe.stack(key) for key in stacks]
        assert len({raw.addresses[0] for raw in found if raw}) == 1


def test_root_future(run: Callable[[str, int], Ran]) -> None:
    told = run("root", 12_000).of(Kind.POLL)
    assert len(told) > 20
    assert {(sample.where, sample.task_id) for sample in told} == {(Where.ROOT, 0)}


@pytest.mark.parametrize("kind", ["allowed", "lent", "parked", "driver"])
def test_what_is_no_blocker_is_not_told(run: Callable[[str, int], Ran], kind: str) -> None:
    ran = run(kind, 12_000)
    assert {Kind(s.kind) for s in ran.samples} <= {Kind.LATENCY}
    assert ran.probe.counters.switches > 50


@pytest.mark.parametrize("kind", ["taken", "never taken"])
def test_a_poll_without_a_budget_is_told_by_the_driver(run: Callable[..., Ran], kind: str) -> None:
    """Of current_thread: by what was there in polls with a budget, whether or not it ever parks."""
    told = run(kind, 12_000, driver=0, tick_multi=-1, tick_current=104).of(Kind.POLL)
    assert {sample.where for sample in told} == {Where.POLL}
    assert sum(sample.task_id == 100 for sample in told) > 20
    assert {sample.task_id for sample in told} <= {99, 100}  # 99 has a budget, and waits for a CPU


OUTSIDE = {"tls_offset": 48, "task_id": 0, "budget_tag": 20, "runtime": 22, "scheduler": -8}
"""A CONTEXT with the pointer to the scheduler before it, as before Tokio 1.29."""


@pytest.mark.parametrize("layout", [{}, {"kinds": 2}, {"kinds": 2, **OUTSIDE}])
def test_a_poll_without_a_budget_is_told_by_the_parker(
    run: Callable[..., Ran], layout: dict[str, int]
) -> None:
    told = run("no budget", 12_000, park=0, **layout).of(Kind.POLL)
    assert len({sample.task_id for sample in told}) == len(told) > 20
    assert {sample.where for sample in told} == {Where.POLL}
    assert not any(sample.flags & SampleFlag.TICK_UNKNOWN for sample in told)
    assert 7 not in {sample.task_id for sample in told}


def test_polls_below_the_threshold_are_not_told(run: Callable[[str, int], Ran]) -> None:
    ran = run("sleep", 500)
    long = [task for task, begin, _, _, end in ran.polls if end - begin >= THRESHOLD - 10**6]
    assert {sample.task_id for sample in ran.of(Kind.POLL)} <= set(long)
    assert len(ran.polls) > 100


def test_a_poll_between_two_gaps_is_none(program: Path) -> None:
    """Where no sample came for a while all that is known of it is how long that was."""
    with started(program, "many", 1_000) as (process, probe):
        probe.sample_at(40)
        time.sleep(1.5)
        process.kill()
        samples = probe.events()
    polls = [one for one in samples if one.kind == Kind.POLL]
    # what is left waited for a CPU for half a period and more: it was seen before and after that
    assert [one for one in polls if one.value < 10_000_000] == []


def test_kernels_own_threads_of_the_process_are_no_workers(
    program: Path, need: Callable[[object, str], None]
) -> None:
    """An io_uring thread has its creator's thread pointer, but not its CONTEXT."""
    with started(program, "io_uring", 0) as (process, probe):
        assert process.stdout
        ring = int(process.stdout.readline().split()[1])
        need(ring >= 0, "io_uring")
        time.sleep(0.3)
        kernels = {
            int(path.name)
            for path in Path(f"/proc/{process.pid}/task").iterdir()
            if (path / "comm").read_text().startswith("iou-")
        }
        need(kernels, "a thread of io_uring's")
        read = probe.threads(time.monotonic_ns())
        assert process.pid in read.entered
        assert not kernels & read.entered.keys()
        samples = probe.events()
        assert not kernels & {sample.tid for sample in samples}
