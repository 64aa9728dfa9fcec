/* The user stack of the current thread, walked by the unwind rules that user space preloads.
 *
 * A rule says where the canonical frame address (CFA) is and where the frame pointer was saved
 * (hud/symbols/unwind/table.py makes the rows; its docstring is the format). Only where no rule
 * exists is the frame pointer trusted. Three lookups find a rule: the mapping by bisection, the
 * 256-byte bucket of the pc, the row inside the bucket.
 */
#ifndef HUD_UNWIND_H
#define HUD_UNWIND_H

#include "exact.h"
#include "state.h"

#define MAX_MAPPINGS 1024 /* two generations of 512 */

enum rule_kind {
	RULE_NONE = 0,
	RULE_SP = 1,
	RULE_FP = 2,
	RULE_END = 3,
	RULE_PLT = 4,
	RULE_SIGNAL = 5,
	RULE_UNSUPPORTED = 6,
	RULE_SP_LR = 8,
	RULE_SP_DEREF = 9,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_MAPPINGS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct mapping);
} mappings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* sized at load */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* sized at load */
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct bucket);
} buckets SEC(".maps");

/* Where a thread is in user code. */
struct place {
	__u64 pc, sp, fp;
	__u64 lr; /* arm64 */
	__u32 tid;
	__u32 pad;
};

/* The walk's state is kept in map memory, not in registers: the verifier then sees the same unknown
 * numbers in every round of the loop and checks it once instead of once for each history. And before
 * Linux 5.12 a global function takes no pointers. */
struct walk {
	struct mapping mapping; /* the last one found */
	struct place at;
	__u64 hash;
	__u32 frames;     /* so far */
	__u32 caller;     /* 1 = pc is a return address */
	__u32 by_pointer; /* a frame pointer was followed */
	__u32 pad;
	struct stack stack;
};

/* The sched_switch program runs with interrupts off, the CPU sample interrupts anything else: two
 * places to build a stack in, so that neither sees the other's. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct walk);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* sized at load */
	__type(key, __u64);
	__type(value, struct stack);
} stacks SEC(".maps");

/* 1 where a <= b, for numbers below 2^63; no branch, so that a bisection is one path. */
static __always_inline __u32 not_above(__u64 a, __u64 b)
{
	__u64 difference = b - a;

	asm volatile("%0 >>= 63" : "+r"(difference));
	return 1 - difference;
}

/* The last mapping that starts at or below pc becomes walk->mapping; 0 = none. The table is padded
 * with entries that start at ~0 >> 1. */
static __always_inline int find_mapping(struct walk *walk, __u64 pc)
{
	__u32 position = config.mappings_first;
	struct mapping *mapping;

	for (__u32 half = MAX_MAPPINGS / 4; half; half /= 2) {
		__u32 index = position + half;

		mapping = bpf_map_lookup_elem(&mappings, &index);
		if (!mapping)
			return 0;
		position += half * not_above(mapping->start, pc);
	}
	mapping = bpf_map_lookup_elem(&mappings, &position);
	if (!mapping || pc < mapping->start || pc >= mapping->end)
		return 0;
	walk->mapping = *mapping;
	return 1;
}

/* The last row from low to last that is not above key, which is at most 2 * half - 1 rows away. */
static __always_inline __u32 bisect(__u32 low, __u32 last, __u64 key, __u32 half)
{
	for (; half; half /= 2) {
		__u32 index = low + half;
		struct row *row;

		index -= (index - last) * (1 - not_above(index, last));
		row = bpf_map_lookup_elem(&rows, &index);
		if (!row)
			return low;
		low += (index - low) * not_above(row->pc, key);
	}
	return low;
}

static __always_inline __u32 find_rule(struct walk *walk, __u64 pc)
{
	__u64 key = pc - walk->mapping.bias;
	__u32 number = key >> 8, low, last;
	struct bucket *bucket;
	struct row *row;

	if (number >= walk->mapping.count)
		return RULE_NONE;
	number += walk->mapping.buckets;
	bucket = bpf_map_lookup_elem(&buckets, &number);
	if (!bucket)
		return RULE_NONE;
	low = walk->mapping.rows + bucket->first;
	last = walk->mapping.rows + bucket->last;
	/* a bucket spans 256 addresses, so its rows are at most 257; mostly they are a few */
	low = last - low < 16 ? bisect(low, last, key, 8) : bisect(low, last, key, 256);
	row = bpf_map_lookup_elem(&rows, &low);
	if (!row || row->pc > key)
		return RULE_NONE;
	return row->rule;
}

static __always_inline int read_word(__u64 *to, __u64 address)
{
	return bpf_probe_read_user(to, sizeof(*to), (void *)address);
}

static __always_inline int frame_pointer_step(struct walk *walk)
{
	__u64 pair[2]; /* saved frame pointer, return address */

	if (walk->at.fp < walk->at.sp || walk->at.fp & 7)
		return -1;
	if (bpf_probe_read_user(pair, sizeof(pair), (void *)walk->at.fp))
		return -1;
	walk->at.sp = walk->at.fp + sizeof(pair);
	walk->at.fp = pair[0];
	walk->at.pc = pair[1];
	return 0;
}

#if defined(__TARGET_ARCH_x86)

static __always_inline void read_place(struct place *at, struct pt_regs *registers)
{
	read_register(at->pc, registers, ip);
	read_register(at->sp, registers, sp);
	read_register(at->fp, registers, bp);
	at->lr = 0;
}

static __always_inline int return_address(struct walk *walk, __u64 cfa, __u64 slot, int leaf)
{
	__u64 pair[2];

	if (slot == sizeof(pair)) { /* mostly the frame pointer is saved first: one read for both */
		if (bpf_probe_read_user(pair, sizeof(pair), (void *)(cfa - sizeof(pair))))
			return -1;
		walk->at.fp = pair[0];
		walk->at.pc = pair[1];
		return 0;
	}
	if (slot && read_word(&walk->at.fp, cfa - slot))
		return -1;
	return read_word(&walk->at.pc, cfa - 8);
}

/* arch/x86/include/asm/sigframe.h, struct rt_sigframe: after pretcode, `sp` is at the ucontext;
 * include/uapi/asm/sigcontext.h: gregs at 40, of which rbp is the 10th, rsp the 15th, rip the 16th. */
static __always_inline int signal_step(struct walk *walk)
{
	__u64 uc = walk->at.sp;

	if (read_word(&walk->at.fp, uc + 40 + 8 * 10) || read_word(&walk->at.pc, uc + 40 + 8 * 16))
		return -1;
	return read_word(&walk->at.sp, uc + 40 + 8 * 15);
}

#elif defined(__TARGET_ARCH_arm64)

/* Pointer authentication codes live above the 48-bit address. */
#define ADDRESS(value) ((value) & ((1ULL << 48) - 1))

static __always_inline void read_place(struct place *at, struct pt_regs *registers)
{
	read_register(at->pc, registers, pc);
	read_register(at->sp, registers, sp);
	read_register(at->fp, registers, regs[29]);
	read_register(at->lr, registers, regs[30]);
}

static __always_inline int return_address(struct walk *walk, __u64 cfa, __u64 slot, int leaf)
{
	__u64 pair[2];

	if (slot) {
		if (bpf_probe_read_user(pair, sizeof(pair), (void *)(cfa - slot)))
			return -1;
		walk->at.fp = pair[0];
		walk->at.pc = ADDRESS(pair[1]);
		return 0;
	}
	if (!leaf)
		return -1;
	walk->at.pc = ADDRESS(walk->at.lr);
	return 0;
}

/* arch/arm64/kernel/signal.c, struct rt_sigframe: siginfo (128), ucontext; mcontext at 176 in it:
 * fault_address, regs[31], sp, pc. */
static __always_inline int signal_step(struct walk *walk)
{
	__u64 mc = walk->at.sp + 128 + 176;

	if (read_word(&walk->at.fp, mc + 8 + 8 * 29) || read_word(&walk->at.lr, mc + 8 + 8 * 30) ||
	    read_word(&walk->at.pc, mc + 8 + 8 * 32))
		return -1;
	return read_word(&walk->at.sp, mc + 8 + 8 * 31);
}

#endif

/* One step outwards. 0 = done, 1 = no rule (the registers are unchanged), 2 = the end, -1 =
 * unreadable. */
static __always_inline int step(struct walk *walk, __u32 rule, int leaf)
{
	__u64 cfa = (__u64)(rule >> 4 & 0xffff) * 8, slot = (__u64)(rule >> 20) * 8;

	switch (rule & 15) {
	case RULE_SP:
		cfa += walk->at.sp;
		break;
	case RULE_FP:
		cfa += walk->at.fp;
		break;
	case RULE_PLT:
		/* the expression that linkers write for lazy PLT entries */
		cfa = walk->at.sp + 8 + ((walk->at.pc & 15) >= (rule >> 4 & 0xffff) ? 8 : 0);
		slot = 0;
		break;
	case RULE_SP_DEREF:
		if (read_word(&cfa, walk->at.sp + cfa))
			return -1;
		cfa += 8;
		break;
#if defined(__TARGET_ARCH_arm64)
	case RULE_SP_LR:
		cfa += walk->at.sp;
		if (read_word(&walk->at.pc, cfa - slot))
			return -1;
		walk->at.pc = ADDRESS(walk->at.pc);
		walk->at.sp = cfa;
		return 0;
#endif
	case RULE_SIGNAL:
		return signal_step(walk);
	case RULE_END:
		return 2;
	default:
		return 1;
	}
	if (return_address(walk, cfa, slot, leaf))
		return -1;
	walk->at.sp = cfa;
	return 0;
}

/* One frame outwards; 0 = go on, 1 = walk->stack.stop says why not. A global function: the verifier
 * checks it once, not once for each frame of each program. */
__attribute__((noinline)) int unwind_frame(__u32 which)
{
	struct walk *walk = bpf_map_lookup_elem(&scratch, &which);
	__u32 rule = RULE_NONE, leaf;
	int done, known = 1;
	__u64 pc, hash;

	if (!walk)
		return 1;
	leaf = !walk->caller; /* the innermost frame, and one that a signal interrupted */
	/* the address after a call may already belong to the next function */
	pc = walk->at.pc - walk->caller;
	hash = (walk->hash ^ walk->at.pc) * 0xff51afd7ed558ccdULL;
	walk->hash = hash ^ hash >> 32;
	walk->frames++;
	if (pc < walk->mapping.start || pc >= walk->mapping.end)
		known = find_mapping(walk, pc);
	if (known)
		rule = find_rule(walk, pc);
	walk->caller = (rule & 15) != RULE_SIGNAL;
	done = step(walk, rule, leaf);
	if (done == 1) {
		walk->by_pointer = 1;
		walk->stack.stop = known ? STOP_NO_RULE : STOP_NO_MAPPING;
		if (frame_pointer_step(walk))
			return 1;
	} else if (done) {
		walk->stack.stop = done == 2 ? STOP_COMPLETE : STOP_UNREADABLE;
		return 1;
	}
	walk->at.pc = exact_return(walk->at.pc, walk->at.sp, walk->at.tid);
	if (walk->at.pc)
		return 0;
	walk->stack.stop = walk->by_pointer ? STOP_FRAME_POINTER : STOP_COMPLETE;
	return 1;
}

/* Takes the user stack from scratch[which].at in the current process on; returns its key in `stacks`,
 * 0 = none could be had. which: 0 in sched_switch, 1 in a CPU sample. Global, as unwind_frame is. */
__attribute__((noinline)) __u64 take_stack_at(__u32 which)
{
	struct walk *walk = bpf_map_lookup_elem(&scratch, &which);
	struct stack *stack;
	__u64 hash;
	int done = 0;

	if (!walk)
		return 0;
	stack = &walk->stack;
	walk->mapping.end = 0;
	walk->hash = 0x9e3779b97f4a7c15ULL;
	walk->frames = 0;
	walk->caller = 0;
	walk->by_pointer = 0;
	for (int i = 0; i < MAX_FRAMES && !done; i++) {
		stack->addresses[i] = walk->at.pc;
		done = unwind_frame(which);
	}
	if (!done)
		stack->stop = STOP_TOO_DEEP;
	stack->count = walk->frames;
	count(stacks_taken);
	__sync_fetch_and_add(&counters.frames, walk->frames);
	if (stack->stop == STOP_COMPLETE)
		count(stacks_complete);
	/* the same addresses may once be all that is known, and later a complete stack */
	hash = walk->hash ^ stack->stop;
	hash += !hash;
	if (!bpf_map_lookup_elem(&stacks, &hash) &&
	    bpf_map_update_elem(&stacks, &hash, stack, BPF_NOEXIST) &&
	    !bpf_map_lookup_elem(&stacks, &hash)) {
		count(stacks_full);
		return 0;
	}
	return hash;
}

/* The current thread's. */
static __always_inline __u64 take_stack(__u32 which)
{
	struct walk *walk = bpf_map_lookup_elem(&scratch, &which);
	struct pt_regs *registers = current_registers();

	if (!walk || !registers)
		return 0;
	read_place(&walk->at, registers);
	walk->at.tid = bpf_get_current_pid_tgid();
	return take_stack_at(which);
}

#endif
