/* One program of each attach kind: each adds one to its counter for threads of one process. */
#include "mini.h"

enum map_type { HASH = 1, ARRAY = 2, PERCPU_ARRAY = 6, RINGBUF = 27 };

const volatile u32 target_tgid = 0;
const volatile u64 stamp = 7;

u64 seen_tracepoint;
u64 seen_raw;
u64 seen_btf;
u64 seen_perf;
u64 seen_uprobe;
u64 seen_uretprobe;
u32 initialised = 42;
static u32 hidden_counter;

struct event {
	u64 time_ns;
	u64 stamp;
	u32 tid;
	u32 kind;
};

struct {
	__uint(type, RINGBUF);
	__uint(max_entries, 65536);
} events SEC(".maps");

struct {
	__uint(type, HASH);
	__type(key, u32);
	__type(value, u64);
	__uint(max_entries, 64);
} by_tid SEC(".maps");

struct {
	__uint(type, PERCPU_ARRAY);
	__type(key, u32);
	__type(value, u32);
	__uint(max_entries, 2);
} per_cpu SEC(".maps");

static noinline void emit(u32 tid, u32 kind)
{
	struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return;
	event->time_ns = bpf_ktime_get_ns();
	event->stamp = stamp;
	event->tid = tid;
	event->kind = kind;
	bpf_ringbuf_submit(event, 0);
}

static noinline int seen(u64 *counter, u32 kind)
{
	u64 who = bpf_get_current_pid_tgid();
	u32 tid = who, zero = 0, *slot;
	u64 one = 1, *value;

	if (who >> 32 != target_tgid)
		return 0;
	__sync_fetch_and_add(counter, 1);
	hidden_counter++;
	value = bpf_map_lookup_elem(&by_tid, &tid);
	if (value)
		__sync_fetch_and_add(value, 1);
	else
		bpf_map_update_elem(&by_tid, &tid, &one, 0);
	slot = bpf_map_lookup_elem(&per_cpu, &zero);
	if (slot)
		*slot += 1;
	emit(tid, kind);
	return 0;
}

SEC("tracepoint/sched/sched_switch") int on_tracepoint(void *ctx)
{
	return seen(&seen_tracepoint, 1);
}

SEC("raw_tp/sched_switch") int on_raw(void *ctx)
{
	return seen(&seen_raw, 2);
}

SEC("tp_btf/sched_switch") int on_btf(u64 *ctx)
{
	return seen(&seen_btf, 3);
}

SEC("perf_event") int on_perf(void *ctx)
{
	return seen(&seen_perf, 4);
}

SEC("uprobe") int on_uprobe(void *ctx)
{
	return seen(&seen_uprobe, 5);
}

SEC("uretprobe") int on_uretprobe(void *ctx)
{
	return seen(&seen_uretprobe, 6);
}

SEC("license") char licence[] = "Dual MIT/GPL";
