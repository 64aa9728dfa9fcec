/* What Tokio is doing in the current thread, read from its thread-local CONTEXT. */
#ifndef HUD_TOKIO_H
#define HUD_TOKIO_H

#include "state.h"

struct sight {
	__u64 task_id;
	__u64 turn;
	__u16 budget;
	__u8 where;
	__u8 turn_known;
	__u8 multi; /* the scheduler is a multi_thread one: it has a LIFO slot */
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

/* glibc's dtv: pairs of words by module id, before them one with their number (tcbhead_t of nptl/tls.h,
 * dtv_t of sysdeps/generic/dl-dtv.h). The first word of a pair is the block; UNALLOCATED or 0 in a
 * thread that never used the module. */
#if defined(__TARGET_ARCH_x86)
#define DTV 8
#else
#define DTV 0
#endif
#define UNALLOCATED ((__u64)-1)
#define DTV_SURPLUS 14 /* of ldsodefs.h: the least length */

/* Where a copy's CONTEXT is in the thread with this thread pointer, 0 = it has none; or not 0 where
 * memory could not be read. */
static __always_inline int find_context(__u64 *address, const struct layout *layout, __u64 pointer)
{
	__u64 dtv, length, block;

	*address = pointer + layout->tls_offset;
	if (!layout->module)
		return 0;
	*address = 0;
	if (read_at(&dtv, 8, pointer + DTV))
		return -1;
	if (layout->module > DTV_SURPLUS) {
		if (read_at(&length, 8, dtv - 16))
			return -1;
		if (layout->module > length)
			return 0;
	}
	if (read_at(&block, 8, dtv + 16 * (__u64)layout->module))
		return -1;
	if (block && block != UNALLOCATED)
		*address = block + layout->tls_offset;
	return 0;
}

/* The RefCell's Box<Core> of a scheduler's Context, whose first bytes are then in `scratch`; or not 0
 * where memory could not be read. */
static __always_inline int find_core(__u64 *core, const struct layout *layout, __u64 scheduler,
				     __u8 *scratch)
{
	__u32 at = layout->core & (CONTEXT_SIZE / 2 - 8);

	if (read_at(scratch, 8 + at, scheduler))
		return -1;
	*core = word_at(scratch, at);
	return 0;
}

/* `flags`: four of a worker follow, behind another word. They tell apart what a tick does not, a poll
 * from one in the LIFO slot behind it: lifo_enabled is the first. */
static __always_inline void read_turn(struct sight *sight, __u64 core, __s32 at, int flags)
{
	__u32 words[3] = {};

	if (at < 0 || read_at(words, flags ? 12 : 4, core + at))
		return;
	sight->turn = words[0] | (__u64)words[2] << 32;
	sight->turn_known = 1;
}

enum core_sight {
	CORE_UNKNOWN,
	CORE_LENT,    /* by block_in_place, to another thread; or at hand, between two polls */
	CORE_PARKED,  /* its thread is parked, or drives I/O and timers */
	CORE_POLLING,
};

#define LEAST_ADDRESS 4096
#define BEFORE_ZERO (~0ULL)

/* The driver of a current_thread Core is taken out to park. It is an Option: an address or 0, or one of
 * some small numbers, of which the largest means none. Which of them a driver has that is there, a poll
 * with a budget tells: nothing drives in one. */
static __always_inline int read_driver(__u64 *word, const struct layout *layout, __u64 core)
{
	return layout->driver < 0 || read_at(word, 8, core + layout->driver);
}

static __always_inline void learn_driver(struct layout *layout, __u64 core)
{
	__u64 word;

	if (!layout->drivers && !read_driver(&word, layout, core) && word < 32)
		layout->drivers = 1U << word;
}

/* Without a budget. */
static __always_inline int see_driver(const struct layout *layout, __u64 core)
{
	__u64 word;

	if (read_driver(&word, layout, core))
		return CORE_UNKNOWN;
	if (word < 32)
		return layout->drivers & 1U << word ? CORE_POLLING : CORE_PARKED;
	return word >= LEAST_ADDRESS && word != BEFORE_ZERO ? CORE_POLLING : CORE_PARKED;
}

/* A worker's Core without a budget: the parker is taken out to park. */
static __always_inline int see_parker(const struct layout *layout, __u64 core)
{
	__u64 parker;

	if (layout->park < 0 || read_at(&parker, 8, core + layout->park))
		return CORE_UNKNOWN;
	return parker ? CORE_POLLING : CORE_PARKED;
}

/* scheduler::Context begins with a tag: 0 = current_thread, 1 = multi_thread; none in a Tokio without
 * rt-multi-thread. */
static __always_inline int read_core(struct sight *sight, struct layout *layout, __u64 scheduler,
				     __u8 *scratch)
{
	int what = CORE_POLLING;
	__u64 core, tag;

	if (layout->core < 0 || find_core(&core, layout, scheduler, scratch))
		return CORE_UNKNOWN;
	tag = layout->untagged ? 0 : word_at(scratch, 0);
	if (tag > 1)
		return CORE_UNKNOWN;
	sight->multi = tag;
	if (!core)
		return tag && layout->cores ? CORE_LENT : CORE_UNKNOWN;
	if (tag && !layout->cores)
		layout->cores = 1;
	if (sight->budget != NO_BUDGET && !tag)
		learn_driver(layout, core);
	if (sight->budget == NO_BUDGET)
		what = tag ? see_parker(layout, core) : see_driver(layout, core);
	if (what == CORE_POLLING)
		read_turn(sight, core, tag ? layout->tick_multi : layout->tick_current,
			  tag && layout->flags);
	return what;
}

enum copy_sight {
	OUTSIDE, /* of this copy's runtimes, as far as can be told */
	INSIDE,
	UNREADABLE,
};

/* Before Tokio 1.22: thread-locals at `address` plus their offsets, and no id. What tells one poll from
 * the next is the tick; in one turn of a worker, which may poll several tasks, the budget, which goes
 * down in an await: whoever is polled behind another one in a turn was woken by it. */
static __always_inline int look_apart(struct sight *sight, struct thread *thread,
				      const struct layout *layout, __u64 address, __u8 *scratch)
{
	__s32 tick_at = layout->tick_current;
	__u64 scheduler = 0, core;
	__u8 runtime, budget[2];
	int multi = 0;

	if (read_at(&runtime, 1, address + layout->runtime) ||
	    read_at(budget, 2, address + layout->budget_tag) ||
	    (layout->current >= 0 && read_at(&scheduler, 8, address + layout->current)))
		return UNREADABLE;
	if (!scheduler && layout->scheduler != layout->current) {
		multi = 1;
		tick_at = layout->tick_multi;
		if (read_at(&scheduler, 8, address + layout->scheduler))
			return UNREADABLE;
	}
	if (runtime > 2 || budget[0] > 1)
		return UNREADABLE;
	if (runtime == 2) {
		if (scheduler) /* block_in_place; a blocking job looks like any other thread */
			sight->where = WHERE_ALLOWED;
		return OUTSIDE;
	}
	thread->entered = 1;
	thread->scheduler = scheduler;
	if (!budget[0]) {
		sight->where = WHERE_RUNTIME;
	} else if (!scheduler) {
		sight->where = WHERE_ROOT;
	} else if (find_core(&core, layout, scheduler, scratch)) {
		return UNREADABLE;
	} else if (!core) { /* since block_in_place another thread is the worker */
		sight->where = WHERE_ALLOWED;
	} else if (tick_at < 0) {
		sight->where = WHERE_UNKNOWN;
	} else {
		sight->where = WHERE_POLL;
		read_turn(sight, core, tick_at, 0);
		if (multi)
			sight->turn |= (__u64)budget[1] << 32;
	}
	return INSIDE;
}

enum looking {
	LOOK_SWITCH = 0,
	LOOK_SAMPLE = 1,
	LOOK_DROWSY = 2, /* a switch: the thread falls asleep */
};

/* What one copy of Tokio says of the current thread; the arguments are those of `look`. A global
 * function: the verifier checks it once, not for each copy. */
__attribute__((noinline)) int look_at(struct sight *sight, struct thread *thread, __u32 copy,
				      __u64 pointer, __u32 looking)
{
	struct layout *layout = &config.layout[copy & (MAX_LAYOUTS - 1)];
	__u32 size = layout->size, which = looking == LOOK_SAMPLE;
	__u64 address, tag = 1, id, scheduler = 0;
	__u8 *context = bpf_map_lookup_elem(&contexts, &which);
	int what = CORE_UNKNOWN, drowsy = looking == LOOK_DROWSY;
	__u8 runtime, budget;

	if (!sight || !thread || !context)
		return UNREADABLE;
	if (find_context(&address, layout, pointer))
		return UNREADABLE;
	if (!address)
		return OUTSIDE;
	if (layout->task_id < 0)
		return look_apart(sight, thread, layout, address, context);
	/* all at once: each read costs far more than the bytes it moves */
	if (size > CONTEXT_SIZE || read_at(context, size, address))
		return UNREADABLE;
	runtime = context[layout->runtime & (CONTEXT_SIZE - 1)];
	budget = context[layout->budget_tag & (CONTEXT_SIZE - 1)];
	id = word_at(context, layout->task_id);
	if (layout->task_tag >= 0)
		tag = word_at(context, layout->task_tag);
	if (layout->scheduler >= 0)
		scheduler = word_at(context, layout->scheduler);
	if (runtime > 2 || budget > 1 || tag > 1)
		return UNREADABLE;
	if (!tag)
		id = 0;
	if (runtime == 2) {
		if (id)
			sight->where = WHERE_ALLOWED;
		return OUTSIDE;
	}
	/* before 1.29 a task tells a thread that drives a scheduler from one in block_on */
	if (layout->scheduler >= 0)
		thread->scheduler = scheduler;
	else if (id)
		thread->scheduler = 1;
	sight->budget = budget ? context[(layout->budget_tag + 1) & (CONTEXT_SIZE - 1)] : NO_BUDGET;
	/* No id is used twice: with that of the job that launched it, a worker is in no task's poll; nor
	 * is a thread without one. */
	if (scheduler && (budget || (id && id != thread->parked_id)))
		what = read_core(sight, layout, scheduler, context);
	if (what == CORE_PARKED && sight->multi)
		thread->parked_id = id;
	/* between polls a worker has its core at hand, and does not sleep */
	if ((what == CORE_LENT && (drowsy || budget)) ||
	    (layout->scheduler >= 0 && !scheduler && id)) {
		/* or a block_on inside a spawn_blocking job */
		sight->where = WHERE_ALLOWED;
	} else if (budget || what == CORE_POLLING) {
		sight->where = id ? WHERE_POLL : WHERE_ROOT;
		sight->task_id = id;
	} else {
		sight->where = WHERE_RUNTIME;
	}
	/* a CONTEXT that was never touched is all zero, which reads as entered */
	if (!(scheduler || budget || id))
		return runtime ? INSIDE : OUTSIDE;
	thread->entered = 1;
	return INSIDE;
}

/* `pointer` is the current thread's, `looking` an enum. 0 = `sight` is filled; else the memory could not
 * be read just now, as happens while the kernel moves a page: that says nothing. Of several copies of
 * Tokio the one that the thread was last inside of is asked first. A global function: the verifier
 * checks it once, and what follows it once. */
__attribute__((noinline)) int look(struct sight *sight, struct thread *thread, __u64 pointer,
				   __u32 looking)
{
	int unreadable = 0;
	__u32 i;

	if (!sight || !thread)
		return -1;
	sight->where = WHERE_UNKNOWN;
	sight->task_id = 0;
	sight->turn = 0;
	sight->turn_known = 0;
	sight->multi = 0;
	sight->budget = NO_BUDGET;
	if (!config.layouts)
		return 0;
	sight->where = WHERE_FOREIGN;
	if (!pointer) /* a kernel thread, or before the C library's start-up */
		return 0;
	for (i = 0; i < MAX_LAYOUTS; i++) {
		__u32 copy = (thread->copy + i) & (MAX_LAYOUTS - 1);
		int found;

		if (!config.layout[copy].valid)
			continue;
		found = look_at(sight, thread, copy, pointer, looking);
		if (found == INSIDE) {
			count(context_read);
			if (copy != thread->copy) /* it numbers its tasks itself */
				thread->parked_id = 0;
			thread->copy = copy;
			return 0;
		}
		unreadable |= found == UNREADABLE;
	}
	if (unreadable) {
		count(context_unreadable);
		return -1;
	}
	count(context_read);
	return 0;
}

#endif
