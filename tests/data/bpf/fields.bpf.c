/* Every sort of CO-RE relocation, answered into variables when the program runs once. */
#include "mini.h"

struct thread_struct {
	unsigned long fsbase; /* x86_64 */
	unsigned long sp;
} relocated;

struct list_head {
	struct list_head *next, *prev;
} relocated;

struct task_struct {
	int pid;
	int tgid;
	unsigned int __state;
	char comm[16];
	struct list_head tasks;
	struct thread_struct thread;
	unsigned in_iowait : 1;
} relocated;

struct task_struct___old {
	long state;
} relocated;

struct task_struct___none {
	int never_was_there;
} relocated;

struct nowhere_at_all {
	int x;
} relocated;

enum pid_type___mine {
	PIDTYPE_TGID = 77,
	PIDTYPE_NEVER = 78,
};

#define offset_of(type, field) \
	__builtin_preserve_field_info(((struct type *)0)->field, 0)
#define size_of(type, field) __builtin_preserve_field_info(((struct type *)0)->field, 1)
#define exists(type, field) __builtin_preserve_field_info(((struct type *)0)->field, 2)
#define is_signed(type, field) __builtin_preserve_field_info(((struct type *)0)->field, 3)
#define left(type, field) __builtin_preserve_field_info(((struct type *)0)->field, 4)
#define right(type, field) __builtin_preserve_field_info(((struct type *)0)->field, 5)

u32 target_tid;
u32 done;
u32 pid_offset, tgid_offset, fsbase_offset, comm_3_offset, prev_offset;
u32 pid_size, comm_size, fsbase_size;
u32 state_exists, old_state_exists, none_exists, nowhere_exists;
u32 pid_signed, state_signed;
u32 iowait_offset, iowait_size, iowait_left, iowait_right;
u32 task_size, task_type, tgid_enum_exists, never_enum_exists, tgid_enum_value;
u32 read_pid, read_tgid;
u64 read_fsbase;
u32 guarded = 1;

SEC("raw_tp/sched_switch") int answer(u64 *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 tid = bpf_get_current_pid_tgid();

	if (tid != target_tid || done)
		return 0;
	pid_offset = offset_of(task_struct, pid);
	tgid_offset = offset_of(task_struct, tgid);
	fsbase_offset = offset_of(task_struct, thread.fsbase);
	comm_3_offset = offset_of(task_struct, comm[3]);
	prev_offset = offset_of(task_struct, tasks.prev);
	pid_size = size_of(task_struct, pid);
	comm_size = size_of(task_struct, comm);
	fsbase_size = size_of(task_struct, thread.fsbase);
	state_exists = exists(task_struct, __state);
	old_state_exists = exists(task_struct___old, state);
	none_exists = exists(task_struct___none, never_was_there);
	nowhere_exists = exists(nowhere_at_all, x);
	pid_signed = is_signed(task_struct, pid);
	state_signed = is_signed(task_struct, __state);
	iowait_offset = offset_of(task_struct, in_iowait);
	iowait_size = size_of(task_struct, in_iowait);
	iowait_left = left(task_struct, in_iowait);
	iowait_right = right(task_struct, in_iowait);
	task_size = __builtin_preserve_type_info(*(struct task_struct *)0, 1);
	task_type = __builtin_btf_type_id(*(struct task_struct *)0, 1);
	tgid_enum_exists =
		__builtin_preserve_enum_value(*(enum pid_type___mine *)PIDTYPE_TGID, 0);
	never_enum_exists =
		__builtin_preserve_enum_value(*(enum pid_type___mine *)PIDTYPE_NEVER, 0);
	tgid_enum_value =
		__builtin_preserve_enum_value(*(enum pid_type___mine *)PIDTYPE_TGID, 1);
	bpf_probe_read_kernel(&read_pid, 4, &task->pid);
	bpf_probe_read_kernel(&read_tgid, 4, &task->tgid);
	bpf_probe_read_kernel(&read_fsbase, 8, &task->thread.fsbase);
	if (exists(task_struct___none, never_was_there)) {
		struct task_struct___none *none = (void *)task;

		bpf_probe_read_kernel(&guarded, 4, &none->never_was_there);
	}
	done = 1;
	return 0;
}

SEC("raw_tp/sched_wakeup") int unguarded(u64 *ctx)
{
	struct task_struct___none *none = (void *)bpf_get_current_task();

	bpf_probe_read_kernel(&guarded, 4, &none->never_was_there);
	return 0;
}

SEC("license") char licence[] = "Dual MIT/GPL";
