"""Thread-locals of a shared object: where hud finds them, against what the loader itself says.

A C program loads an object whose threads keep a CONTEXT as Tokio does, by each way that compilers
have to address thread-locals.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hud.model import Kind, Where
from hud.probe import wire
from hud.probe.probe import Probe
from hud.process.mappings import read_mappings
from hud.profiler.naming.modules import PAGE
from hud.runtime.blocks import Block, bias_of, object_block, origins
from hud.runtime.live import thread_pointers
from hud.runtime.memory import memory_reader
from hud.symbols.elf.file import ElfFile
from hud.symbols.elf.symtab import Symtab
from hud.symbols.elf.tls import DESCRIPTOR, DISTANCE, MODULE, tls_slots

pytestmark = pytest.mark.kernel

OBJECT = Path(__file__).parents[2] / "prebuilt" / f"hud-{platform.machine()}.bpf.o"

GUEST = r"""
#include <string.h>
#include <time.h>
#include <unistd.h>
/* 40 scheduler, 48 task id, 68 budget, 70 runtime */
struct context { char a[40]; long *scheduler; unsigned long task; char b[12];
                 unsigned char budget, c, runtime; char d[9]; };
static _Thread_local long before[3] = {1, 2, 3};
#ifdef BIG
static _Thread_local volatile char room[100000]; /* more than glibc keeps for late objects */
#endif
static _Thread_local volatile struct context context;
void *place(void) { return (void *)&context; }
void *guest(void *arg) {
	long scheduler[4] = {0};
	struct timespec t = {0, 12000000};
#ifdef BIG
	room[5] = 1;
#endif
	context.scheduler = scheduler;
	context.runtime = 1;
	for (unsigned long task = 1;; task++) {
		context.task = task + before[0];
		context.budget = 1;
		nanosleep(&t, 0);
		context.budget = 0;
		context.task = 0;
		usleep(2000);
	}
	return arg;
}
"""

HOST = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static void *(*place)(void);
static void *(*guest)(void *);
static int show(struct dl_phdr_info *info, size_t size, void *arg) {
	if (strstr(info->dlpi_name, arg))
		printf("module %lx %lx %lx\n", info->dlpi_tls_modid, info->dlpi_addr, place());
	return 0;
}
static void *worker(void *arg) {
	void *mine = place();
	printf("thread %d %lx\n", gettid(), (long)mine);
	fflush(stdout);
	return guest(arg);
}
static void *other(void *arg) { for (;;) usleep(3000); return arg; }
int main(int count, char **arguments) {
	pthread_t thread;
	pthread_create(&thread, 0, other, 0);
	void *library = dlopen(arguments[1], RTLD_NOW);
	if (!library) { puts(dlerror()); return 1; }
	place = dlsym(library, "place");
	guest = dlsym(library, "guest");
	for (int i = 0; i < 2; i++) pthread_create(&thread, 0, worker, 0);
	usleep(100000);
	dl_iterate_phdr(show, arguments[1]);
	fflush(stdout);
	pause();
	return 0;
}
"""

WAYS = {
    "global-dynamic": ((), {MODULE}),
    "local-dynamic": (("-ftls-model=local-dynamic",), {MODULE}),
    "initial-exec": (("-ftls-model=initial-exec",), {DISTANCE}),
    "static descriptors": (("-mtls-dialect=gnu2",), {DESCRIPTOR}),
    "dynamic descriptors": (("-mtls-dialect=gnu2", "-DBIG"), {DESCRIPTOR}),
}
"""How the compiler is told, and the kinds of slots that come of it."""


class Host:
    """The program, and what its loader says."""

    def __init__(self, process: subprocess.Popen[str], library: Path) -> None:
        self.pid = process.pid
        self.library = library
        self.places: dict[int, int] = {}
        """tid -> address of its CONTEXT, of the threads that touched theirs."""
        assert process.stdout
        for line in process.stdout:
            what, *words = line.split()
            if what == "thread":
                self.places[int(words[0])] = int(words[1], 16)
                continue
            assert what == "module", line
            self.module, self.bias, self.places[process.pid] = (int(word, 16) for word in words)
            break
        symbols = Symtab(ElfFile(library.read_bytes())).tls_symbols()
        (self.offset,) = {symbol.value for symbol in symbols if symbol.name == "context"}


@pytest.fixture
def start(need: Callable[[object, str], None], tmp_path: Path) -> Iterator[Callable[[str], object]]:
    need(shutil.which("gcc"), "gcc")
    need(platform.machine() == "x86_64", "x86_64")

    def compile_(source: str, name: str, *options: str) -> Path:
        (tmp_path / "source.c").write_text(source)
        command = ["gcc", "-O1", "-w", *options, "-o", tmp_path / name, tmp_path / "source.c"]
        subprocess.run([*command, "-pthread"], check=True)
        return tmp_path / name

    @contextmanager
    def started(way: str) -> Iterator[Host]:
        host = compile_(HOST, "host")
        library = compile_(GUEST, "guest.so", "-shared", "-fPIC", *WAYS[way][0])
        with subprocess.Popen([host, library], stdout=subprocess.PIPE, text=True) as process:
            try:
                yield Host(process, library)
            finally:
                process.kill()

    yield started


def found_in(host: Host, kinds: set[int]) -> tuple[Block, dict[int, int]]:
    """What hud finds: the block, and the address of each thread's CONTEXT."""
    mappings = [one for one in read_mappings(host.pid) if one.path == str(host.library)]
    elf = ElfFile(host.library.read_bytes())
    segments = [(s.vaddr, s.offset, s.filesz, s.flags) for s in elf.loads]
    assert bias_of(mappings, segments) == host.bias
    slots = tls_slots(elf)
    assert {slot.kind for slot in slots} == kinds
    descriptor, read = memory_reader(host.pid)
    try:
        tids = [int(path.name) for path in Path(f"/proc/{host.pid}/task").iterdir()]
        pointers = thread_pointers(tids, read_mappings(host.pid), read)
        assert len(pointers) == len(tids) == 4
        block = object_block(elf.tls, elf.machine, slots, host.bias, read, "guest.so")
        assert isinstance(block, Block), block
        start = origins(block, pointers, read, elf.machine)
    finally:
        os.close(descriptor)
    return block, {tid: origin + block.start + host.offset for tid, origin in start.items()}


@pytest.mark.parametrize("way", WAYS)
def test_thread_locals_are_where_the_loader_says(
    start: Callable[[str], Iterator[Host]], way: str
) -> None:
    with start(way) as host:  # type: ignore[attr-defined]
        block, places = found_in(host, WAYS[way][1])
        assert bool(block.module) == (way not in ("initial-exec", "static descriptors"))
        if block.module:
            assert block.module == host.module
            # the fourth thread never touched them, and has none
            assert places == host.places
        else:
            assert places.items() >= host.places.items()


@pytest.mark.parametrize("way", ["global-dynamic", "initial-exec", "dynamic descriptors"])
def test_polls_in_a_shared_object_are_seen(
    start: Callable[[str], Iterator[Host]], way: str
) -> None:
    with start(way) as host:  # type: ignore[attr-defined]
        block, places = found_in(host, WAYS[way][1])
        layout = wire.Layout(
            tls_offset=block.start + host.offset,
            module=block.module,
            task_tag=-1,
            task_id=48,
            budget_tag=68,
            runtime=70,
            scheduler=40,
            core=24,
            tick_multi=-1,
            tick_current=-1,
        )
        elsewhere = wire.Layout.from_buffer_copy(layout)
        elsewhere.module = 40  # no thread has so many
        with Probe(
            OBJECT.read_bytes(), None, tgid=host.pid, threshold_ns=5_000_000,
            text_bytes=8 * PAGE,
        ) as probe:  # fmt: skip
            probe.set_layouts([elsewhere, layout])
            probe.attach(997)
            samples = []
            end = time.monotonic() + 1
            while time.monotonic() < end:
                samples += probe.events()
                time.sleep(0.02)
            read = probe.threads(time.monotonic_ns())
            assert probe.counters.context_unreadable == 0
        workers = places.keys() & host.places.keys() - {host.pid}
        assert len(workers) == 2
        polls = [sample for sample in samples if sample.kind == Kind.POLL]
        assert len(polls) > 40
        assert {(sample.tid, sample.where) for sample in polls} == {
            (tid, Where.POLL) for tid in workers
        }
        assert read.entered.keys() == workers
        assert read.copies == dict.fromkeys(workers, 1)
        outside = {state.where for state in read.states if state.tid not in workers}
        # one that never touched its thread-locals of a fixed place has them all zero
        assert outside <= ({Where.FOREIGN} if block.module else {Where.FOREIGN, Where.RUNTIME})
