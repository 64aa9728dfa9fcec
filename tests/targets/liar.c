/* A program that looks like Tokio 1.54 to hud, and then lies: its threads keep a CONTEXT, a scheduler,
 * a list of tasks, queues and a blocking pool as Tokio does, and one more thread writes into them what
 * no Tokio ever would. Its argument is the lie, or several; `all` tells each for LIE_MS, `none` is honest.
 *
 * Every offset is one that hud/runtime/ looks at (context.py, cores.py, queues.py, tasks.py).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long u64;

#define WORKERS 4
#define SHARDS 16 /* 4 for each worker */
#define TASKS 64
#define LIE_MS 200
#define PAGE 4096

/* by what hud knows the version of */
const char *volatile version = "/build/registry/src/index/tokio-1.54.1/src/runtime/park.rs";

struct context {
	char a[40];
	void *scheduler;
	u64 task;
	char b[12];
	unsigned char budget, left, runtime;
	char c[9];
};
static _Thread_local volatile struct context context
	__asm__("_ZN5tokio7runtime7context7CONTEXT3VAL17h0123456789abcdefE");

struct scheduler { u64 tag, worker, borrowed, core; };
struct worker { u64 strong, weak, handle, index; };
struct core {
	u64 lifo, park, rand, queue, more[9];
	unsigned tick, interval;
	unsigned char flags[8];
};
struct queue { u64 strong, weak, buffer, head; unsigned tail, rest; };
struct shard { u64 lock, head, tail; };
struct task { u64 state, next, vtable, owner, scheduler, id, future[2], before, behind, waker; };
struct vtable { u64 functions[7], trailer, scheduler, id; };
struct pool { u64 strong, weak, some, stack, seconds, nanos, name, vtable, rest[21], cap, threads, idle, queue; };

/* where the pieces are: on pages of their own, so that they can be taken away */
struct place {
	u64 chunk[2];
	u64 handle[160];
	struct shard shards[SHARDS];
	struct { u64 queue, unpark; } remotes[WORKERS];
	struct worker workers[WORKERS];
	struct scheduler schedulers[WORKERS];
	struct { u64 before, size; struct core core; } cores[WORKERS];
	struct queue queues[WORKERS];
	u64 unpark[WORKERS][2];
	struct pool pool;
	struct vtable vtable;
	struct task tasks[TASKS];
};
static struct place *place;
static volatile struct context *contexts[WORKERS];

#define LISTS 40 /* words of the handle, its counts included: where the list of tasks is */
enum { LIST, LIST_SHARDS, ADDED, ALIVE, MASK, OWNER };

static void nap(long us) { struct timespec t = {0, us * 1000}; nanosleep(&t, 0); }

static void function_of_a_task(void) {}

static u64 wild(void) {
	static u64 seed = 88172645463325252ul;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static void make_list(void) {
	for (int i = 0; i < SHARDS; i++)
		place->shards[i] = (struct shard){0};
	for (int i = 0; i < TASKS; i++) {
		struct task *task = &place->tasks[i];
		struct shard *shard = &place->shards[(100 + i) & (SHARDS - 1)];

		*task = (struct task){.state = 2 << 6 | 8, .vtable = (u64)&place->vtable, .owner = 7,
				      .id = 100 + i, .behind = shard->head};
		if (shard->head)
			((struct task *)shard->head)->before = (u64)task;
		else
			shard->tail = (u64)task;
		shard->head = (u64)task;
	}
	u64 *list = place->handle + LISTS;
	list[LIST] = (u64)place->shards;
	list[LIST_SHARDS] = SHARDS;
	list[ADDED] = list[ALIVE] = TASKS;
	list[MASK] = SHARDS - 1;
	list[OWNER] = 7;
}

static void make(void) {
	place->chunk[1] = sizeof(place->handle) + 16; /* 8 + the size that glibc would have */
	place->handle[0] = place->handle[1] = WORKERS;
	make_list();
	place->handle[20] = 0; /* the shared queue's length */
	place->handle[LISTS - 6] = (u64)place->remotes;
	place->handle[LISTS - 5] = WORKERS;
	place->handle[LISTS - 4] = (u64)place->remotes;
	place->handle[LISTS - 3] = WORKERS;
	place->handle[LISTS + 10] = (u64)&place->pool;
	place->pool = (struct pool){.strong = 1, .weak = 1, .some = 1, .stack = 2 << 20, .seconds = 10,
				   .name = (u64)place, .vtable = (u64)place};
	place->pool.cap = 512 + WORKERS;
	place->pool.threads = WORKERS + 1;
	place->pool.idle = 1;
	place->pool.queue = 0;
	for (int i = 0; i < 7; i++)
		place->vtable.functions[i] = (u64)function_of_a_task;
	place->vtable.trailer = 64;
	place->vtable.scheduler = 32;
	place->vtable.id = 40;
	for (int i = 0; i < WORKERS; i++) {
		struct core *core = &place->cores[i].core;

		place->workers[i] = (struct worker){2, 1, (u64)place->handle, i};
		place->schedulers[i] = (struct scheduler){1, (u64)&place->workers[i], 0, (u64)core};
		place->queues[i] = (struct queue){2, 1, (u64)place, 0, 0, 0};
		place->unpark[i][0] = place->unpark[i][1] = 2;
		place->remotes[i].queue = (u64)&place->queues[i];
		place->remotes[i].unpark = (u64)place->unpark[i];
		place->cores[i].size = sizeof(struct core) + 8 + 1;
		core->park = (u64)place->unpark[i];
		core->queue = (u64)&place->queues[i];
		core->interval = 61;
		core->flags[0] = 1;
		if (contexts[i])
			contexts[i]->scheduler = &place->schedulers[i];
	}
}

/* -------------------------------------------------------------------------- lies */

static void none(void) {}

/* each task is behind itself, or behind the one that it is before */
static void circle(void) {
	for (int i = 0; i < TASKS; i++)
		place->tasks[i].behind = (u64)&place->tasks[wild() % TASKS];
}

static void huge(void) {
	u64 *list = place->handle + LISTS;

	list[ALIVE] = wild();
	list[ADDED] = wild();
	place->handle[20] = wild() >> 33;
	place->pool.cap = 1ul << 31;
	place->pool.threads = wild() >> 34;
	place->pool.idle = 0;
	place->pool.queue = wild() >> 33;
	for (int i = 0; i < WORKERS; i++)
		place->queues[i].tail = wild();
	for (int i = 0; i < TASKS; i++)
		place->tasks[i].state = wild();
}

static u64 anywhere(void) {
	u64 places[] = {0, 8, wild(), wild() & -8, -8ul, 0xffffffff81000000ul, (u64)version,
			(u64)place + wild() % sizeof(*place) / 8 * 8, (u64)function_of_a_task,
			(u64)&place->schedulers[wild() % WORKERS]};
	return places[wild() % 10];
}

static void pointers(void) {
	int i = wild() % WORKERS;

	place->shards[wild() % SHARDS].head = anywhere();
	place->tasks[wild() % TASKS].behind = anywhere();
	place->tasks[wild() % TASKS].vtable = anywhere();
	place->workers[i].handle = anywhere();
	place->schedulers[i].worker = anywhere();
	place->schedulers[i].core = anywhere();
	place->handle[LISTS] = anywhere();
	contexts[i]->scheduler = (void *)anywhere();
	nap(20);
	make();
}

static void identities(void) {
	for (int i = 0; i < WORKERS; i++)
		contexts[i]->task = wild();
	for (int i = 0; i < TASKS; i++)
		place->tasks[i].id = wild();
}

static void ticks(void) {
	for (int i = 0; i < WORKERS; i++)
		place->cores[i].core.tick = wild();
}

static void states(void) {
	for (int i = 0; i < WORKERS; i++) {
		contexts[i]->budget = wild() % 2;
		contexts[i]->left = wild();
		contexts[i]->runtime = wild() % 3;
		place->cores[i].core.park = wild() % 2;
	}
}

static void impossible(void) {
	for (int i = 0; i < WORKERS; i++) {
		contexts[i]->budget = wild();
		contexts[i]->runtime = wild();
	}
}

static void unmapped(void) {
	int pages = (sizeof(*place) + PAGE - 1) / PAGE, page = wild() % pages;
	char *at = (char *)place + page * PAGE, kept[PAGE];

	memcpy(kept, at, PAGE);
	munmap(at, PAGE);
	nap(50);
	mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memcpy(at, kept, PAGE);
}

static const struct lie { const char *name; void (*tell)(void); } lies[] = {
	{"none", none}, {"circle", circle}, {"huge", huge}, {"pointers", pointers},
	{"identities", identities}, {"ticks", ticks}, {"states", states},
	{"impossible", impossible}, {"unmapped", unmapped},
};
#define LIES (sizeof(lies) / sizeof(lies[0]))

/* -------------------------------------------------------------------------- workers */

/* the first byte of what a lie takes away is not touched while it is away */
static void *work(void *number) {
	long i = (long)number;
	u64 id = 100 + i;

	context.runtime = 1;
	contexts[i] = &context;
	context.scheduler = &place->schedulers[i];
	for (;;) {
		context.task = id;
		context.budget = 1;
		context.left = 128;
		nap(8000);
		context.budget = 0;
		context.task = 0;
		nap(2000);
	}
	return 0;
}

static u64 now_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ul + t.tv_nsec / 1000000;
}

int main(int count, char **arguments) {
	size_t size = (sizeof(*place) + PAGE - 1) / PAGE * PAGE;
	const char *name = count > 1 ? arguments[1] : "none";
	pthread_t thread;

	place = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	context.runtime = 2;
	make();
	for (long i = 0; i < WORKERS; i++)
		pthread_create(&thread, 0, work, (void *)i);
	nap(100000);
	printf("ready\n");
	fflush(stdout);
	if (count > 2) /* honest until hud has come */
		nap(atol(arguments[2]) * 1000);
	for (u64 began = now_ms();;) {
		u64 turn = (now_ms() - began) / LIE_MS % LIES;

		for (u64 i = 0; i < LIES; i++)
			if (strcmp(name, "all") ? !!strstr(name, lies[i].name) : turn == i)
				lies[i].tell();
		for (int i = 0; i < WORKERS && !strcmp(name, "none"); i++)
			place->cores[i].core.tick++;
		nap(200);
	}
}
