/* What Tokio is doing in the current thread, read from its thread-local CONTEXT. */
#ifndef HUD_TOKIO_H
#define HUD_TOKIO_H

#include "state.h"

/* One look at the current thread: what is asked, and what is seen. It is kept in a map, since before
 * Linux 5.12 a global function takes no pointers. */
struct sight {
	__u64 pointer; /* the thread's */
	__u64 task_id;
	__u64 turn;
	__u64 scheduler; /* from here on as in `struct thread`, changed where it is seen to be */
	__u64 parked_id;
	__u32 driver;
	__u8 driver_known;
	__u8 entered;
	__u8 copy;
	__u8 where; /* of what is seen */
	__u16 budget;
	__u8 turn_known;
	__u8 multi; /* the scheduler is a multi_thread one: it has a LIFO slot */
	__u8 context[CONTEXT_SIZE]; /* CONTEXT, as read last */
};

/* One in sched_switch, and one in a CPU sample, which may interrupt the rest. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct sight);
} sights SEC(".maps");

static __always_inline __u64 thread_pointer(struct task_struct *task)
{
	return task->THREAD_POINTER;
}

static __always_inline int read_at(void *to, __u32 size, __u64 address)
{
	return bpf_probe_read_user(to, size, (void *)address);
}

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

/* The driver of a current_thread Core is taken out to park, which a word there says. What that is while
 * the driver is there, a poll with a budget shows: nothing drives in one. */
static __always_inline int read_driver(__u32 *word, const struct layout *layout, __u64 core)
{
	return layout->driver < 0 || read_at(word, 4, core + layout->driver);
}

static __always_inline void learn_driver(struct sight *sight, const struct layout *layout, __u64 core)
{
	__u32 word;

	if (!sight->driver_known && !read_driver(&word, layout, core)) {
		sight->driver = word;
		sight->driver_known = 1;
	}
}

/* Without a budget. */
static __always_inline int see_driver(const struct sight *sight, const struct layout *layout,
				      __u64 core)
{
	__u32 word;

	if (!sight->driver_known || read_driver(&word, layout, core))
		return CORE_UNKNOWN;
	return word == sight->driver ? CORE_POLLING : CORE_PARKED;
}

/* A worker's Core without a budget: the parker is taken out to park. */
static __always_inline int see_parker(const struct layout *layout, __u64 core)
{
	__u64 parker;

	if (layout->park < 0 || read_at(&parker, 8, core + layout->park))
		return CORE_UNKNOWN;
	return parker ? CORE_POLLING : CORE_PARKED;
}

/* The tag of scheduler::Context: 0 = current_thread, 1 = multi_thread. */
static __always_inline int read_core(struct sight *sight, struct layout *layout, __u64 scheduler)
{
	int what = CORE_POLLING;
	__u64 core, tag;

	if (layout->core < 0 || find_core(&core, layout, scheduler, sight->context))
		return CORE_UNKNOWN;
	tag = layout->kinds == KINDS_TAGGED ? word_at(sight->context, 0) : sight->multi;
	if (tag > 1)
		return CORE_UNKNOWN;
	sight->multi = tag;
	if (!core)
		return tag && layout->cores ? CORE_LENT : CORE_UNKNOWN;
	if (tag && !layout->cores)
		layout->cores = 1;
	if (sight->budget != NO_BUDGET && !tag)
		learn_driver(sight, layout, core);
	if (sight->budget == NO_BUDGET)
		what = tag ? see_parker(layout, core) : see_driver(sight, layout, core);
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

/* What the thread-locals of one copy say. */
struct parts {
	__u64 id; /* 0 = none, or there are no ids */
	__u64 scheduler;
	__u8 runtime;
	__u8 budget[2]; /* whether there is one, and how much is left */
};

/* A word of CONTEXT, of which `size` bytes were read, or of what lies elsewhere. */
static __always_inline int read_part(__u64 *word, const struct layout *layout, __u8 *context,
				     __u64 address, __s32 at)
{
	if (at < 0 || (__u32)at >= layout->size)
		return read_at(word, 8, address + at);
	*word = word_at(context, at);
	return 0;
}

/* Where each kind has its own, one of current_thread may be driven inside a worker's task. */
static __always_inline int read_scheduler(struct parts *parts, struct sight *sight,
					  const struct layout *layout, __u8 *context, __u64 address)
{
	if (layout->current != NOWHERE &&
	    read_part(&parts->scheduler, layout, context, address, layout->current))
		return -1;
	if (parts->scheduler || layout->scheduler == NOWHERE || layout->scheduler == layout->current)
		return 0;
	if (read_part(&parts->scheduler, layout, context, address, layout->scheduler))
		return -1;
	sight->multi = layout->kinds == KINDS_APART && parts->scheduler;
	return 0;
}

/* Before Tokio 1.22 there is no CONTEXT, each part is a thread-local of its own, and there are no ids. */
static __always_inline int read_parts(struct parts *parts, const struct layout *layout, __u8 *context,
				      __u64 address)
{
	__u64 tag = 1;

	if (layout->task_id < 0)
		return read_at(&parts->runtime, 1, address + layout->runtime) ||
		       read_at(parts->budget, 2, address + layout->budget_tag);
	/* all at once: each read costs far more than the bytes it moves */
	if (layout->size > CONTEXT_SIZE || read_at(context, layout->size, address))
		return -1;
	parts->runtime = context[layout->runtime & (CONTEXT_SIZE - 1)];
	parts->budget[0] = context[layout->budget_tag & (CONTEXT_SIZE - 1)];
	parts->budget[1] = context[(layout->budget_tag + 1) & (CONTEXT_SIZE - 1)];
	if (layout->task_tag >= 0)
		tag = word_at(context, layout->task_tag);
	if (tag > 1)
		return -1;
	if (tag)
		parts->id = word_at(context, layout->task_id);
	return 0;
}

enum looking {
	LOOK_SWITCH = 0,
	LOOK_SAMPLE = 1,
	LOOK_DROWSY = 2, /* a switch: the thread falls asleep */
};

/* What one copy of Tokio says of the current thread; `looking` is an enum, and the rest is in that
 * sight. A global function: the verifier checks it once, not for each copy. */
__attribute__((noinline)) int look_at(__u32 copy, __u32 looking)
{
	struct layout *layout = &config.layout[copy & (MAX_LAYOUTS - 1)];
	__u32 which = looking == LOOK_SAMPLE;
	struct sight *sight = bpf_map_lookup_elem(&sights, &which);
	int what = CORE_UNKNOWN, drowsy = looking == LOOK_DROWSY, ids, whole;
	struct parts parts = {};
	__u64 address, task;

	if (!sight)
		return UNREADABLE;
	if (find_context(&address, layout, sight->pointer))
		return UNREADABLE;
	if (!address)
		return OUTSIDE;
	if (read_parts(&parts, layout, sight->context, address) ||
	    read_scheduler(&parts, sight, layout, sight->context, address) ||
	    parts.runtime > 2 || parts.budget[0] > 1)
		return UNREADABLE;
	ids = layout->task_id >= 0;
	task = ids ? parts.id : parts.scheduler;
	if (parts.runtime == 2) { /* without ids a blocking job looks like any other thread */
		if (task)
			sight->where = WHERE_ALLOWED;
		return OUTSIDE;
	}
	/* without it a task tells a thread that drives a scheduler from one in block_on */
	if (parts.scheduler != sight->scheduler)
		sight->driver_known = 0;
	whole = layout->scheduler != NOWHERE &&
		(layout->kinds != KINDS_APART || layout->current != NOWHERE);
	if (whole || parts.scheduler)
		sight->scheduler = parts.scheduler;
	else if (parts.id)
		sight->scheduler = 1;
	if (parts.budget[0])
		sight->budget = parts.budget[1];
	/* No id is used twice: with that of the job that launched it, a worker is in no task's poll; nor
	 * is a thread without one. */
	if (parts.scheduler && (parts.budget[0] || (task && (!ids || task != sight->parked_id))))
		what = read_core(sight, layout, parts.scheduler);
	if (what == CORE_PARKED && sight->multi)
		sight->parked_id = parts.id;
	/* between polls a worker has its core at hand, and does not sleep */
	if ((what == CORE_LENT && (drowsy || parts.budget[0])) ||
	    (whole && !parts.scheduler && parts.id)) {
		/* or a block_on inside a spawn_blocking job */
		sight->where = WHERE_ALLOWED;
	} else if (!parts.budget[0] && what != CORE_POLLING) {
		sight->where = WHERE_RUNTIME;
	} else if (task && !ids && !sight->turn_known) {
		sight->where = WHERE_UNKNOWN;
	} else {
		sight->where = task ? WHERE_POLL : WHERE_ROOT;
		sight->task_id = parts.id;
	}
	/* Without ids one turn of a worker, which may poll several tasks, is told by the budget, which
	 * goes down in an await: whoever is polled behind another one in a turn was woken by it. */
	if (!ids && sight->multi && parts.budget[0])
		sight->turn |= (__u64)parts.budget[1] << 32;
	/* a CONTEXT that was never touched is all zero, which reads as entered */
	if (ids && !(parts.scheduler || parts.budget[0] || parts.id))
		return parts.runtime ? INSIDE : OUTSIDE;
	sight->entered = 1;
	return INSIDE;
}

/* All copies of Tokio: the one that the thread was last inside of is asked first. 0 = seen; else memory
 * could not be read just now. A global function: the verifier checks what follows it once. */
__attribute__((noinline)) int look_around(__u32 looking)
{
	__u32 which = looking == LOOK_SAMPLE;
	struct sight *sight = bpf_map_lookup_elem(&sights, &which);
	int unreadable = 0;
	__u32 i, first;

	if (!sight)
		return -1;
	first = sight->copy;
	for (i = 0; i < MAX_LAYOUTS; i++) {
		__u32 copy = (first + i) & (MAX_LAYOUTS - 1);
		int found;

		if (!config.layout[copy].valid)
			continue;
		found = look_at(copy, looking);
		if (found == INSIDE) {
			count(context_read);
			if (copy != first) /* it numbers its tasks itself */
				sight->parked_id = 0;
			sight->copy = copy;
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

/* What the current thread does, of which `pointer` is the thread pointer; `looking` is an enum. 0 = its
 * memory could not be read just now, as happens while the kernel moves a page: that says nothing. */
static __always_inline struct sight *look(struct thread *thread, __u64 pointer, __u32 looking)
{
	__u32 which = looking == LOOK_SAMPLE;
	struct sight *sight = bpf_map_lookup_elem(&sights, &which);

	if (!sight)
		return 0;
	sight->where = WHERE_UNKNOWN;
	sight->task_id = 0;
	sight->turn = 0;
	sight->turn_known = 0;
	sight->multi = 0;
	sight->budget = NO_BUDGET;
	if (!config.layouts)
		return sight;
	sight->where = WHERE_FOREIGN;
	if (!pointer) /* a kernel thread, or before the C library's start-up */
		return sight;
	sight->pointer = pointer;
	sight->scheduler = thread->scheduler;
	sight->parked_id = thread->parked_id;
	sight->driver = thread->driver;
	sight->driver_known = thread->driver_known;
	sight->entered = thread->entered;
	sight->copy = thread->copy;
	if (look_around(looking))
		return 0;
	thread->scheduler = sight->scheduler;
	thread->parked_id = sight->parked_id;
	thread->driver = sight->driver;
	thread->driver_known = sight->driver_known;
	thread->entered = sight->entered;
	thread->copy = sight->copy;
	return sight;
}

#endif
