"""Every poll by uprobes, with a C program that has Tokio's transitions and a CONTEXT of its own.

Its header and vtable lie as Tokio's do; what it did and how long it took is on its output.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from polling import CONTEXT, OBJECT

from hud.errors import KernelError
from hud.kernel import attach
from hud.model import Kind, Sample, bucket_floor_ns, quantile_ns
from hud.probe import wire
from hud.probe.exact import ExactProbe, UprobeSite, count_time
from hud.probe.probe import Probe

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
THRESHOLD = 5_000_000

PROGRAM = (
    r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
"""
    + CONTEXT
    + r"""
struct vtable { void *functions[7]; unsigned long trailer, scheduler, id; };
struct header { unsigned long state, next; struct vtable *vtable; unsigned long owner, sched, id; };
static struct vtable fast = {.id = 40}, slow = {.id = 40}, inner = {.id = 40}, job = {.id = 40};

static unsigned long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}
static void spin(long us) { unsigned long end = now() + us * 1000; while (now() < end) ; }
static void nap(long us) { struct timespec t = {0, us * 1000}; nanosleep(&t, 0); }

/* with frame pointers, so that each begins with a push */
#define OWN __attribute__((noinline, noclone))
#define BARRIER __asm__ volatile("" ::: "memory")
OWN void transition_to_running(struct header *h) { h->state |= 1; BARRIER; }
OWN void transition_to_idle(struct header *h) { h->state &= ~1ul; BARRIER; }
OWN void transition_to_complete(struct header *h) { h->state ^= 3; BARRIER; }

OWN static void poll(struct header *h, void (*work)(long), long us) {
	unsigned long begun, before = context.task;
	unsigned char budget = context.budget;
	transition_to_running(h);
	if ((h->state & 2) == 0) {
		context.budget = 1;
		context.task = h->id;
		context.scheduler->core->tick++;
		begun = now();
		work(us);
		printf("poll %lu %lu %lu\n", h->id, begun, now());
		context.task = before;
		context.budget = budget;
	}
	transition_to_idle(h);
}

static struct header nested = {.vtable = &inner, .id = 77};
static void local_set(long us) { spin(us); poll(&nested, spin, us); spin(us); }

OWN void raw_poll(struct header *h) { poll(h, nap, 8000); BARRIER; }

static void *run(void *arg) {
	struct core core = {{0}, 5};
	struct scheduler scheduler = {1, {0}, &core};
	struct header quick = {.vtable = &fast, .id = 10}, long_one = {.vtable = &slow, .id = 11};
	struct header blocking = {.vtable = &job, .id = 12}, outer = {.vtable = &slow, .id = 13};
	struct header over = {.vtable = &fast, .state = 2};
	context.scheduler = &scheduler;
	for (int round = 0; round < 40; round++) {
		context.runtime = 1;
		poll(&quick, spin, 50);
		poll(&long_one, round & 1 ? spin : nap, 12000);
		poll(&outer, local_set, 2000);
		transition_to_running(&over); /* not polled: it is complete */
		over.state = 2;
		raw_poll(&long_one);
		context.runtime = 2;
		poll(&blocking, nap, 1000);
		context.runtime = 1;
		nap(500);
	}
	long_one.state |= 1;
	transition_to_complete(&long_one);
	return 0;
}

int main(void) {
	pthread_t thread;
	char *self;
	setvbuf(stdout, 0, _IOFBF, 1 << 20);
	__asm__("mov %%fs:0, %0" : "=r"(self));
	context.runtime = 2;
	printf("context %ld ", (long)((char *)&context - self));
	printf("fast %lu slow %lu inner %lu job %lu\n", &fast, &slow, &inner, &job);
	fflush(stdout);
	getchar();
	pthread_create(&thread, 0, run, 0);
	pthread_join(thread, 0);
	fflush(stdout);
	getchar();
	return 0;
}
"""
)


@pytest.fixture(scope="session")
def program(need: Callable[[object, str], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    need(shutil.which("gcc"), "gcc")
    need(platform.machine() == "x86_64", "x86_64")
    where = tmp_path_factory.mktemp("exact")
    (where / "exact.c").write_text(PROGRAM)
    command = [
        "gcc",
        "-O1",
        "-fno-omit-frame-pointer",
        "-w",
        "-no-pie",
        "-o",
        where / "exact",
        where / "exact.c",
        "-pthread",
    ]
    subprocess.run(command, check=True)
    return where / "exact"


class Target:
    """The program, waiting to begin."""

    def __init__(self, process: subprocess.Popen[str], binary: Path) -> None:
        self.process = process
        assert process.stdout
        words = process.stdout.readline().split()
        self.offset, *vtables = map(int, words[1::2])
        self.fast, self.slow, self.inner, self.job = vtables
        names = subprocess.run(["nm", binary], check=True, capture_output=True, text=True).stdout
        rows = [line.split() for line in names.splitlines()]
        symbols = {row[2]: int(row[0], 16) for row in rows if len(row) == 3}
        self.functions = {
            "running": symbols["transition_to_running"],
            "idle": symbols["transition_to_idle"],
            "complete": symbols["transition_to_complete"],
            "poll": symbols["raw_poll"],
        }
        self.base = 0x400000

    def places(self, *roles: str) -> list[UprobeSite]:
        path = f"/proc/{self.process.pid}/exe"
        return [UprobeSite(role, path, self.functions[role] - self.base) for role in roles]

    def text(self) -> bytes:
        """Its machine code as it is in memory now."""
        low = min(self.functions.values())
        with open(f"/proc/{self.process.pid}/mem", "rb") as memory:
            memory.seek(low)
            return memory.read(max(self.functions.values()) + 64 - low)

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def started(program: Path) -> Iterator[Target]:
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Target(process, program)
        finally:
            process.kill()


@contextmanager
def watched(target: Target) -> Iterator[tuple[Probe, ExactProbe]]:
    with Probe(
        OBJECT.read_bytes(), None, tgid=target.process.pid, threshold_ns=THRESHOLD,
        text_bytes=8 << 20, exact=True,
    ) as probe:  # fmt: skip
        layout = wire.Layout(
            tls_offset=target.offset, task_tag=-1, task_id=48, budget_tag=68, runtime=70,
            scheduler=40, core=24, tick_multi=104, tick_current=-1,
        )  # fmt: skip
        probe.set_layouts([layout])
        probe.attach(997)
        assert probe.exact is not None
        yield probe, probe.exact


class Ran:
    """What was seen of a whole run, and what it did."""

    def __init__(self, target: Target, probe: Probe, exact: ExactProbe) -> None:
        target.go()
        self.samples: list[Sample] = []
        end = time.monotonic() + 20
        tasks = Path(f"/proc/{target.process.pid}/task")
        begun = False
        while time.monotonic() < end:
            running = len(list(tasks.iterdir())) > 1
            if begun and not running:
                break
            begun |= running
            self.samples += probe.events()
            time.sleep(0.02)
        exact.detach()
        self.samples += probe.events()
        self.polls = {stats.vtable: stats for stats in exact.polls()}
        target.go()
        assert target.process.stdout
        told = [line.split() for line in target.process.stdout.read().splitlines()]
        self.truth = [(int(a), int(b), int(c)) for _, a, b, c in told]

    def lengths(self, *tasks: int) -> list[int]:
        return sorted(end - begin for task, begin, end in self.truth if task in tasks)


@pytest.mark.parametrize("multi", [True, False], ids=["uprobe_multi", "perf events"])
def test_every_poll_is_timed(
    program: Path,
    multi: bool,
    need: Callable[[object, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need(not multi or attach.uprobe_multi_works(os.uname().release), "uprobe_multi")
    monkeypatch.setattr(attach, "uprobe_multi_works", lambda _release: multi)
    with started(program) as target, watched(target) as (probe, exact):
        exact.attach(target.places("running", "idle", "complete"))
        ran = Ran(target, probe, exact)
        assert exact.state.kinds_full == exact.state.unreadable == 0
        begins, idles, completes = exact.hits()
    # every kind that is polled in a runtime, and no blocking job
    assert ran.polls.keys() == {target.fast, target.slow, target.inner}
    assert completes == 1
    assert begins > idles > 0
    for vtable, tasks in ((target.fast, (10,)), (target.inner, (77,)), (target.slow, (11, 13))):
        stats, lengths = ran.polls[vtable], ran.lengths(*tasks)
        assert stats.polls == len(lengths)
        assert sum(stats.buckets) == stats.polls
        assert stats.busy_ns > sum(lengths)
        assert stats.max_ns > lengths[-1]
        median = quantile_ns(stats, 0.5)
        assert bucket_floor_ns(bucket_at(lengths[len(lengths) // 4])) <= median
    told = [s for s in ran.samples if s.kind == Kind.POLL and s.task_id == 11]
    errors = []
    for task, begin, end in ran.truth:
        if task == 11:
            near = [s for s in told if s.time_ns - s.duration_ns <= begin and end <= s.time_ns]
            assert len(near) == 1, (begin, end)
            assert (near[0].info, near[0].other) == (0, 0)
            errors.append(near[0].duration_ns - (end - begin))
    assert len(errors) == 80
    assert 0 < sorted(errors)[len(errors) // 2] < 50_000


def bucket_at(ns: int) -> int:
    return max(at for at in range(160) if bucket_floor_ns(at) <= ns)


def test_entry_and_return_where_the_transitions_are_inlined(
    program: Path, need: Callable[[object, str], None]
) -> None:
    with started(program) as target, watched(target) as (probe, exact):
        exact.attach(target.places("poll"))
        exact.state.trampoline = 1  # not known yet: nothing is there
        ran = Ran(target, probe, exact)
    (stats,) = ran.polls.values()
    assert (stats.vtable, stats.polls) == (target.slow, 40)
    # the bucket of 8 ms begins at 7.3 ms
    assert 7_300_000 < quantile_ns(stats, 0.5) < 12_000_000
    assert stats.max_ns > 8_000_000 and stats.busy_ns > 40 * 8_000_000


def test_a_replaced_return_address_is_put_right_in_stacks(program: Path) -> None:
    with started(program) as target, watched(target) as (probe, exact):
        exact.attach(target.places("poll"))
        target.go()
        time.sleep(0.3)
        maps = Path(f"/proc/{target.process.pid}/maps").read_text()
        (line,) = (line for line in maps.splitlines() if line.endswith("[uprobes]"))
        trampoline = exact.state.trampoline = int(line.partition("-")[0], 16)
        time.sleep(0.05)  # a sleep that began before is told at its end
        probe.events()
        found: list[tuple[int, ...]] = []
        end = time.monotonic() + 5
        while time.monotonic() < end and len(found) < 3:
            sleeps = [s.stack for s in probe.events() if s.kind == Kind.SLEEP and s.stack]
            raws = [probe.stack(key) for key in dict.fromkeys(sleeps)]
            inside = target.functions["poll"]
            found += [
                raw.addresses
                for raw in raws
                if raw and any(inside < at < inside + 64 for at in raw.addresses)
            ]
            time.sleep(0.05)
    assert found
    for addresses in found:
        assert trampoline not in addresses
        # main program, pthread's start, clone: it went on below raw_poll
        at = next(i for i, a in enumerate(addresses) if inside < a < inside + 64)
        assert len(addresses) > at + 2


@pytest.mark.parametrize("multi", [True, False], ids=["uprobe_multi", "perf events"])
def test_detaching_leaves_the_code_as_it_was(
    program: Path,
    multi: bool,
    need: Callable[[object, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need(not multi or attach.uprobe_multi_works(os.uname().release), "uprobe_multi")
    monkeypatch.setattr(attach, "uprobe_multi_works", lambda _release: multi)
    with started(program) as target, watched(target) as (_, exact):
        before = target.text()
        for _ in range(2):
            exact.attach(target.places("running", "idle", "complete", "poll"))
            assert target.text() != before
            exact.detach()
            assert target.text() == before
        target.go()
        time.sleep(0.2)
        assert target.process.poll() is None


HOLDER = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_exact import OBJECT, UprobeSite, Probe
with Probe(
    OBJECT.read_bytes(), None, tgid={pid}, threshold_ns=1, text_bytes=1, exact=True
) as probe:
    probe.exact.attach({places!r})
    print("attached", flush=True)
    time.sleep(60)
"""


def test_a_killed_hud_leaves_the_code_as_it_was(program: Path) -> None:
    with started(program) as target:
        before = target.text()
        places = target.places("running", "idle", "complete", "poll")
        text = HOLDER.format(
            tests=str(Path(__file__).parent), pid=target.process.pid, places=places
        )
        with subprocess.Popen(
            [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as holder:  # fmt: skip
            assert holder.stdout
            assert holder.stdout.readline() == "attached\n"
            assert target.text() != before
            holder.send_signal(signal.SIGKILL)
        until = time.monotonic() + 10
        while target.text() != before and time.monotonic() < until:
            time.sleep(0.05)
        assert target.text() == before
        target.go()
        time.sleep(0.3)
        assert target.process.poll() is None


def test_a_refused_place_leaves_nothing_attached(program: Path) -> None:
    with started(program) as target, watched(target) as (_, exact):
        before = target.text()
        good = target.places("running")
        with pytest.raises(KernelError):
            exact.attach([*good, UprobeSite("idle", "/nonexistent", 0x1000)])
        assert not exact.attached
        assert target.text() == before


def test_the_programs_time_is_counted_on_demand(program: Path) -> None:
    with started(program) as target, watched(target) as (_, exact), count_time():
        exact.attach(target.places("running", "idle", "complete"))
        target.go()
        time.sleep(0.5)
        exact.detach()
        ns, runs = exact.runs()
    assert runs > 20
    assert 20 < ns / runs < 100_000
