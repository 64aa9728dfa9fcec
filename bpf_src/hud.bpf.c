/* hud's kernel side: where each thread of one process is, and what held it up.
 *
 * Four programs: sched_switch and the CPU sample see where a thread is, sched_waking says since when
 * it is runnable, sched_process_exit closes its account. A fifth, where it is asked for, says who
 * started a thread. Every other process costs one comparison.
 */
#include "kernel.h"
#include "event.h"
#include "state.h"
#include "tokio.h"
#include "exact.h"
#include "unwind.h"
#include "wait.h"

char _license[] SEC("license") = "Dual MIT/GPL";

/* A thread earns stacks by the time it lives: as much as one STACK_EARNth of it (0.8 %). It may save
 * up for a burst, and takes none with less than STACK_COST_NS, about what one costs. */
#define STACK_COST_NS 8000
#define STACK_EARN 128
#define STACK_SAVED_NS 400000
/* A poll that has lasted so long without any stack gets one, whatever it costs: 20 a second at most. */
#define OVERDUE_NS 50000000
/* A sleep in a poll whose stack was not afforded, and that lasts so long after all, has it read by
 * another thread of the process that comes by: the memory is the same. */
#define STACKLESS_NS 20000000
#define STACKLESS 16 /* threads that are remembered; a power of two */

/* User space is woken where so much waits for it in the ring; it comes by itself now and then. */
#define WAKE_BYTES (1 << 17)
#define WAKE_SPAN 1024

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096); /* more at load, for a process with many */
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

/* Where CONTEXT cannot be read, user space names the workers: tid -> worker id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} workers SEC(".maps");

/* Those that fell asleep in a poll without a stack, by tid modulo their number: the latest of each. */
struct stackless {
	__u64 since_ns; /* 0 = none */
	struct place at;
};
struct stackless stackless[STACKLESS];
__u64 stackless_due; /* when to look at them, 0 = there are none */

struct name {
	__u32 tgid;
	char comm[16];
};

/* Names of the threads that LATENCY and WAKE events name: they may be gone when user space looks. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct name);
} culprits SEC(".maps");

/* Not so: one that is switched out once more after sched_process_exit, when it has no memory to look
 * at, and the kernel's own threads inside the process, which inherit a thread pointer. */
static __always_inline int runs_code(__u32 flags)
{
	return !(flags & (PF_EXITING | PF_IO_WORKER | PF_USER_WORKER));
}

static __always_inline int in_poll(__u8 where)
{
	return where == WHERE_POLL || where == WHERE_ROOT;
}

/* A thread that was never seen; too large for the stack. Interrupts are off wherever it is used. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct thread);
} fresh_thread SEC(".maps");

static __always_inline struct thread *thread_of(__u32 tid)
{
	struct thread *thread = bpf_map_lookup_elem(&threads, &tid), *fresh;
	__u32 zero = 0;

	if (thread && !thread->exited)
		return thread;
	fresh = bpf_map_lookup_elem(&fresh_thread, &zero);
	if (!fresh)
		return 0;
	fresh->tid = tid;
	fresh->credit_ns = STACK_SAVED_NS;
	if (bpf_map_update_elem(&threads, &tid, fresh, 0))
		count(threads_full);
	return bpf_map_lookup_elem(&threads, &tid);
}

/* Is this a thread whose delays matter? */
static __always_inline int matters(struct thread *thread)
{
	__u32 tid = thread->tid;

	if (config.layouts)
		return in_poll(thread->where) || thread->where == WHERE_RUNTIME;
	return config.every_thread || config.survey || bpf_map_lookup_elem(&workers, &tid);
}

static __always_inline int overdue(struct thread *thread, __u64 now)
{
	return thread->poll_start_ns && thread->caught == CAUGHT_NOTHING &&
	       now - thread->poll_start_ns >= OVERDUE_NS;
}

/* `left` must remain for stacks that matter more; `due`: it is taken at any price. */
static __always_inline __u64 afford_stack(struct thread *thread, __u32 which, __u64 left, int due)
{
	__u64 began, cost, stack;

	if (!due && thread->credit_ns < STACK_COST_NS + left)
		return 0;
	began = bpf_ktime_get_ns();
	stack = take_stack(which);
	cost = bpf_ktime_get_ns() - began;
	thread->credit_ns -= cost < thread->credit_ns ? cost : thread->credit_ns;
	if (due && !stack)
		thread->caught = CAUGHT_IN_VAIN;
	return stack;
}

static __always_inline void add_by_where(__u64 *sums, __u64 where, __u64 amount)
{
	/* the verifier must see the very register compared that is then added to `sums` */
	asm volatile("" : "+r"(where));
	if (where <= WHERE_ALLOWED)
		sums[where] += amount;
}

static __always_inline void earn(struct thread *thread, __u64 elapsed)
{
	__u64 credit = thread->credit_ns + elapsed / STACK_EARN;

	thread->credit_ns = credit < STACK_SAVED_NS ? credit : STACK_SAVED_NS;
}

static __always_inline struct event *begin_event(struct thread *thread, __u8 kind, __u64 now)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		count(ring_full);
		return 0;
	}
	event->time_ns = now;
	event->poll_start_ns = thread->poll_start_ns;
	event->task_id = thread->task_id;
	event->stack = 0;
	event->value = 0;
	event->tid = thread->tid;
	event->other = 0;
	event->info = 0;
	event->kind = kind;
	event->where = thread->where;
	event->flags = 0;
	return event;
}

/* Each of the few events that come to lie there wakes: two CPUs may step over one number together. */
static __always_inline void end_event(struct event *event)
{
	__u64 waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	int late = waiting >= WAKE_BYTES && waiting < WAKE_BYTES + WAKE_SPAN;

	bpf_ringbuf_submit(event, late ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* Where the turn became known in the middle of a poll, what came before may be another one. But if most
 * of it is one poll for sure, it is that: its begin is less certain then. */
static __always_inline int surely_one(struct thread *thread, __u64 duration)
{
	__u64 sure = thread->poll_last_ns - thread->poll_sure_ns;

	return thread->doubts & FLAG_TICK_UNKNOWN && sure >= config.threshold_ns &&
	       sure >= duration / 2;
}

/* The poll ended somewhere between its last sight and now: the middle is off by half of that. */
static __always_inline void end_poll(struct thread *thread, __u64 now)
{
	__u64 doubt = (now - thread->poll_last_ns) / 2;
	__u64 end = thread->poll_last_ns + doubt;
	struct event *event;

	/* Not one that user space has read of and that is over before it was seen here. And where no
	 * sample came for a while, of a poll that was seen between two gaps only these are known. */
	if (thread->poll_last_ns &&
	    thread->poll_last_ns - thread->poll_first_ns >= config.period_ns / 2 &&
	    end - thread->poll_start_ns >= config.threshold_ns) {
		event = begin_event(thread, EVENT_POLL, end);
		if (event) {
			event->duration_ns = end - thread->poll_start_ns;
			event->stack = thread->poll_asleep_ns;
			event->value = thread->poll_waiting_ns;
			event->info = thread->begin_uncertain_us;
			event->other = doubt / 1000;
			event->flags = thread->doubts;
			if (surely_one(thread, event->duration_ns)) {
				event->flags &= ~FLAG_TICK_UNKNOWN;
				event->info = (thread->poll_sure_ns - thread->poll_start_ns) / 1000;
			}
			end_event(event);
		}
	}
	thread->poll_start_ns = 0;
}

/* Two sights that look like one poll: may it have ended between them, and begun anew? */
static __always_inline __u32 doubts(const struct thread *thread, const struct sight *sight)
{
	if (!sight->turn_known || !thread->turn_known)
		return FLAG_TICK_UNKNOWN;
	/* whoever is polled a second time in one turn was woken by the other: that takes an await */
	if (sight->multi && sight->budget != thread->budget && sight->budget != NO_BUDGET &&
	    thread->budget != NO_BUDGET)
		return FLAG_AWAITED;
	return 0;
}

/* `thread` is the current one, with that thread pointer, and was on a CPU since seen_ns or since_ns. */
static __always_inline void see(struct thread *thread, __u64 pointer, __u32 looking, __u64 now)
{
	struct sight *sight = look(thread, pointer, looking);
	int other, same;

	if (!sight)
		return;
	exact_settle(thread, sight->where);
	other = sight->where != thread->where || sight->task_id != thread->task_id ||
		/* a tick that cannot be read just now says nothing */
		(sight->turn_known && thread->turn_known && sight->turn != thread->turn);
	same = exact_same(thread, sight->where);
	if (same)
		other = 0;
	if (other && thread->poll_start_ns)
		end_poll(thread, now);
	else if (!same)
		thread->doubts |= doubts(thread, sight);
	if (!sight->turn_known || !thread->turn_known)
		thread->poll_sure_ns = now;
	thread->where = sight->where;
	thread->task_id = sight->task_id;
	if (other || sight->turn_known) {
		thread->turn = sight->turn;
		thread->turn_known = sight->turn_known;
	}
	if (in_poll(sight->where)) {
		if (!thread->poll_start_ns) {
			__u64 doubt = thread->seen_ns ? (now - thread->seen_ns) / 2 : 0;

			thread->poll_start_ns = now - doubt;
			thread->poll_first_ns = now;
			thread->poll_sure_ns = now;
			/* never seen before: it began at any time since the attach */
			if (!thread->seen_ns)
				doubt = now - config.attached_ns;
			thread->begin_uncertain_us = doubt / 1000;
			exact_adopt(thread);
			thread->doubts = 0;
			thread->poll_asleep_ns = 0;
			thread->poll_waiting_ns = 0;
			thread->caught = CAUGHT_NOTHING;
			thread->evidence_cpu_ns = 0;
			thread->evidence_asleep_ns = 0;
			thread->slept_ns = 0;
		}
		thread->poll_last_ns = now;
		thread->budget = sight->budget;
	}
	thread->seen_ns = now;
}

/* A wait for a CPU has ended. Its stack is taken when the thread is next seen, a sampling period
 * later at most: one at each preemption would cost far more, and mostly for nothing. */
static __always_inline void note_latency(struct thread *thread, struct task_struct *prev,
					 __u64 waited, __u64 now)
{
	struct name name = {};
	__u32 culprit;

	if (thread->preempted) {
		culprit = thread->other;
		name.tgid = thread->other_tgid;
		__builtin_memcpy(name.comm, thread->other_comm, sizeof(name.comm));
	} else {
		culprit = prev->pid;
		name.tgid = prev->tgid;
		bpf_probe_read_kernel(name.comm, sizeof(name.comm), prev->comm);
	}
	if (culprit)
		bpf_map_update_elem(&culprits, &culprit, &name, 0);
	thread->late_ns = waited;
	thread->late_end_ns = now;
	thread->late_culprit = culprit;
	thread->late_preempted = thread->preempted;
	thread->late_stack = thread->stack;
}

static __always_inline void report_latency(struct thread *thread, __u64 stack)
{
	struct event *event = begin_event(thread, EVENT_LATENCY, thread->late_end_ns);

	if (event) {
		event->duration_ns = thread->late_ns;
		event->other = thread->late_culprit;
		event->stack = thread->late_stack ? thread->late_stack : stack;
		event->flags = thread->late_preempted ? FLAG_PREEMPTED : 0;
		if (!event->stack)
			count(stacks_skipped);
		end_event(event);
	}
	thread->late_ns = 0;
}

static __always_inline __u64 untold_sleep(struct thread *thread)
{
	return thread->poll_asleep_ns - thread->evidence_asleep_ns;
}

/* Will the sleep that begins be told with an event? The first of a poll may be long; after short
 * ones others like it follow, until they add up. */
static __always_inline int may_be_told(struct thread *thread)
{
	return !thread->slept_ns ||
	       untold_sleep(thread) + 4 * thread->slept_ns >= config.evidence_ns;
}

/* Time on a CPU that an event is due for now, 0 = none. */
static __always_inline __u64 untold_cpu(struct thread *thread, int due, __u64 now)
{
	__u64 cpu, pending, step;

	if (!config.layouts)
		return matters(thread) ? config.period_ns : 0;
	if (!thread->poll_start_ns)
		return 0;
	cpu = now - thread->poll_start_ns - thread->poll_asleep_ns - thread->poll_waiting_ns;
	pending = cpu - thread->evidence_cpu_ns;
	/* the longer it lasts, the rarer: a minute on CPU is some hundred events */
	step = cpu / 4;
	if (!due && (cpu < 2 * config.evidence_ns ||
		     pending < (step < 200000000 ? step : 200000000)))
		return 0;
	thread->evidence_cpu_ns = cpu;
	return pending + !pending;
}

static __always_inline void report_cpu(struct thread *thread, __u64 cpu, __u64 stack, __u64 now)
{
	struct event *event = begin_event(thread, EVENT_CPU, now);

	if (!event)
		return;
	event->duration_ns = cpu;
	event->stack = stack;
	if (stack)
		thread->caught = CAUGHT_STACK;
	else
		count(stacks_skipped);
	end_event(event);
}

/* The thread falls asleep in a poll, and its stack was not taken. */
static __always_inline void note_stackless(struct thread *thread, struct pt_regs *registers)
{
	struct stackless *slot = &stackless[thread->tid & (STACKLESS - 1)];

	*(volatile __u64 *)&slot->since_ns = 0;
	read_place(&slot->at, registers);
	slot->at.tid = thread->tid;
	*(volatile __u64 *)&slot->since_ns = thread->since_ns;
	if (!stackless_due)
		stackless_due = thread->since_ns + STACKLESS_NS;
}

static __always_inline int sleeps_since(struct thread *thread, __u64 since)
{
	return *(volatile __u8 *)&thread->sched == SCHED_ASLEEP &&
	       *(volatile __u64 *)&thread->since_ns == since;
}

/* The current thread reads the stack of the sleeper in that thread's slot, if one is there for so long:
 * they are of one process. `which` as in take_stack_at. Global, as unwind_frame is. */
__attribute__((noinline)) int read_stackless(__u32 of, __u32 which, __u64 least, __u64 now)
{
	struct stackless *slot = &stackless[of & (STACKLESS - 1)];
	__u64 since = *(volatile __u64 *)&slot->since_ns, stack;
	struct thread *sleeper;
	struct walk *walk;
	__u32 tid;

	if (!since || now - since < least)
		return 0;
	walk = bpf_map_lookup_elem(&scratch, &which);
	if (!walk)
		return 0;
	walk->at = slot->at;
	asm volatile("" ::: "memory");
	if (*(volatile __u64 *)&slot->since_ns != since) /* it may be half of another sleep's */
		return 0;
	*(volatile __u64 *)&slot->since_ns = 0;
	tid = walk->at.tid;
	sleeper = bpf_map_lookup_elem(&threads, &tid);
	if (!sleeper || sleeper->stack || !sleeps_since(sleeper, since))
		return 0;
	stack = take_stack_at(which);
	if (sleeps_since(sleeper, since)) /* it has not run meanwhile */
		sleeper->stack = stack;
	return 0;
}

/* The current thread is the target's: it reads those that have slept for long. Global, as unwind_frame
 * is: the verifier goes through the loop once, not for each way that leads here. */
__attribute__((noinline)) int read_lasting(__u32 which, __u64 now)
{
	__u64 due = *(volatile __u64 *)&stackless_due, since;

	if (!due || now < due)
		return 0;
	stackless_due = 0;
	for (__u32 i = 0; i < STACKLESS; i++) {
		since = *(volatile __u64 *)&stackless[i].since_ns;
		if (since && now < since + STACKLESS_NS)
			*(volatile __u64 *)&stackless_due = now + STACKLESS_NS;
		else if (since)
			read_stackless(i, which, STACKLESS_NS, now);
	}
	return 0;
}

/* The system call that the thread falls asleep in. */
static __always_inline void note_call(struct thread *thread, struct pt_regs *registers)
{
	struct call call = {};

	read_call(&call, registers);
	thread->syscall = call.number;
	thread->argument = call.first;
	thread->operation = call.second;
}

static __always_inline void switched_out(struct thread *thread, struct task_struct *task,
					 struct task_struct *next, int preempted, __u64 now)
{
	int late, due, asleep = 0;
	__u64 stack = 0;

	if (thread->sched == SCHED_RUNNING) {
		thread->cpu_ns += now - thread->since_ns;
		earn(thread, now - thread->since_ns);
	}
	thread->since_ns = now; /* at once: user space may read between */
	see(thread, thread_pointer(task), preempted ? LOOK_SWITCH : LOOK_DROWSY, now);
	thread->preempted = preempted;
	thread->stack = 0;
	late = thread->late_ns && !thread->late_stack;
	if (preempted) {
		thread->sched = SCHED_RUNNABLE;
		thread->other = next->pid;
		thread->other_tgid = next->tgid;
		bpf_probe_read_kernel(thread->other_comm, sizeof(thread->other_comm), next->comm);
	} else {
		thread->sched = SCHED_ASLEEP;
		thread->other = 0; /* until somebody wakes it */
		thread->syscall = NOT_A_SYSCALL;
		thread->argument = 0;
		asleep = in_poll(thread->where) || (!config.layouts && matters(thread));
	}
	due = overdue(thread, now);
	if (late || asleep || due)
		stack = afford_stack(thread, 0,
				     late || may_be_told(thread) ? 0 : STACK_SAVED_NS / 2, due);
	if (thread->late_ns)
		report_latency(thread, stack);
	if (due && stack && !asleep)
		report_cpu(thread, untold_cpu(thread, 1, now), stack, now);
	if (asleep) {
		struct pt_regs *registers = current_registers();

		if (registers)
			note_call(thread, registers);
		if (task_state(task) & (__TASK_STOPPED | __TASK_TRACED))
			thread->syscall = STOPPED;
		thread->stack = stack;
		if (!stack && thread->poll_start_ns && registers)
			note_stackless(thread, registers);
	}
}

/* `task` is about to run again; 0 = it runs already. */
static __always_inline void report_sleep(struct thread *thread, struct task_struct *task,
					 __u64 asleep, __u64 end)
{
	struct event *event;
	__u64 wait = 0;
	__u16 type = 0;

	if (task)
		wait = take_wait(task, thread, thread->credit_ns >= STACK_SAVED_NS / 2, &type);
	event = begin_event(thread, EVENT_SLEEP, end);
	if (!event)
		return;
	event->duration_ns = asleep;
	event->stack = thread->stack;
	if (!thread->stack)
		count(stacks_skipped);
	else
		thread->caught = CAUGHT_STACK;
	event->value = wait;
	event->flags = type;
	event->other = thread->other;
	event->info = thread->syscall;
	end_event(event);
}

/* prev, task: of the switch to it; 0 = the kernel did not tell one. */
static __always_inline void switched_in(struct thread *thread, struct task_struct *prev,
					struct task_struct *task, __u64 now)
{
	__u64 asleep = 0, waited = 0, woken = now, waking;

	if (thread->sched == SCHED_ASLEEP) {
		/* an older wake-up belongs to an earlier sleep */
		waking = *(volatile __u64 *)&thread->waking_ns; /* another CPU may write it */
		if (waking > thread->since_ns && waking < now)
			woken = waking;
		asleep = woken - thread->since_ns;
		waited = now - woken;
		add_by_where(thread->asleep_ns, thread->where, asleep);
	} else if (thread->sched == SCHED_RUNNABLE) {
		waited = now - thread->since_ns;
	}
	thread->waiting_ns += waited;
	if (thread->poll_start_ns) {
		thread->poll_asleep_ns += asleep;
		thread->poll_waiting_ns += waited;
		if (thread->poll_last_ns)
			thread->poll_last_ns = now;
		if (asleep) {
			thread->slept_ns = asleep;
			asleep = untold_sleep(thread);
			if (thread->slept_ns >= config.evidence_ns ||
			    (thread->stack &&
			     (asleep >= config.evidence_ns || overdue(thread, now)))) {
				thread->evidence_asleep_ns = thread->poll_asleep_ns;
				report_sleep(thread, task, asleep, woken);
			}
		}
	} else if (asleep && config.survey && thread->stack) {
		report_sleep(thread, 0, asleep, woken);
	}
	if (prev && waited >= config.threshold_ns && matters(thread))
		note_latency(thread, prev, waited, now);
	earn(thread, now - thread->since_ns);
	thread->sched = SCHED_RUNNING;
	thread->since_ns = now;
	/* a switch that the kernel did not tell: it may have run for a while, and into a poll */
	if (prev || thread->poll_start_ns)
		thread->seen_ns = now;
}

/* Wakes user space where the target has mapped other code than before: an object is being loaded. */
static __always_inline void note_code(struct task_struct *task, __u64 now)
{
	__u64 pages = task->mm->exec_vm;
	void *nothing;

	if (!pages || pages == counters.code_pages || now < config.code_after_ns)
		return;
	nothing = bpf_ringbuf_reserve(&events, sizeof(struct event), 0);
	if (!nothing)
		return;
	counters.code_pages = pages;
	bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
}

SEC("tp_btf/sched_switch")
int hud_switch(__u64 *ctx)
{
	struct task_struct *prev = (struct task_struct *)ctx[1];
	struct task_struct *next = (struct task_struct *)ctx[2];
	int leaving = prev->tgid == config.tgid, coming = next->tgid == config.tgid;
	struct thread *thread;
	__u64 now;

	if (!(leaving | coming) || !config.enabled)
		return 0;
	leaving = leaving && runs_code(prev->flags);
	coming = coming && runs_code(next->flags);
	now = bpf_ktime_get_ns();
	count(switches);
	if (leaving) {
		thread = thread_of(prev->pid);
		/* a switch to it that the kernel did not tell */
		if (thread && thread->sched > SCHED_RUNNING)
			switched_in(thread, 0, 0, now);
		/* preempted, or about to sleep but not yet asleep: still runnable */
		if (thread)
			switched_out(thread, prev, next, (ctx[0] & 1) || !task_state(prev), now);
		read_lasting(0, now);
		note_code(prev, now);
	}
	if (coming) {
		thread = thread_of(next->pid);
		if (thread)
			switched_in(thread, prev, next, now);
	}
	return 0;
}

/* The current thread wakes one that has slept long in a futex, inside a poll: it let go of a lock, or
 * has sent what the other waits for. Not so in an interrupt, when a time-out is what wakes it: then
 * the current thread may be anywhere, but not waking that very futex. */
static __always_inline void note_waker(struct thread *sleeper, __u64 now)
{
	struct pt_regs *registers = current_registers();
	__u64 who = bpf_get_current_pid_tgid(), stack = 0;
	__u32 tid = who, operation;
	struct thread *waker = 0;
	struct sight *sight = 0;
	struct name name = {};
	struct call call = {};
	struct event *event;

	if (!registers)
		return;
	read_call(&call, registers);
	operation = call.second & 127;
	if (call.number != CALL_FUTEX)
		return;
	if (operation != FUTEX_WAKE && operation != FUTEX_WAKE_BITSET &&
	    operation != FUTEX_WAKE_OP && operation != FUTEX_UNLOCK_PI)
		return;
	if (who >> 32 == config.tgid) {
		if (call.first != sleeper->argument || !runs_code(current_flags()))
			return;
		waker = thread_of(tid);
		if (!waker)
			return;
		sight = look(waker, current_thread_pointer(), LOOK_SWITCH);
		if (!sight)
			return;
		stack = afford_stack(waker, 0, 0, 0);
	} else if (sleeper->operation & FUTEX_PRIVATE_FLAG) {
		return;
	}
	event = begin_event(sleeper, EVENT_WAKE, now);
	if (!event)
		return;
	count(wakers);
	name.tgid = who >> 32;
	bpf_get_current_comm(name.comm, sizeof(name.comm));
	bpf_map_update_elem(&culprits, &tid, &name, 0);
	event->duration_ns = now - sleeper->since_ns;
	event->stack = stack;
	event->value = sleeper->stack;
	event->other = tid;
	event->task_id = sight ? sight->task_id : 0;
	event->where = sight ? sight->where : WHERE_UNKNOWN;
	event->flags = waker ? 0 : FLAG_OTHER_PROCESS;
	end_event(event);
}

SEC("tp_btf/sched_waking")
int hud_waking(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct thread *thread;
	__u32 tid;
	__u64 now;

	if (task->tgid != config.tgid || !config.enabled)
		return 0;
	tid = task->pid;
	thread = bpf_map_lookup_elem(&threads, &tid);
	if (!thread)
		return 0;
	now = bpf_ktime_get_ns();
	/* it has not run yet: its stack is still that of the sleep */
	if (thread->sched == SCHED_ASLEEP && thread->poll_start_ns && !thread->stack) {
		struct stackless *slot = &stackless[tid & (STACKLESS - 1)];

		if (slot->at.tid == tid && bpf_get_current_pid_tgid() >> 32 == config.tgid &&
		    runs_code(current_flags()))
			read_stackless(tid, 0, config.evidence_ns, now);
	}
	if (thread->sched == SCHED_ASLEEP && thread->poll_start_ns &&
	    thread->syscall == CALL_FUTEX && now - thread->since_ns >= config.evidence_ns)
		note_waker(thread, now);
	thread->waking_ns = now;
	thread->other = (__u32)bpf_get_current_pid_tgid();
	return 0;
}

SEC("tp_btf/sched_process_exit")
int hud_exit(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct thread *thread;
	__u64 now;
	__u32 tid;

	if (task->tgid != config.tgid || !config.enabled)
		return 0;
	tid = task->pid;
	thread = bpf_map_lookup_elem(&threads, &tid);
	if (!thread)
		return 0;
	now = bpf_ktime_get_ns();
	if (thread->sched == SCHED_RUNNING) {
		thread->cpu_ns += now - thread->since_ns;
		thread->since_ns = now;
	}
	if (thread->poll_start_ns)
		end_poll(thread, now);
	if (thread->late_ns)
		report_latency(thread, 0);
	/* user space takes a runtime thread's sums before it deletes the entry */
	if (thread->entered || bpf_map_lookup_elem(&workers, &tid))
		thread->exited = 1;
	else
		bpf_map_delete_elem(&threads, &tid);
	return 0;
}

/* Attached only where it is asked for: whose the workers of a runtime are, its test says. */
SEC("tp_btf/sched_process_fork")
int hud_start(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[1];
	struct event *event;
	__u64 name[2] = {};

	if (task->tgid != config.tgid || !config.enabled)
		return 0;
	event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		count(ring_full);
		return 0;
	}
	bpf_get_current_comm(name, sizeof(name));
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = bpf_ktime_get_ns();
	event->task_id = current_thread_pointer();
	event->stack = name[0];
	event->value = name[1];
	event->tid = task->pid;
	event->other = bpf_get_current_pid_tgid();
	event->kind = EVENT_START;
	/* at once: its name is read from its memory, and it may be gone soon */
	bpf_ringbuf_submit(event, BPF_RB_FORCE_WAKEUP);
	return 0;
}

SEC("perf_event")
int hud_sample(void *ctx)
{
	__u64 who = bpf_get_current_pid_tgid(), now, cpu, stack = 0;
	struct thread *thread;
	int due;

	if (who >> 32 != config.tgid || !config.enabled || !runs_code(current_flags()))
		return 0;
	thread = thread_of(who);
	if (!thread)
		return 0;
	now = bpf_ktime_get_ns();
	if (thread->sched == SCHED_UNSEEN) {
		thread->sched = SCHED_RUNNING;
		thread->since_ns = now;
	} else if (thread->sched != SCHED_RUNNING) {
		switched_in(thread, 0, 0, now);
	}
	see(thread, current_thread_pointer(), LOOK_SAMPLE, now);
	add_by_where(thread->samples, thread->where, 1);
	due = overdue(thread, now);
	cpu = untold_cpu(thread, due, now);
	if (cpu || (thread->late_ns && !thread->late_stack))
		stack = afford_stack(thread, 1, 0, due);
	if (thread->late_ns)
		report_latency(thread, stack);
	if (cpu)
		report_cpu(thread, cpu, stack, now);
	read_lasting(1, now);
	return 0;
}

#include "exact_programs.h"
