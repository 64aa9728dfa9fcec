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

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value,
					 __u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static __u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*const bpf_probe_read_user)(void *dst, __u32 size, const void *src) = (void *)112;
static long (*const bpf_probe_read_kernel)(void *dst, __u32 size, const void *src) = (void *)113;
static void *(*const bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static __u64 (*const bpf_get_attach_cookie)(void *ctx) = (void *)174;
static long (*const bpf_task_pt_regs)(struct task_struct *task) = (void *)175;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)

struct thread_struct {
	unsigned long fsbase;
};

struct pt_regs {
	unsigned long bp, orig_ax, ip, sp, di;
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
	__u64 orig_x0;
	__s32 syscallno;
};

#else
#error "__TARGET_ARCH_x86 or __TARGET_ARCH_arm64"
#endif

struct task_struct {
	unsigned int __state; /* 5.14: was `state` */
	__u32 pid;
	__u32 tgid;
	unsigned int flags;
	char comm[16];
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

#define field_exists(field) __builtin_preserve_field_info(field, 2 /* BPF_FIELD_EXISTS */)

static __always_inline __u32 task_state(struct task_struct *task)
{
	struct task_struct___before_5_14 *old = (void *)task;

	if (field_exists(task->__state))
		return task->__state;
	return old->state;
}

#endif
