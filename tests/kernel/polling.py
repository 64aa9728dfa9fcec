"""A C program that keeps a CONTEXT as Tokio does, so that begin and end of each poll are known.

Its bytes are where ``wire.Layout`` says, of which ``fields`` are told otherwise, ``tls_offset``
from where they begin. The fixtures ``program`` and ``run`` (conftest.py) build and watch it.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hud.model import Kind, Sample, ThreadState
from hud.probe import wire
from hud.probe.probe import Probe

OBJECT = Path(__file__).parents[2] / "prebuilt" / f"hud-{platform.machine()}.bpf.o"

CONTEXT = """
struct core { char before[104]; unsigned tick; };
struct scheduler { unsigned char multi; char pad[23]; struct core *core; };
/* 40 scheduler, 48 task id, 68 budget, 70 runtime */
struct context {
	char a[40]; struct scheduler *scheduler; unsigned long task; char b[12];
	unsigned char budget, left, runtime; char d[9];
};
static _Thread_local volatile struct context context;
"""
"""Thread-locals as Tokio's, for programs in C."""

PROGRAM = (
    r"""
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
"""
    + CONTEXT
    + r"""
static unsigned long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ul + t.tv_nsec;
}
static void nap(long us) { struct timespec t = {0, us * 1000}; nanosleep(&t, 0); }
static void nap_shortly(long us) { nap(us / 12); }
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

/* what the other thread does, `us` after it was asked */
static int asked[2], in, out;
static const char *path;
static unsigned *word;
static int private;

static void let_go(void) {
	*word = 1;
	syscall(SYS_futex, word, FUTEX_WAKE | private, 1, 0, 0, 0);
}

static void *answer(void *arg) {
	unsigned long one = 1;
	char byte;
	(void)arg;
	context.runtime = 2;
	while (read(asked[0], &byte, 1) == 1) {
		nap(us);
		if (!strcmp(kind, "futex")) {
			let_go();
		} else {
			write(out, &one, sizeof(one));
		}
	}
	return 0;
}

static void wait_for_answer(long unused) {
	unsigned long answered;
	(void)unused;
	write(asked[1], "?", 1);
	if (strstr(kind, "futex"))
		while (!*(volatile unsigned *)word)
			syscall(SYS_futex, word, FUTEX_WAIT | private, 0, 0, 0, 0);
	else
		read(in, &answered, sizeof(answered));
	*word = 0;
	if (!strcmp(kind, "fifo")) {  /* nothing is there any more when the sleep is told */
		close(in);
		in = open(path, O_RDONLY | O_NONBLOCK);
		fcntl(in, F_SETFL, 0);
	}
}

static void time_out(long us) {
	struct timespec t = {0, us * 1000};
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, &t, 0, 0);
}

static void prepare(void) {
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	socklen_t size = sizeof(a);
	pthread_t thread;
	int pair[2];
	pipe(asked);
	if (!strcmp(kind, "fifo")) {
		mkfifo(path, 0600);
		in = open(path, O_RDONLY | O_NONBLOCK);
		out = open(path, O_WRONLY);
		fcntl(in, F_SETFL, 0);
	} else if (!strcmp(kind, "tcp")) {
		int listener = socket(AF_INET6, SOCK_STREAM, 0);
		bind(listener, (void *)&a, size);
		listen(listener, 1);
		getsockname(listener, (void *)&a, &size);
		in = socket(AF_INET6, SOCK_STREAM, 0);
		connect(in, (void *)&a, size);
		out = accept(listener, 0, 0);
		printf("port %d\n", ntohs(a.sin6_port));
	} else if (!strcmp(kind, "eventfd")) {
		in = out = eventfd(0, 0);
	} else {
		pipe(pair);
		in = pair[0];
		out = pair[1];
	}
	if (!private) {
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (char byte; read(asked[0], &byte, 1) == 1;) {
				nap(us);
				let_go();
			}
			_exit(0);
		}
		return;
	}
	pthread_create(&thread, 0, answer, 0);
}

/* a stack that costs */
__attribute__((noinline, optimize("no-omit-frame-pointer", "no-optimize-sibling-calls")))
static void deep(int frames, long us) {
	if (frames) deep(frames - 1, us);
	else nap(us);
	__asm__ volatile("");
}

static void deep_nap(long us) { deep(100, us); }

static void *pass_by(void *arg) {
	context.runtime = 2;
	for (;;) nap(2000);
	return arg;
}

static void *run(void *arg) {
	struct core core = {{0}, 5};
	struct scheduler scheduler = {1, {0}, &core};
	unsigned long task = 100;
	(void)arg;
	context.scheduler = &scheduler;
	context.runtime = 1;
	if (!strcmp(kind, "lent")) {
		context.task = 7; /* the job that launched the worker: parked */
		nap(us);
	}
	for (int round = 0; round < 400; round++) {
		if (!strcmp(kind, "sleep")) poll(++task, nap);
		if (!strcmp(kind, "spin")) poll(++task, spin);
		if (!strcmp(kind, "time out")) poll(++task, time_out);
		if (path) poll(++task, wait_for_answer);
		if (!strcmp(kind, "same task")) poll(task, spin);
		if (!strcmp(kind, "back to back")) {
			poll(++task, spin);
			poll(++task, spin);
		}
		if (!strcmp(kind, "many")) {  /* short ones, no switch between them */
			for (int i = 0; i < 40; i++) {
				context.task = ++task;
				core.tick++;
				context.budget = 1;
				spin(us);
				context.budget = 0;
				context.task = 0;
			}
		}
		if (!strcmp(kind, "without core")) {  /* after block_in_place */
			context.budget = 1;
			scheduler.core = 0;
			nap(us);
			scheduler.core = &core;
			context.budget = 0;
		}
		if (!strcmp(kind, "naps")) {  /* many short sleeps in one poll */
			context.task = ++task;
			context.budget = 1;
			core.tick++;
			for (int i = 0; i < 20; i++) nap(us / 20);
			context.budget = 0;
			context.task = 0;
		}
		if (!strcmp(kind, "drained")) {  /* sleeps that use up what stacks may cost, a long one */
			for (int i = 0; i < 400; i++) {
				context.task = ++task;
				context.budget = 1;
				core.tick++;
				deep_nap(1);
				context.budget = 0;
				context.task = 0;
			}
			poll(++task, deep_nap);
		}
		if (!strcmp(kind, "one turn")) {  /* three polls, each woken by the one before it */
			context.budget = 1;
			core.tick++;
			for (int i = 0; i < 3; i++) {
				context.left = 128 - i;
				nap(us);
			}
			context.budget = 0;
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
		if (!strcmp(kind, "lent")) {  /* block_on inside block_in_place: its polls and its parks */
			context.task = ++task;
			scheduler.core = 0;
			context.budget = 1;
			nap(us / 4);
			spin(us / 4);
			context.budget = 0;
			nap(us);
			scheduler.core = &core;
			context.task = 7;
			nap(us);
		}
		if (!strcmp(kind, "no budget")) {  /* unconstrained, then parked */
			*(volatile unsigned long *)core.before = 1;
			context.task = ++task;
			core.tick++;
			nap(us);
			*(volatile unsigned long *)core.before = 0;
			context.task = 7;
			nap(us);
		}
		if (!strcmp(kind, "parked")) nap(us);
		if (!strcmp(kind, "taken") || !strcmp(kind, "never taken")) {  /* current_thread's driver */
			scheduler.multi = 0;
			if (!strcmp(kind, "taken")) {
				*(volatile unsigned long *)core.before = ~0ul;
				nap(us);
			}
			*(volatile unsigned long *)core.before = 0;
			poll(99, nap_shortly);
			context.task = 100;
			spin(us);
			context.task = 0;
		}
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
	path = count > 3 ? arguments[3] : 0;
	word = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	private = strcmp(kind, "shared futex") ? FUTEX_PRIVATE_FLAG : 0;
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
	if (path) prepare();
	if (!strcmp(kind, "drained")) pthread_create(&thread, 0, pass_by, 0);
	pthread_create(&thread, 0, run, 0);
	pthread_join(thread, 0);
	return 0;
}
"""
)

THRESHOLD = 5_000_000


@dataclass
class Ran:
    """What the program did and what was seen of it."""

    samples: list[Sample]
    polls: list[tuple[int, int, int, int, int]]
    """(task, begin at the earliest, at the latest, end at the earliest, at the latest)."""
    probe: Probe
    waits: dict[int, wire.Wait]
    """What the sleeps were about, by ``value``."""
    said: list[str]
    """The program's lines."""
    states: list[ThreadState]

    def of(self, kind: Kind) -> list[Sample]:
        return [sample for sample in self.samples if sample.kind == kind]


@contextmanager
def started(
    program: Path, kind: str, us: int, *more: str, **fields: int
) -> Iterator[tuple[subprocess.Popen[str], Probe]]:
    with subprocess.Popen(
        [program, kind, str(us), *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
                    current=-1,
                    size=80,
                )
                for name, value in fields.items():
                    setattr(layout, name, value + (offset if name == "tls_offset" else 0))
                probe.set_layouts([layout])
                probe.attach(997)
                process.stdin.write("\n")
                process.stdin.flush()
                yield process, probe
        finally:
            process.kill()
