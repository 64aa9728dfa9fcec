"""What the kernel programs say of polls, with a C program that keeps a CONTEXT as Tokio does.

Its bytes are where ``wire.Layout`` says, so that begin and end of each poll are known exactly.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hud.model import Kind, Sample, SampleFlag, Where
from hud.probe import wire
from hud.probe.probe import Probe

pytestmark = pytest.mark.kernel

OBJECT = Path(__file__).parents[2] / "prebuilt" / f"hud-{platform.machine()}.bpf.o"

PROGRAM = r"""
#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct core { char before[104]; unsigned tick; };
struct scheduler { unsigned char multi; char pad[23]; struct core *core; };
/* 40 scheduler, 48 task id, 68 budget, 70 runtime */
struct context {
	char a[40]; struct scheduler *scheduler; unsigned long task; char b[12];
	unsigned char budget, c, runtime; char d[9];
};
static _Thread_local volatile struct context context;

static unsigned long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}
static void nap(long us) { struct timespec t = {0, us * 1000}; nanosleep(&t, 0); }
static void spin(long us) { unsigned long end = now() + us * 1000; while (now() < end) ; }

static const char *kind;
static long us;

static void poll(unsigned long task, void (*work)(long)) {
	unsigned long before = now(), begun, ending;
	context.task = task;
	context.scheduler->core->tick++;
	context.budget = 1;
	begun = now();
	work(us);
	ending = now();
	context.budget = 0;
	context.task = 0;
	printf("poll %lu %lu %lu %lu %lu\n", task, before, begun, ending, now());
	fflush(stdout);
}

static void *run(void *arg) {
	struct core core = {{0}, 5};
	struct scheduler scheduler = {1, {0}, &core};
	unsigned long task = 100;
	(void)arg;
	context.scheduler = &scheduler;
	context.runtime = 1;
	for (int round = 0; round < 400; round++) {
		if (!strcmp(kind, "sleep")) poll(++task, nap);
		if (!strcmp(kind, "spin")) poll(++task, spin);
		if (!strcmp(kind, "same task")) poll(task, spin);
		if (!strcmp(kind, "naps")) {  /* many short sleeps in one poll */
			context.task = ++task;
			context.budget = 1;
			core.tick++;
			for (int i = 0; i < 20; i++) nap(us / 20);
			context.budget = 0;
			context.task = 0;
		}
		if (!strcmp(kind, "root")) {
			context.budget = 1;
			core.tick++;
			nap(us);
			context.budget = 0;
		}
		if (!strcmp(kind, "allowed")) {  /* block_in_place inside a task */
			context.task = ++task;
			context.runtime = 2;
			nap(us);
			context.runtime = 1;
			context.task = 0;
		}
		if (!strcmp(kind, "parked")) nap(us);
		if (!strcmp(kind, "driver")) spin(us);
		nap(3000);
	}
	return 0;
}

int main(int count, char **arguments) {
	pthread_t thread;
	char *self;
	kind = arguments[1];
	us = atol(arguments[2]);
	__asm__("mov %%fs:0, %0" : "=r"(self));
	context.runtime = 2;
	printf("context %ld\n", (long)((char *)&context - self));
	fflush(stdout);
	getchar();
	if (!strcmp(kind, "io_uring")) {
		/* the kernel's own thread of this process inherits the thread pointer */
		struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 5};
		struct core core = {{0}, 5};
		struct scheduler scheduler = {1, {0}, &core};
		context.scheduler = &scheduler;
		context.runtime = 1;
		context.task = 7;
		context.budget = 1;
		int ring = syscall(SYS_io_uring_setup, 8, &p);
		printf("ring %d\n", ring);
		fflush(stdout);
		for (;;) {
			syscall(SYS_io_uring_enter, ring, 0, 0, IORING_ENTER_SQ_WAKEUP, 0, 0);
			nap(20000);
		}
	}
	pthread_create(&thread, 0, run, 0);
	pthread_join(thread, 0);
	return 0;
}
"""

THRESHOLD = 5_000_000


@pytest.fixture(scope="session")
def program(need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    need(shutil.which("gcc"), "gcc")
    need(platform.machine() == "x86_64", "x86_64")
    where = tmp_path_factory.mktemp("polls")
    (where / "polls.c").write_text(PROGRAM)
    subprocess.run(
        ["gcc", "-O1", "-w", "-o", where / "polls", where / "polls.c", "-pthread"], check=True
    )
    return where / "polls"


@dataclass
class Ran:
    """What the program did and what was seen of it."""

    samples: list[Sample]
    polls: list[tuple[int, int, int, int, int]]
    """(task, begin at the earliest, at the latest, end at the earliest, at the latest)."""
    probe: Probe

    def of(self, kind: Kind) -> list[Sample]:
        return [sample for sample in self.samples if sample.kind == kind]


@contextmanager
def started(program: Path, kind: str, us: int) -> Iterator[tuple[subprocess.Popen[str], Probe]]:
    with subprocess.Popen(
        [program, kind, str(us)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            assert process.stdin
            offset = int(process.stdout.readline().split()[1])
            with Probe(
                OBJECT.read_bytes(), None, tgid=process.pid, threshold_ns=THRESHOLD,
                text_bytes=8 << 20,
            ) as probe:  # fmt: skip
                layout = wire.Layout(
                    tls_offset=offset,
                    task_tag=-1,
                    task_id=48,
                    budget_tag=68,
                    runtime=70,
                    scheduler=40,
                    core=24,
                    tick_multi=104,
                    tick_current=-1,
                    size=80,
                )
                probe.set_layouts([layout])
                probe.attach(997)
                process.stdin.write("\n")
                process.stdin.flush()
                yield process, probe
        finally:
            process.kill()


@pytest.fixture
def run(program: Path) -> Callable[[str, int], Ran]:
    def ran(kind: str, us: int, seconds: float = 1.5) -> Ran:
        samples: list[Sample] = []
        with started(program, kind, us) as (process, probe):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                samples += probe.events()
                time.sleep(0.02)
            process.kill()
            assert process.stdout
            lines = [line.split() for line in process.stdout.read().splitlines(keepends=False)]
            process.wait()
            samples += probe.events()
            polls = [
                (int(line[1]), int(line[2]), int(line[3]), int(line[4]), int(line[5]))
                for line in lines
                if line[0] == "poll" and len(line) == 6
            ]
            assert probe.counters.ring_full == 0
            return Ran(samples, polls, probe)

    return ran


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


def test_root_future(run: Callable[[str, int], Ran]) -> None:
    told = run("root", 12_000).of(Kind.POLL)
    assert len(told) > 20
    assert {(sample.where, sample.task_id) for sample in told} == {(Where.ROOT, 0)}


@pytest.mark.parametrize("kind", ["allowed", "parked", "driver"])
def test_what_is_no_blocker_is_not_told(run: Callable[[str, int], Ran], kind: str) -> None:
    ran = run(kind, 12_000)
    assert {Kind(s.kind) for s in ran.samples} <= {Kind.LATENCY}
    assert ran.probe.counters.switches > 50


def test_polls_below_the_threshold_are_not_told(run: Callable[[str, int], Ran]) -> None:
    ran = run("sleep", 500)
    long = [task for task, begin, _, _, end in ran.polls if end - begin >= THRESHOLD - 10**6]
    assert {sample.task_id for sample in ran.of(Kind.POLL)} <= set(long)
    assert len(ran.polls) > 100


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
