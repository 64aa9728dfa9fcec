/* The uprobe programs of exact.h. Included last: a poll of the threshold's length is told as the
 * other programs tell it. */
#ifndef HUD_EXACT_PROGRAMS_H
#define HUD_EXACT_PROGRAMS_H

#include "exact.h"

static __always_inline int exact_applies(__u32 hit)
{
	__u64 *hits;

	if (!exact.on || (__u32)(bpf_get_current_pid_tgid() >> 32) != config.tgid)
		return 0;
	hits = bpf_map_lookup_elem(&exact_hits, &hit);
	if (hits)
		(*hits)++;
	return 1;
}

/* Of a function that is entered now (in a system call the kernel keeps it elsewhere). */
static __always_inline __u64 callee_argument(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return regs->di;
#else
	return regs->regs[0];
#endif
}

/* Is the current thread inside a runtime of this copy of Tokio? One that was never touched is all
 * zero, which reads as entered: with several copies its scheduler is asked too. */
static __always_inline int inside_copy(const struct layout *layout, __u64 pointer)
{
	__u64 address, scheduler = 1;
	__u8 runtime = 2;

	if (!layout->valid || find_context(&address, layout, pointer) || !address ||
	    read_at(&runtime, 1, address + layout->runtime) || runtime > 1)
		return 0;
	if (config.layouts > 1 && layout->scheduler >= 0)
		read_at(&scheduler, 8, address + layout->scheduler);
	return scheduler != 0;
}

/* Is the current thread inside a runtime? A blocking job's is not. */
static __always_inline int inside_runtime(void)
{
	__u64 pointer = current_thread_pointer();
	__u32 i;

	if (pointer)
		for (i = 0; i < MAX_LAYOUTS; i++)
			if (inside_copy(&config.layout[i], pointer))
				return 1;
	return 0;
}

/* The mask must be on the very register that becomes the offset, and 64 bits of it. */
static __always_inline struct open_poll *open_poll(struct exact_thread *thread, __u64 at)
{
	asm volatile("%0 &= %1" : "+r"(at) : "i"(EXACT_DEPTH - 1));
	return &thread->open[at];
}

static __always_inline struct exact_thread *begun_thread(__u32 tid)
{
	struct exact_thread *thread = bpf_map_lookup_elem(&exact_threads, &tid);

	if (!thread) {
		struct exact_thread fresh = {};

		bpf_map_update_elem(&exact_threads, &tid, &fresh, BPF_NOEXIST);
		thread = bpf_map_lookup_elem(&exact_threads, &tid);
		if (!thread)
			return 0;
	}
	if (thread->generation != exact.generation) {
		thread->since = 0;
		thread->adopted = 0;
		thread->broken = 0;
		thread->depth = 0;
		thread->generation = exact.generation;
	}
	return thread;
}

static __always_inline void exact_begin(__u64 header, __u64 key, __u64 back)
{
	__u32 tid = bpf_get_current_pid_tgid(), at;
	struct exact_thread *thread;
	struct open_poll *poll;
	__u64 words[3]; /* of the Header */

	if (bpf_probe_read_user(words, sizeof(words), (void *)header)) {
		__sync_fetch_and_add(&exact.unreadable, 1);
		return;
	}
	/* then it is not polled: it is over, or another thread polls it */
	if (words[0] & (TASK_RUNNING | TASK_COMPLETE) || !inside_runtime())
		return;
	thread = begun_thread(tid);
	if (!thread)
		return;
	at = thread->depth;
	/* more than that are never open: the end of one was missed */
	if (at >= EXACT_DEPTH)
		at = 0;
	if (at && open_poll(thread, at - 1)->key == key)
		at--;
	poll = open_poll(thread, at);
	poll->key = key;
	poll->header = header;
	poll->vtable = words[2];
	poll->back = back;
	thread->depth = at + 1;
	poll->start = bpf_ktime_get_ns();
	thread->since = poll->start;
}

/* Four buckets to each power of two. */
static __always_inline __u32 bucket_of(__u64 length)
{
	__u64 rest = length;
	__u32 power = 0, bucket;

	if (rest >> 32) {
		power += 32;
		rest >>= 32;
	}
	if (rest >> 16) {
		power += 16;
		rest >>= 16;
	}
	if (rest >> 8) {
		power += 8;
		rest >>= 8;
	}
	if (rest >> 4) {
		power += 4;
		rest >>= 4;
	}
	if (rest >> 2) {
		power += 2;
		rest >>= 2;
	}
	power += rest >> 1;
	bucket = power * 4 + ((length << 2 >> power) & 3);
	return bucket < EXACT_BUCKETS ? bucket : EXACT_BUCKETS - 1;
}

static __always_inline struct poll_stats *stats_of(__u64 vtable)
{
	struct poll_stats *stats = bpf_map_lookup_elem(&poll_kinds, &vtable);
	static const struct poll_stats none;

	if (stats)
		return stats;
	bpf_map_update_elem(&poll_kinds, &vtable, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&poll_kinds, &vtable);
}

/* Whoever has its entry in `raising` may change the maximum. A compare-and-swap would need Linux 5.12. */
static __always_inline void raise_max(struct poll_stats *stats, __u64 vtable, __u64 length)
{
	__u8 mine = 1;

	for (int i = 0; i < 8; i++) {
		if (bpf_map_update_elem(&raising, &vtable, &mine, BPF_NOEXIST))
			continue;
		if (length > stats->max_ns)
			stats->max_ns = length;
		bpf_map_delete_elem(&raising, &vtable);
		return;
	}
}

static __always_inline void count_poll(__u64 vtable, __u64 length)
{
	struct poll_stats *stats = stats_of(vtable);
	__u64 bucket = bucket_of(length);

	if (!stats) {
		__sync_fetch_and_add(&exact.kinds_full, 1);
		return;
	}
	__sync_fetch_and_add(&stats->polls, 1);
	__sync_fetch_and_add(&stats->busy_ns, length);
	/* the verifier must see the very register compared that is then used */
	asm volatile("" : "+r"(bucket));
	if (bucket < EXACT_BUCKETS)
		__sync_fetch_and_add(&stats->buckets[bucket], 1);
	if (length > *(volatile __u64 *)&stats->max_ns)
		raise_max(stats, vtable, length);
}

static __always_inline __u64 task_id_of(struct open_poll *poll)
{
	__u64 offset = 0, id = 0;

	if (bpf_probe_read_user(&offset, 8, (void *)(poll->vtable + TASK_VTABLE_ID_OFFSET)) ||
	    offset > 4096 || bpf_probe_read_user(&id, 8, (void *)(poll->header + offset)))
		return 0;
	return id;
}

/* A poll of the threshold's length has ended, now. */
static __always_inline void tell_poll(struct thread *thread, struct open_poll *poll, __u64 since,
				      __u64 now)
{
	/* no other program has seen it, or they hold one open that is over */
	int unseen = thread->poll_start_ns != since;
	__u64 asleep = thread->poll_asleep_ns, waiting = thread->poll_waiting_ns;
	__u64 id = task_id_of(poll);
	struct event *event;

	/* first: sched_switch may come between */
	thread->poll_start_ns = 0;
	event = begin_event(thread, EVENT_POLL, now);
	if (!event)
		return;
	event->where = WHERE_POLL;
	event->poll_start_ns = since;
	event->duration_ns = now - since;
	/* what was seen last may have been after the poll, though before its end */
	if (id)
		event->task_id = id;
	if (!unseen) {
		event->stack = asleep;
		event->value = waiting;
		event->info = thread->begin_uncertain_us;
	}
	end_event(event);
}

static __always_inline void exact_end(__u64 key, __u64 now)
{
	__u32 tid = bpf_get_current_pid_tgid(), at;
	struct exact_thread *known = exact_thread(tid);
	struct open_poll *poll = 0;
	struct thread *thread;
	__u64 since;

	if (!known)
		return;
	at = known->depth;
	for (int i = 0; i < EXACT_DEPTH && at && at <= EXACT_DEPTH; i++) {
		at--;
		poll = open_poll(known, at);
		if (poll->key == key)
			break;
		poll = 0;
	}
	if (!poll)
		return;
	since = known->since;
	known->depth = at;
	known->since = at ? now : 0;
	count_poll(poll->vtable, now - poll->start);
	if (now - since < config.threshold_ns)
		return;
	thread = bpf_map_lookup_elem(&threads, &tid);
	if (!thread)
		return;
	if (since == known->broken) /* what came after block_in_place */
		since = thread->poll_start_ns;
	if (since && now - since >= config.threshold_ns)
		tell_poll(thread, poll, since, now);
}

static __always_inline int transition(struct pt_regs *regs, __u32 hit)
{
	__u64 header = callee_argument(regs), now = bpf_ktime_get_ns(), state = 0;

	if (!exact_applies(hit))
		return 0;
	if (hit == HIT_BEGIN) {
		exact_begin(header, header, 0);
		return 0;
	}
	/* aborted meanwhile: its future is dropped next, and then it completes */
	if (hit == HIT_IDLE && !bpf_probe_read_user(&state, 8, (void *)header) &&
	    state & TASK_CANCELLED)
		return 0;
	exact_end(header, now);
	return 0;
}

/* All three transitions, of one link; the cookie is their enum exact_hit. */
SEC("uprobe")
int hud_transition(struct pt_regs *regs)
{
	return transition(regs, bpf_get_attach_cookie(regs));
}

/* Each for itself: cookies of perf events need Linux 5.15. */
SEC("uprobe")
int hud_running(struct pt_regs *regs)
{
	return transition(regs, HIT_BEGIN);
}

SEC("uprobe")
int hud_idle(struct pt_regs *regs)
{
	return transition(regs, HIT_IDLE);
}

SEC("uprobe")
int hud_complete(struct pt_regs *regs)
{
	return transition(regs, HIT_COMPLETE);
}

SEC("uprobe")
int hud_poll(struct pt_regs *regs)
{
	__u64 header = callee_argument(regs);
#if defined(__TARGET_ARCH_x86)
	__u64 back = 0;
#endif

	if (!exact_applies(HIT_BEGIN))
		return 0;
#if defined(__TARGET_ARCH_x86)
	bpf_probe_read_user(&back, 8, (void *)regs->sp);
	exact_begin(header, regs->sp + 8, back);
#else
	exact_begin(header, regs->sp, regs->regs[30]);
#endif
	return 0;
}

SEC("uretprobe")
int hud_poll_return(struct pt_regs *regs)
{
	__u64 now = bpf_ktime_get_ns();

	if (exact_applies(HIT_IDLE))
		exact_end(regs->sp, now);
	return 0;
}

#endif
