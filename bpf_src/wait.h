/* What a sleep that is over was about: the file or peer behind its descriptor, and the kernel's stack.
 *
 * Taken when the thread comes back to a CPU, and only for sleeps that are told: its own system call
 * still holds the descriptor then, so that nothing can be closed or reused. The same wait is kept
 * once, under a hash of all that it says; user space fetches it when it first meets the hash.
 */
#ifndef HUD_WAIT_H
#define HUD_WAIT_H

#include "kernel.h"
#include "event.h"
#include "state.h"

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define ANON_INODE_FS_MAGIC 0x09041934 /* include/uapi/linux/magic.h */
#define AF_INET 2
#define AF_INET6 10

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct wait);
} waits SEC(".maps");

/* sched_switch runs with interrupts off: one place is enough. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wait);
} wait_scratch SEC(".maps");

static __always_inline void mix(__u64 *hash, __u64 word)
{
	__u64 mixed = (*hash ^ word) * 0xff51afd7ed558ccdULL;

	*hash = mixed ^ mixed >> 32;
}

static __always_inline struct file *open_file(struct task_struct *task, __u64 descriptor)
{
	struct files_struct *files = 0;
	struct fdtable *table = 0;
	struct file **slots = 0, *file = 0;
	__u32 most = 0;

	if (read_field(files, task, files) || read_field(table, files, fdt) ||
	    read_field(most, table, max_fds) || descriptor >= most ||
	    read_field(slots, table, fd) ||
	    bpf_probe_read_kernel(&file, sizeof(file), slots + descriptor))
		return 0;
	return file;
}

/* Counts the names and mixes them, without reading them. */
static __always_inline void count_names(struct wait *wait, struct dentry *dentry, __u64 *hash)
{
	struct dentry *parent = 0;
	__u64 name = 0;

	wait->names = 0;
	wait->rooted = 0;
	for (int i = 0; i <= WAIT_NAMES; i++) {
		if (read_field(parent, dentry, d_parent) || read_field(name, dentry, d_name.hash_len))
			return;
		if (parent == dentry) { /* the root, or a file that is in no directory */
			wait->rooted = i > 0;
			wait->names = i ? i : 1;
			return;
		}
		mix(hash, name);
		mix(hash, (__u64)dentry);
		dentry = parent;
	}
	wait->names = WAIT_NAMES;
}

static __always_inline void read_names(struct wait *wait, struct dentry *dentry)
{
	const unsigned char *name = 0;

	for (__u32 i = 0; i < WAIT_NAMES && i < wait->names; i++) {
		if (read_field(name, dentry, d_name.name) ||
		    bpf_probe_read_kernel_str(wait->name[i], WAIT_NAME, name) < 0 ||
		    read_field(dentry, dentry, d_parent)) {
			wait->names = i;
			wait->rooted = 0;
			return;
		}
	}
}

static __always_inline void read_peer(struct wait *wait, struct file *file, __u64 *hash)
{
	struct socket *socket = 0;
	struct sock *sock = 0;

	if (read_field(socket, file, private_data) || read_field(sock, socket, sk) || !sock)
		return;
	read_field(wait->family, sock, __sk_common.skc_family);
	if (wait->family != AF_INET && wait->family != AF_INET6)
		return;
	read_field(wait->port, sock, __sk_common.skc_dport);
	read_field(wait->local, sock, __sk_common.skc_num);
	if (wait->family == AF_INET)
		bpf_probe_read_kernel(wait->peer, 4, &sock->__sk_common.skc_daddr);
	else if (field_exists(sock->__sk_common.skc_v6_daddr))
		bpf_probe_read_kernel(wait->peer, 16, &sock->__sk_common.skc_v6_daddr);
	mix(hash, *(__u64 *)wait->peer);
	mix(hash, *(__u64 *)(wait->peer + 8));
	mix(hash, (__u64)wait->local << 16 | wait->port);
}

/* `task` is about to run again after a sleep. Returns the key in `waits`, 0 = nothing to tell;
 * `type` becomes the type bits of the descriptor's mode. `with_stack`: the thread can afford one. */
static __always_inline __u64 take_wait(struct task_struct *task, struct thread *thread,
				       int with_stack, __u16 *type)
{
	__u64 hash = 0x9e3779b97f4a7c15ULL, began, cost;
	struct super_block *sb = 0;
	struct dentry *dentry = 0;
	struct inode *inode = 0;
	unsigned long magic = 0;
	struct wait *wait;
	struct file *file;
	__u16 mode = 0;
	__u32 zero = 0;
	long size;

	/* the call says all */
	if (thread->syscall == CALL_FUTEX || thread->syscall == CALL_NANOSLEEP ||
	    thread->syscall == CALL_CLOCK_NANOSLEEP || thread->syscall == STOPPED)
		return 0;
	wait = bpf_map_lookup_elem(&wait_scratch, &zero);
	if (!wait)
		return 0;
	__builtin_memset(wait, 0, __builtin_offsetof(struct wait, kernel));
	file = thread->syscall == NOT_A_SYSCALL ? 0 : open_file(task, thread->argument);
	if (file && !read_field(inode, file, f_inode) && !read_field(mode, inode, i_mode)) {
		read_field(wait->inode, inode, i_ino);
		if (!read_field(sb, inode, i_sb)) {
			read_field(wait->device, sb, s_dev);
			read_field(magic, sb, s_magic);
		}
		/* an eventfd or the like, which newer kernels take for a file */
		if (magic == ANON_INODE_FS_MAGIC)
			mode &= ~S_IFMT;
		*type = mode & FLAGS_FILE_TYPE;
		wait->mode = mode;
		mix(&hash, wait->inode);
		mix(&hash, (__u64)wait->device << 32 | mode);
		if ((mode & S_IFMT) == S_IFSOCK)
			read_peer(wait, file, &hash);
		else if (!read_field(dentry, file, f_path.dentry))
			count_names(wait, dentry, &hash);
	}
	if (with_stack && has_helper(BPF_FUNC_get_task_stack)) {
		began = bpf_ktime_get_ns();
		size = bpf_get_task_stack(task, wait->kernel, sizeof(wait->kernel), 0);
		cost = bpf_ktime_get_ns() - began;
		thread->credit_ns -= cost < thread->credit_ns ? cost : thread->credit_ns;
		count(kernel_stacks);
		if (size > 0)
			wait->frames = (__u32)size / 8;
		for (__u32 i = 0; i < WAIT_FRAMES && i < wait->frames; i++)
			mix(&hash, wait->kernel[i]);
	}
	if (!wait->mode && !wait->frames)
		return 0;
	hash += !hash;
	if (bpf_map_lookup_elem(&waits, &hash))
		return hash;
	if (dentry)
		read_names(wait, dentry);
	if (bpf_map_update_elem(&waits, &hash, wait, 0))
		return 0;
	return hash;
}

#endif
