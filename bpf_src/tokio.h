/* What Tokio is doing in the current thread, read from its thread-local CONTEXT. */
#ifndef HUD_TOKIO_H
#define HUD_TOKIO_H

#include "state.h"

struct sight {
	__u64 task_id;
	__u32 tick;
	__u8 where;
	__u8 tick_known;
};

static __always_inline __u64 thread_pointer(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return task->thread.fsbase;
#else
	return task->thread.uw.tp_value;
#endif
}

static __always_inline int read_at(void *to, __u32 size, __u64 address)
{
	return bpf_probe_read_user(to, size, (void *)address);
}

/* CONTEXT as read last on this CPU: in sched_switch, and in a CPU sample that may interrupt it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u8[CONTEXT_SIZE]);
} contexts SEC(".maps");

static __always_inline __u64 word_at(__u8 *context, __u32 offset)
{
	return *(__u64 *)(context + (offset & (CONTEXT_SIZE - 8)));
}

/* scheduler::Context: tag at 0 (1 = multi_thread), the RefCell's Box<Core> at layout.core. */
static __always_inline void read_tick(struct sight *sight, __u64 scheduler, __u8 *scratch)
{
	const struct layout *layout = &config.layout;
	__u64 core;
	__s32 at;

	if (read_at(scratch, 8 + (layout->core & (CONTEXT_SIZE / 2 - 8)), scheduler))
		return;
	core = word_at(scratch, layout->core & (CONTEXT_SIZE / 2 - 8));
	at = scratch[0] ? layout->tick_multi : layout->tick_current;
	if (core && at >= 0 && !read_at(&sight->tick, 4, core + at))
		sight->tick_known = 1;
}

/* `task` is the current thread. 0 = `sight` is filled; else the memory could not be read just now,
 * as happens while the kernel moves a page: that says nothing. */
static __always_inline int look(struct sight *sight, struct thread *thread,
				struct task_struct *task, __u32 which)
{
	const struct layout *layout = &config.layout;
	__u64 base = thread_pointer(task), tag = 1, id, scheduler = 0;
	__u32 size = layout->size;
	__u8 runtime, budget, *context;

	sight->where = WHERE_UNKNOWN;
	sight->task_id = 0;
	sight->tick = 0;
	sight->tick_known = 0;
	if (!layout->valid)
		return 0;
	if (!base) { /* a kernel thread, or before the C library's start-up */
		sight->where = WHERE_FOREIGN;
		return 0;
	}
	context = bpf_map_lookup_elem(&contexts, &which);
	if (!context || size > CONTEXT_SIZE)
		return -1;
	/* all at once: each read costs far more than the bytes it moves */
	if (read_at(context, size, base + layout->tls_offset)) {
		count(context_unreadable);
		return -1;
	}
	runtime = context[layout->runtime & (CONTEXT_SIZE - 1)];
	budget = context[layout->budget_tag & (CONTEXT_SIZE - 1)];
	id = word_at(context, layout->task_id);
	if (layout->task_tag >= 0)
		tag = word_at(context, layout->task_tag);
	if (layout->scheduler >= 0)
		scheduler = word_at(context, layout->scheduler);
	if (runtime > 2 || budget > 1 || tag > 1) {
		count(context_unreadable);
		return -1;
	}
	count(context_read);
	if (!tag)
		id = 0;
	if (runtime == 2) {
		/* after block_in_place another job may make this thread a worker again */
		thread->parked_id = 0;
		sight->where = id ? WHERE_ALLOWED : WHERE_FOREIGN;
		return 0;
	}
	/* a CONTEXT that was never touched is all zero, which reads as entered */
	if (scheduler || budget || id)
		thread->entered = 1;
	/* before 1.29 a task tells a thread that drives a scheduler from one in block_on */
	if (layout->scheduler >= 0)
		thread->scheduler = scheduler;
	else if (id)
		thread->scheduler = 1;
	if (layout->scheduler >= 0 && !scheduler && id) {
		/* a block_on inside a spawn_blocking job */
		sight->where = WHERE_ALLOWED;
		return 0;
	}
	if (!budget && (!thread->parked_id || id == thread->parked_id || !id)) {
		sight->where = WHERE_RUNTIME;
		thread->parked_id = id;
		return 0;
	}
	/* no budget and another id than the parked one: task::unconstrained */
	sight->where = id ? WHERE_POLL : WHERE_ROOT;
	sight->task_id = id;
	if (scheduler)
		read_tick(sight, scheduler, context);
	return 0;
}

#endif
