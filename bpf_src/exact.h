/* Every poll, by uprobes: how long each one took, summed for each kind of task.
 *
 * Tokio's three transitions of a task's state say when a poll begins and ends; each gets the task's
 * Header (src/runtime/task/core.rs: state at 0, vtable at 16), of which `state` is the first field.
 * Where they are inlined, raw::poll's entry and return do. A blocking job goes through the same
 * functions, in a thread that is not inside a runtime: it is not counted.
 *
 * Terms: a *key* names an open poll in its thread, the Header or the stack pointer of the call.
 */
#ifndef HUD_EXACT_H
#define HUD_EXACT_H

#include "state.h"
#include "tokio.h"

#define EXACT_DEPTH 4 /* polls inside polls: a LocalSet in a task */
#define EXACT_BUCKETS 160

/* src/runtime/task/state.rs, 1.20 to 1.54 */
#define TASK_RUNNING 1
#define TASK_COMPLETE 2
#define TASK_CANCELLED 32
#define TASK_VTABLE_ID_OFFSET 72 /* where the vtable says how far the id is from the Header */

enum exact_hit { HIT_BEGIN = 0, HIT_IDLE = 1, HIT_COMPLETE = 2, HIT_KINDS = 3 };

/* Mapped by user space. */
struct exact {
	__u32 on;
	__u32 generation; /* another one after each attach: polls of an older one are forgotten */
	__u64 trampoline; /* where a call returns to whose return is probed, 0 = none */
	__u64 kinds_full; /* polls not counted: more kinds of tasks than the map holds */
	__u64 unreadable; /* polls not counted: the task's memory could not be read */
};

struct exact exact __attribute__((aligned(64)));

struct open_poll {
	__u64 key;
	__u64 header;
	__u64 vtable;
	__u64 start;
	__u64 back; /* its return address, if that was replaced by the trampoline's */
};

struct exact_thread {
	__u64 since;   /* when the innermost open poll began, or went on after one inside it; 0 = none */
	__u64 adopted; /* the last `since` that became a thread's poll_start_ns */
	__u64 broken;  /* the last `since` with block_in_place after it */
	__u32 generation;
	__u32 depth;
	struct open_poll open[EXACT_DEPTH];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192); /* 1 at load where exact mode is off */
	__type(key, __u32);
	__type(value, struct exact_thread);
} exact_threads SEC(".maps");

struct poll_stats {
	__u64 polls;
	__u64 busy_ns;
	__u64 max_ns;
	__u64 buckets[EXACT_BUCKETS]; /* hud.model.bucket_floor_ns */
};

/* By vtable. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, __u64);
	__type(value, struct poll_stats);
} poll_kinds SEC(".maps");

/* The kinds whose max_ns is being changed just now. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, __u64);
	__type(value, __u8);
} raising SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HIT_KINDS);
	__type(key, __u32);
	__type(value, __u64);
} exact_hits SEC(".maps");

/* ------------------------------------------------------------------ for the other programs */

static __always_inline struct exact_thread *exact_thread(__u32 tid)
{
	struct exact_thread *found = bpf_map_lookup_elem(&exact_threads, &tid);

	return found && found->generation == exact.generation ? found : 0;
}

/* Before a sight is judged: the poll that `thread` is thought to be in may have ended, and was too
 * short to be told. */
static __always_inline void exact_settle(struct thread *thread, __u8 where)
{
	struct exact_thread *known;

	if (!exact.on)
		return;
	known = exact_thread(thread->tid);
	if (!known)
		return;
	if (thread->poll_start_ns && thread->poll_start_ns == known->adopted &&
	    known->since != known->adopted)
		thread->poll_start_ns = 0;
	if (where == WHERE_ALLOWED)
		known->broken = known->since;
}

/* Is `thread` still in the poll that it was in, whatever CONTEXT says? It is set somewhat later
 * than a poll begins, and reset sooner than it ends. */
static __always_inline int exact_same(struct thread *thread, __u8 where)
{
	struct exact_thread *known;

	if (!exact.on || !thread->poll_start_ns || where == WHERE_ALLOWED)
		return 0;
	known = exact_thread(thread->tid);
	return known && known->since == thread->poll_start_ns;
}

/* A poll is seen for the first time, its begin estimated. */
static __always_inline void exact_adopt(struct thread *thread)
{
	struct exact_thread *known;

	if (!exact.on)
		return;
	known = exact_thread(thread->tid);
	if (!known || !known->since || known->since == known->adopted ||
	    known->since == known->broken)
		return;
	known->adopted = known->since;
	thread->poll_start_ns = thread->poll_first_ns = known->since;
	thread->begin_uncertain_us = 0;
}

/* The address that a call of thread `tid` whose frame ends at `sp` really returns to. */
static __always_inline __u64 exact_return(__u64 pc, __u64 sp, __u32 tid)
{
	struct exact_thread *known;

	if (!exact.trampoline || pc != exact.trampoline)
		return pc;
	known = exact_thread(tid);
	for (int i = 0; known && i < EXACT_DEPTH; i++)
		if (known->open[i].key == sp)
			return known->open[i].back;
	return pc;
}

#endif
