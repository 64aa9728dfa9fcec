/* A map of each kind, a tail call, and programs that the kernel must refuse. */
#include "mini.h"

enum map_type {
	HASH = 1,
	ARRAY = 2,
	PROG_ARRAY = 3,
	PERCPU_HASH = 5,
	PERCPU_ARRAY = 6,
	STACK_TRACE = 7,
	LRU_HASH = 9,
	RINGBUF = 27,
};

#define MAP(label, kind, key_type, value_type, count) \
	struct { \
		__uint(type, kind); \
		__type(key, key_type); \
		__type(value, value_type); \
		__uint(max_entries, count); \
	} label SEC(".maps")

struct wide {
	u64 left;
	u32 right;
};

MAP(hash, HASH, u64, struct wide, 10000);
MAP(array, ARRAY, u32, u64, 100);
MAP(percpu_hash, PERCPU_HASH, u32, u32, 16);
MAP(percpu_array, PERCPU_ARRAY, u32, struct wide, 4);
MAP(lru, LRU_HASH, u32, u32, 1024);

struct {
	__uint(type, ARRAY);
	__type(key, u32);
	__type(value, struct wide);
	__uint(max_entries, 3);
	__uint(map_flags, 1 << 10);
} shared SEC(".maps");

struct {
	__uint(type, STACK_TRACE);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
	__uint(max_entries, 256);
} stacks SEC(".maps");

struct {
	__uint(type, PROG_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
	__uint(max_entries, 2);
} parts SEC(".maps");

struct {
	__uint(type, RINGBUF);
	__uint(max_entries, 4096);
} lines SEC(".maps");

const volatile u32 target_tgid = 0;
u64 before, after;
s32 stack = -1;

SEC("raw_tp/sched_switch") int enter(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != target_tgid)
		return 0;
	before++;
	stack = bpf_get_stackid(ctx, &stacks, 0);
	bpf_tail_call(ctx, &parts, 1);
	return 0;
}

SEC("raw_tp/sched_switch") int leave(void *ctx)
{
	char text[24] = "a line of some length";
	u32 size = 1 + (after & 15);

	after++;
	bpf_ringbuf_output(&lines, text, size, 0);
	return 0;
}

SEC("raw_tp/sched_switch") int touch(void *ctx)
{
	u32 zero = 0;
	u64 wide = 0;

	bpf_map_lookup_elem(&hash, &wide);
	bpf_map_lookup_elem(&array, &zero);
	bpf_map_lookup_elem(&percpu_hash, &zero);
	bpf_map_lookup_elem(&percpu_array, &zero);
	bpf_map_lookup_elem(&lru, &zero);
	bpf_map_lookup_elem(&shared, &zero);
	return 0;
}

SEC("raw_tp/sched_switch") int wild(u64 *ctx)
{
	u64 zero = 0;
	struct wide *value = bpf_map_lookup_elem(&hash, &zero);

	return value->right; /* may be NULL */
}

SEC("license") char licence[] = "Dual MIT/GPL";
