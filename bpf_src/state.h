/* What the programs keep between events: one value per thread, the configuration, the counters.
 *
 * hud/probe/wire.py transcribes these structs; a test holds it to the BTF of the compiled object.
 */
#ifndef HUD_STATE_H
#define HUD_STATE_H

#include "event.h"
#include "kernel.h"

enum scheduling {
	SCHED_UNSEEN = 0,
	SCHED_RUNNING = 1,
	SCHED_ASLEEP = 2,
	SCHED_RUNNABLE = 3, /* preempted, or woken and not yet running */
};

enum caught {
	CAUGHT_NOTHING = 0,
	CAUGHT_STACK = 1,   /* an event with a stack was sent */
	CAUGHT_IN_VAIN = 2, /* one was due at any price, and could not be had */
};

/* Sleep time is exact and split by what the thread was in when it fell asleep; CPU time is exact in
 * sum, and split by the share of CPU samples in each `where`. */
struct thread {
	__u64 since_ns;      /* of this scheduling state (what came before is charged) */
	__u64 waking_ns;     /* last wake-up sent to it */
	__u64 seen_ns;       /* last time CONTEXT was looked at, or it was switched in */
	__u64 poll_start_ns; /* estimated begin of the poll it is in, 0 = none */
	__u64 poll_first_ns; /* first sight inside that poll */
	__u64 poll_last_ns;  /* last sight inside that poll, 0 = user space says that it is in one */
	__u64 poll_sure_ns;  /* first sight since which the turn was known, and the same */
	__u64 poll_asleep_ns;
	__u64 poll_waiting_ns;
	__u64 evidence_cpu_ns; /* CPU time of this poll that CPU events were sent for */
	__u64 evidence_asleep_ns; /* sleep of this poll that SLEEP events were sent for */
	__u64 slept_ns;           /* its latest sleep */
	__u64 late_ns;     /* a wait for a CPU that is yet to be told, 0 = none */
	__u64 late_end_ns;
	__u64 late_stack;
	__u64 task_id;
	__u64 parked_id;  /* CONTEXT's id in a proven park: of the job that launched the worker */
	__u64 turn;       /* of the scheduler: its tick, and above that the worker's flags */
	__u64 scheduler;  /* CONTEXT.scheduler when last seen, tells a worker */
	__u64 stack;      /* taken when it was last switched out, 0 = none */
	__u64 credit_ns;  /* what it may still spend on stacks */
	__u64 argument;   /* first argument of the system call it sleeps in */
	__u64 cpu_ns;
	__u64 waiting_ns;
	__u64 asleep_ns[6];  /* by enum where */
	__u64 samples[6];    /* CPU samples, by enum where */
	__u32 begin_uncertain_us;
	__u16 doubts; /* whether this poll is one: FLAG_TICK_UNKNOWN, FLAG_AWAITED */
	__u16 budget; /* of the poll when last seen, or NO_BUDGET */
	__u32 syscall;
	__u32 tid;
	__u32 other;       /* who preempted or woke it */
	__u32 other_tgid;
	__u32 late_culprit;
	__u32 driver;    /* of its current_thread Core while a task runs: the word there */
	__u32 operation; /* second argument of the system call it sleeps in */
	char other_comm[16];
	__u8 where;
	__u8 sched;
	__u8 preempted;
	__u8 entered; /* has been inside a runtime */
	__u8 exited;
	__u8 turn_known;
	__u8 late_preempted;
	__u8 copy; /* of Tokio that it was last seen inside of: index in config.layout */
	__u8 caught; /* of this poll: enum caught */
	__u8 driver_known;
	__u8 pad[2];
};

#define NO_BUDGET 0xffff /* a poll has 128 at the most; none if task::unconstrained */

/* What tells a current_thread scheduler from a multi_thread one. */
enum kinds {
	KINDS_TAGGED = 0,  /* its Context begins with a tag */
	KINDS_CURRENT = 1, /* there is no multi_thread, and no tag */
	KINDS_APART = 2,   /* each kind has a pointer of its own, and no tag */
};

/* Where one copy of Tokio keeps what it is doing (hud/runtime/context.py says where the offsets come
 * from). */
struct layout {
	__s64 tls_offset; /* of CONTEXT, from the thread pointer or, with a module, from its block */
	__s32 task_tag;   /* offsets in CONTEXT; -1 = an id of which 0 means none */
	__s32 task_id;    /* -1 = there are no ids, and each part is a thread-local of its own */
	__s32 budget_tag;
	__s32 runtime;
	__s32 scheduler; /* NOWHERE = not known; it may be outside of CONTEXT */
	__s32 core; /* in scheduler::Context; -1 = not known */
	__s32 tick_multi; /* in Core; -1 = not known */
	__s32 tick_current;
	__s32 park; /* in the multi_thread Core, 0 while the worker is parked; -1 = not known */
	__s32 driver; /* in the current_thread Core; -1 = not known */
	__u32 valid;
	__u32 size; /* bytes of CONTEXT that are read, at most CONTEXT_SIZE */
	__u32 module; /* TLS module id of a shared object; 0 = at a fixed distance */
	__s32 current; /* KINDS_APART: the pointer to a current_thread scheduler; NOWHERE = there is none */
	__u32 kinds; /* enum kinds */
	__u32 flags; /* 1 = four flags of a worker are behind its tick and the word after that */
	/* set here: */
	__u32 cores; /* a multi_thread worker was seen with its core, where `core` says */
};

#define NOWHERE (-1) /* no multiple of 8, as a word's offset is */
#define CONTEXT_SIZE 128
#define MAX_LAYOUTS 4 /* copies of Tokio in one process; a power of two */

/* A mapped executable segment and its unwind table. */
struct mapping {
	__u64 start, end;
	__u64 bias;    /* pc - bias is what the rows are keyed by */
	__u32 rows;    /* first row in `rows` */
	__u32 buckets; /* first bucket in `buckets` */
	__u32 count;   /* buckets */
	__u32 pad;
};

struct row {
	__u32 pc;
	__u32 rule; /* hud/symbols/unwind/table.py documents the bits */
};

/* Of 256 addresses: the last row at or below the first of them, and of the next 256. */
struct bucket {
	__u32 first, last;
};

struct config {
	__u64 threshold_ns;
	__u64 evidence_ns;   /* less sleep, or time on a CPU below twice that, is not worth an event */
	__u64 period_ns;     /* of the CPU samples */
	__u64 attached_ns;
	__u64 code_after_ns; /* new code before that is not worth a wake-up */
	__u32 tgid;
	__u32 enabled;
	__u32 every_thread;  /* no worker is known: report latency of every thread */
	__u32 survey;        /* report the stack of every sleep, whoever sleeps */
	__u32 mappings_first;
	__u32 layouts; /* valid ones; 0 = CONTEXT cannot be read */
	struct layout layout[MAX_LAYOUTS];
};

struct counters {
	__u64 ring_full;
	__u64 stacks_full;
	__u64 threads_full;
	__u64 context_unreadable;
	__u64 context_read;
	__u64 stacks_skipped;
	__u64 stacks_taken;
	__u64 stacks_complete;
	__u64 frames;
	__u64 switches; /* of the target */
	__u64 wakers;   /* WAKE events */
	__u64 kernel_stacks;
	__u64 code_pages; /* of the target, mapped executable, as user space was last woken for */
};

/* One page that user space maps: it may change the configuration at any time. */
struct config config;
struct counters counters __attribute__((aligned(64)));

#define count(field) __sync_fetch_and_add(&counters.field, 1)

#endif
