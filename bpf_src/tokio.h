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

/* scheduler::Context: tag at 0 (1 = multi_thread), the RefCell's Box<Core> at layout.core. */
static __always_inline void read_tick(struct sight *sight, __u64 scheduler)
{
	const struct layout *layout = &config.layout;
	__u64 core = 0;
	__u8 multi = 0;
	__s32 at;

	if (read_at(&multi, 1, scheduler) || read_at(&core, 8, scheduler + layout->core) || !core)
		return;
	at = multi ? layout->tick_multi : layout->tick_current;
	if (at >= 0 && !read_at(&sight->tick, 4, core + at))
		sight->tick_known = 1;
}

/* `task` is the current thread. */
static __always_inline void look(struct sight *sight, struct thread *thread,
				 struct task_struct *task)
{
	const struct layout *layout = &config.layout;
	__u64 context, base = thread_pointer(task), tag = 1, id = 0, scheduler = 0;
	__u8 runtime = 0, budget = 0;

	sight->where = WHERE_UNKNOWN;
	sight->task_id = 0;
	sight->tick = 0;
	sight->tick_known = 0;
	if (!layout->valid)
		return;
	if (!base) { /* a kernel thread, or before the C library's start-up */
		sight->where = WHERE_FOREIGN;
		return;
	}
	context = base + layout->tls_offset;
	if (read_at(&runtime, 1, context + layout->runtime) ||
	    read_at(&budget, 1, context + layout->budget_tag) ||
	    read_at(&id, 8, context + layout->task_id) ||
	    (layout->task_tag >= 0 && read_at(&tag, 8, context + layout->task_tag)) ||
	    (layout->scheduler >= 0 && read_at(&scheduler, 8, context + layout->scheduler)) ||
	    runtime > 2 || budget > 1 || tag > 1) {
		count(context_unreadable);
		return;
	}
	count(context_read);
	if (!tag)
		id = 0;
	if (runtime == 2) {
		/* after block_in_place another job may make this thread a worker again */
		thread->parked_id = 0;
		sight->where = id ? WHERE_ALLOWED : WHERE_FOREIGN;
		return;
	}
	thread->entered = 1;
	thread->scheduler = scheduler;
	if (layout->scheduler >= 0 && !scheduler && id) {
		/* a block_on inside a spawn_blocking job */
		sight->where = WHERE_ALLOWED;
		return;
	}
	if (!budget && (!thread->parked_id || id == thread->parked_id || !id)) {
		sight->where = WHERE_RUNTIME;
		thread->parked_id = id;
		return;
	}
	/* no budget and another id than the parked one: task::unconstrained */
	sight->where = id ? WHERE_POLL : WHERE_ROOT;
	sight->task_id = id;
	if (scheduler)
		read_tick(sight, scheduler);
}

#endif
