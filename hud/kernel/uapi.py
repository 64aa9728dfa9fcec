"""Declarations of linux/bpf.h and linux/perf_event.h, transcribed: kernel names, kernel order.

``bpf_attr`` is a union in the kernel; here each command's member is a structure of its own. Fields
that hud never sets are kept where later ones follow them, so that offsets stay those of the header.
A pointer is an ``__u64`` (``__aligned_u64``).
"""

from __future__ import annotations

import ctypes
from ctypes import c_char, c_int32, c_uint8, c_uint16, c_uint32, c_uint64

# --------------------------------------------------------------------------- linux/bpf.h

BPF_OBJ_NAME_LEN = 16
BPF_TAG_SIZE = 8

# enum bpf_cmd
BPF_MAP_CREATE = 0
BPF_MAP_LOOKUP_ELEM = 1
BPF_MAP_UPDATE_ELEM = 2
BPF_MAP_DELETE_ELEM = 3
BPF_MAP_GET_NEXT_KEY = 4
BPF_PROG_LOAD = 5
BPF_PROG_GET_NEXT_ID = 11
BPF_OBJ_GET_INFO_BY_FD = 15
BPF_BTF_LOAD = 18
BPF_RAW_TRACEPOINT_OPEN = 17
BPF_MAP_FREEZE = 22
BPF_MAP_LOOKUP_BATCH = 24
BPF_MAP_UPDATE_BATCH = 26
BPF_LINK_CREATE = 28
BPF_ENABLE_STATS = 32

# enum bpf_map_type
BPF_MAP_TYPE_HASH = 1
BPF_MAP_TYPE_ARRAY = 2
BPF_MAP_TYPE_PROG_ARRAY = 3
BPF_MAP_TYPE_PERF_EVENT_ARRAY = 4
BPF_MAP_TYPE_PERCPU_HASH = 5
BPF_MAP_TYPE_PERCPU_ARRAY = 6
BPF_MAP_TYPE_STACK_TRACE = 7
BPF_MAP_TYPE_LRU_HASH = 9
BPF_MAP_TYPE_LRU_PERCPU_HASH = 10
BPF_MAP_TYPE_LPM_TRIE = 11
BPF_MAP_TYPE_RINGBUF = 27

# map_flags of BPF_MAP_CREATE
BPF_F_NO_PREALLOC = 1 << 0
BPF_F_RDONLY_PROG = 1 << 7
BPF_F_MMAPABLE = 1 << 10

# flags of BPF_MAP_UPDATE_ELEM
BPF_ANY = 0
BPF_NOEXIST = 1
BPF_EXIST = 2

# enum bpf_prog_type
BPF_PROG_TYPE_SOCKET_FILTER = 1
BPF_PROG_TYPE_KPROBE = 2
BPF_PROG_TYPE_TRACEPOINT = 5
BPF_PROG_TYPE_PERF_EVENT = 7
BPF_PROG_TYPE_RAW_TRACEPOINT = 17
BPF_PROG_TYPE_TRACING = 26

# enum bpf_attach_type
BPF_TRACE_RAW_TP = 23
BPF_PERF_EVENT = 41
BPF_TRACE_UPROBE_MULTI = 48

# flag of a uprobe_multi link
BPF_F_UPROBE_MULTI_RETURN = 1

# enum bpf_stats_type
BPF_STATS_RUN_TIME = 0

# instruction classes, sizes, modes and operations (linux/bpf_common.h, linux/bpf.h)
BPF_LD = 0x00
BPF_LDX = 0x01
BPF_ST = 0x02
BPF_STX = 0x03
BPF_ALU = 0x04
BPF_JMP = 0x05
BPF_JMP32 = 0x06
BPF_ALU64 = 0x07
BPF_W = 0x00
BPF_H = 0x08
BPF_B = 0x10
BPF_DW = 0x18
BPF_IMM = 0x00
BPF_K = 0x00
BPF_X = 0x08
BPF_CALL = 0x80
BPF_EXIT = 0x90
BPF_MOV = 0xB0

# src_reg of a BPF_LD | BPF_DW | BPF_IMM or a BPF_CALL instruction
BPF_PSEUDO_MAP_FD = 1
BPF_PSEUDO_MAP_VALUE = 2
BPF_PSEUDO_FUNC = 4
BPF_PSEUDO_CALL = 1

# enum bpf_func_id
BPF_FUNC_ktime_get_ns = 5
BPF_FUNC_get_current_task_btf = 158
BPF_FUNC_task_pt_regs = 175

# enum bpf_core_relo_kind
BPF_CORE_FIELD_BYTE_OFFSET = 0
BPF_CORE_FIELD_BYTE_SIZE = 1
BPF_CORE_FIELD_EXISTS = 2
BPF_CORE_FIELD_SIGNED = 3
BPF_CORE_FIELD_LSHIFT_U64 = 4
BPF_CORE_FIELD_RSHIFT_U64 = 5
BPF_CORE_TYPE_ID_LOCAL = 6
BPF_CORE_TYPE_ID_TARGET = 7
BPF_CORE_TYPE_EXISTS = 8
BPF_CORE_TYPE_SIZE = 9
BPF_CORE_ENUMVAL_EXISTS = 10
BPF_CORE_ENUMVAL_VALUE = 11
BPF_CORE_TYPE_MATCHES = 12

# ring buffer record header and the position of its areas
BPF_RINGBUF_BUSY_BIT = 1 << 31
BPF_RINGBUF_DISCARD_BIT = 1 << 30
BPF_RINGBUF_HDR_SZ = 8


class bpf_attr_map_create(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: BPF_MAP_CREATE."""

    _fields_ = (
        ("map_type", c_uint32),
        ("key_size", c_uint32),
        ("value_size", c_uint32),
        ("max_entries", c_uint32),
        ("map_flags", c_uint32),
        ("inner_map_fd", c_uint32),
        ("numa_node", c_uint32),
        ("map_name", c_char * BPF_OBJ_NAME_LEN),
        ("map_ifindex", c_uint32),
        ("btf_fd", c_uint32),
        ("btf_key_type_id", c_uint32),
        ("btf_value_type_id", c_uint32),
        ("btf_vmlinux_value_type_id", c_uint32),
        ("map_extra", c_uint64),
    )


class bpf_attr_map_elem(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: BPF_MAP_*_ELEM, BPF_MAP_GET_NEXT_KEY and BPF_MAP_FREEZE.

    ``value`` is a union with ``next_key``.
    """

    _fields_ = (
        ("map_fd", c_uint32),
        ("key", c_uint64),
        ("value", c_uint64),
        ("flags", c_uint64),
    )


class bpf_attr_batch(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: ``batch`` of BPF_MAP_*_BATCH. ``count`` is in and out."""

    _fields_ = (
        ("in_batch", c_uint64),
        ("out_batch", c_uint64),
        ("keys", c_uint64),
        ("values", c_uint64),
        ("count", c_uint32),
        ("map_fd", c_uint32),
        ("elem_flags", c_uint64),
        ("flags", c_uint64),
    )


class bpf_attr_prog_load(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: BPF_PROG_LOAD."""

    _fields_ = (
        ("prog_type", c_uint32),
        ("insn_cnt", c_uint32),
        ("insns", c_uint64),
        ("license", c_uint64),
        ("log_level", c_uint32),
        ("log_size", c_uint32),
        ("log_buf", c_uint64),
        ("kern_version", c_uint32),
        ("prog_flags", c_uint32),
        ("prog_name", c_char * BPF_OBJ_NAME_LEN),
        ("prog_ifindex", c_uint32),
        ("expected_attach_type", c_uint32),
        ("prog_btf_fd", c_uint32),
        ("func_info_rec_size", c_uint32),
        ("func_info", c_uint64),
        ("func_info_cnt", c_uint32),
        ("line_info_rec_size", c_uint32),
        ("line_info", c_uint64),
        ("line_info_cnt", c_uint32),
        ("attach_btf_id", c_uint32),
        ("attach_prog_fd", c_uint32),
    )


class bpf_attr_btf_load(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: BPF_BTF_LOAD."""

    _fields_ = (
        ("btf", c_uint64),
        ("btf_log_buf", c_uint64),
        ("btf_size", c_uint32),
        ("btf_log_size", c_uint32),
        ("btf_log_level", c_uint32),
    )


class bpf_attr_raw_tracepoint(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: ``raw_tracepoint`` of BPF_RAW_TRACEPOINT_OPEN."""

    _fields_ = (("name", c_uint64), ("prog_fd", c_uint32))


class bpf_attr_link_create(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: ``link_create``; the tail is its ``perf_event`` member."""

    _fields_ = (
        ("prog_fd", c_uint32),
        ("target_fd", c_uint32),
        ("attach_type", c_uint32),
        ("flags", c_uint32),
        ("bpf_cookie", c_uint64),
    )


class bpf_attr_link_create_uprobe_multi(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: ``link_create`` with its ``uprobe_multi`` member."""

    _fields_ = (
        ("prog_fd", c_uint32),
        ("target_fd", c_uint32),
        ("attach_type", c_uint32),
        ("flags", c_uint32),
        ("path", c_uint64),
        ("offsets", c_uint64),
        ("ref_ctr_offsets", c_uint64),
        ("cookies", c_uint64),
        ("cnt", c_uint32),
        ("multi_flags", c_uint32),
        ("pid", c_uint32),
    )


class bpf_attr_enable_stats(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: BPF_ENABLE_STATS."""

    _fields_ = (("type", c_uint32),)


class bpf_attr_info(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: ``info`` of BPF_OBJ_GET_INFO_BY_FD."""

    _fields_ = (("bpf_fd", c_uint32), ("info_len", c_uint32), ("info", c_uint64))


class bpf_attr_get_id(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, union bpf_attr: BPF_*_GET_NEXT_ID."""

    _fields_ = (("start_id", c_uint32), ("next_id", c_uint32), ("open_flags", c_uint32))


class bpf_prog_info(ctypes.Structure):  # noqa: N801
    """linux/bpf.h, struct bpf_prog_info up to ``verified_insns``.

    ``gpl_compatible`` is the word of bit fields that begins with it. Kernels before 5.16 leave the
    last at 0.
    """

    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("tag", c_uint8 * BPF_TAG_SIZE),
        ("jited_prog_len", c_uint32),
        ("xlated_prog_len", c_uint32),
        ("jited_prog_insns", c_uint64),
        ("xlated_prog_insns", c_uint64),
        ("load_time", c_uint64),
        ("created_by_uid", c_uint32),
        ("nr_map_ids", c_uint32),
        ("map_ids", c_uint64),
        ("name", c_char * BPF_OBJ_NAME_LEN),
        ("ifindex", c_uint32),
        ("gpl_compatible", c_uint32),
        ("netns_dev", c_uint64),
        ("netns_ino", c_uint64),
        ("nr_jited_ksyms", c_uint32),
        ("nr_jited_func_lens", c_uint32),
        ("jited_ksyms", c_uint64),
        ("jited_func_lens", c_uint64),
        ("btf_id", c_uint32),
        ("func_info_rec_size", c_uint32),
        ("func_info", c_uint64),
        ("nr_func_info", c_uint32),
        ("nr_line_info", c_uint32),
        ("line_info", c_uint64),
        ("jited_line_info", c_uint64),
        ("nr_jited_line_info", c_uint32),
        ("line_info_rec_size", c_uint32),
        ("jited_line_info_rec_size", c_uint32),
        ("nr_prog_tags", c_uint32),
        ("prog_tags", c_uint64),
        ("run_time_ns", c_uint64),
        ("run_cnt", c_uint64),
        ("recursion_misses", c_uint64),
        ("verified_insns", c_uint32),
    )


# --------------------------------------------------------------------------- linux/perf_event.h

# enum perf_type_id
PERF_TYPE_HARDWARE = 0
PERF_TYPE_SOFTWARE = 1
PERF_TYPE_TRACEPOINT = 2

# enum perf_sw_ids
PERF_COUNT_SW_CPU_CLOCK = 0
PERF_COUNT_SW_TASK_CLOCK = 1

PERF_FLAG_FD_CLOEXEC = 1 << 3

# _IO('$', 0), _IO('$', 1), _IOW('$', 8, __u32)
PERF_EVENT_IOC_ENABLE = 0x2400
PERF_EVENT_IOC_DISABLE = 0x2401
PERF_EVENT_IOC_SET_BPF = 0x40042408

# bits of perf_event_attr's flag word, in the order of the header
PERF_ATTR_DISABLED = 1 << 0
PERF_ATTR_FREQ = 1 << 10


class perf_event_attr(ctypes.Structure):  # noqa: N801
    """linux/perf_event.h, struct perf_event_attr up to PERF_ATTR_SIZE_VER5.

    Unions carry their first member's name, except ``bp_addr``/``config1`` and ``bp_len``/
    ``config2``, which are named as the uprobe PMU uses them. ``flags`` is the word of bit fields
    that begins with ``disabled``.
    """

    _fields_ = (
        ("type", c_uint32),
        ("size", c_uint32),
        ("config", c_uint64),
        ("sample_period", c_uint64),
        ("sample_type", c_uint64),
        ("read_format", c_uint64),
        ("flags", c_uint64),
        ("wakeup_events", c_uint32),
        ("bp_type", c_uint32),
        ("config1", c_uint64),
        ("config2", c_uint64),
        ("branch_sample_type", c_uint64),
        ("sample_regs_user", c_uint64),
        ("sample_stack_user", c_uint32),
        ("clockid", c_int32),
        ("sample_regs_intr", c_uint64),
        ("aux_watermark", c_uint32),
        ("sample_max_stack", c_uint16),
        ("__reserved_2", c_uint16),
    )


# --------------------------------------------------------------------------- linux/capability.h

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETGID = 6
CAP_SETUID = 7
CAP_SYS_PTRACE = 19
CAP_SYS_ADMIN = 21
CAP_SYSLOG = 34
CAP_PERFMON = 38
CAP_BPF = 39
CAP_CHECKPOINT_RESTORE = 40

# --------------------------------------------------------------------------- syscall numbers

SYSCALLS = {
    "x86_64": {"bpf": 321, "perf_event_open": 298},
    "aarch64": {"bpf": 280, "perf_event_open": 241},
}
"""asm/unistd_64.h for x86_64, asm-generic/unistd.h for aarch64."""
