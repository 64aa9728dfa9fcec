/* The wire contract between the kernel programs and hud/probe: one event, one stack.
 *
 * hud/probe/wire.py transcribes this file, and tests/unit/probe hold the two together. All times
 * are CLOCK_MONOTONIC nanoseconds.
 */
#ifndef HUD_EVENT_H
#define HUD_EVENT_H

enum event_kind {
	EVENT_LATENCY = 1, /* runnable, not running, for at least the threshold */
	EVENT_CPU = 2,     /* a CPU sample with its user stack */
	EVENT_SLEEP = 3,   /* asleep inside a poll: a long sleep, or the last of several short ones */
	EVENT_POLL = 4,    /* a poll of at least the threshold has ended */
	EVENT_WAKE = 5,    /* a thread in FUTEX_WAKE ended a long sleep in FUTEX_WAIT inside a poll */
	EVENT_START = 6,   /* a thread has started another one */
};

enum where {
	WHERE_UNKNOWN = 0, /* CONTEXT cannot be read */
	WHERE_FOREIGN = 1, /* not inside a runtime */
	WHERE_RUNTIME = 2, /* the runtime's own work, parked included */
	WHERE_POLL = 3,    /* inside a task's poll */
	WHERE_ROOT = 4,    /* inside the poll of a block_on root future */
	WHERE_ALLOWED = 5, /* spawn_blocking, block_in_place */
};

enum event_flags {
	FLAG_PREEMPTED = 1,    /* LATENCY: preempted; else woken and then waiting */
	FLAG_TICK_UNKNOWN = 2, /* consecutive polls of one task may look like one */
	FLAG_IN_PROGRESS = 4,  /* POLL: set by user space only */
	FLAG_OTHER_PROCESS = 8, /* WAKE: the waker is not the target's */
	FLAG_AWAITED = 16, /* POLL: it awaited, so that it may be two of one task in a worker's turn */
};

#define FLAGS_FILE_TYPE 0xf000 /* SLEEP: S_IFMT of the first argument as a descriptor, 0 = none */

/* Of SLEEP's `info`, beside the numbers of system calls. */
#define NOT_A_SYSCALL 0xffffffff
#define STOPPED 0xfffffffe /* by a signal or a tracer */

struct event {
	__u64 time_ns;       /* the end of what it describes */
	__u64 duration_ns;   /* LATENCY: runnable; POLL: length; CPU, SLEEP: time on a CPU or asleep
			      * that no earlier event of this poll told; WAKE: length of the sleep */
	__u64 stack;         /* key in `stacks`, 0 = none; POLL: nanoseconds asleep; WAKE: the waker's;
			      * START: the first half of the starter's name */
	__u64 poll_start_ns; /* first sight of the poll it belongs to, 0 = none */
	__u64 task_id;       /* WAKE: the waker's; START: the starter's thread pointer */
	__u64 value;         /* SLEEP: key in `waits`, 0 = none; POLL: nanoseconds waiting for a CPU;
			      * WAKE: the sleeper's stack; START: the second half of the name */
	__u32 tid;
	__u32 other;         /* LATENCY: culprit; SLEEP, WAKE: waker; POLL: end uncertainty, us;
			      * START: the starter */
	__u32 info;          /* SLEEP: syscall number or ~0; POLL: begin uncertainty, us */
	__u8 kind;
	__u8 where;          /* WAKE: the waker's */
	__u16 flags;
};

#define MAX_FRAMES 128

enum stack_stop {
	STOP_COMPLETE = 0,   /* reached the thread's start */
	STOP_NO_RULE = 1,    /* no unwind rule for an address */
	STOP_UNREADABLE = 2, /* the stack memory could not be read */
	STOP_TOO_DEEP = 3,   /* more than MAX_FRAMES frames */
	STOP_NO_MAPPING = 4, /* an address outside every known module (JIT, dlopen not yet seen) */
	STOP_FRAME_POINTER = 5, /* the frame-pointer fallback ran out of frames */
};

struct stack {
	__u32 count;
	__u32 stop;
	__u64 addresses[MAX_FRAMES];
};

#define WAIT_FRAMES 24
#define WAIT_NAMES 10
#define WAIT_NAME 64

/* What a sleep was about, as the kernel saw it: its first argument as a descriptor, and where in the
 * kernel it was. */
struct wait {
	__u64 inode;
	__u32 device;  /* of the file system, major << 20 | minor */
	__u32 mode;    /* i_mode, 0 = no descriptor */
	__u16 family;  /* of a socket, 0 = no socket */
	__u16 port;    /* of its peer, network order */
	__u16 local;   /* its own port */
	__u16 rooted;  /* the last name is directly below the file system's root */
	__u32 names;
	__u32 frames;
	__u8 peer[16]; /* IPv4: the first four bytes */
	__u64 kernel[WAIT_FRAMES]; /* innermost first */
	char name[WAIT_NAMES][WAIT_NAME]; /* the file's, then its directories' */
};

#endif
