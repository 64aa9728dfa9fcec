/* What the programs need of the kernel: types, helper prototypes, CO-RE views of its structs.
 *
 * Nothing here comes from one machine's vmlinux.h: the structs name only the fields that are read,
 * and preserve_access_index makes clang record a relocation for each, resolved at load time against
 * the BTF of the running kernel. Helper numbers: include/uapi/linux/bpf.h, ___BPF_FUNC_MAPPER.
 */
#ifndef HUD_KERNEL_H
#define HUD_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed int __s32;
typedef signed long long __s64;

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name

/* enum bpf_map_type, map_flags, ring buffer flags */
#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LRU_HASH 9
#define BPF_MAP_TYPE_RINGBUF 27
#define BPF_NOEXIST 1
#define BPF_F_MMAPABLE 1024
#define BPF_RB_NO_WAKEUP 1
#define BPF_RB_FORCE_WAKEUP 2
#define BPF_RB_AVAIL_DATA 0

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value,
					 __u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static __u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*const bpf_get_current_comm)(void *to, __u32 size) = (void *)16;
static struct task_struct *(*const bpf_get_current_task)(void) = (void *)35;
static long (*const bpf_probe_read_user)(void *dst, __u32 size, const void *src) = (void *)112;
static long (*const bpf_probe_read_kernel)(void *dst, __u32 size, const void *src) = (void *)113;
static void *(*const bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static void (*const bpf_ringbuf_discard)(void *data, __u64 flags) = (void *)133;
static __u64 (*const bpf_ringbuf_query)(void *ring, __u64 flags) = (void *)134;
static long (*const bpf_probe_read_kernel_str)(void *dst, __u32 size,
					       const void *src) = (void *)115;
static long (*const bpf_get_task_stack)(struct task_struct *task, void *to, __u32 size,
					__u64 flags) = (void *)141;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static __u64 (*const bpf_get_attach_cookie)(void *ctx) = (void *)174;
static long (*const bpf_task_pt_regs)(struct task_struct *task) = (void *)175;

/* The kernel's list of its helpers: what it lacks is done in another way, or not at all. */
enum bpf_func_id {
	BPF_FUNC_get_task_stack = 141,       /* 5.9 */
	BPF_FUNC_get_current_task_btf = 158, /* 5.11 */
	BPF_FUNC_task_pt_regs = 175,         /* 5.15 */
};

/* Resolved when the program is loaded: the verifier drops the branch that is not taken. */
#define has_helper(name) \
	__builtin_preserve_enum_value(*(enum bpf_func_id *)name, 0 /* BPF_ENUMVAL_EXISTS */)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)

struct thread_struct {
	unsigned long fsbase;
};

struct pt_regs {
	unsigned long bp, si, di, orig_ax, ip, sp, cs;
};

#elif defined(__TARGET_ARCH_arm64)

struct thread_struct {
	struct {
		unsigned long tp_value;
	} uw;
};

struct pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
	__u64 orig_x0;
	__s32 syscallno;
};

#else
#error "__TARGET_ARCH_x86 or __TARGET_ARCH_arm64"
#endif

struct qstr {
	__u64 hash_len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct super_block {
	__u32 s_dev;
	unsigned long s_magic;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
};

struct path {
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct sock_common {
	__u32 skc_daddr;
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	struct in6_addr skc_v6_daddr;
};

struct sock {
	struct sock_common __sk_common;
};

struct socket {
	struct sock *sk;
};

struct mm_struct {
	unsigned long exec_vm; /* pages that are mapped executable */
};

struct task_struct {
	unsigned int __state; /* 5.14: was `state` */
	__u32 pid;
	__u32 tgid;
	unsigned int flags;
	char comm[16];
	void *stack;
	struct mm_struct *mm;
	struct files_struct *files;
	struct thread_struct thread;
};

struct task_struct___before_5_14 {
	volatile long state;
};

#pragma clang attribute pop

/* include/linux/sched.h, of 5.12 (io_uring's threads are the process's own since) and 6.4 */
#define PF_EXITING 0x00000004
#define PF_IO_WORKER 0x00000010
#define PF_USER_WORKER 0x00004000

/* include/linux/sched.h */
#define __TASK_STOPPED 0x4
#define __TASK_TRACED 0x8

/* include/uapi/linux/futex.h */
#define FUTEX_WAKE 1
#define FUTEX_WAKE_OP 5
#define FUTEX_UNLOCK_PI 7
#define FUTEX_WAKE_BITSET 10
#define FUTEX_PRIVATE_FLAG 128

/* System calls: their numbers, and the registers of the one that a thread is in. */
#if defined(__TARGET_ARCH_x86)
#define CALL_FUTEX 202
#define CALL_NANOSLEEP 35
#define CALL_CLOCK_NANOSLEEP 230
#define CALL_NUMBER orig_ax
#define FIRST_ARGUMENT di
#define SECOND_ARGUMENT si
#define MODE cs
#define USER_MODE 3
#else
#define CALL_FUTEX 98
#define CALL_NANOSLEEP 101
#define CALL_CLOCK_NANOSLEEP 115
#define CALL_NUMBER syscallno
#define FIRST_ARGUMENT orig_x0
#define SECOND_ARGUMENT regs[1]
#define MODE pstate
#define USER_MODE 0
#endif
#define MODE_BITS 3

#define read_field(to, of, field) \
	bpf_probe_read_kernel(&(to), sizeof(to), &(of)->field)

#define field_exists(field) __builtin_preserve_field_info(field, 2 /* BPF_FIELD_EXISTS */)
#define size_of(type) __builtin_preserve_type_info(*(type *)0, 1 /* BPF_TYPE_SIZE */)

static __always_inline __u32 task_state(struct task_struct *task)
{
	struct task_struct___before_5_14 *old = (void *)task;

	if (field_exists(task->__state))
		return task->__state;
	return old->state;
}

/* ------------------------------------------------------------------ the current thread */

/* Bytes of a thread's stack in the kernel: THREAD_SIZE, which no type tells. */
const volatile __u32 kernel_stack = 16384;

static __always_inline __u32 current_flags(void)
{
	__u32 flags = PF_EXITING;

	if (has_helper(BPF_FUNC_get_current_task_btf))
		return bpf_get_current_task_btf()->flags;
	read_field(flags, bpf_get_current_task(), flags);
	return flags;
}

#if defined(__TARGET_ARCH_x86)
#define THREAD_POINTER thread.fsbase
#else
#define THREAD_POINTER thread.uw.tp_value
#endif

static __always_inline __u64 current_thread_pointer(void)
{
	unsigned long pointer = 0;

	if (has_helper(BPF_FUNC_get_current_task_btf))
		return bpf_get_current_task_btf()->THREAD_POINTER;
	read_field(pointer, bpf_get_current_task(), THREAD_POINTER);
	return pointer;
}

/* Where the registers of its user code are kept, 0 = not known; to be read by `read_register`.
 * Without the helper: at the end of its stack (task_pt_regs of both processors' asm/processor.h). */
static __always_inline struct pt_regs *current_registers(void)
{
	struct pt_regs *registers;
	__u64 mode = ~0ULL;
	void *stack = 0;

	if (has_helper(BPF_FUNC_task_pt_regs))
		return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	read_field(stack, bpf_get_current_task(), stack);
	registers = stack + kernel_stack - size_of(struct pt_regs);
	bpf_probe_read_kernel(&mode, sizeof(registers->MODE), &registers->MODE);
	return (mode & MODE_BITS) == USER_MODE ? registers : 0;
}

#define read_register(to, registers, name)                        \
	do {                                                      \
		if (has_helper(BPF_FUNC_task_pt_regs))            \
			to = (registers)->name;                   \
		else                                              \
			read_field(to, registers, name);          \
	} while (0)

struct call {
	__u64 number, first, second;
};

/* The system call that a thread is in. */
static __always_inline void read_call(struct call *call, struct pt_regs *registers)
{
	__typeof__(registers->CALL_NUMBER) number = -1;

	read_register(number, registers, CALL_NUMBER);
	call->number = (__u32)number;
	read_register(call->first, registers, FIRST_ARGUMENT);
	read_register(call->second, registers, SECOND_ARGUMENT);
}

#endif
