/* hud's kernel side: where each thread of one process is, and what held it up.
 *
 * Four programs: sched_switch and the CPU sample see where a thread is, sched_waking says since when
 * it is runnable, sched_process_exit closes its account. Every other process costs one comparison.
 */
#include "kernel.h"
#include "event.h"
#include "state.h"
#include "tokio.h"
#include "unwind.h"

char _license[] SEC("license") = "Dual MIT/GPL";

/* A stack of a release build costs about this much; a thread earns one per STACK_EARN of its life
 * (1.6 %), and may save up for a burst. */
#define STACK_COST_NS 3000
#define STACK_EARN 64
#define STACK_SAVED_NS 200000

#define NOT_A_SYSCALL 0xffffffff

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
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

struct name {
	__u32 tgid;
	char comm[16];
};

/* Names of the threads that LATENCY events blame: they may be gone when user space looks. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct name);
} culprits SEC(".maps");

static __always_inline int in_poll(__u8 where)
{
	return where == WHERE_POLL || where == WHERE_ROOT;
}

static __always_inline struct thread *thread_of(__u32 tid)
{
	struct thread *thread = bpf_map_lookup_elem(&threads, &tid);

	if (thread)
		return thread;
	{
		struct thread fresh = {};

		fresh.tid = tid;
		fresh.credit_ns = STACK_SAVED_NS;
		if (bpf_map_update_elem(&threads, &tid, &fresh, BPF_NOEXIST))
			count(threads_full);
	}
	return bpf_map_lookup_elem(&threads, &tid);
}

/* Is this a thread whose delays matter? */
static __always_inline int matters(struct thread *thread)
{
	__u32 tid = thread->tid;

	if (config.layout.valid)
		return in_poll(thread->where) || thread->where == WHERE_RUNTIME;
	return config.every_thread || config.survey || bpf_map_lookup_elem(&workers, &tid);
}

static __always_inline __u64 afford_stack(struct thread *thread, __u32 which)
{
	if (thread->credit_ns < STACK_COST_NS)
		return 0;
	thread->credit_ns -= STACK_COST_NS;
	return take_stack(which);
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

/* The poll ended somewhere between its last sight and now: the middle is off by half of that. */
static __always_inline void end_poll(struct thread *thread, __u64 now)
{
	__u64 doubt = (now - thread->poll_last_ns) / 2;
	__u64 end = thread->poll_last_ns + doubt;
	struct event *event;

	if (end - thread->poll_start_ns >= config.threshold_ns) {
		event = begin_event(thread, EVENT_POLL, end);
		if (event) {
			event->duration_ns = end - thread->poll_start_ns;
			event->stack = thread->poll_asleep_ns;
			event->value = thread->poll_waiting_ns;
			event->info = thread->begin_uncertain_us;
			event->other = doubt / 1000;
			event->flags = thread->tick_known ? 0 : FLAG_TICK_UNKNOWN;
			bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
		}
	}
	thread->poll_start_ns = 0;
}

/* `thread` is the current one and was on a CPU since seen_ns or since_ns. */
static __always_inline void see(struct thread *thread, struct task_struct *task, __u64 now)
{
	struct sight sight;

	look(&sight, thread, task);
	if (thread->poll_start_ns &&
	    (sight.where != thread->where || sight.task_id != thread->task_id ||
	     sight.tick != thread->tick))
		end_poll(thread, now);
	thread->where = sight.where;
	thread->task_id = sight.task_id;
	thread->tick = sight.tick;
	thread->tick_known = sight.tick_known;
	if (in_poll(sight.where)) {
		if (!thread->poll_start_ns) {
			__u64 doubt = thread->seen_ns ? (now - thread->seen_ns) / 2 : 0;

			thread->poll_start_ns = now - doubt;
			thread->begin_uncertain_us = doubt / 1000;
			thread->poll_asleep_ns = 0;
			thread->poll_waiting_ns = 0;
			thread->evidence_cpu_ns = 0;
		}
		thread->poll_last_ns = now;
	}
	thread->seen_ns = now;
}

static __always_inline void switched_out(struct thread *thread, struct task_struct *task,
					 struct task_struct *next, int preempted, __u64 now)
{
	if (thread->sched == SCHED_RUNNING) {
		thread->cpu_ns += now - thread->since_ns;
		earn(thread, now - thread->since_ns);
	}
	see(thread, task, now);
	thread->since_ns = now;
	thread->preempted = preempted;
	thread->stack = 0;
	if (preempted) {
		thread->sched = SCHED_RUNNABLE;
		thread->other = next->pid;
		thread->other_tgid = next->tgid;
		bpf_probe_read_kernel(thread->other_comm, sizeof(thread->other_comm), next->comm);
		if (matters(thread))
			thread->stack = afford_stack(thread, 0);
		return;
	}
	thread->sched = SCHED_ASLEEP;
	thread->syscall = NOT_A_SYSCALL;
	if (in_poll(thread->where) || (!config.layout.valid && matters(thread))) {
		struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

#if defined(__TARGET_ARCH_x86)
		thread->syscall = regs->orig_ax;
		thread->argument = regs->di;
#else
		thread->syscall = regs->syscallno;
		thread->argument = regs->orig_x0;
#endif
		thread->stack = afford_stack(thread, 0);
	}
}

static __always_inline void report_latency(struct thread *thread, struct task_struct *prev,
					   __u64 waited, __u64 now)
{
	struct event *event = begin_event(thread, EVENT_LATENCY, now);
	struct name name = {};
	__u32 culprit;

	if (!event)
		return;
	if (thread->preempted) {
		culprit = thread->other;
		name.tgid = thread->other_tgid;
		__builtin_memcpy(name.comm, thread->other_comm, sizeof(name.comm));
		event->flags = FLAG_PREEMPTED;
	} else {
		culprit = prev->pid;
		name.tgid = prev->tgid;
		bpf_probe_read_kernel(name.comm, sizeof(name.comm), prev->comm);
	}
	if (culprit)
		bpf_map_update_elem(&culprits, &culprit, &name, 0);
	event->duration_ns = waited;
	event->other = culprit;
	event->stack = thread->stack;
	if (thread->preempted && !thread->stack)
		count(stacks_skipped);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

static __always_inline void report_sleep(struct thread *thread, __u64 asleep, __u64 end)
{
	struct event *event = begin_event(thread, EVENT_SLEEP, end);

	if (!event)
		return;
	event->duration_ns = asleep;
	event->stack = thread->stack;
	if (!thread->stack)
		count(stacks_skipped);
	event->value = thread->argument;
	event->other = thread->other;
	event->info = thread->syscall;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

static __always_inline void switched_in(struct thread *thread, struct task_struct *prev, __u64 now)
{
	__u64 asleep = 0, waited = 0, woken = now;

	if (thread->sched == SCHED_ASLEEP) {
		/* an older wake-up belongs to an earlier sleep */
		if (thread->waking_ns > thread->since_ns && thread->waking_ns < now)
			woken = thread->waking_ns;
		asleep = woken - thread->since_ns;
		waited = now - woken;
		if (thread->where <= WHERE_ALLOWED)
			thread->asleep_ns[thread->where] += asleep;
	} else if (thread->sched == SCHED_RUNNABLE) {
		waited = now - thread->since_ns;
	}
	thread->waiting_ns += waited;
	if (thread->poll_start_ns) {
		thread->poll_asleep_ns += asleep;
		thread->poll_waiting_ns += waited;
		thread->poll_last_ns = now;
		if (asleep >= config.evidence_ns)
			report_sleep(thread, asleep, woken);
	} else if (asleep && config.survey && thread->stack) {
		report_sleep(thread, asleep, woken);
	}
	if (waited >= config.threshold_ns && matters(thread))
		report_latency(thread, prev, waited, now);
	earn(thread, asleep + waited);
	thread->sched = SCHED_RUNNING;
	thread->since_ns = now;
	thread->seen_ns = now;
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
	now = bpf_ktime_get_ns();
	count(switches);
	if (leaving) {
		thread = thread_of(prev->pid);
		/* preempted, or about to sleep but not yet asleep: still runnable */
		if (thread)
			switched_out(thread, prev, next, (ctx[0] & 1) || !task_state(prev), now);
	}
	if (coming) {
		thread = thread_of(next->pid);
		if (thread)
			switched_in(thread, prev, now);
	}
	return 0;
}

SEC("tp_btf/sched_waking")
int hud_waking(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct thread *thread;
	__u32 tid;

	if (task->tgid != config.tgid || !config.enabled)
		return 0;
	tid = task->pid;
	thread = bpf_map_lookup_elem(&threads, &tid);
	if (!thread)
		return 0;
	thread->waking_ns = bpf_ktime_get_ns();
	thread->other = (__u32)bpf_get_current_pid_tgid();
	return 0;
}

SEC("tp_btf/sched_process_exit")
int hud_exit(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx[0];
	struct thread *thread;
	__u32 tid;

	if (task->tgid != config.tgid || !config.enabled)
		return 0;
	tid = task->pid;
	thread = bpf_map_lookup_elem(&threads, &tid);
	if (!thread)
		return 0;
	if (thread->poll_start_ns)
		end_poll(thread, bpf_ktime_get_ns());
	/* user space takes a runtime thread's sums before it deletes the entry */
	if (thread->entered || bpf_map_lookup_elem(&workers, &tid))
		thread->exited = 1;
	else
		bpf_map_delete_elem(&threads, &tid);
	return 0;
}

SEC("perf_event")
int hud_sample(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct thread *thread;
	struct event *event;
	__u64 now, stack, cpu;

	if (task->tgid != config.tgid || !config.enabled)
		return 0;
	thread = thread_of(task->pid);
	if (!thread)
		return 0;
	now = bpf_ktime_get_ns();
	if (thread->sched == SCHED_UNSEEN) {
		thread->sched = SCHED_RUNNING;
		thread->since_ns = now;
	}
	see(thread, task, now);
	if (thread->where <= WHERE_ALLOWED)
		thread->samples[thread->where]++;
	if (config.layout.valid) {
		__u64 pending, step;

		if (!thread->poll_start_ns)
			return 0;
		cpu = now - thread->poll_start_ns - thread->poll_asleep_ns -
		      thread->poll_waiting_ns;
		pending = cpu - thread->evidence_cpu_ns;
		/* the longer it lasts, the rarer: a minute on CPU is some hundred events */
		step = cpu / 8;
		if (cpu < config.evidence_ns || pending < (step < 200000000 ? step : 200000000))
			return 0;
		thread->evidence_cpu_ns = cpu;
		cpu = pending;
	} else {
		if (!matters(thread))
			return 0;
		cpu = config.period_ns;
	}
	stack = afford_stack(thread, 1);
	event = begin_event(thread, EVENT_CPU, now);
	if (!event)
		return 0;
	event->duration_ns = cpu;
	event->stack = stack;
	if (!stack)
		count(stacks_skipped);
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}
